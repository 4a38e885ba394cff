//! Control plane: hosted pages and OAuth endpoints, over the ports of [`ports`].
//!
//! | route | what it does | answers |
//! |---|---|---|
//! | `GET /` | landing page; for a signed-in person what their apps used | 200 |
//! | `GET, POST /sign-in` | one-time link: shown, used | 200, 303; 400 |
//! | `POST /language` | the pages in another language | 303; 403 |
//! | `POST /sign-in/passkey`, `…/options` | a passkey signs in | 200, 303; 400, 403 |
//! | `GET, POST /recover` | a recovery code signs in | 200, 303; 400 |
//! | `POST /confirm`, `…/options` | it is still the same person; the interrupted form goes on | 200; 400, 401, 403 |
//! | `GET, POST /invitation`, `…/options` | who was invited becomes a user | 200, 303; 400, 404 |
//! | `POST /sign-out` | ends the session | 303; 401, 403 |
//! | `GET /settings/security` and forms below it | passkeys, recovery codes, sessions | 200, 201, 303; 400, 401, 403, 404 |
//! | `GET, POST /members/invitations`, `…/{id}/revoke` | operators invite people | 200, 201, 303; 400, 401, 403, 404 |
//! | `GET /grants` | what each app may do, and what it used | 200 |
//! | `GET, POST /grants/{grant_id}` | one of them, call by call; change its limits | 200, 303; 400, 401, 403, 404, 409 |
//! | `POST /grants/{grant_id}/pause`, `…/resume`, `…/revoke` | stop it, for now or for ever | 303; 401, 403, 404, 409 |
//! | `POST /grants/{grant_id}/end` | when it ends | 303; 400, 401, 403, 404, 409 |
//! | `POST /grants/{grant_id}/delegations/{delegation_id}/revoke` | end a narrower token | 303; 401, 403, 404 |
//! | `GET /grants/{grant_id}/calls` | the same page, with some of its calls | 200; 400, 404 |
//! | `GET /grants/{grant_id}/calls.csv`, `…/calls.json` | its calls as a file | 200; 400, 404 |
//! | `GET /grants/{grant_id}/live` | what changes while the page is open | 200, 304; 404 |
//! | `GET /grants/{grant_id}/history` | who changed what about it | 200; 400, 404 |
//! | `GET, POST /notices` | what a person was told of their grants; that they read it | 200, 303; 401, 403 |
//! | `GET, POST /settings/webhook`, `POST …/secret`, `…/test`, `…/off` | what an operator's program is told | 200, 201, 303; 400, 401, 403, 404 |
//! | `GET, POST /apps`, `POST /apps/{client_id}/delete` | registered apps | 200, 201, 303; 400, 401, 403, 404 |
//! | `GET /members`, `GET /members/{user_id}`, `POST …/remove` | who has an account here, for operators | 200, 303; 401, 403, 404, 409 |
//! | `GET, POST /settings/policy`, `POST …/tell` | what members may hand on, for operators | 200, 303; 400, 401, 403, 404, 409 |
//! | `GET, POST /tokens`, `GET /tokens/new`, `POST /tokens/{grant_id}/revoke` | tokens of one's own, without an app | 200, 201, 303; 400, 401, 403, 404, 409 |
//! | `GET /activity`, `GET /activity.csv` | who did what, from where | 200; 404 |
//! | `GET /settings`, `POST /settings/name` | a name, and the ways to what else can be set | 200, 303; 400, 401, 403 |
//! | `GET, POST /authorize` | RFC 6749 §4.1.1 with consent | 200, 303; 400, 401, 403 |
//! | `POST /token`, `POST /introspect`, `POST /revoke` | RFC 6749 §3.2, RFC 7662, RFC 7009 | 200; 400, 401, 413 |
//! | `POST /par` | RFC 9126 §2 | 201; 400, 401, 413, 429 |
//! | `GET, POST /device` | RFC 8628 §3.3, on to consent | 200; 400, 401, 403, 429 |
//! | `POST /device_authorization` | RFC 8628 §3.1 | 200; 400, 401, 413, 429 |
//! | `POST /register`, `GET, PUT, DELETE /register/{client_id}` | RFC 7591, RFC 7592 | 200, 201, 204; 400, 401, 403, 413 |
//! | `GET /.well-known/oauth-authorization-server`, `GET /jwks.json` | RFC 8414, RFC 7517 | 200 |
//! | `GET /authorization-details.schema.json` | what an app may ask for | 200 |
//! | `GET /.well-known/oauth-protected-resource`, `…/openai/v1`, `…/anthropic` | RFC 9728 | 200 |
//! | `GET /developers` | how to connect an app | 200 |
//! | `GET /health` | liveness | 200 |
//!
//! Every one of them can be 503, when the store or a secret is not there; a method that isn't listed is 405. Who asks too often gets a
//! 429 ([`rate_limit`]).

