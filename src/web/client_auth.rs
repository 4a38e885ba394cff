//! How a program proves which app it is, at the endpoints for programs (RFC 6749 §2.3, RFC 7523 §2.2).

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};

use super::{
    clients::{Asks, Unresolved, keys_of, must_be_read, resolve},
    oauth_response::{EndpointError, form},
    ports::{Ports, Write},
    rate_limit::{client_may_go_on, start_may_go_on},
    state::AppState,
};
use crate::domain::oauth::{
    client::{Client, ClientAuth},
    client_assertion::{self, ClientAssertion},
    error::TokenError,
    params::Params,
    token_request::Credentials,
};

impl From<Unresolved> for EndpointError {
    fn from(error: Unresolved) -> Self {
        match error {
            Unresolved::Store(error) => Self::Store(error),
            Unresolved::Document(error) => Self::Refused(TokenError::Document(error)),
        }
    }
}

/// A form, and the client that proved that it sent it.
#[derive(Debug)]
pub struct Caller {
    /// Who.
    pub client: Client,
    /// The form.
    pub params: Params,
    /// What stood before it.
    pub headers: HeaderMap,
}

/// Reads a form and authenticates its client.
///
/// # Errors
/// [`EndpointError`]; with a challenge where the `Authorization` header was used (RFC 6749 §5.2).
pub async fn authenticated_form<P: Ports>(state: &AppState<P>, request: Request) -> Result<Caller, EndpointError> {
    let (headers, params) = form(request).await?;
    authenticated(state, headers, params, Asks::Program).await
}

/// The same, where a client begins something. Unless the request `is_counted` already, one that proves nothing is counted by its address,
/// and so is one whose document may have to be read for it.
///
/// # Errors
/// As [`authenticated_form`].
pub async fn authenticated_start<P: Ports>(
    state: &AppState<P>,
    request: Request,
    is_counted: bool,
) -> Result<Caller, EndpointError> {
    let (headers, params) = form(request).await?;
    let claimed = params.get("client_id").ok().flatten().and_then(|id| id.parse().ok());
    let reads = match &claimed {
        Some(id) => must_be_read(state, id).await?,
        None => false,
    };
    if reads && !is_counted {
        start_may_go_on(&state.ports, &headers).await?;
    }
    let caller = authenticated(state, headers, params, Asks::Starting).await?;
    if caller.client.auth == ClientAuth::Public && !reads && !is_counted {
        start_may_go_on(&state.ports, &caller.headers).await?;
    }
    Ok(caller)
}

async fn authenticated<P: Ports>(
    state: &AppState<P>,
    headers: HeaderMap,
    params: Params,
    asks: Asks,
) -> Result<Caller, EndpointError> {
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    match authenticate(state, authorization, &params, asks).await {
        Ok(client) => {
            client_may_go_on(&state.ports, &client).await?;
            Ok(Caller { client, params, headers })
        }
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
    asks: Asks,
) -> Result<Client, EndpointError> {
    let get = |name| params.get(name).map_err(TokenError::from);
    if let Some(assertion) = get("client_assertion")? {
        // RFC 6749 §2.3: one method per request.
        if authorization.is_some() || get("client_secret")?.is_some() {
            return Err(TokenError::TwoAuthentications.into());
        }
        let kind = get("client_assertion_type")?.ok_or(TokenError::Missing("client_assertion_type"))?;
        client_assertion::check_type(kind).map_err(TokenError::from)?;
        return by_assertion(state, assertion, get("client_id")?, asks).await;
    }
    let credentials = Credentials::from_request(authorization, params)?;
    let client = resolve(state, &credentials.client_id, asks).await?;
    Ok(credentials.authenticate(client)?)
}

/// RFC 7523 §3. An assertion is used up by what it proves.
async fn by_assertion<P: Ports>(
    state: &AppState<P>,
    text: &str,
    client_id: Option<&str>,
    asks: Asks,
) -> Result<Client, EndpointError> {
    let assertion = ClientAssertion::parse(text).map_err(TokenError::from)?;
    let claimed = assertion.unverified_client_id().clone();
    if client_id.is_some_and(|client_id| client_id != claimed.as_str()) {
        return Err(TokenError::TwoAuthentications.into());
    }
    let client = resolve(state, &claimed, asks).await?.ok_or(TokenError::UnknownClient)?;
    let keys = keys_of(state, &client).await.map_err(|error| TokenError::ClientKeys(error.to_string()))?;
    let unverified = assertion.signed_with(&keys).map_err(TokenError::from)?;
    let holds = state.ports.verify_signature(&unverified.signature()).await;
    let signed = holds
        .and_then(|holds| unverified.verified(&holds))
        .map_err(|fails| TokenError::from(client_assertion::AssertionError::from(fails)))?;
    let expected = client_assertion::Expected { client_id: &client.id, issuer: &state.config.issuer, now: state.now };
    let proven = signed.check(&expected).map_err(TokenError::from)?;
    match state.ports.use_id(&proven.id, proven.expires_at).await? {
        Write::Won => Ok(client),
        Write::Lost => Err(TokenError::AssertionReplayed.into()),
    }
}
