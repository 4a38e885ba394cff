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

/// Whom a person gives a token to that is for no app but for themselves.
const PERSONAL: &str = "personal";

impl ClientId {
    /// The one of tokens that people make for themselves. No app has it or can get it: apps are called `app_…`, or by their address.
    #[must_use]
    pub fn personal() -> Self {
        Self(PERSONAL.to_owned())
    }

    /// Whether it is that one.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.0 == PERSONAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_app_is_called_what_personal_tokens_are() {
        assert!(ClientId::personal().is_personal());
        for number in 0..=255 {
            assert!(!ClientId::from_entropy([number; 16]).is_personal());
        }
        for near in ["Personal", "personal ", "app_personal", "https://personal.example/"] {
            assert!(!near.parse::<ClientId>().is_ok_and(|id| id.is_personal()), "{near}");
        }
    }
}
