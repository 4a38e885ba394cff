//! Dynamic client registration: `POST /register` ([RFC 7591 §3](https://www.rfc-editor.org/rfc/rfc7591#section-3)), and
//! `GET`, `PUT`, `DELETE /register/{client_id}` ([RFC 7592 §2](https://www.rfc-editor.org/rfc/rfc7592#section-2)).
//!
//! Anybody may register, so a registration proves nothing and the consent page says so. The `registration_access_token` stays the same for
//! as long as the client is there. A secret is answered when it is made, and never again: only its hash is kept.

use axum::{
    body::Body,
    extract::{Path, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Map, Value};

use super::{
    clients::{Removal, remove},
    oauth_response::{self, error_response, no_store, unavailable},
    ports::{Ports, StoreError, Write},
    rate_limit::network,
    state::{AppState, LogDetail},
};
use crate::domain::{
    id::ClientId,
    jose::strict::Members,
    oauth::{
        client::{Client, ClientAuth, ClientKind},
        client_metadata::{AuthMethod, ClientMetadata, MAX_METADATA_BYTES, MetadataError},
        error::ErrorCode,
    },
    secret::{ClientSecret, RegistrationToken, Secret},
    time::Timestamp,
};

/// Most clients that registered themselves and that nobody has granted anything, nor was asked to within a day.
const MAX_UNUSED_CLIENTS: u32 = 1000;

/// Why a registration isn't made, shown or changed.
#[derive(Debug)]
pub enum RegistrationError {
    /// `DYNAMIC_REGISTRATION` is off.
    Off,
    /// The body is too long.
    TooLong,
    /// Another content type.
    NotJson,
    /// What the metadata says (RFC 7591 §3.2.2).
    Metadata(MetadataError),
    /// `client_id` or `client_secret` in an update is another one (RFC 7592 §2.2).
    Another(&'static str),
    /// Very many grants: not all are revoked yet.
    MoreToDo,
    /// No token.
    NoToken,
    /// Another token, or no such client (RFC 7592 §2.1 to §2.3): told apart in the log alone.
    WrongToken(&'static str),
    /// The store can't answer.
    Store(StoreError),
}

impl From<StoreError> for RegistrationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<MetadataError> for RegistrationError {
    fn from(error: MetadataError) -> Self {
        Self::Metadata(error)
    }
}

impl IntoResponse for RegistrationError {
    fn into_response(self) -> Response<Body> {
        let (header, detail) = (self.header(), self.detail());
        let refuse = |status, code, text: &str| error_response(status, code, text.to_owned());
        let mut response = match self {
            Self::Off => refuse(
                StatusCode::FORBIDDEN,
                ErrorCode::AccessDenied,
                "apps can not register themselves at this broker; its users register them by hand",
            ),
            Self::TooLong => {
                let error = MetadataError::TooLong;
                refuse(StatusCode::PAYLOAD_TOO_LARGE, error.code(), &error.description())
            }
            Self::NotJson => {
                refuse(StatusCode::BAD_REQUEST, ErrorCode::InvalidClientMetadata, "the body must be application/json")
            }
            Self::Metadata(error) => refuse(StatusCode::BAD_REQUEST, error.code(), &error.description()),
            Self::Another(member) => {
                let text = format!("{member} must be the one of this client");
                refuse(StatusCode::BAD_REQUEST, ErrorCode::InvalidClientMetadata, &text)
            }
            Self::MoreToDo => refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::TemporarilyUnavailable,
                "this app has very many grants, and not all are revoked yet; delete it again to go on",
            ),
            Self::NoToken | Self::WrongToken(_) => refuse(
                StatusCode::UNAUTHORIZED,
                ErrorCode::InvalidToken,
                "send the registration_access_token of this client as a bearer token",
            ),
            Self::Store(StoreError(detail)) => return unavailable(Some(detail)),
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(LogDetail(detail));
        response
    }
}

impl RegistrationError {
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            // RFC 6750 §3: without a token no error is named.
            Self::NoToken => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"aipassport\""))),
            Self::WrongToken(_) => {
                let challenge = "Bearer realm=\"aipassport\", error=\"invalid_token\"";
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))
            }
            Self::MoreToDo => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::Off | Self::TooLong | Self::NotJson | Self::Metadata(_) | Self::Another(_) | Self::Store(_) => None,
        }
    }

    /// For the log.
    fn detail(&self) -> String {
        match self {
            Self::WrongToken(why) => format!("registration token: {why}"),
            other => format!("{other:?}"),
        }
    }
}

