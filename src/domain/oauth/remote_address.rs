//! Addresses that strangers name and the broker fetches: client metadata documents and `jwks_uri`.
//!
//! An address is one on the public internet that every parser reads alike: https on its own port, a host with a dot that is no IP
//! address and no name of a private network. The platform has the last word on where a name leads (`global_fetch_strictly_public` in
//! `wrangler.toml`).

use url::{Host, Url};

use super::redirect_uri::is_loopback;
use crate::domain::{id::ClientId, time::Timestamp};

/// Longest address of a key set, in bytes. That of a document is a [`ClientId`], with its own bound.
pub const MAX_ADDRESS_BYTES: usize = 512;
/// Largest document and key set, in bytes.
pub const MAX_FETCHED_BYTES: usize = 16 * 1024;
/// Shortest and longest time that a document is taken for fresh, in seconds.
const FRESH_SECONDS: core::ops::RangeInclusive<u64> = 60..=86_400;
/// The same, where it says nothing.
const DEFAULT_FRESH_SECONDS: u64 = 3600;
/// How long a document that is no longer fresh still serves programs, in seconds.
const STALE_SECONDS: u64 = 86_400;

/// Last labels of names that no public server has (RFC 6761, RFC 6762, RFC 7686, RFC 9476, and what private networks use).
const PRIVATE_NAMES: [&str; 16] = [
    "alt",
    "arpa",
    "corp",
    "home",
    "i2p",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
    "workgroup",
];

/// Which addresses may be fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Those on the public internet.
    #[default]
    Public,
    /// `http://localhost` too: for a broker that runs there itself, in tests and while somebody develops an app.
    LoopbackToo,
}

/// An address that may be fetched, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAddress(Url);

/// Why an address isn't fetched. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Longer than [`MAX_ADDRESS_BYTES`].
    #[error("an address has at most {MAX_ADDRESS_BYTES} bytes")]
    TooLong,
    /// Not https.
    #[error("an address that is fetched begins with https://")]
    NotHttps,
    /// A parser would change it.
    #[error(
        "write an address as browsers do: ASCII, the host in lower case, no default port, no . or .. between slashes"
    )]
    NotNormal,
    /// A name, a password or a fragment.
    #[error("an address that is fetched has no user name, password or fragment")]
    Extras,
    /// Another port.
    #[error("an address that is fetched names no port")]
    Port,
    /// An IP address, or a name that no public server has.
    #[error("an address that is fetched has a public host name, no IP address")]
    Host,
}

impl RemoteAddress {
    /// # Errors
    /// [`InvalidAddress`].
    pub fn parse(text: &str, reach: Reach) -> Result<Self, InvalidAddress> {
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(InvalidAddress::TooLong);
        }
        // A host beyond ASCII is written as `xn--…`; the parser isn't asked about anything else. It keeps a backslash in a query.
        if !text.is_ascii() || text.contains('\\') {
            return Err(InvalidAddress::NotNormal);
        }
        let url = Url::parse(text).map_err(|_| InvalidAddress::NotNormal)?;
        let is_at_home = reach == Reach::LoopbackToo && url.scheme() == "http" && is_loopback(&url);
        if url.scheme() != "https" && !is_at_home {
            return Err(InvalidAddress::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(InvalidAddress::Extras);
        }
        // Dot segments, capital letters, a missing path, a backslash: whatever the parser tidied up.
        if url.as_str() != text || has_encoded_dots(url.path()) {
            return Err(InvalidAddress::NotNormal);
        }
        if !is_at_home {
            if url.port().is_some() {
                return Err(InvalidAddress::Port);
            }
            if !matches!(url.host(), Some(Host::Domain(name)) if is_public(name)) {
                return Err(InvalidAddress::Host);
            }
        }
        Ok(Self(url))
    }

    /// The document that a `client_id` is the address of; `None`: it isn't an address.
    ///
    /// # Errors
    /// [`InvalidAddress`]: it is one, and not one that is fetched.
    #[must_use]
    pub fn of_document(id: &ClientId, reach: Reach) -> Option<Result<Self, InvalidAddress>> {
        id.as_str().contains("://").then(|| Self::parse(id.as_str(), reach))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its host, with the port if it has one.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether `other` has the same scheme, host and port.
    #[must_use]
    pub fn is_same_origin(&self, other: &str) -> bool {
        Url::parse(other).is_ok_and(|other| other.origin() == self.0.origin())
    }
}

fn has_encoded_dots(path: &str) -> bool {
    path.split('/').any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    })
}

