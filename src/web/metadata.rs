//! What clients discover: metadata of the authorization server (RFC 8414), the key set, liveness.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Json},
};
use serde_json::json;

use super::{developers, ports::Ports, protected_resource, state::AppState};
use crate::domain::{
    authorization_details::{TYPE_ACCESS, TYPE_LIMITS},
    jose::Algorithm,
    oauth::client::GrantType,
    permission::Provider,
};

/// How long clients may keep the answers, in seconds. A new signing key has to be known before it is used.
pub const CACHE: &str = "public, max-age=300";

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 §3): everything that is supported, and nothing else.
pub async fn authorization_server<P: Ports>(State(state): State<AppState<P>>) -> impl IntoResponse {
    let issuer = &state.config.issuer;
    let scopes: Vec<String> = Provider::ALL.into_iter().flat_map(protected_resource::scopes).collect();
    // What only a program with a secret may ask (RFC 7662 §4), and what an app in a browser may too.
    let proof = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let proof_or_none = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "jwks_uri": format!("{issuer}/jwks.json"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "token_endpoint_auth_methods_supported": proof_or_none,
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "revocation_endpoint_auth_methods_supported": proof_or_none,
        "revocation_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "introspection_endpoint_auth_methods_supported": proof,
        "introspection_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "service_documentation": format!("{issuer}{}", developers::PATH),
        "ui_locales_supported": ["en"],
        // RFC 7636 §6.2.1, RFC 9207 §3, RFC 9396 §10.
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "authorization_details_types_supported": [TYPE_ACCESS, TYPE_LIMITS],
        // RFC 9449 §5.1, RFC 9728 §4.
        "dpop_signing_alg_values_supported": Algorithm::NAMES,
        "protected_resources": protected_resource::all(issuer),
    });
    ([(header::CACHE_CONTROL, CACHE)], Json(metadata))
}

/// `GET /jwks.json` (RFC 7517 §5): the public halves of the signing keys.
pub async fn jwks<P: Ports>(State(state): State<AppState<P>>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHE)], Json(state.config.signing_keys.jwks()))
}

/// `GET /health`: the broker runs and its secrets can be read.
pub async fn health() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "status": "ok" })))
}