/// `POST /register`.
///
/// # Errors
/// [`RegistrationError`].
pub async fn create<P: Ports>(state: AppState<P>, request: Request) -> Result<Response<Body>, RegistrationError> {
    if !state.config.registration.is_dynamic {
        return Err(RegistrationError::Off);
    }
    let network = network(request.headers(), &state.config.cookie_key);
    let body = json_body(request).await?;
    let (metadata, _) = read(&state, &body)?;
    let token = Secret::<RegistrationToken>::from_entropy(&state.ports.entropy32());
    let secret = metadata.auth_method.needs_secret().then(|| Secret::from_entropy(&state.ports.entropy32()));
    let id = ClientId::from_entropy(state.ports.entropy16());
    let auth = authentication(&metadata.auth_method, secret.as_ref(), None);
    let client = client(metadata, id, ClientKind::Dynamic(token.hash()), auth, state.now);
    state.ports.insert_dynamic_client(&client, &network, MAX_UNUSED_CLIENTS).await?;
    let mut response = no_store(&information(&state, &client, &token, secret.as_ref()));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// `GET /register/{client_id}` (RFC 7592 §2.1).
///
/// # Errors
/// [`RegistrationError`].
pub async fn show<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, RegistrationError> {
    let (client, token) = authorized(&state, &id, &headers).await?;
    Ok(no_store(&information(&state, &client, &token, None)))
}

/// `PUT /register/{client_id}` (RFC 7592 §2.2): the metadata takes the place of what was there; what it leaves out is deleted. A client
/// that needs a secret and had none gets one. Members that the broker alone sets are not looked at.
///
/// # Errors
/// [`RegistrationError`].
pub async fn replace<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response<Body>, RegistrationError> {
    let (before, token) = authorized(&state, &id, request.headers()).await?;
    let body = json_body(request).await?;
    let (metadata, members) = read(&state, &body)?;
    if members.get("client_id").and_then(Value::as_str) != Some(before.id.as_str()) {
        return Err(RegistrationError::Another("client_id"));
    }
    let sent = match members.get("client_secret") {
        None => None,
        Some(sent) => Some(matching_secret(sent, &before).ok_or(RegistrationError::Another("client_secret"))?),
    };
    let needs_new = metadata.auth_method.needs_secret() && before.auth.secret_hash().is_none();
    let new = needs_new.then(|| Secret::from_entropy(&state.ports.entropy32()));
    let auth = authentication(&metadata.auth_method, new.as_ref(), Some(&before.auth));
    let keeps_secret = auth.secret_hash().is_some();
    let after = client(metadata, before.id, ClientKind::Dynamic(token.hash()), auth, before.created_at);
    if state.ports.update_dynamic_client(&after).await? == Write::Lost {
        return Err(RegistrationError::WrongToken("deleted meanwhile"));
    }
    let secret = new.or(sent).filter(|_| keeps_secret);
    Ok(no_store(&information(&state, &after, &token, secret.as_ref())))
}

/// `DELETE /register/{client_id}` (RFC 7592 §2.3): takes back every grant that the client has, and then the client.
///
/// # Errors
/// [`RegistrationError`].
pub async fn delete<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, RegistrationError> {
    let (client, _) = authorized(&state, &id, &headers).await?;
    match remove(&state, &client.id).await? {
        Removal::MoreToDo => Err(RegistrationError::MoreToDo),
        Removal::Done | Removal::Gone => {
            Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response())
        }
    }
}

