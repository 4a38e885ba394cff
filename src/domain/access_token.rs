//! Access tokens: JWTs after RFC 9068, signed with Ed25519.
//!
//! A token names a grant and carries no limits: the ledger knows those, so nothing that is granted, spent or revoked can be
//! read from or outdated by a token. jwt-compact checks the signature; `typ`, `iss`, `aud`, `exp` and the length are checked here.

use core::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};
use jwt_compact::{AlgorithmExt, Claims, Header, UntrustedToken, alg::Ed25519};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    encoding::{base64url, from_base64url, sha256},
    id::{ClientId, GrantId, UserId},
    time::Timestamp,
};

/// Longest token that is looked at: jwt-compact parses claims before it checks the signature.
pub const MAX_JWT_BYTES: usize = 4 * 1024;
/// `typ` of the header (RFC 9068 §2.1).
pub const TOKEN_TYPE: &str = "at+jwt";
/// Default life of an access token.
pub const ACCESS_TOKEN_TTL_SECONDS: u64 = 3600;
/// Every access token begins with it: base64url of `{"`.
const JWT_START: &str = "eyJ";

/// The claims of an access token (RFC 9068 §2.2). `aud` is the issuer itself: the AI endpoints are its resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Origin of the broker.
    pub issuer: String,
    /// Who allowed the grant.
    pub subject: UserId,
    /// To which app.
    pub client_id: ClientId,
    /// The grant.
    pub grant_id: GrantId,
    /// Unique name of this token.
    pub jwt_id: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From this moment on it is refused.
    pub expires_at: Timestamp,
}

/// Why a token isn't accepted. To the outside all of them are one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// Not a JWT, or longer than [`MAX_JWT_BYTES`].
    #[error("malformed")]
    Malformed,
    /// Another `typ`, or another algorithm.
    #[error("not an access token")]
    WrongType,
    /// Signed by a key that isn't in the set.
    #[error("unknown key")]
    UnknownKey,
    /// The signature doesn't fit.
    #[error("bad signature")]
    BadSignature,
    /// `iss` or `aud` of somebody else.
    #[error("issued by or for somebody else")]
    WrongParty,
    /// `exp` has come.
    #[error("expired")]
    Expired,
}

/// The `SIGNING_KEYS` secret can't be used. Holds no key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a JWK set.
    #[error("SIGNING_KEYS is not a JWK set")]
    NotAJwkSet,
    /// `keys` is empty.
    #[error("SIGNING_KEYS holds no key")]
    Empty,
    /// A key isn't `{"kty":"OKP","crv":"Ed25519","kid","d"}` with a private part of 32 bytes.
    #[error("a key in SIGNING_KEYS is not a private Ed25519 JWK with a kid")]
    NotAnEd25519Key,
}

/// The keys that sign and verify access tokens, newest first. `Debug` shows their names alone.
pub struct SigningKeys {
    keys: Vec<NamedKey>,
}

struct NamedKey {
    kid: String,
    signing: SigningKey,
    verifying: VerifyingKey,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<PrivateJwk>,
}

#[derive(Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: String,
    kid: String,
    d: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
struct WireClaims {
    iss: String,
    aud: String,
    sub: UserId,
    client_id: ClientId,
    grant_id: GrantId,
    jti: String,
}

