//! Tokens that this isolate has verified before: a signature costs more than the whole rest of a call.
//!
//! Only the signature is remembered. Whether the grant is still alive is the ledger's business, asked at every call.

use std::{cell::RefCell, collections::HashMap};

use crate::domain::{
    access_token::{AccessClaims, AccessTokenError, SigningKeys, fingerprint, looks_like_a_token},
    time::Timestamp,
};

/// About 500 bytes each, and what the token's lists take.
const MAX_REMEMBERED: usize = 1024;
/// Longest token that is remembered. One may be many times that, and a memory full of those would take a part of the isolate's 128 MB.
const MAX_REMEMBERED_TOKEN_BYTES: usize = 4 * 1024;

thread_local! {
    static REMEMBERED: RefCell<Memory> = RefCell::new(Memory::default());
}

#[derive(Default)]
struct Memory(HashMap<[u8; 32], AccessClaims>);

impl Memory {
    fn find(&self, fingerprint: &[u8; 32], issuer: &str, now: Timestamp) -> Option<AccessClaims> {
        self.0.get(fingerprint).filter(|claims| now < claims.expires_at && claims.issuer == issuer).cloned()
    }

    fn remember(&mut self, fingerprint: [u8; 32], claims: AccessClaims, now: Timestamp) {
        if self.0.len() >= MAX_REMEMBERED {
            self.0.retain(|_, claims| now < claims.expires_at);
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(fingerprint, claims);
    }
}

/// The claims of a token that was issued by `issuer`, for all of it or parts: [`AccessClaims::is_for`] says whether it is for a call.
///
/// # Errors
/// [`AccessTokenError`], for the log.
pub fn verify(keys: &SigningKeys, token: &str, issuer: &str, now: Timestamp) -> Result<AccessClaims, AccessTokenError> {
    if !looks_like_a_token(token) {
        return Err(AccessTokenError::Malformed);
    }
    let fingerprint = fingerprint(token);
    if let Some(claims) = REMEMBERED.with_borrow(|memory| memory.find(&fingerprint, issuer, now)) {
        return Ok(claims);
    }
    let claims = keys.verify(token, issuer, now)?;
    if token.len() <= MAX_REMEMBERED_TOKEN_BYTES {
        REMEMBERED.with_borrow_mut(|memory| memory.remember(fingerprint, claims.clone(), now));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access_token::{SigningAlgorithm, example_claims};

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn claims(seconds: u64) -> AccessClaims {
        AccessClaims { expires_at: NOW.plus_seconds(seconds), ..example_claims("https://broker.example", NOW) }
    }

    fn key(number: usize) -> [u8; 32] {
        fingerprint(&number.to_string())
    }

    #[test]
    fn a_remembered_token_is_forgotten_exactly_at_exp() {
        let mut memory = Memory::default();
        memory.remember(key(1), claims(10), NOW);
        assert!(memory.find(&key(1), "https://broker.example", NOW.plus_seconds(9)).is_some());
        assert!(memory.find(&key(1), "https://broker.example", NOW.plus_seconds(10)).is_none());
    }

    #[test]
    fn a_remembered_token_is_worth_nothing_to_another_issuer() {
        let mut memory = Memory::default();
        memory.remember(key(1), claims(10), NOW);
        assert!(memory.find(&key(1), "https://other.example", NOW).is_none());
    }

    #[test]
    fn memory_is_bounded_and_drops_expired_tokens_first() {
        let mut memory = Memory::default();
        memory.remember(key(0), claims(100), NOW);
        for number in 1..MAX_REMEMBERED {
            memory.remember(key(number), claims(1), NOW);
        }
        memory.remember(key(MAX_REMEMBERED), claims(100), NOW.plus_seconds(5));
        assert_eq!(memory.0.len(), 2);
        for number in 0..3 * MAX_REMEMBERED {
            memory.remember(key(number), claims(100), NOW);
            assert!(memory.0.len() <= MAX_REMEMBERED);
        }
    }

    #[test]
    fn a_very_long_token_is_verified_and_not_remembered() {
        let json =
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;
        let keys = SigningKeys::from_jwk_set(json).unwrap();
        for (scope_bytes, remembered) in [(10, true), (MAX_REMEMBERED_TOKEN_BYTES, false)] {
            let claims = AccessClaims { scope: Some("s".repeat(scope_bytes)), ..claims(10) };
            let token = keys.sign(&claims, SigningAlgorithm::EdDSA).unwrap();
            assert_eq!(verify(&keys, &token, &claims.issuer, NOW), Ok(claims));
            let found = REMEMBERED.with_borrow(|memory| memory.0.contains_key(&fingerprint(&token)));
            assert_eq!(found, remembered, "{scope_bytes}");
        }
    }
}
