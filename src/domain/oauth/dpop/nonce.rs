//! Nonces of the server (RFC 9449 §8), without a store: a nonce is the moment when it was made, and a code that nobody else can make.

use subtle::ConstantTimeEq;

use crate::domain::{
    encoding::{base64url, from_base64url},
    oauth::mac::MacKey,
    time::Timestamp,
};

/// How long a nonce is accepted: it is over when this many seconds have passed.
pub const NONCE_TTL_SECONDS: u64 = 300;
/// From this age on, responses carry a fresh one (§8.2).
pub const NONCE_RENEWAL_SECONDS: u64 = 60;
/// How far the clock of the machine that made it may be ahead of ours.
const MAX_AHEAD_SECONDS: u64 = 5;

const PURPOSE: &str = "dpop nonce v1";
const TIME_BYTES: usize = 8;
const TAG_BYTES: usize = 16;

/// Makes and reads nonces: base64url of 8 bytes of milliseconds since the epoch, big-endian, and 16 bytes of HMAC-SHA-256. 32 characters.
///
/// A nonce is bound to nobody: that a proof is used once is the business of its `jti`, and the nonce only says that it is fresh.
#[derive(Clone, Debug)]
pub struct Nonces(MacKey);

/// Why a text isn't a nonce that is accepted. Outside all of them are one answer: use this new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// Not one of ours.
    #[error("not a nonce of this server")]
    Foreign,
    /// [`NONCE_TTL_SECONDS`] have passed.
    #[error("the nonce is over")]
    Expired,
    /// Made by a machine whose clock is ahead.
    #[error("the nonce is from the future")]
    FromTheFuture,
}

impl Nonces {
    /// With a key that may serve other purposes too.
    #[must_use]
    pub const fn new(key: MacKey) -> Self {
        Self(key)
    }

    /// A nonce that is made now, for the `DPoP-Nonce` header.
    #[must_use]
    pub fn issue(&self, now: Timestamp) -> String {
        let mut bytes = now.millis().to_be_bytes().to_vec();
        bytes.extend(self.tag(now));
        base64url(&bytes)
    }

    /// When a nonce that is alive at `now` was made.
    ///
    /// # Errors
    /// [`NonceError`].
    pub fn read(&self, text: &str, now: Timestamp) -> Result<Timestamp, NonceError> {
        // Longer texts need not be decoded to see what they are.
        let bytes = if text.len() == 32 { from_base64url(text) } else { None }.ok_or(NonceError::Foreign)?;
        let (time, tag) = bytes.split_first_chunk::<TIME_BYTES>().ok_or(NonceError::Foreign)?;
        let made_at = Timestamp::from_millis(u64::from_be_bytes(*time));
        if !bool::from(self.tag(made_at).as_slice().ct_eq(tag)) {
            return Err(NonceError::Foreign);
        }
        if made_at > now.plus_seconds(MAX_AHEAD_SECONDS) {
            return Err(NonceError::FromTheFuture);
        }
        if now >= made_at.plus_seconds(NONCE_TTL_SECONDS) {
            return Err(NonceError::Expired);
        }
        Ok(made_at)
    }

    /// Whether the response to a request with a nonce of this age should carry a new one, so that the client never has to ask twice.
    #[must_use]
    pub const fn should_renew(made_at: Timestamp, now: Timestamp) -> bool {
        now.millis() >= made_at.plus_seconds(NONCE_RENEWAL_SECONDS).millis()
    }

    fn tag(&self, made_at: Timestamp) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        let mac = self.0.mac(PURPOSE, &made_at.millis().to_string());
        tag.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        tag
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_562_262_616_789);

    fn nonces() -> Nonces {
        Nonces::new(MacKey::new([7; 32]))
    }

    fn aged(millis: u64) -> Result<Timestamp, NonceError> {
        nonces().read(&nonces().issue(NOW), NOW.plus_millis(millis))
    }

    #[test]
    fn a_nonce_says_when_it_was_made() {
        assert_eq!(aged(0), Ok(NOW));
        assert_eq!(nonces().issue(NOW).len(), 32);
    }

    #[test]
    fn a_nonce_is_over_exactly_after_300_seconds() {
        assert_eq!(aged(299_999), Ok(NOW));
        assert_eq!(aged(300_000), Err(NonceError::Expired));
    }

    #[test]
    fn a_nonce_may_be_five_seconds_ahead_of_our_clock() {
        let ahead = |millis| nonces().read(&nonces().issue(NOW.plus_millis(millis)), NOW);
        assert_eq!(ahead(5000), Ok(NOW.plus_millis(5000)));
        assert_eq!(ahead(5001), Err(NonceError::FromTheFuture));
    }

    #[test]
    fn a_nonce_of_another_key_or_for_another_moment_is_foreign() {
        let nonce = nonces().issue(NOW);
        assert_eq!(Nonces::new(MacKey::new([8; 32])).read(&nonce, NOW), Err(NonceError::Foreign));
        let mut bytes = from_base64url(&nonce).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(nonces().read(&base64url(&bytes), NOW), Err(NonceError::Foreign), "byte {at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn a_nonce_has_one_length() {
        let nonce = nonces().issue(NOW);
        for bad in [
            String::new(),
            nonce.clone() + "A",
            nonce.clone() + &nonce,
            nonce.strip_suffix(|_| true).unwrap().to_owned(),
            "A".repeat(11),
        ] {
            assert_eq!(nonces().read(&bad, NOW), Err(NonceError::Foreign), "{bad}");
        }
    }

    #[test]
    fn the_code_of_a_nonce_is_worth_nothing_elsewhere_and_the_other_way_round() {
        let key = MacKey::new([7; 32]);
        let mut bytes = NOW.millis().to_be_bytes().to_vec();
        bytes.extend(&key.mac("csrf token v1", &NOW.millis().to_string())[..16]);
        assert_eq!(nonces().read(&base64url(&bytes), NOW), Err(NonceError::Foreign));
    }

    #[test]
    fn after_a_minute_a_new_nonce_is_due() {
        assert!(!Nonces::should_renew(NOW, NOW.plus_millis(59_999)));
        assert!(Nonces::should_renew(NOW, NOW.plus_millis(60_000)));
        assert!(!Nonces::should_renew(NOW.plus_millis(5000), NOW), "made by a clock that is ahead");
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_nonce(text in ".{0,40}", code in "[A-Za-z0-9_-]{32}") {
            prop_assert_eq!(nonces().read(&text, NOW), Err(NonceError::Foreign));
            prop_assert_eq!(nonces().read(&code, NOW), Err(NonceError::Foreign));
        }

        #[test]
        fn every_moment_comes_back(millis in 0u64..1 << 53) {
            let made_at = Timestamp::from_millis(millis);
            prop_assert_eq!(nonces().read(&nonces().issue(made_at), made_at), Ok(made_at));
        }
    }
}
