//! The keys that sign and verify access tokens: `SIGNING_KEYS`, a JWK set.

use core::fmt;

use ed25519_dalek::SigningKey as Ed25519Key;
use jwt_compact::{
    Algorithm, AlgorithmExt, Claims, Header, UntrustedToken,
    alg::{Ed25519, Es256, SigningKey as _},
    jwk::JsonWebKey,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    AccessClaims, AccessTokenError, MAX_JWT_BYTES, TOKEN_TYPE, looks_like_a_token,
    wire::{self, WireClaims},
};
use crate::domain::{
    encoding::{base64url, from_base64url},
    time::Timestamp,
};

type P256Key = <Es256 as Algorithm>::SigningKey;

/// What a token is signed with (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// Ed25519.
    #[default]
    EdDSA,
    /// ECDSA over P-256 with SHA-256, for resource servers that don't know Ed25519.
    ES256,
}

impl SigningAlgorithm {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::EdDSA, Self::ES256];

    /// From its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The name in `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The `SIGNING_KEYS` secret can't be used. Holds no key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a JWK set.
    #[error("SIGNING_KEYS is not a JWK set")]
    NotAJwkSet,
    /// A key is neither `{"kty":"OKP","crv":"Ed25519"}` nor `{"kty":"EC","crv":"P-256"}`.
    #[error("a key in SIGNING_KEYS is of an unknown type: Ed25519 and P-256 are known")]
    UnknownKeyType,
    /// A key has no `kid`.
    #[error("a key in SIGNING_KEYS has no kid")]
    NoKid,
    /// `d` isn't a private part of 32 bytes.
    #[error("a key in SIGNING_KEYS is not a private JWK with its 32 bytes in d")]
    NotPrivate,
    /// `x` or `y` isn't the public half of `d`.
    #[error("the public half of a key in SIGNING_KEYS is not that of its private half")]
    HalvesDiffer,
    /// Two keys have one name.
    #[error("two keys in SIGNING_KEYS have the same kid")]
    DuplicateKid,
    /// None of the keys is an Ed25519 one.
    #[error("SIGNING_KEYS holds no Ed25519 key")]
    NoEd25519Key,
}

/// The keys that sign and verify access tokens, newest first. One at least is an Ed25519 key, and no two share a name. `Debug`
/// shows the names alone.
pub struct SigningKeys {
    keys: Vec<NamedKey>,
}

struct NamedKey {
    kid: String,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519Key),
    P256(P256Key),
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<PrivateJwk>,
}

/// Everything may be missing here, so that the error can say what is. Other members (`alg`, `use`, `iat`) are for the operator.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct PrivateJwk {
    kty: String,
    crv: String,
    kid: String,
    d: Zeroizing<String>,
    x: Option<String>,
    y: Option<String>,
}

impl SigningKeys {
    /// Reads the secret: a JWK set with private Ed25519 (RFC 8037 §2) and P-256 keys (RFC 7518 §6.2), newest first.
    ///
    /// # Errors
    /// [`KeySetError`] says what is wrong without repeating the secret.
    pub fn from_jwk_set(json: &str) -> Result<Self, KeySetError> {
        let set: JwkSet = serde_json::from_str(json).map_err(|_| KeySetError::NotAJwkSet)?;
        let mut keys: Vec<NamedKey> = Vec::with_capacity(set.keys.len());
        for jwk in &set.keys {
            let key = NamedKey::from_jwk(jwk)?;
            if keys.iter().any(|other| other.kid == key.kid) {
                return Err(KeySetError::DuplicateKid);
            }
            keys.push(key);
        }
        let keys = Self { keys };
        if keys.supports(SigningAlgorithm::EdDSA) { Ok(keys) } else { Err(KeySetError::NoEd25519Key) }
    }

    /// Whether a key of this algorithm is there to sign with.
    #[must_use]
    pub fn supports(&self, algorithm: SigningAlgorithm) -> bool {
        self.keys.iter().any(|key| key.pair.algorithm() == algorithm)
    }

