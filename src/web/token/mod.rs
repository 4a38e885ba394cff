//! `POST /token`: codes and refresh tokens become access tokens (RFC 6749 §4.1.3, §6), and tokens become narrower ones (RFC 8693).

mod code;
mod device;
mod exchange;
mod issue;

use super::{
    client_auth::{Caller, authenticated_form},
    dpop,
    oauth_response::{EndpointError, no_store},
    ports::Ports,
    state::AppState,
};
use crate::domain::oauth::{
    error::TokenError,
    token_request::{TokenRequest, Wanted},
};
use axum::{body::Body, extract::Request, http::Response};
use issue::Ask;

/// `POST /token`.
///
/// # Errors
/// [`EndpointError`].
pub async fn serve<P: Ports>(state: AppState<P>, request: Request) -> Result<Response<Body>, EndpointError> {
    let Caller { client, params, headers } = authenticated_form(&state, request).await?;
    let proof = dpop::proof(&state, &headers, "/token").await?;
    if client.requires_dpop && proof.is_none() {
        return Err(dpop::required(&state));
    }
    let request = TokenRequest::parse(&params)?;
    if !client.may_use(request.grant_type()) {
        return Err(TokenError::GrantTypeNotRegistered.into());
    }
    let wanted = Wanted::parse(&params, &state.config.issuer)?;
    let ask = Ask { state: &state, client: &client, proof };
    let response = match request {
        TokenRequest::AuthorizationCode { code, redirect_uri, verifier } => {
            ask.redeem(&code, redirect_uri.as_deref(), &verifier, wanted).await?
        }
        TokenRequest::RefreshToken { token } => ask.refresh(&token, wanted).await?,
        TokenRequest::DeviceCode { code } => device::redeem(&ask, &code, wanted).await?,
        TokenRequest::TokenExchange(exchange) => exchange::serve(&ask, &exchange, wanted).await?,
    };
    Ok(dpop::with_fresh_nonce(&state, ask.proof.as_ref(), no_store(&response)))
}
