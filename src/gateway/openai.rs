//! OpenAI's API: <https://platform.openai.com/docs/api-reference>, types as in the official SDK 7.57.

use crate::domain::permission::Capability;

use super::{
    dialect::{Call, Dialect, Endpoint, Kind, Method, no_tool},
    failure::{Failure, FailureCode},
    survey::{Rules, STORED_ELSEWHERE, ToolNeeds, Weight},
    usage::AnswerKind,
};

pub(super) const DIALECT: Dialect = Dialect {
    origin: "https://api.openai.com",
    key_header: ("authorization", "Bearer "),
    default_headers: &[],
    endpoints: &[
        Endpoint { method: Method::Post, path: "/v1/chat/completions", kind: CHAT },
        Endpoint { method: Method::Post, path: "/v1/responses", kind: RESPONSES },
        Endpoint {
            method: Method::Post,
            path: "/v1/embeddings",
            kind: call(Capability::Embeddings, None, AnswerKind::Embeddings),
        },
        Endpoint {
            method: Method::Post,
            path: "/v1/moderations",
            kind: call(Capability::Moderation, Some("omni-moderation-latest"), AnswerKind::Free),
        },
        Endpoint { method: Method::Get, path: "/v1/models", kind: Kind::Models },
        Endpoint { method: Method::Get, path: "/v1/models/{model}", kind: Kind::Models },
    ],
    query: &[],
    error_body,
};

const CHAT: Kind = Kind::Call(Call {
    capability: Capability::Chat,
    rules: &Rules {
        opaque: &["parameters", "schema", "metadata", "logit_bias", "annotations"],
        own_ids: &["tool_call_id"],
        refused: &[("store", NOT_STORED)],
        noted: &[("web_search_options", Capability::ServerTools), ("audio", Capability::Audio)],
        weights: &[
            ("max_completion_tokens", Weight::MaxOutput),
            ("max_tokens", Weight::MaxOutput),
            ("n", Weight::Choices),
            ("best_of", Weight::Choices),
            ("service_tier", Weight::Tier),
            ("audio", Weight::Spoken),
            ("modalities", Weight::Spoken),
            ("stream_options", Weight::StreamOptions),
        ],
        weightless: &[
            "frequency_penalty",
            "function_call",
            "functions",
            "logit_bias",
            "logprobs",
            "messages",
            "metadata",
            "moderation",
            "parallel_tool_calls",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "reasoning_effort",
            "response_format",
            "safety_identifier",
            "seed",
            "stop",
            "temperature",
            "tool_choice",
            "tools",
            "top_logprobs",
            "top_p",
            "user",
            "verbosity",
        ],
        ..RULES
    },
    default_model: None,
    model_brings_tool,
    maximum: Some("max_completion_tokens"),
    answer: AnswerKind::Chat,
});

const RESPONSES: Kind = Kind::Call(Call {
    capability: Capability::Chat,
    rules: &Rules {
        // The checks are named by ids of this very conversation.
        opaque: &[
            "parameters",
            "schema",
            "metadata",
            "annotations",
            "pending_safety_checks",
            "acknowledged_safety_checks",
        ],
        // A connector is a kind of service, such as `connector_dropbox`.
        own_ids: &["call_id", "caller_id", "item_id", "approval_request_id", "connector_id"],
        weights: &[
            ("max_output_tokens", Weight::MaxOutput),
            ("max_tool_calls", Weight::ToolUses),
            ("service_tier", Weight::Tier),
        ],
        // Not `context_management`: compaction reads everything once more.
        weightless: &[
            "include",
            "input",
            "instructions",
            "metadata",
            "moderation",
            "parallel_tool_calls",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "reasoning",
            "safety_identifier",
            "stream_options",
            "temperature",
            "text",
            "tool_choice",
            "tools",
            "top_logprobs",
            "top_p",
            "truncation",
            "user",
        ],
        reference_types: &["item_reference", "container_reference", "skill_reference"],
        refused: &[
            ("store", "what is stored at the provider can not be kept apart between apps; send false"),
            ("background", "the answer could only be fetched from the provider later, where apps are not kept apart"),
            ("conversation", STORED_ELSEWHERE),
            ("prompt", STORED_ELSEWHERE),
        ],
        ..RULES
    },
    default_model: None,
    model_brings_tool,
    maximum: Some("max_output_tokens"),
    answer: AnswerKind::Responses,
});

