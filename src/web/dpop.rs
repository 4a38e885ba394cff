//! `DPoP` proofs at the OAuth endpoints (RFC 9449 §5, §8).

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response},
};

use super::{
    oauth_response::{DPOP_NONCE, EndpointError},
    ports::{Ports, Write},
    state::AppState,
};
use crate::domain::{
    jose::JwkThumbprint,
    oauth::{
        dpop::{self, DpopError, Nonces, Proof},
        error::TokenError,
    },
};

/// The proof.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
/// The proof of a request to `path`, checked and used up; `None` where there is none.
///
/// # Errors
/// [`EndpointError`]; the answer of [`DpopError::UseNonce`] carries a nonce.
pub async fn proof<P: Ports>(
    state: &AppState<P>,
    headers: &HeaderMap,
    path: &str,
) -> Result<Option<Proof>, EndpointError> {
    let mut values = headers.get_all(DPOP).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(TokenError::Dpop(DpopError::MoreThanOne).into());
    }
    let unverified = dpop::parse(value.to_str().unwrap_or("")).map_err(TokenError::from)?;
    let holds = state.ports.verify_signature(&unverified.signature()).await;
    let signed =
        holds.and_then(|holds| unverified.verified(&holds)).map_err(DpopError::from).map_err(TokenError::from)?;
    let url = format!("{}{path}", state.config.issuer);
    let expected = dpop::Expected { method: "POST", url: &url, now: state.now, access_token: None, jkt: None };
    let nonces = Nonces::new(state.config.cookie_key.clone());
    match signed.check(&expected, &nonces) {
        Ok(proof) => match state.ports.use_id(&proof.id, proof.forget_at()).await? {
            Write::Won => Ok(Some(proof)),
            Write::Lost => Err(TokenError::DpopReplayed.into()),
        },
        Err(error @ DpopError::UseNonce) => Err(EndpointError::NeedsNonce(error.into(), nonces.issue(state.now))),
        Err(error) => Err(TokenError::from(error).into()),
    }
}

/// The error of a request that had to bring a proof and didn't. It carries a nonce, so that the next one succeeds.
#[must_use]
pub fn required<P: Ports>(state: &AppState<P>) -> EndpointError {
    let nonces = Nonces::new(state.config.cookie_key.clone());
    EndpointError::NeedsNonce(TokenError::DpopRequired, nonces.issue(state.now))
}

/// Whether a request is by whoever holds the key that something is bound to.
///
/// # Errors
/// Another key, or no proof.
pub fn check_bound<P: Ports>(
    state: &AppState<P>,
    proof: Option<&Proof>,
    bound_to: Option<&JwkThumbprint>,
) -> Result<(), EndpointError> {
    match (bound_to, proof) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(required(state)),
        (Some(key), Some(proof)) if *key == proof.jkt => Ok(()),
        (Some(_), Some(_)) => Err(TokenError::Dpop(DpopError::AnotherKey).into()),
    }
}

/// Adds a nonce to the answer, where the one that came is getting old (§8.2).
#[must_use]
pub fn with_fresh_nonce<P: Ports>(
    state: &AppState<P>,
    proof: Option<&Proof>,
    mut response: Response<Body>,
) -> Response<Body> {
    let is_due = proof.is_some_and(|proof| Nonces::should_renew(proof.nonce_at, state.now));
    let nonce = is_due.then(|| Nonces::new(state.config.cookie_key.clone()).issue(state.now));
    if let Some(value) = nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
        response.headers_mut().insert(DPOP_NONCE, value);
    }
    response
}
