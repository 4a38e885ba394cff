//! `POST /par`: pushed authorization requests ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)). The browser comes with their name to
//! [`super::authorize`].

use axum::{
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
};
use serde::Serialize;

use super::{
    client_auth::{Caller, authenticated_start},
    dpop,
    oauth_response::{EndpointError, no_store},
    ports::Ports,
    rate_limit::network,
    state::AppState,
};
use crate::domain::{
    oauth::pushed_request::{self, TTL_SECONDS, request_uri},
    secret::Secret,
};

/// RFC 9126 §2.2.
#[derive(Serialize)]
struct PushedResponse {
    request_uri: String,
    expires_in: u64,
}

/// `POST /par`.
///
/// # Errors
/// [`EndpointError`]. What `/authorize` shows as a page or sends to the redirect URI, the app is told here (RFC 9126 §2.3).
pub async fn serve<P: Ports>(state: AppState<P>, request: Request) -> Result<Response<Body>, EndpointError> {
    let Caller { client, params, headers } = authenticated_start(&state, request, false).await?;
    let proof = dpop::proof(&state, &headers, "/par").await?;
    let mut request = pushed_request::read(params, &client, &state.config.issuer)?;
    if let Some(proof) = &proof {
        // RFC 9449 §10.1: a proof here says the same as `dpop_jkt`.
        dpop::check_bound(&state, Some(proof), request.dpop_jkt.as_ref())?;
        request.dpop_jkt = Some(proof.jkt.clone());
    }
    let handle = Secret::from_entropy(&state.ports.entropy32());
    let expires_at = state.now.plus_seconds(TTL_SECONDS);
    let network = network(&headers, &state.config.cookie_key);
    state.ports.push_request(&handle.hash(), &request, &network, expires_at, state.now).await?;
    let mut response = no_store(&PushedResponse { request_uri: request_uri(&handle), expires_in: TTL_SECONDS });
    *response.status_mut() = StatusCode::CREATED;
    Ok(dpop::with_fresh_nonce(&state, proof.as_ref(), response))
}
