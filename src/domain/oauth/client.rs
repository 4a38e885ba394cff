//! An app: an OAuth client, and what a registration must look like.

use url::Url;

use super::redirect_uri::{InvalidRedirectUri, RedirectUri};
use crate::domain::{
    id::{ClientId, UserId},
    secret::{ClientSecret, SecretHash},
    time::Timestamp,
};

/// Longest name, in characters.
pub const MAX_NAME_CHARS: usize = 60;
/// Longest address of a home page, in bytes.
pub const MAX_HOME_PAGE_BYTES: usize = 512;
/// Most redirect URIs of one app.
pub const MAX_REDIRECT_URIS: usize = 10;

/// How an app proves who it is at `/token` and `/revoke`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// It can't keep a secret (a browser, a desktop or command-line app): PKCE protects it (RFC 6749 §2.1).
    Public,
    /// It has a secret, sent as `client_secret_basic` or `client_secret_post` as its library prefers.
    Confidential(SecretHash<ClientSecret>),
}

impl ClientAuth {
    /// The column `token_endpoint_auth_method`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Public => "none",
            Self::Confidential(_) => "client_secret_basic",
        }
    }

    /// The column `secret_hash`.
    #[must_use]
    pub fn secret_hash(&self) -> Option<&SecretHash<ClientSecret>> {
        match self {
            Self::Public => None,
            Self::Confidential(hash) => Some(hash),
        }
    }

    /// From the two columns; `None` when they contradict each other.
    #[must_use]
    pub fn from_stored(method: &str, secret_hash: Option<String>) -> Option<Self> {
        match (method, secret_hash) {
            ("none", None) => Some(Self::Public),
            ("client_secret_basic" | "client_secret_post", Some(hash)) => {
                Some(Self::Confidential(SecretHash::from_stored(hash)))
            }
            _ => None,
        }
    }
}

/// A row of `clients`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// As its developer calls it. Nobody verified it.
    pub name: String,
    /// As its developer wrote it. Nobody verified it.
    pub home_page: String,
    /// Never empty.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it proves who it is.
    pub auth: ClientAuth,
    /// Who registered it; `None` for one that the deployment brought along.
    pub owner: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
}

impl Client {
    /// Whether `presented` is one of its redirect URIs.
    #[must_use]
    pub fn may_redirect_to(&self, presented: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered.matches(presented))
    }
}

/// A registration that passed the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Trimmed, never empty.
    pub name: String,
    /// An http or https address.
    pub home_page: String,
    /// Never empty, each once.
    pub redirect_uris: Vec<RedirectUri>,
}

/// What is wrong with a registration, per field, so that the form can say it next to the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrationErrors {
    /// About the name.
    pub name: Option<&'static str>,
    /// About the home page.
    pub home_page: Option<&'static str>,
    /// About the redirect URIs; begins with the line that is wrong.
    pub redirect_uris: Option<String>,
}

impl Registration {
    /// Reads the registration form; `redirect_uris` is one a line.
    ///
    /// # Errors
    /// Every field that is wrong, at once.
    pub fn parse(name: &str, home_page: &str, redirect_uris: &str) -> Result<Self, RegistrationErrors> {
        let name = parse_name(name);
        let home_page = parse_home_page(home_page);
        let redirect_uris = parse_redirect_uris(redirect_uris);
        match (name, home_page, redirect_uris) {
            (Ok(name), Ok(home_page), Ok(redirect_uris)) => Ok(Self { name, home_page, redirect_uris }),
            (name, home_page, redirect_uris) => Err(RegistrationErrors {
                name: name.err(),
                home_page: home_page.err(),
                redirect_uris: redirect_uris.err(),
            }),
        }
    }
}

fn parse_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() {
        return Err("give the app a name that people recognise");
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err("a name has at most 60 characters");
    }
    if name.chars().any(is_deceptive) {
        return Err("a name is plain text on one line");
    }
    Ok(name.to_owned())
}

