//! How a program proves which app it is, at the endpoints for programs (RFC 6749 §2.3, RFC 7523 §2.2).

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};

use super::{
    clients::{Asks, Known, Unresolved, keys_of, look_up, read_document},
    oauth_response::{EndpointError, form},
    ports::{Ports, Write},
    rate_limit::{client_may_go_on, network, start_may_go_on},
    state::AppState,
};
use crate::domain::{
    id::ClientId,
    oauth::{
        client::{Client, ClientAuth},
        client_assertion::{self, ClientAssertion},
        error::TokenError,
        params::Params,
        token_request::Credentials,
    },
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
    authenticated(state, request, Asks::Program, false).await
}

/// The same, where a client begins something. Unless the request `is_counted` already, one that proves nothing is counted by its address.
///
/// # Errors
/// As [`authenticated_form`].
pub async fn authenticated_start<P: Ports>(
    state: &AppState<P>,
    request: Request,
    is_counted: bool,
) -> Result<Caller, EndpointError> {
    let caller = authenticated(state, request, Asks::Starting, is_counted).await?;
    if caller.client.auth == ClientAuth::Public && !is_counted {
        start_may_go_on(&state.ports, &caller.headers).await?;
    }
    Ok(caller)
}

async fn authenticated<P: Ports>(
    state: &AppState<P>,
    request: Request,
    asks: Asks,
    is_counted: bool,
) -> Result<Caller, EndpointError> {
    let (headers, params) = form(request).await?;
    let look_up = LookUp { state, headers: &headers, asks, is_counted };
    match look_up.authenticate(&params).await {
        Ok(client) => {
            client_may_go_on(&state.ports, &client).await?;
            Ok(Caller { client, params, headers })
        }
        Err(EndpointError::Refused(error)) if headers.contains_key(header::AUTHORIZATION) => {
            Err(EndpointError::RefusedWithChallenge(error))
        }
        Err(error) => Err(error),
    }
}

/// How the client of a request is found, whichever way it says who it is. Reading its document for it is counted by the address that asks:
/// a stranger can name any.
struct LookUp<'a, P> {
    state: &'a AppState<P>,
    headers: &'a HeaderMap,
    asks: Asks,
    is_counted: bool,
}

impl<P: Ports> LookUp<'_, P> {
    async fn find(&self, id: &ClientId) -> Result<Option<Client>, EndpointError> {
        match look_up(self.state, id, self.asks).await? {
            Known::Ready(client) => Ok(client),
            Known::Unread(known) => {
                if !self.is_counted {
                    start_may_go_on(&self.state.ports, self.headers).await?;
                }
                let network = network(self.headers, &self.state.config.cookie_key);
                Ok(Some(read_document(self.state, id, known, &network).await?))
            }
        }
    }

    async fn authenticate(&self, params: &Params) -> Result<Client, EndpointError> {
        let authorization = self.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let get = |name| params.get(name).map_err(TokenError::from);
        if let Some(assertion) = get("client_assertion")? {
            // RFC 6749 §2.3: one method per request.
            if authorization.is_some() || get("client_secret")?.is_some() {
                return Err(TokenError::TwoAuthentications.into());
            }
            let kind = get("client_assertion_type")?.ok_or(TokenError::Missing("client_assertion_type"))?;
            client_assertion::check_type(kind).map_err(TokenError::from)?;
            return self.by_assertion(assertion, get("client_id")?).await;
        }
        let credentials = Credentials::from_request(authorization, params)?;
        let client = self.find(&credentials.client_id).await?;
        Ok(credentials.authenticate(client)?)
    }

    /// RFC 7523 §3. An assertion is used up by what it proves.
    async fn by_assertion(&self, text: &str, client_id: Option<&str>) -> Result<Client, EndpointError> {
        let state = self.state;
        let assertion = ClientAssertion::parse(text).map_err(TokenError::from)?;
        let claimed = assertion.unverified_client_id().clone();
        if client_id.is_some_and(|client_id| client_id != claimed.as_str()) {
            return Err(TokenError::TwoAuthentications.into());
        }
        let client = self.find(&claimed).await?.ok_or(TokenError::UnknownClient)?;
        let keys = keys_of(state, &client).await.map_err(|error| TokenError::ClientKeys(error.to_string()))?;
        let unverified = assertion.signed_with(&keys).map_err(TokenError::from)?;
        let holds = state.ports.verify_signature(&unverified.signature()).await;
        let signed = holds
            .and_then(|holds| unverified.verified(&holds))
            .map_err(|fails| TokenError::from(client_assertion::AssertionError::from(fails)))?;
        let expected =
            client_assertion::Expected { client_id: &client.id, issuer: &state.config.issuer, now: state.now };
        let proven = signed.check(&expected).map_err(TokenError::from)?;
        match state.ports.use_id(&proven.id, proven.expires_at).await? {
            Write::Won => Ok(client),
            Write::Lost => Err(TokenError::AssertionReplayed.into()),
        }
    }
}
