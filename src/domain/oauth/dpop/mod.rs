//! Demonstrating Proof of Possession, [RFC 9449](https://www.rfc-editor.org/rfc/rfc9449): the key that a token is bound to signs every
//! request that uses the token.
//!
//! [`parse`] ─▶ the platform checks the signature ─▶ [`SignedProof::check`] ─▶ [`Proof`], whose [`Proof::id`] the caller uses up. The checks
//! are those of [§4.3](https://www.rfc-editor.org/rfc/rfc9449#section-4.3):
//!
//! | point | what | where |
//! |---|---|---|
//! | 1, 2 | one header, one well-formed JWT | [`parse`]: several headers reach us as one with a comma in it |
//! | 3, 4, 5, 7 | claims, `typ`, `alg`, no private key | [`parse`] |
//! | 6 | signature | [`Unverified::verified`] |
//! | 8, 9 | `htm`, `htu` | [`SignedProof::check`] |
//! | 10, 11 | nonce, time | [`SignedProof::check`] with [`Nonces`] |
//! | 12 | `ath`, and the key that the token is bound to | [`SignedProof::check`] |
//!
//! **Time.** Every proof carries a nonce of the server (§8), and the nonce says when it was made: a proof is not older than that, and can't be
//! made ahead. `iat` comes from a clock that is not ours; it must still be within [`IAT_WINDOW_SECONDS`], so that a proof says
//! roughly when it was signed, and a client whose clock is off by more learns it.
//!
//! **Replay.** A proof counts once: whoever accepts one remembers its [`Proof::id`] until [`Proof::forget_at`].

mod nonce;
mod target;

pub use nonce::{NONCE_RENEWAL_SECONDS, NONCE_TTL_SECONDS, NonceError, Nonces};
pub use target::Target;

use serde_json::Value;

use super::replay::{MAX_JTI_BYTES, ReplayId, is_jti};
use crate::domain::{
    encoding::{base64url, sha256},
    jose::{
        JwkThumbprint, Jws, SignatureFails, Unverified,
        jws::JwsError,
        strict::{Members, numeric_date},
    },
    time::Timestamp,
};

/// Longest proof that is looked at. With the largest RSA key it has two thousand.
pub const MAX_PROOF_BYTES: usize = 8 * 1024;
/// `typ` of the header (§4.2).
pub const PROOF_TYPE: &str = "dpop+jwt";
/// How far `iat` may be from now, either way. The nonce says how old the proof is; this says that its clock is roughly right.
pub const IAT_WINDOW_SECONDS: u64 = 300;

/// Why a proof isn't accepted. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// §4.3 point 1.
    #[error("send one DPoP header with one proof")]
    MoreThanOne,
    /// §4.3 points 2, 5 and 7.
    #[error("the DPoP proof can't be read: {0}")]
    Malformed(JwsError),
    /// §4.3 point 4.
    #[error("the header of a DPoP proof has the typ dpop+jwt")]
    Type,
    /// §4.2.
    #[error("the header of a DPoP proof has the member jwk, the public key that it is signed with")]
    MissingKey,
    /// §4.3 point 3.
    #[error("the claim {0} of the DPoP proof is missing or of another type")]
    Claim(&'static str),
    /// Nothing, or more than can be remembered.
    #[error("the claim jti of the DPoP proof has 1 to {MAX_JTI_BYTES} bytes")]
    JwtId,
    /// §4.3 point 6.
    #[error("the signature of the DPoP proof does not verify with its jwk")]
    Signature,
    /// §4.3 point 8.
    #[error("htm of the DPoP proof is not the method of this request")]
    Method,
    /// §4.3 point 9.
    #[error("htu of the DPoP proof is not the address of this request without query and fragment")]
    Url,
    /// §4.3 point 10, §8. The answer carries a nonce, and the client tries again with it.
    #[error("the DPoP proof must contain the nonce from the DPoP-Nonce header of this response")]
    UseNonce,
    /// §4.3 point 11.
    #[error(
        "iat of the DPoP proof is more than {IAT_WINDOW_SECONDS} seconds away from now; set the clock of the device"
    )]
    IssuedAt,
    /// §4.3 point 12, §7.1.
    #[error("ath of the DPoP proof must be the base64url of the SHA-256 hash of the access token")]
    TokenHash,
    /// §4.3 point 12, §10.
    #[error("the DPoP proof is signed with another key than the one that this token or code is bound to")]
    AnotherKey,
}

impl DpopError {
    /// The code of §5 and §12.2, for `error` of a token response or of `WWW-Authenticate: DPoP`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UseNonce => "use_dpop_nonce",
            Self::MoreThanOne
            | Self::Malformed(_)
            | Self::Type
            | Self::MissingKey
            | Self::Claim(_)
            | Self::JwtId
            | Self::Signature
            | Self::Method
            | Self::Url
            | Self::IssuedAt
            | Self::TokenHash
            | Self::AnotherKey => "invalid_dpop_proof",
        }
    }
}

