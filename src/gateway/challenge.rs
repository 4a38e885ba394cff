//! What a 401 says about how to do better: `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).

use super::{Failure, FailureCode};
use crate::domain::jose::Algorithm;

/// What is known of a call that gets a 401.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// Address of the metadata of the resource that was called.
    pub resource_metadata: &'a str,
    /// Whether a token came with it. Without one, nothing is said to be wrong with it (RFC 6750 §3.1).
    pub token_was_sent: bool,
}

impl Challenge<'_> {
    /// The header. A client may choose: with a proof, or without, unless the token came with one.
    #[must_use]
    pub fn header(&self, failure: &Failure) -> String {
        let code = failure.code();
        let is_about_proof = matches!(code, FailureCode::InvalidDpopProof | FailureCode::UseDpopNonce);
        let error = if self.token_was_sent { format!(", error=\"{}\"", code.as_str()) } else { String::new() };
        let metadata = self.resource_metadata;
        let dpop = format!(
            "DPoP realm=\"aipassport\"{error}, algs=\"{}\", resource_metadata=\"{metadata}\"",
            Algorithm::NAMES.join(" ")
        );
        if is_about_proof {
            dpop
        } else {
            format!("Bearer realm=\"aipassport\"{error}, resource_metadata=\"{metadata}\", {dpop}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::oauth::dpop::DpopError;

    fn header(failure: &Failure, token_was_sent: bool) -> String {
        let resource_metadata = "https://broker.example/.well-known/oauth-protected-resource/anthropic";
        Challenge { resource_metadata, token_was_sent }.header(failure)
    }

    #[test]
    fn without_a_token_nothing_is_wrong_with_it() {
        let text = header(&Failure::InvalidToken, false);
        assert!(text.starts_with("Bearer realm=\"aipassport\", resource_metadata=\"https://broker.example/"), "{text}");
        assert!(!text.contains("error="), "{text}");
    }

    #[test]
    fn a_bad_token_is_told_for_both_schemes() {
        let text = header(&Failure::InvalidToken, true);
        assert_eq!(text.matches("error=\"invalid_token\"").count(), 2, "{text}");
    }

    #[test]
    fn a_bad_proof_is_told_for_its_scheme_alone() {
        let text = header(&Failure::Dpop(DpopError::UseNonce), true);
        assert!(text.starts_with("DPoP ") && text.contains("error=\"use_dpop_nonce\""), "{text}");
    }
}
