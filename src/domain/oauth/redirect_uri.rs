//! Redirect URIs: what may be registered, and when a presented one is the registered one.
//!
//! Matching is exact text (RFC 9700 §4.1.3) with the one exception of RFC 8252 §7.3: a native app's loopback listener takes whatever
//! port the system gives it, so on a loopback host the port is free.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Longest redirect URI, in bytes.
pub const MAX_REDIRECT_URI_BYTES: usize = 1024;

/// A registered redirect URI, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

/// Why a redirect URI can't be registered. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// Longer than [`MAX_REDIRECT_URI_BYTES`].
    #[error("a redirect URI is at most {MAX_REDIRECT_URI_BYTES} bytes")]
    TooLong,
    /// Control characters, spaces, backslashes or anything beyond ASCII: browsers and parsers read them differently.
    #[error("write a redirect URI in plain ASCII, without spaces or backslashes")]
    Characters,
    /// Not an absolute URI.
    #[error("a redirect URI is absolute, such as https://app.example/callback")]
    NotAbsolute,
    /// RFC 6749 §3.1.2.
    #[error("a redirect URI has no fragment (#)")]
    Fragment,
    /// A name and password in the authority.
    #[error("a redirect URI has no user name or password")]
    UserInfo,
    /// `*` in any part.
    #[error("wildcards (*) are not allowed; register each redirect URI")]
    Wildcard,
    /// http to a host that isn't the user's own machine.
    #[error("http is for localhost, 127.0.0.1 and [::1] alone; use https")]
    InsecureHost,
    /// RFC 8252 §7.1: a private-use scheme carries a reversed domain name.
    #[error(
        "use https, http on localhost, or a scheme of your own with a dot in it, such as com.example.app:/callback"
    )]
    Scheme,
}

/// Where the browser ends up, as the user should read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An https site; the text is its host, with the port when it isn't 443.
    Site(String),
    /// A program on the user's own machine.
    ThisDevice,
    /// An installed app, by its private-use scheme.
    InstalledApp(String),
}

impl RedirectUri {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is this URI: the same text, or on a loopback host the same but for the port.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        if presented == self.0 {
            return true;
        }
        // The presented text must itself be one that could be registered: nothing is compared that parsers may read differently.
        let Ok(presented) = presented.parse::<Self>() else { return false };
        match (self.without_loopback_port(), presented.without_loopback_port()) {
            (Some(registered), Some(presented)) => registered == presented,
            _ => false,
        }
    }

    fn without_loopback_port(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok()?;
        if url.scheme() != "http" || !is_loopback(&url) {
            return None;
        }
        // Only the digits of the port are cut, from the text as written: the rest stays an exact comparison.
        let after_scheme = self.0.get("http://".len()..)?;
        let authority_end = after_scheme.find(['/', '?']).unwrap_or(after_scheme.len());
        let (authority, rest) = after_scheme.split_at_checked(authority_end)?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        Some(format!("{host}{rest}"))
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        if text.len() > MAX_REDIRECT_URI_BYTES {
            return Err(InvalidRedirectUri::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'`')) {
            return Err(InvalidRedirectUri::Characters);
        }
        if text.contains('#') {
            return Err(InvalidRedirectUri::Fragment);
        }
        if text.contains('*') {
            return Err(InvalidRedirectUri::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| InvalidRedirectUri::NotAbsolute)?;
        if !url.username().is_empty() || url.password().is_some() || authority_of(text).contains('@') {
            return Err(InvalidRedirectUri::UserInfo);
        }
        // The parser lets `;` and `,` through in a host, and a host ends up in a response header.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        if !url.host_str().unwrap_or("").bytes().all(plain) {
            return Err(InvalidRedirectUri::Characters);
        }
        match url.scheme() {
            // A text like `https:app.example` parses, but not the same everywhere.
            "https" if text.starts_with("https://") && url.host().is_some() => Ok(()),
            "http" if text.starts_with("http://") && is_loopback(&url) => Ok(()),
            "https" => Err(InvalidRedirectUri::NotAbsolute),
            "http" => Err(InvalidRedirectUri::InsecureHost),
            scheme if scheme.contains('.') && text.starts_with(scheme) => Ok(()),
            _ => Err(InvalidRedirectUri::Scheme),
        }?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = InvalidRedirectUri;
    fn try_from(text: String) -> Result<Self, InvalidRedirectUri> {
        text.parse()
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Destination {
    /// Where a redirect URI leads. `None` for text that is no redirect URI.
    #[must_use]
    pub fn of(redirect_uri: &str) -> Option<Self> {
        let url = Url::parse(redirect_uri).ok()?;
        match url.scheme() {
            "http" if is_loopback(&url) => Some(Self::ThisDevice),
            "http" | "https" => {
                let host = url.host_str()?;
                Some(Self::Site(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))))
            }
            scheme => Some(Self::InstalledApp(scheme.to_owned())),
        }
    }
}