impl From<SignatureFails> for DpopError {
    fn from(_: SignatureFails) -> Self {
        Self::Signature
    }
}

/// A proof whose signature was not checked yet.
pub type UnverifiedProof = Unverified<SignedProof>;

/// A proof that is signed with the key that it names, for whatever request: not a proof of anything until [`SignedProof::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedProof {
    jkt: JwkThumbprint,
    jwt_id: String,
    method: String,
    url: String,
    issued_at: Timestamp,
    token_hash: Option<String>,
    nonce: Option<String>,
}

/// What a proof is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Of the request, as it stands there.
    pub method: &'a str,
    /// Where the request came to: the issuer's origin and the path. A query is ignored.
    pub url: &'a str,
    /// Now.
    pub now: Timestamp,
    /// The access token that came with it; its hash must be in the proof (§7.1). `None` at the token endpoint, where `ath` says nothing
    /// and is ignored like every claim that is not asked for.
    pub access_token: Option<&'a str>,
    /// The key that the access token (`cnf.jkt`, §6.1), the refresh token (§5) or the code (`dpop_jkt`, §10) is bound to. `None`: any key,
    /// to bind a first token to.
    pub jkt: Option<&'a JwkThumbprint>,
}

/// A proof that whoever sent this request holds the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Which key.
    pub jkt: JwkThumbprint,
    /// Names the proof among all: of 128 bits of SHA-256 over `jkt` and `jti`. To be used up.
    pub id: ReplayId,
    /// When the nonce in it was made: the proof is not older. [`Nonces::should_renew`] says whether to send a new one.
    pub nonce_at: Timestamp,
}

impl Proof {
    /// From this moment on its nonce is over, so it need not be remembered.
    #[must_use]
    pub const fn forget_at(&self) -> Timestamp {
        self.nonce_at.plus_seconds(NONCE_TTL_SECONDS)
    }
}

/// Reads the value of a `DPoP` header (§4.1).
///
/// # Errors
/// [`DpopError`].
pub fn parse(header_value: &str) -> Result<UnverifiedProof, DpopError> {
    if header_value.contains(',') {
        return Err(DpopError::MoreThanOne);
    }
    let jws = Jws::parse(header_value, MAX_PROOF_BYTES).map_err(DpopError::Malformed)?;
    if jws.typ() != Some(PROOF_TYPE) {
        return Err(DpopError::Type);
    }
    let key = jws.jwk().cloned().ok_or(DpopError::MissingKey)?;
    let claims = jws.unverified_claims().map_err(DpopError::Malformed)?;
    let proof = SignedProof::from_claims(&claims, key.thumbprint())?;
    Unverified::new(proof, key, jws).map_err(DpopError::Malformed)
}

impl SignedProof {
    fn from_claims(claims: &Members, jkt: JwkThumbprint) -> Result<Self, DpopError> {
        let text = |name: &'static str| optional_text(claims, name)?.ok_or(DpopError::Claim(name));
        let jwt_id = text("jti")?;
        if !is_jti(&jwt_id) {
            return Err(DpopError::JwtId);
        }
        let issued_at = claims.get("iat").and_then(numeric_date).ok_or(DpopError::Claim("iat"))?;
        let (token_hash, nonce) = (optional_text(claims, "ath")?, optional_text(claims, "nonce")?);
        Ok(Self { jkt, jwt_id, method: text("htm")?, url: text("htu")?, issued_at, token_hash, nonce })
    }

    /// Checks the proof against the request that it came with (§4.3 points 8 to 12).
    ///
    /// # Errors
    /// [`DpopError`]. [`DpopError::UseNonce`] comes after what would be wrong with any nonce, so that a client doesn't try again in vain.
    pub fn check(self, expected: &Expected<'_>, nonces: &Nonces) -> Result<Proof, DpopError> {
        if self.method != expected.method {
            return Err(DpopError::Method);
        }
        if !Target::is_same(&self.url, expected.url) {
            return Err(DpopError::Url);
        }
        if let Some(token) = expected.access_token
            && self.token_hash.as_deref() != Some(base64url(&sha256(token.as_bytes())).as_str())
        {
            return Err(DpopError::TokenHash);
        }
        if expected.jkt.is_some_and(|jkt| *jkt != self.jkt) {
            return Err(DpopError::AnotherKey);
        }
        let nonce = self.nonce.as_deref().ok_or(DpopError::UseNonce)?;
        let nonce_at = nonces.read(nonce, expected.now).map_err(|_| DpopError::UseNonce)?;
        if self.issued_at.millis().abs_diff(expected.now.millis()) > IAT_WINDOW_SECONDS * 1000 {
            return Err(DpopError::IssuedAt);
        }
        // A thumbprint always has 43 characters: where `jti` begins is certain.
        let id = ReplayId::new(self.jkt.as_str(), &self.jwt_id);
        Ok(Proof { jkt: self.jkt, id, nonce_at })
    }
}

fn optional_text(claims: &Members, name: &'static str) -> Result<Option<String>, DpopError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(DpopError::Claim(name)),
    }
}

#[cfg(test)]
mod tests;