mod accounts;
mod activity;
pub mod allowance;
mod answer;
mod apps;
mod asking;
mod audit;
mod authorize;
mod browser;
mod choose_language;
mod client_auth;
pub mod clients;
mod confirm;
mod consent;
mod csv;
mod dashboard;
mod developers;
mod device;
mod device_authorization;
mod dpop;
mod ending;
mod format;
mod frame;
mod grant;
mod grants;
mod headers;
mod home;
mod introspect;
mod language;
pub mod limit;
mod limit_report;
mod limits_form;
mod members;
mod metadata;
mod notices;
mod oauth_response;
mod page;
mod par;
pub mod policy;
mod policy_form;
pub mod ports;
mod proof;
pub mod protected_resource;
pub mod rate_limit;
mod register;
mod revoke;
mod session;
mod settings;
mod sign_in;
mod sign_in_prompt;
mod state;
mod token;
mod tokens;
mod trouble;
mod usage;
mod visitor;
mod webhook;

use core::marker::PhantomData;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response},
    middleware::from_fn,
    routing::{get, post},
};
use tower_service::Service;
use url::Url;

pub use headers::cookie;
use ports::Ports;
pub use session::SESSION_COOKIE;
pub use state::{AppState, Config, LogDetail, RegistrationPolicy};

use crate::domain::oauth::redirect_uri::is_loopback;

/// What programs ask for.
fn endpoints<P: Ports>() -> Router {
    Router::new()
        .route("/token", post(token::serve::<P>).options(oauth_response::preflight))
        .route("/introspect", post(introspect::serve::<P>).options(oauth_response::preflight))
        .route("/par", post(par::serve::<P>).options(oauth_response::preflight))
        .route("/device_authorization", post(device_authorization::serve::<P>).options(oauth_response::preflight))
        .route("/revoke", post(revoke::serve::<P>).options(oauth_response::preflight))
        .route("/register", post(register::create::<P>).options(register::preflight))
        .route(
            "/register/{client_id}",
            get(register::show::<P>)
                .put(register::replace::<P>)
                .delete(register::delete::<P>)
                .options(register::preflight),
        )
        .route(
            "/.well-known/oauth-authorization-server",
            get(metadata::authorization_server::<P>).options(oauth_response::preflight),
        )
        // For clients that look nowhere else: what is not OpenID Connect isn't in it.
        .route(
            "/.well-known/openid-configuration",
            get(metadata::authorization_server::<P>).options(oauth_response::preflight),
        )
        .route(protected_resource::PATH, get(protected_resource::broker::<P>).options(oauth_response::preflight))
        .route(
            "/.well-known/oauth-protected-resource/openai/v1",
            get(protected_resource::openai::<P>).options(oauth_response::preflight),
        )
        .route(
            "/.well-known/oauth-protected-resource/anthropic",
            get(protected_resource::anthropic::<P>).options(oauth_response::preflight),
        )
        .route("/jwks.json", get(metadata::jwks::<P>).options(oauth_response::preflight))
        .route(metadata::SCHEMA_PATH, get(metadata::schema).options(oauth_response::preflight))
        .layer(from_fn(rate_limit::for_programs::<P>))
        .layer(from_fn(oauth_response::readable_from_any_origin))
}

