//! Registration by hand: what the form under `/apps` must say.

use url::Url;

use super::redirect_uri::{InvalidRedirectUri, RedirectUri};

/// Longest name, in characters.
pub const MAX_NAME_CHARS: usize = 60;
/// Longest address of a home page, in bytes.
pub const MAX_HOME_PAGE_BYTES: usize = 512;
/// Most redirect URIs of one app.
pub const MAX_REDIRECT_URIS: usize = 10;

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

/// A name for people, of an app or a person: one line of at most [`MAX_NAME_CHARS`] that shows something.
///
/// # Errors
/// What is wrong with it.
pub fn parse_name(text: &str) -> Result<String, &'static str> {
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

/// Control characters, and the invisible ones that turn or hide text or are blank themselves: a name is what a person judges by.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{034f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        )
        || matches!(c, '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

pub(super) fn parse_home_page(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "write the whole address in ASCII, such as https://app.example";
    const TOO_LONG: &str = "an address has at most 512 bytes";
    let text = text.trim();
    if text.len() > MAX_HOME_PAGE_BYTES {
        return Err(TOO_LONG);
    }
    if !text.is_ascii() {
        return Err(WRONG);
    }
    let url = Url::parse(text).map_err(|_| WRONG)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(WRONG);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address has no user name or password");
    }
    // What a path holds that has to be encoded is three times as long then.
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
    fn a_name_shows_something() {
        for name in ["\u{3164}", "\u{2800}\u{2800}", "\u{115f}\u{1160}", "\u{ffa0}", "\u{34f}", "\u{a0}"] {
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

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(name in ".{0,80}", page in ".{0,80}", uris in "(?s).{0,200}") {
            let _ = Registration::parse(&name, &page, &uris);
        }
    }
}
