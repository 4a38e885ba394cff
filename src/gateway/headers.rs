//! Which headers pass. Everything that isn't named here stays where it is: the caller's token and cookies never go upstream, the
//! provider's account details never come back.

use super::Failure;
use crate::domain::ledger::Reservation;

/// Request headers that go upstream as the client sent them. Not `content-type`: a body is JSON in UTF-8, since that is how it was
/// read, whatever its sender says.
pub const REQUEST_HEADERS: [&str; 8] = [
    "accept",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "openai-beta",
    "user-agent",
    "x-client-request-id",
    "traceparent",
];

/// The header that names a retried call to the provider. It goes upstream with the grant's name before it, so that two apps that
/// share the broker's key can't be given each other's answers.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest [`IDEMPOTENCY_KEY`] that passes, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 128;

/// Prefix of the official SDKs' telemetry headers; they go upstream too.
const STAINLESS: &str = "x-stainless-";

/// Response headers that come back as the provider sent them.
pub const RESPONSE_HEADERS: [&str; 9] = [
    "content-type",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "x-should-retry",
];

/// Where the official SDKs put an API key, and so where an app puts its token.
pub const TOKEN_HEADERS: [&str; 2] = ["x-api-key", "x-goog-api-key"];

/// Names the call in the log and to the app.
pub const REQUEST_ID: &str = "aipassport-request-id";
/// The [`super::FailureCode`] of an answer that the broker gave itself.
pub const ERROR: &str = "aipassport-error";
/// Requests that are left after this call, where a limit counts them.
pub const REQUESTS_REMAINING: &str = "aipassport-requests-remaining";
/// USD that are left beside this call and those in flight, each at the most that it can cost; where there is a budget.
pub const BUDGET_REMAINING: &str = "aipassport-budget-remaining-usd";
/// The same in tokens, where those are limited.
pub const TOKENS_REMAINING: &str = "aipassport-tokens-remaining";
/// The maximum of tokens to write that the broker set, because the call named none and the model's own didn't fit.
pub const MAX_OUTPUT_TOKENS: &str = "aipassport-max-output-tokens";
/// Names of betas that the provider wasn't told of, because what they change of a call's cost isn't known here and the grant has a cap.
pub const DROPPED: &str = "aipassport-dropped";