fn is_public(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let plain = |label: &&str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    labels.len() > 1
        && labels.iter().all(plain)
        && labels
            .last()
            .is_some_and(|last| !PRIVATE_NAMES.contains(last) && last.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

/// For how many seconds an answer with this `Cache-Control` need not be asked for again: at least a minute, so that nobody can make the
/// broker ask at every request, and at most a day, so that a change is seen.
#[must_use]
pub fn fresh_for(cache_control: &str) -> u64 {
    let mut fresh_for = DEFAULT_FRESH_SECONDS;
    for directive in cache_control.split(',') {
        let directive = directive.trim().to_ascii_lowercase();
        match directive.split_once('=') {
            Some(("max-age", seconds)) => {
                fresh_for = seconds.trim_matches('"').parse().unwrap_or(0);
            }
            None if matches!(directive.as_str(), "no-store" | "no-cache") => return *FRESH_SECONDS.start(),
            _ => {}
        }
    }
    fresh_for.clamp(*FRESH_SECONDS.start(), *FRESH_SECONDS.end())
}

/// Whether a document may still serve a program that comes with a code or a token, without being fetched again: for a day after it was
/// fresh. A person is never asked on the strength of one that isn't.
#[must_use]
pub fn serves_programs(fresh_until: Timestamp, now: Timestamp) -> bool {
    now < fresh_until.plus_seconds(STALE_SECONDS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn why(text: &str) -> Option<InvalidAddress> {
        RemoteAddress::parse(text, Reach::Public).err()
    }

    #[test]
    fn an_address_is_https_with_a_public_host() {
        for good in [
            "https://app.example/client.json",
            "https://a.b.app.example/",
            "https://app.example/a?b=c",
            "https://xn--bcher-kva.example/c",
        ] {
            assert_eq!(why(good), None, "{good}");
        }
    }

    #[test]
    fn what_parsers_read_differently_or_hides_where_it_leads_is_refused() {
        use InvalidAddress as E;
        for (bad, expected) in [
            ("http://app.example/c", E::NotHttps),
            ("http://localhost:8788/c", E::NotHttps),
            ("ftp://app.example/c", E::NotHttps),
            ("javascript:alert(1)", E::NotHttps),
            ("https://app.example", E::NotNormal),
            ("https://APP.example/c", E::NotNormal),
            ("https://app.example:443/c", E::NotNormal),
            ("https://app.example/a/../c", E::NotNormal),
            ("https://app.example/./c", E::NotNormal),
            ("https://app.example/%2e%2E/c", E::NotNormal),
            ("https:app.example/c", E::NotNormal),
            ("https:\\\\app.example\\c", E::NotNormal),
            ("https://app.example/é", E::NotNormal),
            ("https://app.example/c?a\\b", E::NotNormal),
            (" https://app.example/c", E::NotNormal),
            ("app.example/c", E::NotNormal),
            ("https://u@app.example/c", E::Extras),
            ("https://u:p@app.example/c", E::Extras),
            ("https://app.example/c#x", E::Extras),
            ("https://app.example:8443/c", E::Port),
        ] {
            assert_eq!(why(bad), Some(expected), "{bad}");
        }
    }

    #[test]
    fn no_address_leads_into_a_private_network() {
        for host in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[fd00::1]",
            "localhost",
            "router",
            "a.localhost",
            "printer.local",
            "db.internal",
            "x.onion",
            "1.168.192.in-addr.arpa",
            "a.home.arpa",
            "app.lan",
            "app.example.",
            "a.corp",
        ] {
            assert_eq!(why(&format!("https://{host}/c")), Some(InvalidAddress::Host), "{host}");
        }
        for host in ["2130706433", "0x7f.1", "0177.0.0.1"] {
            assert!(why(&format!("https://{host}/c")).is_some(), "{host}");
        }
    }

    #[test]
    fn the_own_machine_is_within_reach_only_where_that_is_said() {
        let home = "http://localhost:8788/client.json";
        assert_eq!(RemoteAddress::parse(home, Reach::LoopbackToo).unwrap().host(), "localhost:8788");
        for elsewhere in
            ["http://app.example/c", "http://10.0.0.1/c", "https://localhost/c", "http://localhost.evil.example/c"]
        {
            assert!(RemoteAddress::parse(elsewhere, Reach::LoopbackToo).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn a_client_id_that_is_no_address_is_no_document() {
        let of = |id: &str| RemoteAddress::of_document(&id.parse().unwrap(), Reach::Public);
        assert_eq!(of("app_x"), None);
        assert_eq!(of("http://app.example/c"), Some(Err(InvalidAddress::NotHttps)));
        assert!(of("https://app.example/c").unwrap().is_ok());
    }

    #[test]
    fn the_origin_is_scheme_host_and_port() {
        let document = RemoteAddress::parse("https://app.example/c", Reach::Public).unwrap();
        assert!(document.is_same_origin("https://app.example/callback?x"));
        for other in [
            "https://app.example:8443/cb",
            "http://app.example/cb",
            "https://www.app.example/cb",
            "com.example.app:/cb",
            "x",
        ] {
            assert!(!document.is_same_origin(other), "{other}");
        }
    }

    #[test]
    fn a_document_is_fresh_for_a_minute_to_a_day() {
        for (header, seconds) in [
            ("", 3600),
            ("public, max-age=300", 300),
            ("max-age=\"300\"", 300),
            ("MAX-AGE=120", 120),
            ("max-age=1", 60),
            ("max-age=99999999", 86_400),
            ("max-age=99999999999999999999", 60),
            ("max-age=-1", 60),
            ("max-age=600, no-cache", 60),
            ("no-store", 60),
            ("s-maxage=600", 3600),
        ] {
            assert_eq!(fresh_for(header), seconds, "{header}");
        }
    }

    #[test]
    fn a_document_serves_programs_until_exactly_a_day_after_it_was_fresh() {
        let fresh_until = Timestamp::from_seconds(1000);
        assert!(serves_programs(fresh_until, Timestamp::from_seconds(1000 + 86_399)));
        assert!(!serves_programs(fresh_until, Timestamp::from_seconds(1000 + 86_400)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(https?://)?[\\PC]{0,80}", header in "\\PC{0,60}") {
            let _ = RemoteAddress::parse(&text, Reach::LoopbackToo);
            prop_assert!(FRESH_SECONDS.contains(&fresh_for(&header)));
        }

        #[test]
        fn what_is_accepted_is_read_back_as_it_was_written(text in "https://[a-zA-Z0-9.:@\\[\\]-]{1,24}/[a-zA-Z0-9./%?#&=-]{0,24}") {
            if let Ok(address) = RemoteAddress::parse(&text, Reach::Public) {
                prop_assert_eq!(address.as_str(), text.as_str());
                prop_assert!(address.host().contains('.') && !address.host().contains(':'));
            }
        }
    }
}
