//! Anthropic's API: <https://docs.anthropic.com/en/api>, types as in the official SDK 1.12.

use crate::domain::permission::Capability;

use super::{
    dialect::{Call, Dialect, Endpoint, Kind, Method, no_tool},
    failure::{Failure, FailureCode},
    prices::ToolKind,
    survey::{ROUTED, Rules, STORED_ELSEWHERE, ToolNeeds, Weight},
    usage::AnswerKind,
};

pub(super) const DIALECT: Dialect = Dialect {
    origin: "https://api.anthropic.com",
    // A request names its region, and the answer too.
    has_regional_hosts: false,
    key_header: ("x-api-key", ""),
    // Only for clients that name no version; the SDKs always do, and newer versions exist.
    default_headers: &[("anthropic-version", "2023-06-01")],
    endpoints: &[
        Endpoint { method: Method::Post, path: "/v1/messages", kind: messages(AnswerKind::Messages) },
        Endpoint { method: Method::Post, path: "/v1/messages/count_tokens", kind: messages(AnswerKind::Free) },
        Endpoint { method: Method::Get, path: "/v1/models", kind: Kind::Models },
        Endpoint { method: Method::Get, path: "/v1/models/{model}", kind: Kind::Models },
    ],
    // `beta=true` is what older SDKs' beta namespace sends; the rest pages through the list of models.
    query: &["beta", "limit", "after_id", "before_id"],
    server_tool,
    most_rounds: Some(MOST_ROUNDS),
    error_body,
};

/// "The default limit is 10 iterations per request" (Anthropic's documentation, "Handling stop reasons", `pause_turn`), and one more,
/// which was seen. `max_uses` bounds none of them: a use beyond it is answered with an error, which the model reads too.
const MOST_ROUNDS: u64 = 11;

const fn messages(answer: AnswerKind) -> Kind {
    Kind::Call(Call {
        capability: Capability::Chat,
        rules: &RULES,
        default_model: None,
        model_brings_tool: no_tool,
        // The provider takes no message without one. Who answers behind the operator's own address may, with a default of its own.
        maximum: Some("max_tokens"),
        is_form: false,
        answer,
    })
}

const RULES: Rules = Rules {
    // `input` is what a model passed to a tool, sent back by the caller.
    opaque: &["input", "input_schema", "input_examples", "schema", "metadata", "citations"],
    own_ids: &["tool_use_id", "tool_id", "tab_id", "document_ids", "download_id"],
    text_references: &[],
    reference_types: &[],
    bare_ids: false,
    refused: &[
        ("container", STORED_ELSEWHERE),
        ("thread", STORED_ELSEWHERE),
        ("fallback_credit_token", STORED_ELSEWHERE),
        ("models", ROUTED),
        ("fallback_model", ROUTED),
        ("fallback_models", ROUTED),
    ],
    lists: &[(
        "fallbacks",
        "the provider would choose a model that nobody allowed; list the models, each as an object",
    )],
    noted: &[("mcp_servers", Capability::ServerTools)],
    // A tool that is added in the middle of a conversation.
    tool_keys: &["definition"],
    files: &[],
    weights: &[
        ("max_tokens", Weight::MaxOutput),
        ("service_tier", Weight::Tier),
        ("speed", Weight::Speed),
        ("inference_geo", Weight::Region),
    ],
    // Of models in `fallbacks`.
    deep_weights: &[
        ("max_tokens", Weight::MaxOutput),
        // Of `thinking`: with interleaved thinking it may be more than `max_tokens`.
        ("budget_tokens", Weight::MaxOutput),
        ("speed", Weight::Speed),
    ],
    // Edits that only take from the conversation, and what they are told by. `compact_…` counts as a tool that has no price.
    closed: &[(
        "context_management",
        &[
            "clear_thinking_20251015",
            "clear_tool_uses_20250919",
            "compact_20260112",
            "input_tokens",
            "thinking_turns",
            "tool_uses",
        ],
    )],
    // Not `betas`: the SDKs send those as a header, where they are looked at. Not `compaction`: it reads everything once more.
    weightless: &[
        "cache_control",
        "context_management",
        "diagnostics",
        "messages",
        "metadata",
        "output_config",
        "output_format",
        "stop_sequences",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user_profile_id",
        "workspace_id",
    ],
    media_keys: &["source", "file"],
    text_types: &[
        "adaptive",
        "any",
        "auto",
        "auto_compact",
        "compaction",
        "custom",
        "disabled",
        "enabled",
        "ephemeral",
        "json_schema",
        "none",
        "redacted_thinking",
        "server_tool_use",
        "text",
        "thinking",
        "tool",
        "tool_addition",
        "tool_definition",
        "tool_reference",
        "tool_result",
        "tool_use",
        "web_fetch_tool_result_error",
        "web_search_result",
        "web_search_tool_result",
        "web_search_tool_result_error",
    ],
    carried_by: &[],
    tool_needs,
};