const NOT_STORED: &str =
    "what is stored at the provider can not be kept apart between apps; leave it out or send false";

/// What holds at every endpoint.
const RULES: Rules = Rules {
    opaque: &["metadata"],
    own_ids: &[],
    // A code interpreter's container: text is the name of one that is there already.
    text_references: &["container"],
    reference_types: &[],
    // `type` may be left out of an item reference; spoken answers are referred to by their id alone.
    bare_ids: true,
    refused: &[],
    lists: &[],
    noted: &[],
    tool_keys: &[],
    weights: &[("service_tier", Weight::Tier)],
    weightless: &["input", "dimensions", "encoding_format", "user"],
    media_keys: &["image_url", "input_audio", "file", "file_url", "file_data", "file_uri"],
    text_types: &[
        "additional_tools",
        "allowed_tools",
        "apply_patch_call",
        "apply_patch_call_output",
        "approximate",
        "auto",
        "compaction",
        "content",
        "custom",
        "custom_tool_call",
        "custom_tool_call_output",
        "disabled",
        "exec",
        "function",
        "function_call",
        "function_call_output",
        "grammar",
        "input_text",
        "json_object",
        "json_schema",
        "local_shell_call",
        "local_shell_call_output",
        "message",
        "output_text",
        "reasoning",
        "reasoning_text",
        "refusal",
        "summary_text",
        "text",
        "web_search_call",
    ],
    tool_needs,
};

const fn call(capability: Capability, default_model: Option<&'static str>, answer: AnswerKind) -> Kind {
    Kind::Call(Call { capability, rules: &RULES, default_model, model_brings_tool: no_tool, maximum: None, answer })
}

/// Tools that the model only asks for need nothing. Every other one runs at OpenAI, or is too new to know.
fn tool_needs(kind: &str) -> ToolNeeds {
    match kind {
        "function" | "custom" | "namespace" | "local_shell" | "apply_patch" | "computer" | "computer_use_preview" => {
            ToolNeeds::NOTHING
        }
        // Without a model it runs one that nobody allowed.
        "image_generation" => ToolNeeds { capabilities: &[Capability::ServerTools, Capability::Images], model: true },
        _ => ToolNeeds::SERVER,
    }
}

/// Search models search the web with every answer.
fn model_brings_tool(model: &str) -> bool {
    model.contains("-search") || model.contains("deep-research")
}

/// `{"error":{"message","type","param","code"}}`, with what a program can use under `aipassport`.
fn error_body(failure: &Failure, _request_id: &str) -> serde_json::Value {
    let code = failure.code();
    let kind = match code {
        FailureCode::InvalidRequest | FailureCode::BodyTooLarge | FailureCode::FieldNotAllowed => {
            "invalid_request_error"
        }
        FailureCode::InvalidToken => "authentication_error",
        FailureCode::RequestsExhausted | FailureCode::BudgetExhausted | FailureCode::TokensExhausted => {
            "insufficient_quota"
        }
        FailureCode::GrantPaused
        | FailureCode::PriceUnknown
        | FailureCode::ProviderNotGranted
        | FailureCode::ModelNotGranted
        | FailureCode::CapabilityNotGranted
        | FailureCode::EndpointNotGranted => "permission_error",
        FailureCode::RateLimited
        | FailureCode::ConcurrencyExceeded
        | FailureCode::RequestsHeld
        | FailureCode::BudgetHeld
        | FailureCode::TokensHeld => "rate_limit_error",
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
