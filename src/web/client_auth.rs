//! How a program proves which app it is, at `/token` and `/revoke` (RFC 6749 §2.3).

use axum::{
    extract::Request,
    http::{HeaderValue, header},
};

use super::{
    clients::{Asks, Unresolved, resolve},
    oauth_response::{EndpointError, form},
    ports::Ports,
    state::AppState,
};
use crate::domain::oauth::{client::Client, error::TokenError, params::Params, token_request::Credentials};

impl From<Unresolved> for EndpointError {
    fn from(error: Unresolved) -> Self {
        match error {
            Unresolved::Store(error) => Self::Store(error),
            Unresolved::Document(error) => Self::Refused(TokenError::Document(error)),
        }
    }
}

/// The form of a request, and the client that proved that it sent it.
///
/// # Errors
/// [`EndpointError`]; with a challenge where the `Authorization` header was used (RFC 6749 §5.2).
pub async fn authenticated_form<P: Ports>(
    state: &AppState<P>,
    request: Request,
) -> Result<(Client, Params), EndpointError> {
    let (headers, params) = form(request).await?;
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let client = authenticate(state, authorization, &params).await;
    match client {
        Ok(client) => Ok((client, params)),
        Err(EndpointError::Refused(error)) if authorization.is_some() => {
            Err(EndpointError::RefusedWithChallenge(error))
        }
        Err(error) => Err(error),
    }
}

async fn authenticate<P: Ports>(
    state: &AppState<P>,
    authorization: Option<&[u8]>,
    params: &Params,
) -> Result<Client, EndpointError> {
    let credentials = Credentials::from_request(authorization, params)?;
    let client = resolve(state, &credentials.client_id, Asks::Program).await?;
    Ok(credentials.authenticate(client)?)
}
