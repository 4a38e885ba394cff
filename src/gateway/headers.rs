//! Which headers pass. Everything that isn't named here stays where it is: the caller's token and cookies never go upstream, the
//! provider's account details never come back.

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

/// What a browser app may read of an answer.
pub const EXPOSED: &str = "aipassport-budget-remaining-usd, aipassport-error, aipassport-max-output-tokens, \
    aipassport-request-id, aipassport-requests-remaining, aipassport-tokens-remaining, openai-processing-ms, openai-version, request-id, retry-after, retry-after-ms, www-authenticate, x-request-id, x-should-retry";

/// Whether a request header goes upstream. `name` is in lower case.
#[must_use]
pub fn passes_upstream(name: &str) -> bool {
    REQUEST_HEADERS.contains(&name) || name.starts_with(STAINLESS)
}

/// The token of a request: `Authorization: Bearer`, or one of [`TOKEN_HEADERS`]. `header` gives a header's value.
///
/// Two different tokens in one request are none: which of them would count is nothing to guess about.
#[must_use]
pub fn token(header: impl Fn(&str) -> Option<String>) -> Option<String> {
    let bearer = header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let mut found: Option<String> = None;
    for token in core::iter::once(bearer).chain(TOKEN_HEADERS.iter().map(|name| header(name))).flatten() {
        match &found {
            Some(first) if *first != token => return None,
            Some(_) => {}
            None => found = Some(token),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(headers: &[(&str, &str)]) -> Option<String> {
        token(|name| headers.iter().find(|(header, _)| *header == name).map(|(_, value)| (*value).to_owned()))
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
