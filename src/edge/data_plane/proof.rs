//! `DPoP` at AI calls (RFC 9449 §7): a token that is bound to a key comes with a proof of it.
//!
//! What a proof must say is for [`dpop`], and whether it was used before for the ledger, which asks in the same step as for everything
//! else.

use super::Inbound;
use crate::{
    domain::{
        access_token::AccessClaims,
        ledger::{ProofId, ProofUse, Refusal},
        oauth::dpop::{self, DpopError, Nonces, Proof},
        time::Timestamp,
    },
    edge::{clock, settings::Settings, signatures},
    gateway::{Failure, headers::Presented},
};

/// A proof that is used up with the call.
pub struct Proven {
    /// What the ledger is told of it.
    pub used: ProofUse,
    /// A nonce for the next one, where that of this one is getting old.
    pub next_nonce: Option<String>,
}

/// The proof of a call, where its token needs one.
///
/// # Errors
/// [`Failure::Dpop`]; [`Failure::InvalidToken`] for a bound token that came as another scheme than `DPoP` (§7.2), and for an unbound one
/// that came as that.
pub async fn check(
    inbound: &Inbound,
    presented: &Presented,
    claims: &AccessClaims,
    issuer: &str,
    nonces: &Nonces,
    now: Timestamp,
) -> Result<Option<Proven>, Failure> {
    let jkt = match &claims.confirmation {
        None if presented.with_proof => return Err(Failure::InvalidToken),
        None => return Ok(None),
        Some(_) if !presented.with_proof => return Err(Failure::InvalidToken),
        Some(jkt) => jkt,
    };
    let header = inbound.header("dpop").ok_or(Failure::Dpop(DpopError::Missing))?;
    let unverified = dpop::parse(header).map_err(Failure::Dpop)?;
    let holds = signatures::holds(&unverified.signature()).await;
    let signed = holds.and_then(|holds| unverified.verified(&holds)).map_err(|fails| Failure::Dpop(fails.into()))?;
    let url = format!("{issuer}{}", inbound.path);
    let access_token = Some(presented.token.as_str());
    let expected = dpop::Expected { method: &inbound.method, url: &url, now, access_token, jkt: Some(jkt) };
    let proof = signed.check(&expected, nonces).map_err(Failure::Dpop)?;
    let id = ProofId::try_from(proof.id.as_str().to_owned()).map_err(|_| Failure::BrokerUnavailable)?;
    Ok(Some(Proven { used: ProofUse { id, nonce_at: proof.nonce_at }, next_nonce: next_nonce(&proof, nonces, now) }))
}

fn next_nonce(proof: &Proof, nonces: &Nonces, now: Timestamp) -> Option<String> {
    Nonces::should_renew(proof.nonce_at, now).then(|| nonces.issue(now))
}

/// A nonce for the proof that should come next, where the answer to this one is a 401 about proofs.
#[must_use]
pub fn nonce_for(failure: &Failure, settings: &Settings) -> Option<String> {
    match failure {
        // The ledger says from when on it knows which proofs were used.
        Failure::Refused(Refusal::ProofTooOld { floor }) => Some(settings.nonces.issue(*floor)),
        Failure::Refused(Refusal::ProofReplayed) | Failure::Dpop(_) => Some(settings.nonces.issue(clock::now())),
        _ => None,
    }
}