/// Tools that the model only asks for need nothing. Every other one runs at Anthropic, or is too new to know.
fn tool_needs(kind: &str) -> ToolNeeds {
    const CLIENT: [&str; 4] = ["bash_20", "text_editor_20", "computer_20", "memory_20"];
    let is_client_tool = matches!(kind, "" | "custom") || CLIENT.iter().any(|prefix| kind.starts_with(prefix));
    if is_client_tool { ToolNeeds::NOTHING } else { ToolNeeds::SERVER }
}

/// Exact versions. Those of 2026 let the model write and run code over what they bring, whose container is free of charge then.
fn server_tool(kind: &str) -> Option<ToolKind> {
    match kind {
        "web_search_20250305" | "web_search_20260209" | "web_search_20260318" => Some(ToolKind::WebSearch),
        "web_fetch_20250910" | "web_fetch_20260209" | "web_fetch_20260309" | "web_fetch_20260318" => {
            Some(ToolKind::WebFetch)
        }
        _ => None,
    }
}

/// `{"type":"error","error":{"type","message"},"request_id"}`, with what a program can use under `error.aipassport`.
fn error_body(failure: &Failure, request_id: &str) -> serde_json::Value {
    let code = failure.code();
    let kind = match code {
        FailureCode::InvalidRequest
        | FailureCode::FieldNotAllowed
        | FailureCode::TooManyTools
        | FailureCode::TooManyModels
        | FailureCode::WebSocketNotServed => "invalid_request_error",
        FailureCode::BodyTooLarge => "request_too_large",
        FailureCode::InvalidToken | FailureCode::InvalidDpopProof | FailureCode::UseDpopNonce => "authentication_error",
        FailureCode::RequestsExhausted
        | FailureCode::BudgetExhausted
        | FailureCode::TokensExhausted
        | FailureCode::AccountBudgetExhausted => "billing_error",
        FailureCode::GrantPaused
        | FailureCode::PriceUnknown
        | FailureCode::ProviderNotGranted
        | FailureCode::ModelNotGranted
        | FailureCode::CapabilityNotGranted
        | FailureCode::ProviderNotAllowed
        | FailureCode::ModelNotAllowed
        | FailureCode::DelegationNotAllowed
        | FailureCode::EndpointNotGranted => "permission_error",
        FailureCode::RateLimited
        | FailureCode::ConcurrencyExceeded
        | FailureCode::RequestsHeld
        | FailureCode::BudgetHeld
        | FailureCode::TokensHeld
        | FailureCode::AccountBudgetHeld
        | FailureCode::ProviderBusy
        | FailureCode::TooManyWaiting => "rate_limit_error",
        FailureCode::UpstreamTimeout | FailureCode::BodyTimeout => "timeout_error",
        FailureCode::UpstreamUnreachable
        | FailureCode::ProviderKeyRejected
        | FailureCode::ProviderNotConfigured
        | FailureCode::BrokerBusy
        | FailureCode::BrokerUnavailable => "api_error",
    };
    let mut hint = serde_json::to_value(failure.hint()).unwrap_or_default();
    if let Some(hint) = hint.as_object_mut() {
        hint.insert("code".to_owned(), code.as_str().into());
    }
    serde_json::json!({ "type": "error", "error": { "type": kind, "message": failure.message(), "aipassport": hint },
        "request_id": request_id })
}
