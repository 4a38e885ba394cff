//! What a 401 says about how to do better: `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).

use super::{Failure, FailureCode, headers::TOKEN_HEADERS};
use crate::domain::{jose::Algorithm, ledger::Refusal};

/// What is known of a call that gets a 401.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// Address of the metadata of the resource that was called.
    pub resource_metadata: &'a str,
    /// The scopes that can be asked for there, with spaces between them (RFC 6750 §3).
    pub scope: &'a str,
    /// Whether a token came with it. Without one, nothing is said to be wrong with it (RFC 6750 §3.1).
    pub token_was_sent: bool,
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

/// Whether another token could do what this one can't (RFC 6750 §3.1): a 403 that carries a challenge too.
#[must_use]
pub const fn is_insufficient(code: FailureCode) -> bool {
    matches!(code, FailureCode::ProviderNotGranted | FailureCode::ModelNotGranted | FailureCode::CapabilityNotGranted)
}

impl Challenge<'_> {
    /// The scopes that would have helped. Of a token that lacks a model none would: no scope names one.
    fn scope_for(&self, failure: &Failure) -> Option<&str> {
        match failure {
            Failure::Refused(Refusal::CapabilityNotGranted(missing))
            | Failure::NotAllowed(Refusal::CapabilityNotGranted(missing)) => {
                let suffix = format!(":{missing}");
                self.scope.split(' ').find(|scope| scope.ends_with(&suffix))
            }
            failure => (!is_insufficient(failure.code())).then_some(self.scope),
        }
    }

    /// The header. A client may choose: with a proof, or without, unless the token came with one.
    #[must_use]
    pub fn header(&self, failure: &Failure) -> String {
        let code = failure.code();
        let is_about_proof = matches!(code, FailureCode::InvalidDpopProof | FailureCode::UseDpopNonce);
        let error = if is_insufficient(code) { "insufficient_scope" } else { code.as_str() };
        let error = if self.token_was_sent { format!(", error=\"{error}\"") } else { String::new() };
        let metadata = self.resource_metadata;
        let scope = self.scope_for(failure).map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
        let dpop = format!(
            "DPoP realm=\"aipassport\"{error}, algs=\"{}\", resource_metadata=\"{metadata}\"{scope}",
            Algorithm::NAMES.join(" ")
        );
        if is_about_proof {
            dpop
        } else {
            format!("Bearer realm=\"aipassport\"{error}, resource_metadata=\"{metadata}\"{scope}, {dpop}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{oauth::dpop::DpopError, permission::Capability};

    fn header(failure: &Failure, token_was_sent: bool) -> String {
        let resource_metadata = "https://broker.example/.well-known/oauth-protected-resource/anthropic";
        Challenge { resource_metadata, scope: "anthropic:chat", token_was_sent }.header(failure)
    }

    #[test]
    fn without_a_token_nothing_is_wrong_with_it() {
        let text = header(&Failure::InvalidToken, false);
        let start = "Bearer realm=\"aipassport\", resource_metadata=\"https://broker.example/";
        assert!(text.starts_with(start), "{text}");
        assert!(!text.contains("error="), "{text}");
        assert_eq!(text.matches(", scope=\"anthropic:chat\"").count(), 2, "{text}");
    }

    fn was_sent(name: &'static str, value: &'static str) -> bool {
        token_was_sent(|header| (header == name).then(|| value.to_owned()))
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

    #[test]
    fn a_bad_token_is_told_for_both_schemes() {
        let text = header(&Failure::InvalidToken, true);
        assert_eq!(text.matches("error=\"invalid_token\"").count(), 2, "{text}");
    }

    #[test]
    fn a_token_that_may_not_do_this_is_told_so_rfc_6750_3_1() {
        let refusal = Failure::Refused(Refusal::ModelNotGranted("gpt-5".into()));
        assert!(is_insufficient(refusal.code()));
        let text = header(&refusal, true);
        assert_eq!(text.matches("error=\"insufficient_scope\"").count(), 2);
        assert!(!text.contains(", scope="), "{text}");
        let refusal = Failure::Refused(Refusal::CapabilityNotGranted(Capability::Chat));
        assert_eq!(header(&refusal, true).matches(", scope=\"anthropic:chat\"").count(), 2);
    }

    #[test]
    fn a_bad_proof_is_told_for_its_scheme_alone() {
        let text = header(&Failure::Dpop(DpopError::UseNonce), true);
        assert!(text.starts_with("DPoP ") && text.contains("error=\"use_dpop_nonce\""), "{text}");
    }
}
