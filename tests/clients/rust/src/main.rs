//! An app that uses the crate `oauth2` (<https://docs.rs/oauth2>). The test that leads it is `oauth2-crate.test.mjs`: what it is told
//! stands in `CLIENT_INPUT`, and each line it writes is a question whose answer is the next line it reads.

use std::{
    cell::Cell,
    env,
    error::Error,
    io::{Write, stdin, stdout},
    thread::sleep,
    time::Duration,
};

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, DeviceAuthorizationUrl,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, IntrospectionUrl, PkceCodeChallenge, RedirectUrl,
    RefreshToken, RequestTokenError, RevocationUrl, Scope, StandardDeviceAuthorizationResponse, StandardRevocableToken,
    StandardTokenResponse, TokenIntrospectionResponse, TokenResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
    http::Response,
    url::Url,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Given {
    issuer: Url,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    method: String,
    redirect_uri: RedirectUrl,
    scope: Scope,
    details: Value,
}

/// What the token response says beyond RFC 6749 §5.1 (RFC 9396 §7).
#[derive(Debug, Deserialize, Serialize)]
struct Granted {
    authorization_details: Value,
}

impl ExtraTokenFields for Granted {}

type Tokens = StandardTokenResponse<Granted, BasicTokenType>;
type App = Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointSet,
    EndpointSet,
    EndpointSet,
    EndpointSet,
>;

/// Asks the test; answers what it said.
fn ask(question: &str, value: &Value) -> Outcome<Value> {
    let mut out = stdout().lock();
    writeln!(out, "{}", json!({ question: value }))?;
    out.flush()?;
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// The transport. The crate insists on https for revocation, and the broker on this machine has none: the last hop is in clear.
fn send(request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.to_string().replacen("https://", "http://", 1).parse().map_err(oauth2::http::Error::from)?;
    let mut answer = agent.run(oauth2::http::Request::from_parts(parts, body))?;
    let bytes = answer.body_mut().read_to_vec()?;
    let (parts, _) = answer.into_parts();
    Ok(Response::from_parts(parts, bytes))
}

/// RFC 8414 §3: the crate leaves discovery to the app.
fn discover(issuer: &Url) -> Outcome<Value> {
    let url = issuer.join("/.well-known/oauth-authorization-server")?;
    let answer = send(oauth2::http::Request::get(url.as_str()).body(Vec::new())?)?;
    Ok(serde_json::from_slice(answer.body())?)
}

fn app(given: &Given, metadata: &Value) -> Outcome<App> {
    let endpoint = |name: &str| metadata[name].as_str().map(ToOwned::to_owned).ok_or(format!("no {name}"));
    let revocation = endpoint("revocation_endpoint")?.replacen("http://", "https://", 1);
    let client: Client<_, Tokens, _, _, _> = Client::new(given.client_id.clone());
    let client = client
        .set_auth_uri(AuthUrl::new(endpoint("authorization_endpoint")?)?)
        .set_token_uri(TokenUrl::new(endpoint("token_endpoint")?)?)
        .set_device_authorization_url(DeviceAuthorizationUrl::new(endpoint("device_authorization_endpoint")?)?)
        .set_introspection_url(IntrospectionUrl::new(endpoint("introspection_endpoint")?)?)
        .set_revocation_url(RevocationUrl::new(revocation)?)
        .set_redirect_uri(given.redirect_uri.clone())
        .set_auth_type(if given.method == "client_secret_basic" { AuthType::BasicAuth } else { AuthType::RequestBody });
    Ok(match &given.client_secret {
        Some(secret) => client.set_client_secret(secret.clone()),
        None => client,
    })
}

/// Sends the person to the broker and redeems the code; an error that comes back instead is the answer's `Err`.
fn connect(given: &Given, app: &App, with_details: bool) -> Outcome<Result<Tokens, String>> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let request = app.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge);
    let request = if with_details {
        request.add_extra_param("authorization_details", given.details.to_string())
    } else {
        request.add_scope(given.scope.clone())
    };
    let (link, state) = request.url();
    let location = Url::parse(ask("visit", &json!(link.as_str()))?.as_str().ok_or("no address")?)?;
    let parameter =
        |name: &str| location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if parameter("state").as_ref() != Some(state.secret()) {
        return Err("another state".into());
    }
    if let Some(error) = parameter("error") {
        return Ok(Err(error));
    }
    let code = AuthorizationCode::new(parameter("code").ok_or("no code")?);
    match app.exchange_code(code).set_pkce_verifier(verifier).request(&send) {
        Ok(tokens) => Ok(Ok(tokens)),
        Err(RequestTokenError::ServerResponse(error)) => Ok(Err(error.error().to_string())),
        Err(error) => Err(error.into()),
    }
}