/// The routes, made once, and whatever is asked of them.
#[derive(Clone, Debug)]
pub struct Site<P> {
    router: Router,
    ports: PhantomData<P>,
}

impl<P: Ports> Site<P> {
    /// Makes the routes.
    #[must_use]
    pub fn new() -> Self {
        Self { router: router::<P>().with_state(()), ports: PhantomData }
    }

    /// Answers a request in its own state.
    pub async fn answer(&self, state: AppState<P>, mut request: Request<Body>) -> Response<Body> {
        state.attach(request.extensions_mut());
        match self.router.clone().call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

impl<P: Ports> Default for Site<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Every route.
fn router<P: Ports>() -> Router {
    let pages = Router::new()
        .route("/", get(home::show::<P>))
        .route("/sign-in", get(sign_in::show::<P>).post(sign_in::sign_in::<P>))
        .route("/language", post(choose_language::choose::<P>))
        .route("/sign-in/passkey", post(accounts::passkey_sign_in::sign_in::<P>))
        .route("/sign-in/passkey/options", post(accounts::passkey_sign_in::options::<P>))
        .route("/recover", get(accounts::recover::show).post(accounts::recover::recover::<P>))
        .route("/confirm", post(confirm::confirm::<P>))
        .route("/confirm/options", post(confirm::request_options::<P>))
        .route("/invitation", get(accounts::invitation::show::<P>).post(accounts::invitation::accept::<P>))
        .route("/invitation/options", post(accounts::invitation::creation_options::<P>))
        .route("/sign-out", post(sign_in::sign_out::<P>))
        .route("/grants", get(grants::list::<P>))
        .route("/grants/{grant_id}", get(grant::show::<P>).post(grant::save::<P>))
        .route("/grants/{grant_id}/pause", post(grant::pause::<P>))
        .route("/grants/{grant_id}/resume", post(grant::resume::<P>))
        .route("/grants/{grant_id}/end", post(grant::end::<P>))
        .route("/grants/{grant_id}/revoke", post(grant::revoke::<P>))
        .route("/grants/{grant_id}/delegations/{delegation_id}/revoke", post(grant::revoke_delegation::<P>))
        .route("/grants/{grant_id}/calls", get(grant::show::<P>))
        .route("/grants/{grant_id}/calls.csv", get(grant::csv::<P>))
        .route("/grants/{grant_id}/calls.json", get(grant::json::<P>))
        .route("/grants/{grant_id}/live", get(grant::live::<P>))
        .route("/grants/{grant_id}/history", get(grant::history::<P>))
        .route(notices::PATH, get(notices::list::<P>).post(notices::read::<P>))
        .route(webhook::PATH, get(webhook::show::<P>).post(webhook::save::<P>))
        .route("/settings/webhook/secret", post(webhook::renew_secret::<P>))
        .route("/settings/webhook/test", post(webhook::test::<P>))
        .route("/settings/webhook/off", post(webhook::turn_off::<P>))
        .route("/members", get(members::list::<P>))
        .route("/members/{user_id}", get(members::show::<P>))
        .route("/members/{user_id}/remove", post(members::remove::<P>))
        .route(policy::PATH, get(policy::show::<P>).post(policy::save::<P>))
        .route("/settings/policy/tell", post(policy::tell_again::<P>))
        .route("/apps", get(apps::list::<P>).post(apps::register::<P>))
        .route("/apps/{client_id}/delete", post(apps::delete::<P>))
        .route(accounts::security::SECURITY, get(accounts::security::show::<P>))
        .route("/settings/security/passkeys", post(accounts::passkeys::add::<P>))
        .route("/settings/security/passkeys/add", post(accounts::passkeys::ask::<P>))
        .route("/settings/security/passkeys/options", post(accounts::passkeys::creation_options::<P>))
        .route("/settings/security/passkeys/{passkey_id}/rename", post(accounts::passkeys::rename::<P>))
        .route("/settings/security/passkeys/{passkey_id}/remove", post(accounts::passkeys::remove::<P>))
        .route("/settings/security/recovery-codes", post(accounts::recovery_codes::make::<P>))
        .route("/settings/security/sessions/end-others", post(accounts::sessions::end_others::<P>))
        .route("/settings/security/sessions/{session_id}/end", post(accounts::sessions::end::<P>))
        .route(
            accounts::invitations::INVITATIONS,
            get(accounts::invitations::list::<P>).post(accounts::invitations::invite::<P>),
        )
        .route("/members/invitations/{invitation_id}/revoke", post(accounts::invitations::revoke::<P>))
        .route("/tokens", get(tokens::list::<P>).post(tokens::make::<P>))
        .route("/tokens/new", get(tokens::new::<P>))
        .route("/tokens/{grant_id}/revoke", post(tokens::revoke::<P>))
        .route("/activity", get(activity::show::<P>))
        .route("/activity.csv", get(activity::export::<P>))
        .route("/settings", get(settings::show::<P>))
        .route("/settings/name", post(settings::rename::<P>))
        .route(developers::PATH, get(developers::show::<P>))
        .route("/authorize", get(authorize::show::<P>).post(consent::decide::<P>))
        .route("/device", get(device::show::<P>).post(device::enter::<P>))
        .method_not_allowed_fallback(page::method_not_allowed)
        .layer(from_fn(rate_limit::for_people::<P>))
        .layer(from_fn(page::in_frame))
        .layer(from_fn(session::load::<P>))
        .layer(from_fn(page::private));
    let elsewhere = Router::new()
        .fallback(page::not_found)
        .layer(from_fn(page::in_frame))
        .layer(from_fn(session::load::<P>))
        .layer(from_fn(page::private));
    Router::new().merge(pages).merge(endpoints::<P>()).merge(elsewhere).route("/health", get(metadata::health))
}

/// Another name of this machine isn't the name that cookies and forms go by: a page that is asked for as `127.0.0.1` is asked for
/// again as `localhost`, or the other way about. Anywhere else a second name may be meant.
#[must_use]
pub fn same_page_at_home(config: &Config, url: &Url) -> Option<Response<Body>> {
    let home = Url::parse(&config.issuer).ok()?;
    let is_another_name = is_loopback(url) && is_loopback(&home) && home.origin() != url.origin();
    if !is_another_name || is_for_programs(url.path()) {
        return None;
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(page::see_other(&format!("{}{}{query}", config.issuer, url.path())))
}

/// The answer for `path` when the broker can't even build its state: a secret or a binding is missing.
#[must_use]
pub fn unavailable(path: &str, headers: &HeaderMap) -> Response<Body> {
    if is_for_programs(path) { oauth_response::unavailable(None) } else { page::unavailable(headers, None) }
}

fn is_for_programs(path: &str) -> bool {
    path.starts_with("/register/")
        || path.starts_with("/.well-known/")
        || matches!(
            path,
            "/token"
                | "/par"
                | "/device_authorization"
                | "/introspect"
                | "/revoke"
                | "/register"
                | "/jwks.json"
                | metadata::SCHEMA_PATH
                | "/health"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_home(issuer: &str, asked: &str) -> Option<String> {
        let config = Config { issuer: issuer.to_owned(), ..Config::example() };
        let there = same_page_at_home(&config, &Url::parse(asked).unwrap())?;
        Some(there.headers()["location"].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_page_under_another_name_of_this_machine_is_asked_for_again_under_its_own() {
        let there = at_home("http://localhost:8787", "http://127.0.0.1:8787/sign-in?token=x");
        assert_eq!(there.as_deref(), Some("http://localhost:8787/sign-in?token=x"));
        assert_eq!(at_home("http://localhost:8787", "http://localhost:8787/"), None);
        assert_eq!(at_home("http://localhost:8787", "http://127.0.0.1:8787/health"), None, "not a page");
    }

    #[test]
    fn nobody_is_sent_to_this_machine_from_elsewhere_or_away_from_it() {
        assert_eq!(at_home("https://broker.example", "https://other.example/"), None);
        assert_eq!(at_home("http://localhost:8787", "https://broker.example/"), None);
        assert_eq!(at_home("https://broker.example", "http://127.0.0.1:8787/"), None);
    }
}