/// Control characters, and the invisible ones that turn or hide text: a name is what a person judges by.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn parse_home_page(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "write the whole address in ASCII, such as https://app.example";
    const TOO_LONG: &str = "an address has at most 512 bytes";
    let text = text.trim();
    if text.len() > MAX_HOME_PAGE_BYTES {
        return Err(TOO_LONG);
    }
    let url = Url::parse(text).map_err(|_| WRONG)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(WRONG);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address has no user name or password");
    }
    // What isn't ASCII in a path is three times as long when it is encoded.
    if url.as_str().len() > MAX_HOME_PAGE_BYTES { Err(TOO_LONG) } else { Ok(url.into()) }
}

fn parse_redirect_uris(text: &str) -> Result<Vec<RedirectUri>, String> {
    let mut uris: Vec<RedirectUri> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let uri = line.parse().map_err(|error: InvalidRedirectUri| format!("line {}: {error}", index + 1))?;
        if uris.contains(&uri) {
            continue;
        }
        if uris.len() == MAX_REDIRECT_URIS {
            return Err(format!("at most {MAX_REDIRECT_URIS} redirect URIs"));
        }
        uris.push(uri);
    }
    if uris.is_empty() { Err("name at least one redirect URI, one a line".to_owned()) } else { Ok(uris) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_registration_keeps_each_redirect_uri_once() {
        let parsed = Registration::parse(
            " Demo chat ",
            "https://app.example",
            "https://app.example/cb\r\n\r\nhttps://app.example/cb\r\n",
        )
        .unwrap();
        assert_eq!(parsed.name, "Demo chat");
        assert_eq!(parsed.home_page, "https://app.example/");
        assert_eq!(parsed.redirect_uris.len(), 1);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let errors = Registration::parse("", "nowhere", "https://ok.example/\njavascript:alert(1)").unwrap_err();
        assert!(errors.name.is_some() && errors.home_page.is_some());
        assert!(errors.redirect_uris.unwrap().starts_with("line 2: "));
    }

    #[test]
    fn a_name_can_not_turn_or_hide_text() {
        for name in ["evil\u{202e}txt", "a\u{200b}b", "two\nlines", &"x".repeat(61)] {
            assert!(Registration::parse(name, "https://a.example", "https://a.example/").is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_home_page_is_a_web_address() {
        for address in ["javascript:alert(1)", "ftp://a.example", "https://u:p@a.example", "app.example", ""] {
            assert!(Registration::parse("a", address, "https://a.example/").is_err(), "{address:?}");
        }
    }

    #[test]
    fn at_most_ten_redirect_uris() {
        let lines = (0..11).map(|n| format!("https://a.example/{n}")).collect::<Vec<_>>().join("\n");
        assert!(Registration::parse("a", "https://a.example", &lines).unwrap_err().redirect_uris.is_some());
    }

    #[test]
    fn columns_that_contradict_each_other_make_no_client() {
        assert_eq!(ClientAuth::from_stored("none", Some("00".into())), None);
        assert_eq!(ClientAuth::from_stored("client_secret_basic", None), None);
        assert_eq!(ClientAuth::from_stored("private_key_jwt", None), None);
    }

    #[test]
    fn a_home_page_that_is_too_long_once_it_is_encoded_is_refused() {
        let address = |letters: usize| format!("https://a.example/{}", "\u{fc}".repeat(letters));
        let parse = |address: &str| Registration::parse("a", address, "https://a.example/");
        assert_eq!(parse(&address(80)).unwrap().home_page.len(), "https://a.example/".len() + 80 * 6);
        assert!(parse(&address(200)).unwrap_err().home_page.is_some());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(name in ".{0,80}", page in ".{0,80}", uris in "(?s).{0,200}") {
            let _ = Registration::parse(&name, &page, &uris);
        }
    }
}