    /// The public halves (RFC 7517 §5), for `/jwks.json`.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self.keys.iter().map(NamedKey::public_jwk).collect();
        serde_json::json!({ "keys": keys })
    }

    /// Signs with the newest key of `algorithm`.
    ///
    /// # Errors
    /// [`AccessTokenError::NoKeyFor`] when there is none, which can't be said of Ed25519, and [`AccessTokenError::TooLong`] when
    /// nobody would accept it. [`AccessTokenError::Malformed`] when the claims can't be written; they are plain, so this does not
    /// happen.
    pub fn sign(&self, claims: &AccessClaims, algorithm: SigningAlgorithm) -> Result<String, AccessTokenError> {
        let key = self
            .keys
            .iter()
            .find(|key| key.pair.algorithm() == algorithm)
            .ok_or(AccessTokenError::NoKeyFor(algorithm))?;
        let header = Header::empty().with_token_type(TOKEN_TYPE).with_key_id(key.kid.clone());
        let wire = Claims::<WireClaims>::from(claims);
        let token = match &key.pair {
            Pair::Ed25519(pair) => Ed25519.token(&header, &wire, pair),
            Pair::P256(pair) => Es256.token(&header, &wire, pair),
        };
        let token = token.map_err(|_| AccessTokenError::Malformed)?;
        if token.len() > MAX_JWT_BYTES { Err(AccessTokenError::TooLong) } else { Ok(token) }
    }

    /// Verifies a token that was issued by `issuer` and for it or parts of it. Which parts is for [`AccessClaims::is_for`] to say.
    ///
    /// The key that the header names decides the algorithm, never the header itself (RFC 8725 §3.1).
    ///
    /// # Errors
    /// [`AccessTokenError`], for the log; the outside learns only that the token isn't accepted.
    pub fn verify(&self, token: &str, issuer: &str, now: Timestamp) -> Result<AccessClaims, AccessTokenError> {
        if token.len() > MAX_JWT_BYTES || !looks_like_a_token(token) {
            return Err(AccessTokenError::Malformed);
        }
        let untrusted = UntrustedToken::new(token).map_err(|_| AccessTokenError::Malformed)?;
        let header = untrusted.header();
        if header.token_type.as_deref() != Some(TOKEN_TYPE) {
            return Err(AccessTokenError::WrongType);
        }
        let key = self
            .keys
            .iter()
            .find(|key| header.key_id.as_deref() == Some(&key.kid))
            .ok_or(AccessTokenError::UnknownKey)?;
        if untrusted.algorithm() != key.pair.algorithm().as_str() {
            return Err(AccessTokenError::WrongType);
        }
        let verified = match &key.pair {
            Pair::Ed25519(pair) => Ed25519.validator::<WireClaims>(&pair.verifying_key()).validate(&untrusted),
            Pair::P256(pair) => Es256.validator::<WireClaims>(&pair.to_verifying_key()).validate(&untrusted),
        };
        let (_, claims) = verified.map_err(|_| AccessTokenError::BadSignature)?.into_parts();
        let claims = wire::read(claims).ok_or(AccessTokenError::Malformed)?;
        // RFC 7519 §4.1.4: on or after `exp` it must not be accepted.
        if now >= claims.expires_at {
            return Err(AccessTokenError::Expired);
        }
        let is_own = claims.issuer == issuer
            && !claims.audience.is_empty()
            && claims.audience.iter().all(|audience| belongs_to(audience, issuer));
        if is_own { Ok(claims) } else { Err(AccessTokenError::WrongParty) }
    }
}

/// Whether an audience is the issuer or lies below it: `https://broker.example.evil` does not.
fn belongs_to(audience: &str, issuer: &str) -> bool {
    audience.strip_prefix(issuer).is_some_and(|path| path.is_empty() || path.starts_with('/'))
}

impl NamedKey {
    fn from_jwk(jwk: &PrivateJwk) -> Result<Self, KeySetError> {
        let algorithm = match (jwk.kty.as_str(), jwk.crv.as_str()) {
            ("OKP", "Ed25519") => SigningAlgorithm::EdDSA,
            ("EC", "P-256") => SigningAlgorithm::ES256,
            _ => return Err(KeySetError::UnknownKeyType),
        };
        if jwk.kid.is_empty() {
            return Err(KeySetError::NoKid);
        }
        let bytes = Zeroizing::new(from_base64url(&jwk.d).ok_or(KeySetError::NotPrivate)?);
        let secret: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| KeySetError::NotPrivate)?;
        let pair = match algorithm {
            SigningAlgorithm::EdDSA => Pair::Ed25519(Ed25519Key::from_bytes(secret)),
            // Not every 32 bytes are one: zero and the group's order and beyond are none.
            SigningAlgorithm::ES256 => Pair::P256(P256Key::from_slice(secret).map_err(|_| KeySetError::NotPrivate)?),
        };
        let (x, y) = pair.public();
        let is_or_absent = |given: &Option<String>, own: Option<&str>| given.is_none() || given.as_deref() == own;
        if is_or_absent(&jwk.x, Some(&x)) && is_or_absent(&jwk.y, y.as_deref()) {
            Ok(Self { kid: jwk.kid.clone(), pair })
        } else {
            Err(KeySetError::HalvesDiffer)
        }
    }

    fn public_jwk(&self) -> serde_json::Value {
        let (kty, crv) = match self.pair {
            Pair::Ed25519(_) => ("OKP", "Ed25519"),
            Pair::P256(_) => ("EC", "P-256"),
        };
        let (x, y) = self.pair.public();
        let mut jwk = serde_json::json!({ "kty": kty, "crv": crv, "alg": self.pair.algorithm().as_str(), "use": "sig",
            "kid": self.kid, "x": x });
        if let (Some(members), Some(y)) = (jwk.as_object_mut(), y) {
            members.insert("y".into(), y.into());
        }
        jwk
    }
}

impl Pair {
    const fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::Ed25519(_) => SigningAlgorithm::EdDSA,
            Self::P256(_) => SigningAlgorithm::ES256,
        }
    }

    /// `x`, and `y` where there is one, as in a JWK.
    fn public(&self) -> (String, Option<String>) {
        match self {
            Self::Ed25519(pair) => (base64url(pair.verifying_key().as_bytes()), None),
            Self::P256(pair) => match JsonWebKey::from(&pair.to_verifying_key()) {
                JsonWebKey::EllipticCurve { x, y, .. } => (base64url(&x), Some(base64url(&y))),
                // Such a key is always of that kind; jwt-compact's type knows others.
                _ => (String::new(), None),
            },
        }
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

#[cfg(test)]
mod tests;
