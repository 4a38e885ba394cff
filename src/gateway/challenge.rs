//! What a 401 says about how to do better: `WWW-Authenticate` ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)).

use super::headers::TOKEN_HEADERS;

/// The challenge for bearer tokens. `resource_metadata` is the address of the resource's own document
/// ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)). Who sent no token has done nothing wrong yet and gets no error
/// code (RFC 6750 §3.1).
#[must_use]
pub fn bearer(resource_metadata: &str, token_was_sent: bool) -> String {
    let error = if token_was_sent { ", error=\"invalid_token\"" } else { "" };
    format!("Bearer realm=\"aipassport\"{error}, resource_metadata=\"{resource_metadata}\"")
}

/// Whether a request carries something that means to be a token, readable or not. `header` gives a header's value.
#[must_use]
pub fn token_was_sent(header: impl Fn(&str) -> Option<String>) -> bool {
    let by_scheme = header("authorization").is_some_and(|value| {
        let scheme = value.split(' ').next().unwrap_or("");
        ["bearer", "dpop"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    });
    by_scheme || TOKEN_HEADERS.iter().any(|name| header(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "https://broker.example/.well-known/oauth-protected-resource/anthropic";

    fn was_sent(name: &'static str, value: &'static str) -> bool {
        token_was_sent(|header| (header == name).then(|| value.to_owned()))
    }

    #[test]
    fn the_challenge_names_the_resource_s_document_rfc_9728_5_1() {
        let expected =
            format!("Bearer realm=\"aipassport\", error=\"invalid_token\", resource_metadata=\"{METADATA}\"");
        assert_eq!(bearer(METADATA, true), expected);
    }

    #[test]
    fn without_a_token_there_is_no_error_code_rfc_6750_3_1() {
        assert_eq!(bearer(METADATA, false), format!("Bearer realm=\"aipassport\", resource_metadata=\"{METADATA}\""));
    }

    #[test]
    fn a_token_is_seen_wherever_it_may_stand_and_however_broken_it_is() {
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("authorization", "bearer"),
            ("authorization", "DPoP x"),
            ("x-api-key", "x"),
            ("x-goog-api-key", ""),
        ] {
            assert!(was_sent(name, value), "{name}: {value}");
        }
    }

    #[test]
    fn another_way_to_authenticate_is_no_token_rfc_6750_3_1() {
        assert!(!was_sent("authorization", "Basic dDp0"));
        assert!(!was_sent("cookie", "Bearer x"));
    }
}
