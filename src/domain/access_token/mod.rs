//! Access tokens: JWTs after RFC 9068, signed with Ed25519 or, for those who can't verify that, with ECDSA over P-256.
//!
//! A token names a grant and carries no limits: the ledger knows those, so nothing that is granted, spent or revoked can be
//! read from or outdated by a token. jwt-compact checks the signature; `typ`, `iss`, `aud`, `exp` and the length are checked here.

mod keys;
mod wire;

use super::{
    encoding::sha256,
    id::{ClientId, DelegationId, GrantId, UserId},
    jose::JwkThumbprint,
    permission::Permission,
    time::Timestamp,
};
pub use keys::{KeySetError, SigningAlgorithm, SigningKeys};

/// Longest token that is signed or looked at: jwt-compact parses claims before it checks the signature.
pub const MAX_JWT_BYTES: usize = 16 * 1024;
/// `typ` of the header (RFC 9068 §2.1).
pub const TOKEN_TYPE: &str = "at+jwt";
/// Default life of an access token.
pub const ACCESS_TOKEN_TTL_SECONDS: u64 = 3600;
/// Every access token begins with it: base64url of `{"`.
const JWT_START: &str = "eyJ";

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Origin of the broker.
    pub issuer: String,
    /// What it may be used at (RFC 8707 §2): the issuer itself for every provider, or base URLs of single ones. Never empty in a
    /// verified token, and all of them are the issuer's.
    pub audience: Vec<String>,
    /// Who allowed the grant.
    pub subject: UserId,
    /// To which app.
    pub client_id: ClientId,
    /// The grant.
    pub grant_id: GrantId,
    /// The part of the grant that was passed on to an agent, when it was.
    pub delegation: Option<DelegationId>,
    /// What was granted, as scopes (RFC 9068 §2.2.3), when it can be said so.
    pub scope: Option<String>,
    /// What is left of the grant, when this token may do less than it: `authorization_details` (RFC 9396 §9.1). Limits don't travel:
    /// the ledger knows them.
    pub narrowed: Option<Vec<Permission>>,
    /// `cnf.jkt`: thumbprint of the key that its bearer must prove to have (RFC 9449 §6.1).
    pub confirmation: Option<JwkThumbprint>,
    /// When the user signed in (RFC 9068 §2.2.1).
    pub auth_time: Option<Timestamp>,
    /// Unique name of this token.
    pub jwt_id: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From this moment on it is refused.
    pub expires_at: Timestamp,
}

impl AccessClaims {
    /// Whether it may be used at `resource`, the base URL of a provider such as `https://broker.example/openai/v1`: it names that,
    /// or the whole broker (RFC 9068 §4).
    #[must_use]
    pub fn is_for(&self, issuer: &str, resource: &str) -> bool {
        self.audience.iter().any(|audience| audience == issuer || audience == resource)
    }
}

/// Why a token isn't issued or accepted. To the outside all of them are one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// Not a JWT, or longer than [`MAX_JWT_BYTES`].
    #[error("malformed")]
    Malformed,
    /// Another `typ`, or an algorithm that isn't its key's.
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
    /// Not signed: it would be longer than [`MAX_JWT_BYTES`], and nobody would look at it.
    #[error("the claims make a token longer than {MAX_JWT_BYTES} bytes")]
    TooLong,
    /// Not signed: the set has no key of this algorithm.
    #[error("SIGNING_KEYS holds no key that signs with {0}")]
    NoKeyFor(SigningAlgorithm),
}

/// Whether text could be an access token of this broker: cheap enough to ask of every header.
#[must_use]
pub fn looks_like_a_token(text: &str) -> bool {
    text.starts_with(JWT_START) && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Names a token in the isolate's memory of verified ones, without keeping the token.
#[must_use]
pub fn fingerprint(token: &str) -> [u8; 32] {
    sha256(token.as_bytes())
}

/// Claims that the tests of the room change one thing in each.
#[cfg(test)]
pub(crate) fn example_claims(issuer: &str, issued_at: Timestamp) -> AccessClaims {
    AccessClaims {
        issuer: issuer.into(),
        audience: vec![issuer.into()],
        subject: "user_a".parse().unwrap(),
        client_id: "app_a".parse().unwrap(),
        grant_id: "grant_a".parse().unwrap(),
        delegation: None,
        scope: None,
        narrowed: None,
        confirmation: None,
        auth_time: None,
        jwt_id: "jti".into(),
        issued_at,
        expires_at: issued_at.plus_seconds(ACCESS_TOKEN_TTL_SECONDS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://broker.example";

    fn is_for(audience: &[&str], resource: &str) -> bool {
        let audience = audience.iter().map(|text| (*text).to_owned()).collect();
        let claims = example_claims(ISSUER, Timestamp::from_seconds(1));
        AccessClaims { audience, ..claims }.is_for(ISSUER, resource)
    }

    /// RFC 9068 §4.
    #[test]
    fn a_token_for_the_whole_broker_is_for_each_of_its_resources() {
        assert!(is_for(&[ISSUER], "https://broker.example/openai/v1"));
        assert!(is_for(&["https://broker.example/anthropic", ISSUER], "https://broker.example/openai/v1"));
    }

    /// RFC 8707 §2: a resource is compared as it stands.
    #[test]
    fn a_token_for_one_resource_is_for_no_other() {
        let only = &["https://broker.example/openai/v1"];
        assert!(is_for(only, "https://broker.example/openai/v1"));
        for other in
            ["https://broker.example/anthropic", "https://broker.example/openai/v11", "https://broker.example/openai"]
        {
            assert!(!is_for(only, other), "{other}");
        }
        assert!(!is_for(&[], "https://broker.example/openai/v1"));
    }
}