fn refresh(app: &App, token: &RefreshToken) -> Outcome<Result<Tokens, String>> {
    match app.exchange_refresh_token(token).request(&send) {
        Ok(tokens) => Ok(Ok(tokens)),
        Err(RequestTokenError::ServerResponse(error)) => Ok(Err(error.error().to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Connects, calls, refreshes, revokes.
fn story(given: &Given, app: &App) -> Outcome<()> {
    let first = connect(given, app, false)??;
    ask("works", &json!(first.access_token().secret()))?;
    let second = refresh(app, first.refresh_token().ok_or("no refresh token")?)??;
    ask("works", &json!(second.access_token().secret()))?;
    let last = second.refresh_token().ok_or("no refresh token")?;
    app.revoke_token(StandardRevocableToken::from(last))?.request(&send)?;
    ask("is_over", &json!(second.access_token().secret()))?;
    ask("refused", &json!(refresh(app, last)?.err()))?;
    Ok(())
}

/// Shows a code and polls until the person has decided (RFC 8628). The person comes to it between the first poll and the second.
fn device(given: &Given, app: &App) -> Outcome<()> {
    let shown: StandardDeviceAuthorizationResponse =
        app.exchange_device_code().add_scope(given.scope.clone()).request(&send)?;
    let link = shown.verification_uri_complete().ok_or("no address with the code in it")?.secret();
    let is_decided = Cell::new(false);
    let wait = |interval| {
        if !is_decided.replace(true) {
            // Without an answer the next poll is told to wait, and the test ends this program.
            ask("decide", &json!(link)).ok();
        }
        sleep(interval);
    };
    match app.exchange_device_access_token(&shown).request(&send, wait, None) {
        Ok(tokens) => ask("works", &json!(tokens.access_token().secret()))?,
        Err(RequestTokenError::ServerResponse(error)) => ask("refused", &json!(error.error().to_string()))?,
        Err(error) => return Err(error.into()),
    };
    Ok(())
}

/// Asks what a token is, before and after it is revoked (RFC 7662).
fn introspect(given: &Given, app: &App) -> Outcome<()> {
    let tokens = connect(given, app, false)??;
    let token = tokens.access_token();
    let found = app.introspect(token).set_token_type_hint("access_token").request(&send)?;
    let what = json!({
        "active": found.active(),
        "client_id": found.client_id(),
        "issuer": found.iss(),
        "token_type": found.token_type(),
        "scopes": found.scopes(),
        "ends": found.exp().map(|exp| exp.timestamp()),
    });
    ask("found", &what)?;
    app.revoke_token(StandardRevocableToken::from(token))?.request(&send)?;
    ask("found_revoked", &json!(app.introspect(token).request(&send)?.active()))?;
    Ok(())
}

fn main() -> Outcome<()> {
    let given: Given = serde_json::from_str(&env::var("CLIENT_INPUT")?)?;
    let app = app(&given, &discover(&given.issuer)?)?;
    match env::args().nth(1).as_deref() {
        Some("story") => story(&given, &app)?,
        Some("device") => device(&given, &app)?,
        Some("introspect") => introspect(&given, &app)?,
        Some("details") => {
            let tokens = connect(&given, &app, true)??;
            ask("granted", &tokens.extra_fields().authorization_details)?;
        }
        Some("denied") => {
            ask("refused", &json!(connect(&given, &app, false)?.err()))?;
        }
        other => return Err(format!("there is no {other:?}").into()),
    }
    Ok(())
}
