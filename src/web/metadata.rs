//! What clients discover: RFC 8414 metadata, the key set, liveness.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Json},
};
use serde_json::{Value, json};

use super::{ports::Ports, state::AppState};
use crate::domain::{
    authorization_details::{TYPE_ACCESS, TYPE_LIMITS},
    permission::{Capability, Provider},
};

/// How long clients may keep the answers, in seconds. A new signing key has to be known before it is used.
const CACHE: &str = "public, max-age=300";

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 §3): everything that is supported, and nothing else.
pub async fn authorization_server<P: Ports>(State(state): State<AppState<P>>) -> impl IntoResponse {
    let issuer = &state.config.issuer;
    let scopes: Vec<String> = Provider::ALL
        .iter()
        .flat_map(|provider| Capability::ALL.iter().map(move |capability| format!("{provider}:{capability}")))
        .collect();
    let client_auth = ["none", "client_secret_basic", "client_secret_post"];
    let policy = state.config.registration;
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "jwks_uri": format!("{issuer}/jwks.json"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": client_auth,
        "revocation_endpoint_auth_methods_supported": client_auth,
        // RFC 7636 §6.2.1, RFC 9207 §3, RFC 9396 §10.
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "authorization_details_types_supported": [TYPE_ACCESS, TYPE_LIMITS],
        // draft-ietf-oauth-client-id-metadata-document.
        "client_id_metadata_document_supported": policy.takes_documents,
    });
    // RFC 7591 §3.
    if let (true, Value::Object(members)) = (policy.is_dynamic, &mut metadata) {
        members.insert("registration_endpoint".to_owned(), format!("{issuer}/register").into());
    }
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
