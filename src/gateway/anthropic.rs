//! Anthropic's API: <https://docs.anthropic.com/en/api>, types as in the official SDK 1.12.

use crate::domain::permission::Capability;

use super::{
    dialect::{Dialect, Endpoint, Kind, Method, STORED_ELSEWHERE, no_tool},
    failure::{Failure, FailureCode},
    survey::Rules,
};

pub(super) const DIALECT: Dialect = Dialect {
    origin: "https://api.anthropic.com",
    key_header: ("x-api-key", ""),
    // Only for clients that name no version; the SDKs always do, and newer versions exist.
    default_headers: &[("anthropic-version", "2023-06-01")],
    endpoints: &[
        Endpoint { method: Method::Post, path: "/v1/messages", kind: MESSAGES },
        Endpoint { method: Method::Post, path: "/v1/messages/count_tokens", kind: MESSAGES },
        Endpoint { method: Method::Get, path: "/v1/models", kind: Kind::Models },
        Endpoint { method: Method::Get, path: "/v1/models/{model}", kind: Kind::Models },
    ],
    // `beta=true` is what the SDK's beta namespace sends; the rest pages through the list of models.
    query: &["beta", "limit", "after_id", "before_id"],
    error_body,
};

const MESSAGES: Kind = Kind::Call {
    capability: Capability::Chat,
    rules: &Rules {
        // `input` is what a model passed to a tool, sent back by the caller.
        opaque: &["input", "input_schema", "input_examples", "schema", "metadata", "citations"],
        references: &["file_id"],
        reference_types: &[],
        refused: &[("container", STORED_ELSEWHERE), ("fallback_credit_token", STORED_ELSEWHERE)],
        noted: &["mcp_servers"],
    },
    default_model: None,
    is_client_tool,
    noted: &[("mcp_servers", Capability::ServerTools)],
    model_brings_tool: no_tool,
};

/// Tools that the model only asks for. Every other one runs at Anthropic, or is too new to know: it takes `server_tools`.
fn is_client_tool(kind: &str) -> bool {
    const CLIENT: [&str; 4] = ["bash_20", "text_editor_20", "computer_20", "memory_20"];
    matches!(kind, "" | "custom") || CLIENT.iter().any(|prefix| kind.starts_with(prefix))
}

/// `{"type":"error","error":{"type","message"},"request_id"}`, with what a program can use under `error.aipassport`.
fn error_body(failure: &Failure, request_id: &str) -> serde_json::Value {
    let code = failure.code();
    let kind = match code {
        FailureCode::InvalidRequest | FailureCode::FieldNotAllowed => "invalid_request_error",
        FailureCode::BodyTooLarge => "request_too_large",
        FailureCode::InvalidToken => "authentication_error",
        FailureCode::RequestsExhausted => "billing_error",
        FailureCode::ProviderNotGranted
        | FailureCode::ModelNotGranted
        | FailureCode::CapabilityNotGranted
        | FailureCode::EndpointNotGranted => "permission_error",
        FailureCode::RateLimited | FailureCode::ConcurrencyExceeded | FailureCode::RequestsHeld => "rate_limit_error",
        FailureCode::UpstreamTimeout => "timeout_error",
        FailureCode::UpstreamUnreachable
        | FailureCode::ProviderKeyRejected
        | FailureCode::ProviderNotConfigured
        | FailureCode::BrokerUnavailable => "api_error",
    };
    let mut hint = serde_json::to_value(failure.hint()).unwrap_or_default();
    if let Some(hint) = hint.as_object_mut() {
        hint.insert("code".to_owned(), code.as_str().into());
    }
    serde_json::json!({ "type": "error", "error": { "type": kind, "message": failure.message(), "aipassport": hint },
        "request_id": request_id })
}