impl SigningKeys {
    /// Reads the secret: a JWK set with private Ed25519 keys, newest first (RFC 8037 §2).
    ///
    /// # Errors
    /// [`KeySetError`] says what is wrong without repeating the secret.
    pub fn from_jwk_set(json: &str) -> Result<Self, KeySetError> {
        let set: JwkSet = serde_json::from_str(json).map_err(|_| KeySetError::NotAJwkSet)?;
        let keys = set.keys.iter().map(NamedKey::from_jwk).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { keys }) }
    }

    /// The public halves (RFC 7517 §5), for `/jwks.json`.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|key| {
                serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid,
                    "x": base64url(key.verifying.as_bytes()) })
            })
            .collect();
        serde_json::json!({ "keys": keys })
    }

    /// Signs with the newest key.
    ///
    /// # Errors
    /// [`AccessTokenError::Malformed`] when the claims can't be written; a set that was read has a key and plain claims, so this
    /// does not happen.
    pub fn sign(&self, claims: &AccessClaims) -> Result<String, AccessTokenError> {
        let key = self.keys.first().ok_or(AccessTokenError::UnknownKey)?;
        let header = Header::empty().with_token_type(TOKEN_TYPE).with_key_id(key.kid.clone());
        let mut wire = Claims::new(WireClaims {
            iss: claims.issuer.clone(),
            aud: claims.issuer.clone(),
            sub: claims.subject.clone(),
            client_id: claims.client_id.clone(),
            grant_id: claims.grant_id.clone(),
            jti: claims.jwt_id.clone(),
        });
        wire.issued_at = date_time(claims.issued_at);
        wire.expiration = date_time(claims.expires_at);
        Ed25519.token(&header, &wire, &key.signing).map_err(|_| AccessTokenError::Malformed)
    }

    /// Verifies a token that was issued by and for `issuer`.
    ///
    /// # Errors
    /// [`AccessTokenError`], for the log; the outside learns only that the token isn't accepted.
    pub fn verify(&self, token: &str, issuer: &str, now: Timestamp) -> Result<AccessClaims, AccessTokenError> {
        if token.len() > MAX_JWT_BYTES || !looks_like_a_token(token) {
            return Err(AccessTokenError::Malformed);
        }
        let untrusted = UntrustedToken::new(token).map_err(|_| AccessTokenError::Malformed)?;
        let header = untrusted.header();
        if header.token_type.as_deref() != Some(TOKEN_TYPE) || untrusted.algorithm() != "EdDSA" {
            return Err(AccessTokenError::WrongType);
        }
        let key = self
            .keys
            .iter()
            .find(|key| header.key_id.as_deref() == Some(&key.kid))
            .ok_or(AccessTokenError::UnknownKey)?;
        let verified = Ed25519
            .validator::<WireClaims>(&key.verifying)
            .validate(&untrusted)
            .map_err(|_| AccessTokenError::BadSignature)?;
        let (_, claims) = verified.into_parts();
        let (Some(issued_at), Some(expires_at)) = (timestamp(claims.issued_at), timestamp(claims.expiration)) else {
            return Err(AccessTokenError::Malformed);
        };
        // RFC 7519 §4.1.4: on or after `exp` it must not be accepted.
        if now >= expires_at {
            return Err(AccessTokenError::Expired);
        }
        let custom = claims.custom;
        if custom.iss != issuer || custom.aud != issuer {
            return Err(AccessTokenError::WrongParty);
        }
        Ok(AccessClaims {
            issuer: custom.iss,
            subject: custom.sub,
            client_id: custom.client_id,
            grant_id: custom.grant_id,
            jwt_id: custom.jti,
            issued_at,
            expires_at,
        })
    }
}

/// Whether text could be an access token of this broker: cheap enough to ask of every header.
#[must_use]
pub fn looks_like_a_token(text: &str) -> bool {
    text.starts_with(JWT_START) && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl NamedKey {
    fn from_jwk(jwk: &PrivateJwk) -> Result<Self, KeySetError> {
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" || jwk.kid.is_empty() {
            return Err(KeySetError::NotAnEd25519Key);
        }
        let bytes = Zeroizing::new(from_base64url(&jwk.d).ok_or(KeySetError::NotAnEd25519Key)?);
        let seed: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| KeySetError::NotAnEd25519Key)?;
        let signing = SigningKey::from_bytes(seed);
        Ok(Self { kid: jwk.kid.clone(), verifying: signing.verifying_key(), signing })
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

/// Names a token in the isolate's memory of verified ones, without keeping the token.
#[must_use]
pub fn fingerprint(token: &str) -> [u8; 32] {
    sha256(token.as_bytes())
}

fn date_time(at: Timestamp) -> Option<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp(i64::try_from(at.seconds()).ok()?, 0)
}

