//! Tokens that this isolate has verified before: a signature costs more than the whole rest of a call.
//!
//! Only the signature is remembered. Whether the grant is still alive is the ledger's business, asked at every call.

use std::{cell::RefCell, collections::HashMap};

use crate::domain::{
    access_token::{AccessClaims, AccessTokenError, SigningKeys, fingerprint, looks_like_a_token},
    time::Timestamp,
};

/// About 300 bytes each.
const MAX_REMEMBERED: usize = 1024;

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

/// The claims of a token that was issued by and for `issuer`.
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
    REMEMBERED.with_borrow_mut(|memory| memory.remember(fingerprint, claims.clone(), now));
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn claims(seconds: u64) -> AccessClaims {
        AccessClaims {
            issuer: "https://broker.example".into(),
            subject: "user_a".parse().unwrap(),
            client_id: "app".parse().unwrap(),
            grant_id: "grant_a".parse().unwrap(),
            jwt_id: "j".into(),
            issued_at: NOW,
            expires_at: NOW.plus_seconds(seconds),
        }
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
}