/// What an answer says about the limits that its call came under.
#[must_use]
pub fn of_reservation(reservation: &Reservation) -> Vec<(&'static str, String)> {
    let count = |name, count: Option<u64>| count.map(|count| (name, count.to_string()));
    [
        count(REQUESTS_REMAINING, reservation.requests_remaining),
        reservation.budget_remaining.map(|left| (BUDGET_REMAINING, left.to_string())),
        count(TOKENS_REMAINING, reservation.tokens_remaining),
        count(MAX_OUTPUT_TOKENS, reservation.output_tokens),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a refusal says about another try.
#[must_use]
pub fn of_failure(failure: &Failure) -> Vec<(&'static str, String)> {
    let code = failure.code();
    [
        Some((ERROR, code.as_str().to_owned())),
        failure.retry_after_seconds().map(|seconds| ("retry-after", seconds.to_string())),
        failure.is_hopeless().then(|| ("x-should-retry", "false".to_owned())),
        // RFC 9110 §15.5.22 wants the protocol that is served instead. workerd writes the headers of a connection itself and leaves this
        // one out, as HTTP/2 demands (RFC 9113 §8.2.2); the status is what clients go by.
        (code.status() == 426).then(|| ("upgrade", "HTTP/1.1".to_owned())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether a request wants to become a WebSocket (RFC 6455 §4.1). `upgrade` is the header; what else it may name, such as `h2c`, is the
/// platform's to take up or to ignore (RFC 9110 §7.8).
#[must_use]
pub fn asks_for_websocket(method: &str, upgrade: Option<&str>) -> bool {
    let names_it = |protocol: &str| protocol.trim().eq_ignore_ascii_case("websocket");
    method == "GET" && upgrade.is_some_and(|upgrade| upgrade.split(',').any(names_it))
}

/// A nonce for the next `DPoP` proof (RFC 9449 §8.2).
pub const DPOP_NONCE: &str = "dpop-nonce";

/// What a browser app may read of an answer.
pub const EXPOSED: &str = "aipassport-budget-remaining-usd, aipassport-dropped, aipassport-error, aipassport-max-output-tokens, \
    aipassport-request-id, aipassport-requests-remaining, aipassport-tokens-remaining, dpop-nonce, \
    openai-processing-ms, openai-version, request-id, retry-after, retry-after-ms, www-authenticate, x-request-id, x-should-retry";

/// Whether a request header goes upstream. `name` is in lower case.
#[must_use]
pub fn passes_upstream(name: &str) -> bool {
    REQUEST_HEADERS.contains(&name) || name.starts_with(STAINLESS)
}

/// A token, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The token.
    pub token: String,
    /// Whether it came as `Authorization: DPoP`, so that a proof belongs to it (RFC 9449 §7.1).
    pub with_proof: bool,
}

/// The token of a request: `Authorization: Bearer` or `DPoP`, or one of [`TOKEN_HEADERS`]. `header` gives a header's value.
///
/// Two different tokens in one request are none: which of them would count is nothing to guess about.
#[must_use]
pub fn token(header: impl Fn(&str) -> Option<String>) -> Option<Presented> {
    let authorization = header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        let with_proof = scheme.eq_ignore_ascii_case("dpop");
        let is_ours = with_proof || scheme.eq_ignore_ascii_case("bearer");
        is_ours.then(|| Presented { token: token.trim().to_owned(), with_proof })
    });
    let keys = TOKEN_HEADERS.iter().filter_map(|name| header(name));
    let keys = keys.map(|token| Presented { token, with_proof: false });
    let mut found: Option<Presented> = None;
    for presented in authorization.into_iter().chain(keys) {
        match &found {
            Some(first) if first.token != presented.token => return None,
            Some(_) => {}
            None => found = Some(presented),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ledger::Refusal, oauth::dpop::DpopError, time::Timestamp};

    fn token_of(headers: &[(&str, &str)]) -> Option<String> {
        presented(headers).map(|presented| presented.token)
    }

    fn presented(headers: &[(&str, &str)]) -> Option<Presented> {
        token(|name| headers.iter().find(|(header, _)| *header == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_scheme_says_whether_a_proof_belongs_to_it() {
        assert!(presented(&[("authorization", "DPoP t")]).unwrap().with_proof);
        assert!(presented(&[("authorization", "dpop t"), ("x-api-key", "t")]).unwrap().with_proof);
        assert!(!presented(&[("authorization", "Bearer t")]).unwrap().with_proof);
        assert!(!presented(&[("x-api-key", "t")]).unwrap().with_proof);
    }

    #[test]
    fn a_token_is_taken_from_where_the_sdks_put_it() {
        assert_eq!(token_of(&[("authorization", "Bearer t")]).as_deref(), Some("t"));
        assert_eq!(token_of(&[("authorization", "bearer t")]).as_deref(), Some("t"));
        assert_eq!(token_of(&[("x-api-key", "t")]).as_deref(), Some("t"));
        assert_eq!(token_of(&[("x-goog-api-key", "t")]).as_deref(), Some("t"));
    }

    #[test]
    fn two_different_tokens_are_none() {
        assert_eq!(token_of(&[("authorization", "Bearer a"), ("x-api-key", "b")]), None);
        assert_eq!(token_of(&[("authorization", "Bearer a"), ("x-api-key", "a")]).as_deref(), Some("a"));
    }

    #[test]
    fn another_scheme_is_no_token() {
        assert_eq!(token_of(&[("authorization", "Basic dDp0")]), None);
        assert_eq!(token_of(&[]), None);
    }

    fn told(failure: &Failure, name: &str) -> Option<String> {
        of_failure(failure).into_iter().find_map(|(header, value)| (header == name).then_some(value))
    }

    #[test]
    fn every_401_says_that_the_same_again_is_pointless_unless_it_asks_for_just_that() {
        let floor = Timestamp::from_seconds(5);
        for failure in [
            Failure::InvalidToken,
            Failure::Refused(Refusal::Revoked),
            Failure::Refused(Refusal::NoSuchGrant),
            Failure::NotAllowed(Refusal::Expired),
            Failure::Dpop(DpopError::Missing),
            Failure::Refused(Refusal::ProofReplayed),
        ] {
            assert_eq!(failure.code().status(), 401);
            assert_eq!(told(&failure, "x-should-retry").as_deref(), Some("false"), "{failure:?}");
        }
        for failure in [Failure::Dpop(DpopError::UseNonce), Failure::Refused(Refusal::ProofTooOld { floor })] {
            assert_eq!(failure.code().status(), 401);
            assert_eq!(told(&failure, "x-should-retry"), None, "{failure:?}");
        }
        for failure in [Failure::Refused(Refusal::Paused), Failure::BrokerUnavailable, Failure::BodyTooLarge] {
            assert_eq!(told(&failure, "x-should-retry"), None, "{failure:?}");
        }
        assert!(EXPOSED.contains("x-should-retry"));
    }

    #[test]
    fn a_websocket_is_told_what_is_served_instead_rfc_9110_15_5_22() {
        assert_eq!(Failure::WebSocket.code().status(), 426);
        assert_eq!(told(&Failure::WebSocket, "upgrade").as_deref(), Some("HTTP/1.1"));
        assert_eq!(told(&Failure::InvalidToken, "upgrade"), None);
    }

    #[test]
    fn a_websocket_is_asked_for_by_its_name_in_any_case_and_by_get_alone() {
        for upgrade in ["websocket", "WebSocket", "h2c, websocket", "foo/2 ,\tWEBSOCKET"] {
            assert!(asks_for_websocket("GET", Some(upgrade)), "{upgrade}");
            assert!(!asks_for_websocket("POST", Some(upgrade)), "{upgrade}");
        }
        for upgrade in [None, Some("h2c"), Some("websockets"), Some("")] {
            assert!(!asks_for_websocket("GET", upgrade), "{upgrade:?}");
        }
    }

    #[test]
    fn credentials_and_account_names_do_not_go_upstream() {
        for name in [
            "authorization",
            "cookie",
            "x-api-key",
            "x-goog-api-key",
            "openai-organization",
            "openai-project",
            "host",
            "x-forwarded-for",
            "cf-connecting-ip",
            "connection",
            "transfer-encoding",
            "idempotency-key",
        ] {
            assert!(!passes_upstream(name), "{name}");
        }
    }

    #[test]
    fn the_sdks_own_headers_go_upstream() {
        for name in
            ["anthropic-beta", "anthropic-version", "openai-beta", "x-stainless-lang", "x-stainless-retry-count"]
        {
            assert!(passes_upstream(name), "{name}");
        }
    }
}
