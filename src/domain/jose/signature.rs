//! Between a text that was taken apart and one that is believed: the types that make the check impossible to forget.
//!
//! ```text
//! parse ─▶ Unverified<T> ── signature() ─▶ SignatureToCheck ─▶ the platform ─▶ answered(true) ─▶ SignatureHolds
//!              └───────────────────────── verified(holds) ◀────────────────────────────────────────┘ ─▶ T
//! ```

use super::{
    algorithm::Algorithm,
    jwk::PublicJwk,
    jws::{Jws, JwsError},
};

/// A signature that the platform is asked about. Algorithm, key and length fit each other.
#[derive(Clone, Copy, Debug)]
pub struct SignatureToCheck<'a> {
    key: &'a PublicJwk,
    algorithm: Algorithm,
    input: &'a [u8],
    signature: &'a [u8],
}

/// The signature is not the key's, or the key is none: a point off its curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify with the key")]
pub struct SignatureFails;

/// The platform said that a signature is genuine: that one and no other. Made by [`SignatureToCheck::answered`] alone.
#[derive(Debug)]
pub struct SignatureHolds {
    key: PublicJwk,
    algorithm: Algorithm,
    input: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> SignatureToCheck<'a> {
    /// # Errors
    /// [`JwsError::KeyDoesNotFit`], [`JwsError::SignatureLength`].
    pub fn new(jws: &'a Jws, key: &'a PublicJwk) -> Result<Self, JwsError> {
        if !jws.algorithm().fits(key) {
            return Err(JwsError::KeyDoesNotFit);
        }
        Self::of_bytes(key, jws.algorithm(), jws.signing_input(), jws.signature()).ok_or(JwsError::SignatureLength)
    }

    /// Of what is no JWS, where the key is one for this algorithm. `None`: its signatures have another length.
    pub(in crate::domain) fn of_bytes(
        key: &'a PublicJwk,
        algorithm: Algorithm,
        input: &'a [u8],
        signature: &'a [u8],
    ) -> Option<Self> {
        (signature.len() == key.signature_bytes()).then_some(Self { key, algorithm, input, signature })
    }

    /// How it was signed.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// By whom.
    #[must_use]
    pub const fn key(&self) -> &PublicJwk {
        self.key
    }

    /// Over what.
    #[must_use]
    pub const fn signing_input(&self) -> &[u8] {
        self.input
    }

    /// The signature.
    #[must_use]
    pub const fn signature(&self) -> &[u8] {
        self.signature
    }

    /// What the platform answered. Stands only where it was asked; `tests/architecture.rs` sees to that.
    ///
    /// # Errors
    /// [`SignatureFails`] when it said no.
    pub fn answered(&self, holds: bool) -> Result<SignatureHolds, SignatureFails> {
        if !holds {
            return Err(SignatureFails);
        }
        let (input, signature) = (self.input.to_vec(), self.signature.to_vec());
        Ok(SignatureHolds { key: self.key.clone(), algorithm: self.algorithm, input, signature })
    }
}

impl SignatureHolds {
    /// Whether this is what was asked.
    pub(in crate::domain) fn answers(&self, asked: &SignatureToCheck<'_>) -> bool {
        self.key == *asked.key
            && self.algorithm == asked.algorithm
            && self.input == asked.input
            && self.signature == asked.signature
    }
}

/// What a signed text claims. It shows nothing of it until its signature was checked.
#[derive(Clone)]
pub struct Unverified<T> {
    claims: T,
    key: PublicJwk,
    jws: Jws,
}

impl<T> Unverified<T> {
    /// `claims` were read from `jws`; `key` is whose signature it must be.
    ///
    /// # Errors
    /// [`JwsError::KeyDoesNotFit`], [`JwsError::SignatureLength`].
    pub(in crate::domain) fn new(claims: T, key: PublicJwk, jws: Jws) -> Result<Self, JwsError> {
        SignatureToCheck::new(&jws, &key)?;
        Ok(Self { claims, key, jws })
    }

    /// What to ask the platform.
    #[must_use]
    pub fn signature(&self) -> SignatureToCheck<'_> {
        let (key, jws) = (&self.key, &self.jws);
        // That they fit each other was seen when this was made.
        SignatureToCheck { key, algorithm: jws.algorithm(), input: jws.signing_input(), signature: jws.signature() }
    }

    /// The claims, once the signature was checked.
    ///
    /// # Errors
    /// [`SignatureFails`] when `holds` is about another text or another key.
    pub fn verified(self, holds: &SignatureHolds) -> Result<T, SignatureFails> {
        if holds.answers(&self.signature()) { Ok(self.claims) } else { Err(SignatureFails) }
    }
}

impl<T> core::fmt::Debug for Unverified<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Unverified").field(&self.jws).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::jwk::tests::{ED25519, P256, RSA, key, with},
        *,
    };
    use crate::domain::encoding::base64url;

    fn jws(alg: &str, payload: &str, signature_bytes: usize) -> Jws {
        let header = base64url(format!(r#"{{"alg":"{alg}"}}"#).as_bytes());
        let text = format!("{header}.{}.{}", base64url(payload.as_bytes()), base64url(&vec![1; signature_bytes]));
        Jws::parse(&text, 8192).unwrap()
    }

    fn unverified(payload: &str, key_json: &str) -> Unverified<String> {
        Unverified::new(payload.to_owned(), key(key_json), jws("EdDSA", payload, 64)).unwrap()
    }

    #[test]
    fn the_platforms_yes_opens_the_text_that_it_was_asked_about() {
        let text = unverified("a", ED25519);
        let holds = text.signature().answered(true).unwrap();
        assert_eq!(text.verified(&holds), Ok("a".to_owned()));
    }

    #[test]
    fn the_platforms_no_opens_nothing() {
        assert_eq!(unverified("a", ED25519).signature().answered(false).err(), Some(SignatureFails));
    }

    #[test]
    fn a_yes_opens_no_other_text() {
        let holds = unverified("a", ED25519).signature().answered(true).unwrap();
        assert_eq!(unverified("b", ED25519).verified(&holds), Err(SignatureFails));
    }

    #[test]
    fn a_yes_opens_the_same_text_for_no_other_key() {
        let holds = unverified("a", ED25519).signature().answered(true).unwrap();
        let other = with(ED25519, "x", base64url(&[7; 32]).into());
        assert_eq!(unverified("a", &other).verified(&holds), Err(SignatureFails));
    }

    #[test]
    fn algorithm_key_and_length_fit_each_other_before_the_platform_is_asked() {
        let asked = |alg, bytes, json| SignatureToCheck::new(&jws(alg, "a", bytes), &key(json)).err();
        assert_eq!(asked("ES256", 64, P256), None);
        assert_eq!(asked("ES256", 64, ED25519), Some(JwsError::KeyDoesNotFit));
        assert_eq!(asked("PS256", 256, RSA), Some(JwsError::KeyDoesNotFit), "that key is for RS256");
        assert_eq!(asked("RS256", 256, RSA), None);
        assert_eq!(asked("RS256", 257, RSA), Some(JwsError::SignatureLength));
    }

    #[test]
    fn debug_output_shows_no_claims() {
        assert!(!format!("{:?}", unverified("secret", ED25519)).contains("secret"));
    }
}
