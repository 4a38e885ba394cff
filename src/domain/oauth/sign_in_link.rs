//! One-time sign-in links: `aip_sl_<payload>.<mac>`.
//!
//! Whoever holds the `SIGN_IN_KEY` secret, and that is the operator, can make one without asking the broker. It lives ten minutes and
//! works once: the hash of its nonce goes into the database when it is used.

use serde::Deserialize;

use super::mac::MacKey;
use crate::domain::{
    encoding::{from_base64url, hex, sha256},
    time::Timestamp,
};

/// What every link begins with.
pub const PREFIX: &str = "aip_sl_";
/// Longest token that is looked at.
pub const MAX_BYTES: usize = 512;
/// A link that claims to live longer wasn't made by our script, whoever signed it.
pub const TTL_SECONDS: u64 = 600;

const PURPOSE: &str = "aipassport sign-in link v1";
const NONCE_BYTES: usize = 16;

/// SHA-256 of a link's nonce, lower-case hexadecimal: what the database remembers of a used link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonceHash(String);

impl NonceHash {
    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a link doesn't sign in. The text is for the person who opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInLinkError {
    /// Not one of ours.
    #[error("this sign-in link is damaged or was made for another broker")]
    Invalid,
    /// Too late.
    #[error("this sign-in link has expired")]
    Expired,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    n: String,
    exp: u64,
}

/// The nonce of a genuine link that is alive at `now`.
///
/// # Errors
/// [`SignInLinkError`].
pub fn verify(key: &MacKey, token: &str, now: Timestamp) -> Result<NonceHash, SignInLinkError> {
    if token.len() > MAX_BYTES {
        return Err(SignInLinkError::Invalid);
    }
    let (payload, tag) =
        token.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.')).ok_or(SignInLinkError::Invalid)?;
    let tag = from_base64url(tag).ok_or(SignInLinkError::Invalid)?;
    if !key.verifies(PURPOSE, payload, &tag) {
        return Err(SignInLinkError::Invalid);
    }
    let json = from_base64url(payload).ok_or(SignInLinkError::Invalid)?;
    let payload: Payload = serde_json::from_slice(&json).map_err(|_| SignInLinkError::Invalid)?;
    let nonce =
        from_base64url(&payload.n).filter(|nonce| nonce.len() == NONCE_BYTES).ok_or(SignInLinkError::Invalid)?;
    let expires_at = Timestamp::from_seconds(payload.exp);
    if now >= expires_at {
        return Err(SignInLinkError::Expired);
    }
    // A minute of grace: the link may come from a machine whose clock runs ahead.
    if now.seconds_until(expires_at) > TTL_SECONDS + 60 {
        return Err(SignInLinkError::Invalid);
    }
    Ok(NonceHash(hex(&sha256(&nonce))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::encoding::base64url;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn key() -> MacKey {
        MacKey::new([5; 32])
    }

    fn link(json: &str) -> String {
        let payload = base64url(json.as_bytes());
        let mac = base64url(&key().mac(PURPOSE, &payload));
        format!("{PREFIX}{payload}.{mac}")
    }

    fn payload(expires_at: u64) -> String {
        format!(r#"{{"n":"{}","exp":{expires_at}}}"#, base64url(&[9; 16]))
    }

    #[test]
    fn a_fresh_link_is_genuine() {
        assert_eq!(verify(&key(), &link(&payload(1_000_600)), NOW).unwrap().as_str().len(), 64);
    }

    #[test]
    fn a_link_is_over_at_its_expiry() {
        assert_eq!(verify(&key(), &link(&payload(1_000_000)), NOW), Err(SignInLinkError::Expired));
    }

    #[test]
    fn a_link_that_claims_a_longer_life_is_refused() {
        assert_eq!(verify(&key(), &link(&payload(1_001_000)), NOW), Err(SignInLinkError::Invalid));
    }

    #[test]
    fn a_link_of_another_key_or_with_a_changed_payload_is_refused() {
        let genuine = link(&payload(1_000_600));
        assert_eq!(verify(&MacKey::new([6; 32]), &genuine, NOW), Err(SignInLinkError::Invalid));
        let forged =
            format!("{PREFIX}{}.{}", base64url(payload(1_000_601).as_bytes()), genuine.split_once('.').unwrap().1);
        assert_eq!(verify(&key(), &forged, NOW), Err(SignInLinkError::Invalid));
    }

    #[test]
    fn a_short_nonce_is_refused() {
        assert_eq!(verify(&key(), &link(r#"{"n":"AAAA","exp":1000600}"#), NOW), Err(SignInLinkError::Invalid));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}", json in ".{0,100}") {
            let _ = verify(&key(), &text, NOW);
            let _ = verify(&key(), &link(&json), NOW);
        }
    }
}
