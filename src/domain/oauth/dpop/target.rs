//! When `htu` is the address of a request (RFC 9449 §4.3 point 9).

use url::Url;

/// Longest `htu`, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// An http address without query and fragment, normalised as RFC 3986 §6.2.2 and §6.2.3 say: case of scheme and host, default port,
/// empty path, dot segments, and percent-encoding of what needs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Scheme, host and port.
    origin: String,
    path: String,
}

impl Target {
    /// `None` for what is no absolute http address, or one that two parsers could read differently.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'`');
        if text.len() > MAX_URL_BYTES || !text.bytes().all(is_plain) {
            return None;
        }
        // A text like `https:app.example` parses, but not the same everywhere.
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let is_http = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        if !is_http || authority.is_empty() || authority.contains('@') {
            return None;
        }
        let url = Url::parse(text).ok()?;
        Some(Self { origin: url.origin().ascii_serialization(), path: normal_path(url.path())? })
    }

    /// Whether both are the same address, but for query and fragment.
    #[must_use]
    pub fn is_same(one: &str, other: &str) -> bool {
        // Nearly always they are written alike, and the second need not be parsed.
        Self::parse(one).is_some_and(|parsed| one == other || Self::parse(other).is_some_and(|other| parsed == other))
    }
}

/// A path whose dot segments are gone: unreserved characters as themselves, hexadecimal digits in upper case (RFC 3986 §6.2.2.1, §6.2.2.2).
/// `None` when a `%` stands before anything but two digits.
fn normal_path(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut normal = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        let byte = octet(code)?;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            normal.push(char::from(byte));
        } else {
            normal.push('%');
            normal.push_str(&code.to_ascii_uppercase());
        }
        normal.push_str(rest);
    }
    Some(normal)
}

/// The byte behind two hexadecimal digits.
fn octet(code: &str) -> Option<u8> {
    let is_hex = code.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { u8::from_str_radix(code, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: &str = "https://broker.example/openai/v1/chat/completions";

    #[test]
    fn query_and_fragment_are_ignored_rfc_9449_4_3_point_9() {
        for same in ["", "?", "?x=1", "#a", "?x=1#a", "?x=/../y"] {
            assert!(Target::is_same(&format!("{HERE}{same}"), HERE), "{same}");
            assert!(Target::is_same(HERE, &format!("{HERE}{same}")), "{same}");
        }
    }

    #[test]
    fn case_of_scheme_and_host_says_nothing_rfc_3986_6_2_2_1() {
        assert!(Target::is_same("HTTPS://Broker.EXAMPLE/openai/v1/chat/completions", HERE));
        assert!(!Target::is_same("https://broker.example/openai/v1/Chat/completions", HERE));
    }

    #[test]
    fn percent_encoding_of_unreserved_characters_says_nothing_rfc_3986_6_2_2_2() {
        assert!(Target::is_same("https://broker.example/openai/%76%31/chat/completions", HERE));
        assert!(Target::is_same("https://broker.example/a%3ab", "https://broker.example/a%3Ab"));
        assert!(!Target::is_same("https://broker.example/a%3Ab", "https://broker.example/a:b"), "reserved");
        assert!(!Target::is_same("https://broker.example/openai%2Fv1/chat/completions", HERE), "reserved");
        assert!(!Target::is_same("https://broker.example/a%2541", "https://broker.example/aA"), "decoded once");
    }

    #[test]
    fn dot_segments_are_removed_rfc_3986_6_2_2_3() {
        for same in [
            "/openai/./v1/chat/completions",
            "/x/../openai/v1/chat/completions",
            "/x/%2e%2E/openai/v1/chat/completions",
        ] {
            assert!(Target::is_same(&format!("https://broker.example{same}"), HERE), "{same}");
        }
    }

    #[test]
    fn default_port_and_empty_path_say_nothing_rfc_3986_6_2_3() {
        assert!(Target::is_same("https://broker.example:443/openai/v1/chat/completions", HERE));
        assert!(Target::is_same("https://broker.example", "https://broker.example:443/"));
        assert!(Target::is_same("http://localhost:80", "http://localhost/"));
        assert!(!Target::is_same("https://broker.example:8443/token", "https://broker.example/token"));
        assert!(!Target::is_same("https://broker.example:80/token", "https://broker.example/token"));
    }

    #[test]
    fn another_address_is_another_address() {
        for other in [
            "http://broker.example/openai/v1/chat/completions",
            "https://evil.example/openai/v1/chat/completions",
            "https://broker.example.evil.example/openai/v1/chat/completions",
            "https://broker.example./openai/v1/chat/completions",
            "https://broker.example/openai/v1/chat/completions/",
            "https://broker.example//openai/v1/chat/completions",
            "https://broker.example/openai/v1/chat",
        ] {
            assert!(!Target::is_same(other, HERE), "{other}");
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_no_address() {
        for bad in [
            "",
            "/openai/v1/chat/completions",
            "broker.example/openai/v1/chat/completions",
            "//broker.example/openai/v1/chat/completions",
            "https:broker.example/openai/v1/chat/completions",
            "https:///broker.example/openai/v1/chat/completions",
            "https://user@broker.example/openai/v1/chat/completions",
            "https://@broker.example/openai/v1/chat/completions",
            "https://broker.example\\openai/v1/chat/completions",
            " https://broker.example/openai/v1/chat/completions",
            "https://broker.example/openai/v1/chat/comple\ttions",
            "https://broker.example/openai/v1/chat/completions\n",
            "ws://broker.example/openai/v1/chat/completions",
            "https://",
            "https://broker.example/a%",
            "https://broker.example/a%4",
            "https://broker.example/a%4%31",
            "https://broker.example/a%+1",
        ] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
        assert_eq!(Target::parse(&format!("{HERE}{}", "a".repeat(MAX_URL_BYTES))), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,100}", path in "[%0-9a-fé./]{0,30}") {
            let _ = Target::parse(&text);
            let _ = Target::parse(&format!("https://a.example/{path}"));
            let _ = normal_path(&path);
        }

        #[test]
        fn an_address_is_itself(path in "[!-~]{0,40}") {
            let url = format!("https://a.example/{path}");
            prop_assert_eq!(Target::is_same(&url, &url), Target::parse(&url).is_some());
        }

        #[test]
        fn normalising_twice_changes_nothing(path in "(%[0-9a-fA-F]{2}|[a-f0-9./]){0,20}") {
            if let Some(once) = normal_path(&path) {
                prop_assert_eq!(normal_path(&once), Some(once));
            }
        }
    }
}
