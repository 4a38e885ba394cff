//! Opaque secrets: refresh tokens, codes, client secrets, sessions, consent handles.
//!
//! A secret is a prefix (so that a leaked one is recognised), 256 bits of entropy, and a checksum (so that a typo never reaches
//! the database). The broker stores [`SecretHash`] and never the secret; the two are different types.

use core::{fmt, marker::PhantomData};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::encoding::{base64url, hex, sha256};

const ENTROPY_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;

/// What a secret is for; keeps a refresh token from being taken for a code.
pub trait Kind {
    /// Every secret of this kind begins with it.
    const PREFIX: &'static str;
}

macro_rules! kind {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {}
        impl Kind for $name {
            const PREFIX: &'static str = $prefix;
        }
    };
}

kind!(/// RFC 6749 §1.5.
    RefreshToken, "aip_rt_");
kind!(/// RFC 6749 §1.3.1.
    AuthorizationCode, "aip_ac_");
kind!(/// RFC 6749 §2.3.1.
    ClientSecret, "aip_cs_");
kind!(/// RFC 7592 §3: reads and changes a dynamic registration.
    RegistrationToken, "aip_rg_");
kind!(/// RFC 9126 §2.2: the part of a `request_uri` that is ours.
    PushedRequest, "aip_pr_");
kind!(/// RFC 8628 §3.2.
    DeviceCode, "aip_dc_");
kind!(/// A signed-in browser.
    Session, "aip_se_");
kind!(/// The request behind a consent page; what is asked lies on the server under it.
    ConsentRequest, "aip_rq_");
kind!(/// A browser that is about to sign in with a passkey: what it was asked is worth nothing in another.
    PasskeyBrowser, "aip_pk_");
kind!(/// Makes one user, once.
    Invitation, "aip_in_");

/// A secret in clear. `Debug` shows its prefix alone; memory is wiped on drop.
pub struct Secret<K> {
    text: Zeroizing<String>,
    kind: PhantomData<fn() -> K>,
}

/// Text that isn't a secret of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed secret of this kind")]
pub struct MalformedSecret;

impl<K: Kind> Secret<K> {
    /// A new secret from 256 bits of entropy.
    #[must_use]
    pub fn from_entropy(entropy: &[u8; 32]) -> Self {
        let body = Zeroizing::new(format!("{}{}", K::PREFIX, base64url(entropy)));
        let checksum = checksum(&body);
        Self { text: Zeroizing::new(format!("{}{checksum}", *body)), kind: PhantomData }
    }

    /// # Errors
    /// [`MalformedSecret`] when prefix, length or checksum are not those of this kind.
    pub fn parse(text: &str) -> Result<Self, MalformedSecret> {
        if text.len() != K::PREFIX.len() + ENTROPY_CHARS + CHECKSUM_CHARS || !text.starts_with(K::PREFIX) {
            return Err(MalformedSecret);
        }
        let (body, found) = text.split_at_checked(text.len() - CHECKSUM_CHARS).ok_or(MalformedSecret)?;
        if checksum(body) != found {
            return Err(MalformedSecret);
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), kind: PhantomData })
    }

    /// The secret itself. Stands only on the line that hands it out.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.text
    }

    /// What the broker stores.
    #[must_use]
    pub fn hash(&self) -> SecretHash<K> {
        SecretHash { hex: hex(&sha256(self.text.as_bytes())), kind: PhantomData }
    }
}

impl<K: Kind> fmt::Debug for Secret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[redacted]", K::PREFIX)
    }
}

impl<K> Clone for Secret<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}

/// SHA-256 of a secret, lower-case hexadecimal. A plain hash suffices: the secret has 256 bits of entropy, nothing to guess.
pub struct SecretHash<K> {
    hex: String,
    kind: PhantomData<fn() -> K>,
}

impl<K> SecretHash<K> {
    /// As it was stored.
    #[must_use]
    pub const fn from_stored(hex: String) -> Self {
        Self { hex, kind: PhantomData }
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.hex
    }
}

impl<K> Clone for SecretHash<K> {
    fn clone(&self) -> Self {
        Self { hex: self.hex.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for SecretHash<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash[..]")
    }
}

impl<K> serde::Serialize for SecretHash<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex)
    }
}

impl<'de, K> serde::Deserialize<'de> for SecretHash<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::Deserialize::deserialize(deserializer).map(Self::from_stored)
    }
}

/// Constant-time.
impl<K> PartialEq for SecretHash<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hex.as_bytes().ct_eq(other.hex.as_bytes()).into()
    }
}

impl<K> Eq for SecretHash<K> {}

fn checksum(body: &str) -> String {
    let [a, b, c, d, ..] = sha256(body.as_bytes());
    base64url(&[a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret<RefreshToken> {
        Secret::from_entropy(&[7; 32])
    }

    #[test]
    fn a_secret_parses_to_the_same_hash() {
        let parsed = Secret::<RefreshToken>::parse(secret().expose_secret()).unwrap();
        assert_eq!(parsed.hash(), secret().hash());
    }

    #[test]
    fn a_secret_of_another_kind_is_refused() {
        assert_eq!(Secret::<AuthorizationCode>::parse(secret().expose_secret()).err(), Some(MalformedSecret));
    }

    #[test]
    fn a_typo_is_found_without_the_database() {
        let typo = secret().expose_secret().replacen('B', "C", 1);
        assert_eq!(Secret::<RefreshToken>::parse(&typo).err(), Some(MalformedSecret));
    }

    #[test]
    fn text_that_breaks_inside_a_character_is_refused() {
        let text = format!("aip_rt_{}é{}", "A".repeat(42), "A".repeat(5));
        assert_eq!(Secret::<RefreshToken>::parse(&text).err(), Some(MalformedSecret));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        assert_eq!(format!("{:?}", secret()), "aip_rt_[redacted]");
    }
}