/// Answers a browser that asks whether its app may call.
pub async fn preflight() -> impl IntoResponse {
    let methods = [(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS")];
    let mut response = oauth_response::preflight().await.into_response();
    response.headers_mut().remove(header::ACCESS_CONTROL_ALLOW_METHODS);
    (methods, response)
}

/// What a client says of itself, if this broker can do as it wants.
fn read<P>(state: &AppState<P>, body: &[u8]) -> Result<(ClientMetadata, Members), RegistrationError> {
    let (metadata, members) = ClientMetadata::parse(body, state.config.registration.reach)?;
    if !state.config.signing_keys.supports(metadata.access_token_alg) {
        return Err(MetadataError::AccessTokenAlg.into());
    }
    Ok((metadata, members))
}

/// The client that the bearer token belongs to, if it is the one of this name.
async fn authorized<P: Ports>(
    state: &AppState<P>,
    id: &str,
    headers: &HeaderMap,
) -> Result<(Client, Secret<RegistrationToken>), RegistrationError> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or(RegistrationError::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(RegistrationError::NoToken);
    }
    let token = Secret::parse(token.trim()).map_err(|_| RegistrationError::WrongToken("malformed"))?;
    let id = id.parse().map_err(|_| RegistrationError::WrongToken("no client"))?;
    let client = state.ports.find_client(&id).await?.ok_or(RegistrationError::WrongToken("no client"))?;
    match &client.kind {
        ClientKind::Dynamic(hash) if *hash == token.hash() => Ok((client, token)),
        ClientKind::Dynamic(_) => Err(RegistrationError::WrongToken("of another client")),
        ClientKind::Registered(_) | ClientKind::Document { .. } => Err(RegistrationError::WrongToken("not dynamic")),
    }
}

fn matching_secret(sent: &Value, client: &Client) -> Option<Secret<ClientSecret>> {
    let sent = Secret::parse(sent.as_str()?).ok()?;
    (client.auth.secret_hash() == Some(&sent.hash())).then_some(sent)
}

async fn json_body(request: Request) -> Result<Vec<u8>, RegistrationError> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json") {
        return Err(RegistrationError::NotJson);
    }
    let body = axum::body::to_bytes(body, MAX_METADATA_BYTES).await.map_err(|_| RegistrationError::TooLong)?;
    Ok(body.to_vec())
}

/// `new` is a secret made for it, `before` what it had.
fn authentication(method: &AuthMethod, new: Option<&Secret<ClientSecret>>, before: Option<&ClientAuth>) -> ClientAuth {
    match method {
        AuthMethod::PrivateKeyJwt(keys) => ClientAuth::PrivateKey(keys.clone()),
        AuthMethod::None => ClientAuth::Public,
        AuthMethod::SecretBasic | AuthMethod::SecretPost => {
            let hash = new.map(Secret::hash).or_else(|| before.and_then(ClientAuth::secret_hash).cloned());
            hash.map_or(ClientAuth::Public, ClientAuth::Confidential)
        }
    }
}

fn client(metadata: ClientMetadata, id: ClientId, kind: ClientKind, auth: ClientAuth, created_at: Timestamp) -> Client {
    Client {
        id,
        kind,
        name: metadata.name,
        home_page: metadata.client_uri,
        logo_uri: metadata.logo_uri,
        redirect_uris: metadata.redirect_uris,
        grant_types: metadata.grant_types,
        auth,
        prefers_secret_in_body: metadata.auth_method == AuthMethod::SecretPost,
        requires_par: metadata.requires_par,
        requires_dpop: metadata.requires_dpop,
        access_token_alg: metadata.access_token_alg,
        described: metadata.described,
        created_at,
    }
}

/// RFC 7591 §3.2.1 and RFC 7592 §3. `secret`: when the caller has just been given it, or has just shown it.
fn information<P>(
    state: &AppState<P>,
    client: &Client,
    token: &Secret<RegistrationToken>,
    secret: Option<&Secret<ClientSecret>>,
) -> Map<String, Value> {
    let mut members = ClientMetadata::of(client).to_json();
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    set("client_id", client.id.as_str().into());
    set("client_id_issued_at", client.created_at.seconds().into());
    if let Some(secret) = secret {
        set("client_secret", secret.expose_secret().into());
    }
    if client.auth.secret_hash().is_some() {
        // Never.
        set("client_secret_expires_at", 0.into());
    }
    set("registration_access_token", token.expose_secret().into());
    set("registration_client_uri", format!("{}/register/{}", state.config.issuer, client.id).into());
    members
}
