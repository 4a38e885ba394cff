//! What the broker's resources say about themselves, [RFC 9728](https://www.rfc-editor.org/rfc/rfc9728): an app that knows no more than a
//! base URL learns here where to get a token for it. A 401 names the document (§5.1).
//!
//! A resource is the broker itself, or the base URL of one provider: what `resource` of RFC 8707 takes.

use axum::{
    http::header,
    response::{IntoResponse, Json},
};
use serde_json::{Value, json};

use super::{developers, oauth_response::CACHE, ports::Ports, state::AppState};
use crate::domain::{
    authorization_details::{TYPE_ACCESS, TYPE_LIMITS},
    jose::Algorithm,
    permission::{Capability, Provider},
};

/// Where the document is; a resource's own path stands behind it (§3.1).
pub const PATH: &str = "/.well-known/oauth-protected-resource";

/// Where the document of a resource is: of a provider's base URL, or of the broker itself.
#[must_use]
pub fn address(issuer: &str, provider: Option<Provider>) -> String {
    format!("{issuer}{PATH}{}", provider.map_or("", Provider::base_path))
}

/// The scopes that are for one provider.
pub fn scopes(provider: Provider) -> impl Iterator<Item = String> {
    Capability::ALL.iter().map(move |capability| format!("{provider}:{capability}"))
}

/// All resources of a broker.
#[must_use]
pub fn all(issuer: &str) -> Vec<String> {
    let bases = Provider::ALL.map(|provider| format!("{issuer}{}", provider.base_path()));
    core::iter::once(issuer.to_owned()).chain(bases).collect()
}

/// `provider`: of its base URL; none: of the broker itself.
fn document(issuer: &str, provider: Option<Provider>) -> Value {
    let (path, name, scopes): (_, _, Vec<String>) = match provider {
        Some(provider) => {
            let name = format!("{} through AIPassport", provider.display_name());
            (provider.base_path(), name, scopes(provider).collect())
        }
        None => ("", "AIPassport".to_owned(), Provider::ALL.into_iter().flat_map(scopes).collect()),
    };
    json!({
        "resource": format!("{issuer}{path}"),
        "authorization_servers": [issuer],
        "scopes_supported": scopes,
        // A key in a header of its provider's own is a bearer token too, but has no name here (§2).
        "bearer_methods_supported": ["header"],
        "resource_name": name,
        "resource_documentation": format!("{issuer}{}", developers::PATH),
        "authorization_details_types_supported": [TYPE_ACCESS, TYPE_LIMITS],
        "dpop_signing_alg_values_supported": Algorithm::NAMES,
        "dpop_bound_access_tokens_required": false,
    })
}

/// `GET /.well-known/oauth-protected-resource`: the broker itself.
pub async fn broker<P: Ports>(state: AppState<P>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHE)], Json(document(&state.config.issuer, None)))
}

/// `GET /.well-known/oauth-protected-resource/openai/v1`.
pub async fn openai<P: Ports>(state: AppState<P>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHE)], Json(document(&state.config.issuer, Some(Provider::OpenAi))))
}

/// `GET /.well-known/oauth-protected-resource/anthropic`.
pub async fn anthropic<P: Ports>(state: AppState<P>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, CACHE)], Json(document(&state.config.issuer, Some(Provider::Anthropic))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::oauth::resource::Resources;

    #[test]
    fn every_resource_is_one_that_a_token_can_be_for_rfc_8707_2() {
        let issuer = "https://broker.example";
        let resources = all(issuer);
        assert_eq!(resources, [issuer, "https://broker.example/openai/v1", "https://broker.example/anthropic"]);
        assert!(Resources::read(resources.iter().map(String::as_str), issuer).is_ok());
    }

    #[test]
    fn the_well_known_part_stands_before_the_resource_s_path_rfc_9728_3_1() {
        let address = |provider| address("https://broker.example", provider);
        assert_eq!(address(None), "https://broker.example/.well-known/oauth-protected-resource");
        let openai = address(Some(Provider::OpenAi));
        assert_eq!(openai, "https://broker.example/.well-known/oauth-protected-resource/openai/v1");
    }

    #[test]
    fn a_provider_s_document_offers_its_own_scopes_alone() {
        for provider in Provider::ALL {
            let document = document("https://broker.example", Some(provider));
            let scopes = document["scopes_supported"].as_array().unwrap();
            assert!(!scopes.is_empty());
            let own = format!("{provider}:");
            assert!(scopes.iter().all(|scope| scope.as_str().unwrap().starts_with(&own)), "{scopes:?}");
        }
    }
}
