//! Names for what may be used once: proofs (RFC 9449 §11.1) and assertions (RFC 7523 §3 point 7).

use crate::domain::encoding::{base64url, sha256};

/// Longest `jti`, in bytes.
pub const MAX_JTI_BYTES: usize = 256;
/// 128 bits: nobody finds two texts with the same one, and a `jti` that somebody else used up can't be hit.
const ID_BYTES: usize = 16;

/// What a store of used texts remembers: 22 characters of base64url, whatever the client wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplayId(String);

impl ReplayId {
    /// From who signed and what it called the text. `signer` ends where `jti` begins, without doubt: the caller sees to that.
    pub(in crate::domain) fn new(signer: &str, jti: &str) -> Self {
        let hash = sha256(format!("{signer}{jti}").as_bytes());
        Self(base64url(hash.get(..ID_BYTES).unwrap_or(&hash)))
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a `jti` is one that can be remembered.
pub(super) fn is_jti(jti: &str) -> bool {
    (1..=MAX_JTI_BYTES).contains(&jti.len())
}