fn timestamp(at: Option<chrono::DateTime<chrono::Utc>>) -> Option<Timestamp> {
    Some(Timestamp::from_seconds(u64::try_from(at?.timestamp()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://broker.example";
    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn keys(kids: &[&str]) -> SigningKeys {
        let keys: Vec<_> = kids
            .iter()
            .map(|kid| {
                let seed = sha256(kid.as_bytes());
                serde_json::json!({"kty":"OKP","crv":"Ed25519","kid":kid,"d":base64url(&seed)})
            })
            .collect();
        SigningKeys::from_jwk_set(&serde_json::json!({ "keys": keys }).to_string()).unwrap()
    }

    fn claims() -> AccessClaims {
        AccessClaims {
            issuer: ISSUER.into(),
            subject: "user_a".parse().unwrap(),
            client_id: "app_a".parse().unwrap(),
            grant_id: "grant_a".parse().unwrap(),
            jwt_id: "jti".into(),
            issued_at: NOW,
            expires_at: NOW.plus_seconds(3600),
        }
    }

    fn verify(token: &str) -> Result<AccessClaims, AccessTokenError> {
        keys(&["one"]).verify(token, ISSUER, NOW)
    }

    fn with_header(change: impl FnOnce(Header) -> Header) -> String {
        let keys = keys(&["one"]);
        let wire = Claims::new(serde_json::json!({}));
        Ed25519.token(&change(Header::empty().with_key_id("one")), &wire, &keys.keys[0].signing).unwrap()
    }

    #[test]
    fn a_signed_token_verifies_to_its_claims() {
        let token = keys(&["one"]).sign(&claims()).unwrap();
        assert_eq!(verify(&token), Ok(claims()));
    }

    #[test]
    fn the_old_key_of_a_rotated_set_still_verifies() {
        let token = keys(&["one"]).sign(&claims()).unwrap();
        assert!(keys(&["two", "one"]).verify(&token, ISSUER, NOW).is_ok());
        assert_eq!(keys(&["two"]).verify(&token, ISSUER, NOW), Err(AccessTokenError::UnknownKey));
    }

    #[test]
    fn a_token_is_refused_exactly_at_exp() {
        let token = keys(&["one"]).sign(&claims()).unwrap();
        let at = |seconds| keys(&["one"]).verify(&token, ISSUER, NOW.plus_seconds(seconds));
        assert!(at(3599).is_ok());
        assert_eq!(at(3600), Err(AccessTokenError::Expired));
    }

    #[test]
    fn a_token_of_another_issuer_is_refused() {
        let token = keys(&["one"]).sign(&AccessClaims { issuer: "https://evil.example".into(), ..claims() }).unwrap();
        assert_eq!(verify(&token), Err(AccessTokenError::WrongParty));
    }

    #[test]
    fn a_jwt_that_is_not_an_access_token_is_refused() {
        assert_eq!(verify(&with_header(|header| header.with_token_type("JWT"))), Err(AccessTokenError::WrongType));
        assert_eq!(verify(&with_header(|header| header)), Err(AccessTokenError::WrongType));
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = keys(&["one"]).sign(&claims()).unwrap();
        let (head, signature) = token.rsplit_once('.').unwrap();
        let changed = format!("{head}.{}", signature.chars().rev().collect::<String>());
        assert!(verify(&changed).is_err());
    }

    #[test]
    fn the_none_algorithm_is_refused() {
        let header = base64url(br#"{"alg":"none","typ":"at+jwt","kid":"one"}"#);
        assert!(verify(&format!("{header}.{}.", base64url(b"{}"))).is_err());
    }

    #[test]
    fn a_very_long_token_is_not_parsed() {
        let long = format!("eyJ{}.a.b", "A".repeat(MAX_JWT_BYTES));
        assert_eq!(verify(&long), Err(AccessTokenError::Malformed));
    }

    #[test]
    fn the_jwks_holds_no_private_part() {
        let jwks = keys(&["one"]).jwks();
        assert_eq!(jwks["keys"][0].get("d"), None);
        assert_eq!(jwks["keys"][0]["kid"], "one");
    }
}
