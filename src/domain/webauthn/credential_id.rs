//! What an authenticator calls a credential ([WebAuthn §4](https://www.w3.org/TR/webauthn-3/#credential-id)).

use crate::domain::encoding::{base64url, from_base64url};

/// Longest one (`WebAuthn` §4).
pub const MAX_CREDENTIAL_ID_BYTES: usize = 1023;

/// A credential's name, as base64url without padding: so it is stored, and so browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialId(String);

impl CredentialId {
    /// From the bytes; `None` when there are none or too many.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (1..=MAX_CREDENTIAL_ID_BYTES).contains(&bytes.len()).then(|| Self(base64url(bytes)))
    }

    /// From base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_bytes(&from_base64url(text)?)
    }

    /// As it is stored and sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