impl fmt::Display for Destination {
    /// As it is stored: `https://app.example`, `com.example.app:`, `this device`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(host) => write!(f, "https://{host}"),
            Self::ThisDevice => f.write_str("this device"),
            Self::InstalledApp(scheme) => write!(f, "{scheme}:"),
        }
    }
}

/// What a browser must be allowed to be sent to after the consent form: Chromium applies `form-action` of the page to the redirect
/// that follows. An origin, or a bare scheme for installed apps.
#[must_use]
pub fn csp_source(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok()?;
    match url.scheme() {
        // A policy has no way to write an IPv6 address; http goes to this very machine in any case.
        "http" if matches!(url.host(), Some(Host::Ipv6(_))) => Some("http:".to_owned()),
        "http" | "https" => Some(url.origin().ascii_serialization()),
        scheme => Some(format!("{scheme}:")),
    }
}

/// `redirect_uri` with response parameters added to its query; a query it has is kept (RFC 6749 §3.1.2).
#[must_use]
pub fn with_parameters(redirect_uri: &str, parameters: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let separator = match redirect_uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{redirect_uri}{separator}{query}")
}

fn authority_of(text: &str) -> &str {
    let after_scheme = text.split_once("//").map_or("", |(_, rest)| rest);
    after_scheme.split(['/', '?']).next().unwrap_or("")
}

