//! Proof Key for Code Exchange, [RFC 7636](https://www.rfc-editor.org/rfc/rfc7636): method `S256` and no other.
//!
//! `plain` is not implemented (RFC 9700 §2.1.1: methods that reveal the verifier in the authorization request are not to be used).

use core::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::domain::encoding::{base64url, from_base64url, sha256};

/// RFC 7636 §4.1.
pub const VERIFIER_CHARS: core::ops::RangeInclusive<usize> = 43..=128;
/// SHA-256 in base64url without padding.
const CHALLENGE_CHARS: usize = 43;

/// `code_challenge`: the hash of a verifier that only the app knows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeChallenge(String);

/// `code_verifier`, as the app revealed it.
pub struct CodeVerifier(String);

/// Text that can't be a challenge or verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPkce {
    /// RFC 7636 §4.2.
    #[error("code_challenge must be the base64url of a SHA-256 hash: 43 characters without padding")]
    Challenge,
    /// RFC 7636 §4.1.
    #[error("code_verifier must be 43 to 128 letters, digits, '-', '.', '_' or '~'")]
    Verifier,
}

impl CodeChallenge {
    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the hash of `verifier`; constant-time.
    #[must_use]
    pub fn is_met_by(&self, verifier: &CodeVerifier) -> bool {
        let computed = base64url(&sha256(verifier.0.as_bytes()));
        computed.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

impl TryFrom<String> for CodeChallenge {
    type Error = InvalidPkce;
    fn try_from(text: String) -> Result<Self, InvalidPkce> {
        let decoded = if text.len() == CHALLENGE_CHARS { from_base64url(&text) } else { None };
        if decoded.is_some() { Ok(Self(text)) } else { Err(InvalidPkce::Challenge) }
    }
}

impl From<CodeChallenge> for String {
    fn from(challenge: CodeChallenge) -> Self {
        challenge.0
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CodeVerifier {
    type Error = InvalidPkce;
    fn try_from(text: String) -> Result<Self, InvalidPkce> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if VERIFIER_CHARS.contains(&text.len()) && text.bytes().all(unreserved) {
            Ok(Self(text))
        } else {
            Err(InvalidPkce::Verifier)
        }
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verifier(text: &str) -> CodeVerifier {
        CodeVerifier::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn the_example_of_rfc_7636_appendix_b_matches() {
        let challenge = CodeChallenge::try_from("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()).unwrap();
        assert!(challenge.is_met_by(&verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")));
        assert!(!challenge.is_met_by(&verifier(&"a".repeat(43))));
    }

    #[test]
    fn a_verifier_has_43_to_128_unreserved_characters() {
        for good in ["a".repeat(43), "-._~".repeat(32)] {
            assert!(CodeVerifier::try_from(good).is_ok());
        }
        for bad in ["a".repeat(42), "a".repeat(129), format!("{} ", "a".repeat(43)), "é".repeat(30)] {
            assert!(CodeVerifier::try_from(bad).is_err());
        }
    }

    #[test]
    fn a_challenge_is_a_hash() {
        for bad in [String::new(), "a".repeat(42), "a".repeat(44), "=".repeat(43), "+".repeat(43)] {
            assert!(CodeChallenge::try_from(bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,200}") {
            let _ = CodeChallenge::try_from(text.clone());
            let _ = CodeVerifier::try_from(text);
        }
    }
}
