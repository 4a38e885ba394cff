//! HMAC-SHA256 with a purpose: what is signed for one use is worth nothing for another.

use core::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domain::encoding::from_base64url;

/// 256 bits from a worker secret. `Debug` shows nothing; memory is wiped on drop.
#[derive(Clone)]
pub struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    /// From the raw bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// From a worker secret: 32 bytes as base64url without padding.
    #[must_use]
    pub fn from_secret(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(from_base64url(text.trim())?);
        Some(Self::new(bytes.as_slice().try_into().ok()?))
    }

    /// The code over `purpose`, a newline, and `message`. A purpose never contains a newline, so two purposes can't collide.
    #[must_use]
    pub fn mac(&self, purpose: &'static str, message: &str) -> [u8; 32] {
        // `new_from_slice` fails for no key length of HMAC; an all-zero code would verify nothing that we signed.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else { return [0; 32] };
        mac.update(purpose.as_bytes());
        mac.update(b"\n");
        mac.update(message.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether `tag` is the code over `purpose` and `message`; constant-time.
    #[must_use]
    pub fn verifies(&self, purpose: &'static str, message: &str, tag: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else { return false };
        mac.update(purpose.as_bytes());
        mac.update(b"\n");
        mac.update(message.as_bytes());
        mac.verify_slice(tag).is_ok()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_verifies_for_its_purpose_alone() {
        let key = MacKey::new([1; 32]);
        let tag = key.mac("a", "message");
        assert!(key.verifies("a", "message", &tag));
        assert!(!key.verifies("b", "message", &tag));
        assert!(!key.verifies("a", "other", &tag));
        assert!(!MacKey::new([2; 32]).verifies("a", "message", &tag));
        assert!(!key.verifies("a", "message", &tag[..31]));
    }

    #[test]
    fn a_secret_of_another_length_is_no_key() {
        assert!(MacKey::from_secret("AAAA").is_none());
        assert!(MacKey::from_secret(&"A".repeat(43)).is_some());
    }
}