/// Whether an address is on the machine that asks.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        // The two addresses that RFC 8252 §7.3 names; the rest of 127/8 has no reason to appear.
        Some(Host::Ipv4(address)) => address.octets() == [127, 0, 0, 1],
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registered(text: &str) -> RedirectUri {
        text.parse().unwrap()
    }

    #[test]
    fn sites_loopback_and_private_schemes_can_be_registered() {
        for good in [
            "https://app.example/callback",
            "https://app.example:8443/callback?tenant=1",
            "http://localhost:8788/callback.html",
            "http://127.0.0.1/cb",
            "http://[::1]:3000/cb",
            "com.example.app:/oauth",
            "com.example.app://oauth",
        ] {
            assert!(good.parse::<RedirectUri>().is_ok(), "{good}");
        }
    }

    #[test]
    fn what_could_run_or_mislead_is_refused() {
        use InvalidRedirectUri as E;
        for (bad, why) in [
            ("javascript:alert(1)", E::Scheme),
            ("JavaScript:alert(1)//a.b", E::Scheme),
            ("data:text/html,hi", E::Scheme),
            ("file:///etc/passwd", E::Scheme),
            ("blob:https://a.example/1", E::Scheme),
            ("app:/cb", E::Scheme),
            ("http://app.example/cb", E::InsecureHost),
            ("http://localhost.evil.example/cb", E::InsecureHost),
            ("http://127.0.0.2/cb", E::InsecureHost),
            ("https://user@app.example/cb", E::UserInfo),
            ("https://@app.example/cb", E::UserInfo),
            ("http://localhost:1@evil.example/cb", E::UserInfo),
            ("https://app.example/cb#x", E::Fragment),
            ("https://app.example/cb#", E::Fragment),
            ("https://*.example/cb", E::Wildcard),
            ("/callback", E::NotAbsolute),
            ("https:app.example", E::NotAbsolute),
            ("https://", E::NotAbsolute),
            ("https://app.example\\@evil.example", E::Characters),
            ("https://app.example/a b", E::Characters),
            (" https://app.example/", E::Characters),
            ("https://äpp.example/", E::Characters),
            ("", E::NotAbsolute),
        ] {
            assert_eq!(bad.parse::<RedirectUri>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_site_matches_its_exact_text_alone() {
        let uri = registered("https://app.example/callback");
        assert!(uri.matches("https://app.example/callback"));
        for other in [
            "https://app.example/callback/",
            "https://app.example/callback?x=1",
            "https://APP.example/callback",
            "https://app.example:443/callback",
            "https://app.example/x/../callback",
            "http://app.example/callback",
            "https://app.example.evil.example/callback",
        ] {
            assert!(!uri.matches(other), "{other}");
        }
    }

    #[test]
    fn on_a_loopback_host_the_port_is_free_and_nothing_else() {
        let uri = registered("http://127.0.0.1/cb");
        for port in ["http://127.0.0.1:51004/cb", "http://127.0.0.1:80/cb"] {
            assert!(uri.matches(port), "{port}");
        }
        for other in [
            "http://127.0.0.1:51004/other",
            "http://localhost:51004/cb",
            "https://127.0.0.1:51004/cb",
            "http://127.0.0.1:51004/cb?x=1",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
        ] {
            assert!(!uri.matches(other), "{other}");
        }
        assert!(registered("http://[::1]:1/cb").matches("http://[::1]:9/cb"));
        assert!(registered("http://localhost:1").matches("http://localhost:2"));
    }

    #[test]
    fn parameters_join_a_query_that_is_there() {
        assert_eq!(with_parameters("https://a.example/cb", &[("code", "x y")]), "https://a.example/cb?code=x+y");
        assert_eq!(with_parameters("https://a.example/cb?t=1", &[("a", "&")]), "https://a.example/cb?t=1&a=%26");
        assert_eq!(with_parameters("com.example.app:/cb", &[("a", "1")]), "com.example.app:/cb?a=1");
    }

    #[test]
    fn a_destination_is_said_in_words() {
        assert_eq!(Destination::of("https://app.example/cb"), Some(Destination::Site("app.example".into())));
        assert_eq!(Destination::of("https://a.example:8443/"), Some(Destination::Site("a.example:8443".into())));
        assert_eq!(Destination::of("http://[::1]:4/cb"), Some(Destination::ThisDevice));
        assert_eq!(Destination::of("com.example.app:/cb"), Some(Destination::InstalledApp("com.example.app".into())));
    }

    #[test]
    fn a_csp_source_is_an_origin_or_a_scheme() {
        assert_eq!(csp_source("http://localhost:8788/cb?x").as_deref(), Some("http://localhost:8788"));
        assert_eq!(csp_source("com.example.app:/cb").as_deref(), Some("com.example.app:"));
    }

    #[test]
    fn the_policy_of_the_consent_page_names_the_origin_or_scheme() {
        assert_eq!(csp_source("https://app.example:8443/cb?x").as_deref(), Some("https://app.example:8443"));
        assert_eq!(csp_source("http://127.0.0.1:4711/cb").as_deref(), Some("http://127.0.0.1:4711"));
        assert_eq!(csp_source("http://[::1]:4711/cb").as_deref(), Some("http:"));
        assert_eq!(csp_source("com.example.app:/cb").as_deref(), Some("com.example.app:"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = text.parse::<RedirectUri>();
            let _ = Destination::of(&text);
            let _ = registered("http://127.0.0.1/cb").matches(&text);
        }

        #[test]
        fn a_registered_uri_matches_itself(path in "[a-z/]{0,20}", port in 1u16..) {
            let text = format!("http://localhost:{port}/{path}");
            prop_assert!(registered(&text).matches(&text));
        }

        #[test]
        fn what_is_accepted_holds_nothing_that_ends_a_csp_source(text in "[!-~]{1,40}") {
            if let Ok(uri) = text.parse::<RedirectUri>() {
                let source = csp_source(uri.as_str()).unwrap();
                prop_assert!(!source.contains([';', ',', ' ', '\'', '*']), "{source}");
            }
        }
    }
}
