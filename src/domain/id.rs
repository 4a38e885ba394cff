//! Identifiers: public, unguessable, and each of its own type.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::encoding::base64url;

/// Longest identifier accepted from outside, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// Text that can't be an identifier of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected 1 to {MAX_ID_BYTES} printable ASCII characters without spaces")]
pub struct InvalidId;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new one from 128 bits of entropy.
            #[must_use]
            pub fn from_entropy(entropy: [u8; 16]) -> Self {
                Self(format!(concat!($prefix, "{}"), base64url(&entropy)))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
                if printable && !text.is_empty() && text.len() <= MAX_ID_BYTES { Ok(Self(text)) } else { Err(InvalidId) }
            }
        }

        impl core::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// Names a grant, and with it the ledger that meters it.
    GrantId,
    "grant_"
);
identifier!(
    /// Names a person who signs in.
    UserId,
    "user_"
);
identifier!(
    /// `client_id` (RFC 6749 §2.2): names an app.
    ClientId,
    "app_"
);
identifier!(
    /// Names a delegation: a narrower token, exchanged for another (RFC 8693). Never used twice.
    DelegationId,
    "delegation_"
);
identifier!(
    /// Names a passkey to its owner; what its authenticator calls it is longer than a path.
    PasskeyId,
    "passkey_"
);
identifier!(
    /// Names an invitation to whoever made it; says nothing of its token.
    InvitationId,
    "invitation_"
);
