//! OpenAI's API: <https://platform.openai.com/docs/api-reference>, types as in the official SDK 7.57.

use crate::domain::permission::Capability;

use super::{
    dialect::{Dialect, Endpoint, Kind, Method, STORED_ELSEWHERE, no_tool},
    failure::{Failure, FailureCode},
    survey::Rules,
};

pub(super) const DIALECT: Dialect = Dialect {
    origin: "https://api.openai.com",
    key_header: ("authorization", "Bearer "),
    default_headers: &[],
    endpoints: &[
        Endpoint { method: Method::Post, path: "/v1/chat/completions", kind: CHAT },
        Endpoint { method: Method::Post, path: "/v1/responses", kind: RESPONSES },
        Endpoint { method: Method::Post, path: "/v1/embeddings", kind: call(Capability::Embeddings, None) },
        Endpoint {
            method: Method::Post,
            path: "/v1/moderations",
            kind: call(Capability::Moderation, Some("omni-moderation-latest")),
        },
        Endpoint { method: Method::Get, path: "/v1/models", kind: Kind::Models },
        Endpoint { method: Method::Get, path: "/v1/models/{model}", kind: Kind::Models },
    ],
    query: &[],
    error_body,
};

const CHAT: Kind = Kind::Call {
    capability: Capability::Chat,
    rules: &Rules {
        opaque: &["parameters", "schema", "metadata", "logit_bias", "annotations"],
        references: &["file_id"],
        reference_types: &[],
        refused: &[("store", STORED)],
        noted: &["web_search_options", "audio"],
    },
    default_model: None,
    is_client_tool,
    noted: &[("web_search_options", Capability::ServerTools), ("audio", Capability::Audio)],
    model_brings_tool,
};

const RESPONSES: Kind = Kind::Call {
    capability: Capability::Chat,
    rules: &Rules {
        opaque: &["parameters", "schema", "metadata", "annotations"],
        references: &["file_id", "file_ids", "vector_store_ids", "container_id"],
        reference_types: &["item_reference", "container_reference", "skill_reference"],
        refused: &[
            ("store", STORED),
            ("background", "the answer could only be fetched from the provider later, where apps are not kept apart"),
            ("previous_response_id", STORED_ELSEWHERE),
            ("conversation", STORED_ELSEWHERE),
            ("prompt", STORED_ELSEWHERE),
        ],
        noted: &[],
    },
    default_model: None,
    is_client_tool,
    noted: &[],
    model_brings_tool,
};

const STORED: &str = "what is stored at the provider can not be kept apart between apps; leave it out or send false";

const PLAIN: Rules =
    Rules { opaque: &["metadata"], references: &["file_id"], reference_types: &[], refused: &[], noted: &[] };

const fn call(capability: Capability, default_model: Option<&'static str>) -> Kind {
    Kind::Call {
        capability,
        rules: &PLAIN,
        default_model,
        is_client_tool: no_tool,
        noted: &[],
        model_brings_tool: no_tool,
    }
}

/// Tools that the model only asks for. Every other one runs at OpenAI, or is too new to know: it takes `server_tools`.
fn is_client_tool(kind: &str) -> bool {
    matches!(
        kind,
        "function" | "custom" | "namespace" | "local_shell" | "apply_patch" | "computer" | "computer_use_preview"
    )
}

/// Search models search the web with every answer.
fn model_brings_tool(model: &str) -> bool {
    model.contains("-search-") || model.contains("deep-research")
}

/// `{"error":{"message","type","param","code"}}`, with what a program can use under `aipassport`.
fn error_body(failure: &Failure, _request_id: &str) -> serde_json::Value {
    let code = failure.code();
    let kind = match code {
        FailureCode::InvalidRequest | FailureCode::BodyTooLarge | FailureCode::FieldNotAllowed => {
            "invalid_request_error"
        }
        FailureCode::InvalidToken => "authentication_error",
        FailureCode::RequestsExhausted => "insufficient_quota",
        FailureCode::ProviderNotGranted
        | FailureCode::ModelNotGranted
        | FailureCode::CapabilityNotGranted
        | FailureCode::EndpointNotGranted => "permission_error",
        FailureCode::RateLimited | FailureCode::ConcurrencyExceeded | FailureCode::RequestsHeld => "rate_limit_error",
        FailureCode::UpstreamUnreachable
        | FailureCode::ProviderKeyRejected
        | FailureCode::ProviderNotConfigured
        | FailureCode::BrokerUnavailable
        | FailureCode::UpstreamTimeout => "server_error",
    };
    let param = match failure {
        Failure::FieldNotAllowed { field, .. } => Some(field.as_str()),
        _ => None,
    };
    serde_json::json!({ "error": { "message": failure.message(), "type": kind, "param": param, "code": code.as_str(),
        "aipassport": failure.hint() } })
}
