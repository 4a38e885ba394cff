//! What clients discover: metadata of the authorization server (RFC 8414), the key set, liveness.

use axum::{
    http::header,
    response::{IntoResponse, Json},
};
use serde_json::{Value, json};

use super::{developers, oauth_response::CACHE, ports::Ports, protected_resource, state::AppState};
use crate::domain::{
    authorization_details::{TYPE_ACCESS, TYPE_LIMITS},
    jose::Algorithm,
    oauth::{answer::ResponseMode, client::GrantType, prompt::Prompt},
    permission::Provider,
};

/// Where [`schema`] is.
pub const SCHEMA_PATH: &str = "/authorization-details.schema.json";
/// What an app may ask for, for programs and editors.
const SCHEMA: &str = include_str!("../../docs/authorization-details.schema.json");

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 §3): everything that is supported, and nothing else. The same stands at
/// `/.well-known/openid-configuration`, where clients look that were made for `OpenID` Connect: without the members for ID tokens.
pub async fn authorization_server<P: Ports>(state: AppState<P>) -> impl IntoResponse {
    let issuer = &state.config.issuer;
    let scopes: Vec<String> = Provider::ALL.into_iter().flat_map(protected_resource::scopes).collect();
    // What only a program with a secret may ask (RFC 7662 §4), and what an app in a browser may too.
    let proof = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let proof_or_none = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    let policy = state.config.registration;
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "pushed_authorization_request_endpoint": format!("{issuer}/par"),
        "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device_authorization"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "jwks_uri": format!("{issuer}/jwks.json"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::ALL.map(|(name, _)| name),
        "prompt_values_supported": Prompt::VALUES,
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
        // No RFC has a name for it: a JSON schema of `authorization_details`.
        "authorization_details_schema_uri": format!("{issuer}{SCHEMA_PATH}"),
        // RFC 9126 §5. A client may be registered so that it has to (§6).
        "require_pushed_authorization_requests": false,
        // OpenID Connect Discovery §3: absent would mean true. A pushed request is named by `request_uri` regardless (RFC 9126 §5).
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        // draft-ietf-oauth-client-id-metadata-document.
        "client_id_metadata_document_supported": policy.takes_documents,
        // RFC 9449 §5.1, RFC 9728 §4.
        "dpop_signing_alg_values_supported": Algorithm::NAMES,
        "protected_resources": protected_resource::all(issuer),
    });
    // RFC 7591 §3.
    if let (true, Value::Object(members)) = (policy.is_dynamic, &mut metadata) {
        members.insert("registration_endpoint".to_owned(), format!("{issuer}/register").into());
    }
    ([(header::CACHE_CONTROL, CACHE)], Json(metadata))
}

/// `GET /authorization-details.schema.json`: what `authorization_details` may hold, as JSON Schema 2020-12.
pub async fn schema() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHE), (header::CONTENT_TYPE, "application/schema+json")], SCHEMA)
}

/// `GET /jwks.json` (RFC 7517 §5): the public halves of the signing keys.
pub async fn jwks<P: Ports>(state: AppState<P>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHE)], Json(state.config.signing_keys.jwks()))
}

/// `GET /health`: the broker runs and its secrets can be read.
pub async fn health() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "status": "ok" })))
}
