//! OpenAI's API: <https://platform.openai.com/docs/api-reference>, types as in the official SDK 7.57.

use crate::domain::permission::Capability;

use super::{
    dialect::{Call, Dialect, Endpoint, Kind, Method, no_tool},
    failure::{Failure, FailureCode},
    prices::ToolKind,
    survey::{ROUTED, Rules, STORED_ELSEWHERE, ToolNeeds, Weight},
    usage::AnswerKind,
};

pub(super) const DIALECT: Dialect = Dialect {
    origin: "https://api.openai.com",
    has_regional_hosts: true,
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
        Endpoint { method: Method::Post, path: "/v1/images/generations", kind: images(false) },
        Endpoint { method: Method::Post, path: "/v1/images/edits", kind: images(true) },
        Endpoint { method: Method::Post, path: "/v1/audio/speech", kind: SPEECH },
        Endpoint { method: Method::Post, path: "/v1/audio/transcriptions", kind: TRANSCRIPTION },
        Endpoint { method: Method::Post, path: "/v1/audio/translations", kind: TRANSCRIPTION },
        Endpoint { method: Method::Get, path: "/v1/models", kind: Kind::Models },
        Endpoint { method: Method::Get, path: "/v1/models/{model}", kind: Kind::Models },
    ],
    query: &[],
    server_tool,
    most_rounds: None,
    error_body,
};

const CHAT: Kind = Kind::Call(Call {
    capability: Capability::Chat,
    rules: &Rules {
        opaque: &["parameters", "schema", "metadata", "logit_bias", "annotations"],
        own_ids: &["tool_call_id"],
        refused: &[
            ("store", NOT_STORED),
            ("models", ROUTED),
            ("fallbacks", ROUTED),
            ("fallback_model", ROUTED),
            ("fallback_models", ROUTED),
        ],
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
        // Not `prediction`: what of it is rejected is billed as written, whatever the maximum.
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
    is_form: false,
    answer: AnswerKind::Chat,
});

const RESPONSES: Kind = Kind::Call(Call {
    capability: Capability::Chat,
    rules: &Rules {
        // The checks are named by ids of this very conversation. Codex labels its calls, and messages in them, with ids of its own; no
        // model reads those.
        opaque: &[
            "parameters",
            "schema",
            "metadata",
            "client_metadata",
            "internal_chat_message_metadata_passthrough",
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
            "client_metadata",
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
            ("models", ROUTED),
            ("fallbacks", ROUTED),
            ("fallback_model", ROUTED),
            ("fallback_models", ROUTED),
        ],
        ..RULES
    },
    default_model: None,
    model_brings_tool,
    maximum: Some("max_output_tokens"),
    is_form: false,
    answer: AnswerKind::Responses,
});

/// Images, made of words (JSON) or of other images (a form).
const fn images(is_form: bool) -> Kind {
    Kind::Call(Call {
        capability: Capability::Images,
        rules: &Rules {
            opaque: &["metadata", "prompt", "user", "safety_identifier"],
            files: &["image", "images", "mask", "markup"],
            weights: &[("n", Weight::Choices), ("output_format", Weight::Format), ("service_tier", Weight::Tier)],
            // The bound is that of the largest image and of all its previews.
            weightless: &[
                "background",
                "frame_count",
                "moderation",
                "output_compression",
                "partial_images",
                "prompt",
                "quality",
                "response_format",
                "safety_identifier",
                "size",
                "style",
                "svg",
                "user",
            ],
            ..RULES
        },
        default_model: None,
        model_brings_tool: no_tool,
        maximum: None,
        is_form,
        answer: AnswerKind::Images,
    })
}

/// A voice of one's own is named by its id, which is refused like every other.
const SPEECH: Kind = Kind::Call(Call {
    capability: Capability::Audio,
    rules: &Rules {
        weights: &[("input", Weight::Characters), ("service_tier", Weight::Tier)],
        weightless: &["instructions", "language", "response_format", "speed", "stream_format", "voice"],
        ..RULES
    },
    default_model: None,
    model_brings_tool: no_tool,
    maximum: None,
    is_form: false,
    answer: AnswerKind::Speech,
});

const TRANSCRIPTION: Kind = Kind::Call(Call {
    capability: Capability::Audio,
    rules: &Rules { opaque: &["metadata", "prompt", "keywords", "known_speaker_names"], files: &["file"], ..RULES },
    default_model: None,
    model_brings_tool: no_tool,
    maximum: None,
    is_form: true,
    answer: AnswerKind::Transcription,
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
    refused: &[("models", ROUTED), ("fallbacks", ROUTED), ("fallback_model", ROUTED), ("fallback_models", ROUTED)],
    lists: &[],
    noted: &[],
    tool_keys: &[],
    files: &[],
    weights: &[("service_tier", Weight::Tier)],
    deep_weights: &[],
    closed: &[],
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
    carried_by: &[("reasoning", "encrypted_content"), ("compaction", "encrypted_content")],
    tool_needs,
};

const fn call(capability: Capability, default_model: Option<&'static str>, answer: AnswerKind) -> Kind {
    Kind::Call(Call {
        capability,
        rules: &RULES,
        default_model,
        model_brings_tool: no_tool,
        maximum: None,
        is_form: false,
        answer,
    })
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

/// All of them search the web, each search at a price.
fn server_tool(kind: &str) -> Option<ToolKind> {
    const WEB_SEARCH: [&str; 4] =
        ["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"];
    WEB_SEARCH.contains(&kind).then_some(ToolKind::WebSearch)
}

/// Search models search the web with every answer.
fn model_brings_tool(model: &str) -> bool {
    model.contains("-search") || model.contains("deep-research")
}

/// `{"error":{"message","type","param","code"}}`, with what a program can use under `aipassport`.
fn error_body(failure: &Failure, _request_id: &str) -> serde_json::Value {
    let code = failure.code();
    let kind = match code {
        FailureCode::InvalidRequest
        | FailureCode::BodyTooLarge
        | FailureCode::BodyTimeout
        | FailureCode::FieldNotAllowed
        | FailureCode::TooManyTools
        | FailureCode::TooManyModels
        | FailureCode::WebSocketNotServed => "invalid_request_error",
        FailureCode::InvalidToken | FailureCode::InvalidDpopProof | FailureCode::UseDpopNonce => "authentication_error",
        FailureCode::RequestsExhausted
        | FailureCode::BudgetExhausted
        | FailureCode::TokensExhausted
        | FailureCode::AccountBudgetExhausted => "insufficient_quota",
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
        FailureCode::UpstreamUnreachable
        | FailureCode::ProviderKeyRejected
        | FailureCode::ProviderNotConfigured
        | FailureCode::BrokerBusy
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

#[cfg(test)]
mod tests {
    use super::{
        super::{Plan, Request, Sent, prices::PriceBook},
        *,
    };
    use crate::domain::{
        ledger::{Need, Worst},
        money::NanoUsd,
        permission::Provider,
    };

    fn plan(path: &str, body: &str, content_type: Option<&str>) -> Result<Plan, Failure> {
        let request = Request { provider: Provider::OpenAi, method: Some(Method::Post), path, query: None };
        let sent = Sent { body: body.as_bytes(), content_type };
        request.route()?.plan(sent, &PriceBook::built_in())
    }

    fn json(path: &str, body: &str) -> Result<Plan, Failure> {
        plan(path, body, Some("application/json"))
    }

    /// A form of fields; a name that ends in `*` is a file's.
    fn form(path: &str, fields: &[(&str, &str)]) -> Result<Plan, Failure> {
        let part = |(name, text): &(&str, &str)| {
            let (name, file) = name.strip_suffix('*').map_or((*name, ""), |name| (name, "; filename=\"f.bin\""));
            format!("--X1\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n")
        };
        let body: String = fields.iter().map(part).chain(["--X1--\r\n".to_owned()]).collect();
        plan(path, &body, Some("multipart/form-data; boundary=\"X1\""))
    }

    fn need(plan: &Plan) -> (Vec<&str>, &[Capability]) {
        match &plan.claim.need {
            Need::Model { models, capabilities } => (models.iter().map(String::as_str).collect(), capabilities),
            Need::Models { .. } => panic!("not a call"),
        }
    }

    fn unknown(plan: Result<Plan, Failure>) -> String {
        match plan.unwrap().claim.worst {
            Worst::Unknown(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn most(plan: Result<Plan, Failure>) -> NanoUsd {
        match plan.unwrap().claim.worst {
            Worst::Bound(bound) => bound.nano_usd(),
            other => panic!("{other:?}"),
        }
    }

    fn refused(plan: Result<Plan, Failure>) -> String {
        match plan {
            Err(Failure::FieldNotAllowed { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    const IMAGES: &str = "/v1/images/generations";
    const EDITS: &str = "/v1/images/edits";
    const TO_SPEAK: &str = "/v1/audio/speech";
    const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

    #[test]
    fn images_take_their_own_capability_and_are_bound_by_their_number() {
        let one = json(IMAGES, r#"{"model":"gpt-image-1","prompt":"a dog"}"#);
        assert_eq!(need(one.as_ref().unwrap()), (vec!["gpt-image-1"], &[Capability::Images][..]));
        let two = json(IMAGES, r#"{"model":"gpt-image-1","prompt":"a dog","n":2,"stream":true,"partial_images":3}"#);
        // 6,540 tokens at 40 USD a million, for each.
        let (one, two) = (most(one), most(two));
        assert!((261_600_000..300_000_000).contains(&one.0), "{one}");
        assert!((523_200_000..562_000_000).contains(&two.0), "{two}");
        assert!(unknown(json(IMAGES, r#"{"model":"gpt-image-2","prompt":"a dog"}"#)).contains("max_output"));
    }

    #[test]
    fn an_image_that_another_model_writes_or_that_has_frames_is_not_bound() {
        let image = |more: &str| json(IMAGES, &format!(r#"{{"model":"gpt-image-1","prompt":"a"{more}}}"#));
        let gif = unknown(image(r#","output_format":"gif","frame_count":16"#));
        assert!(gif.contains("output_format gif"), "{gif}");
        assert_eq!(refused(image(r#","output_format":"svg""#)), "output_format");
        let svg = image(r#","output_format":"svg","svg":{"model":"gpt-5.1"}"#).unwrap();
        assert_eq!(need(&svg).0, ["gpt-image-1", "gpt-5.1"]);
        assert!(unknown(Ok(svg)).contains("output_format svg"));
        most(image(r#","output_format":"webp""#));
        assert!(matches!(json(IMAGES, r#"{"prompt":"a"}"#), Err(Failure::InvalidRequest(_))));
    }

    #[test]
    fn speech_takes_audio_and_is_bound_by_its_characters_where_those_are_billed() {
        let speech = json(TO_SPEAK, r#"{"model":"tts-1","voice":"ash","input":"gr\u00fc\u00df dich \ud83d\ude80"}"#);
        assert_eq!(need(speech.as_ref().unwrap()), (vec!["tts-1"], &[Capability::Audio][..]));
        assert_eq!(speech.as_ref().unwrap().meterage.characters, Some(12), "an emoji is two");
        // 15 USD a million, and no character is shorter than a byte.
        assert!(most(speech).0 >= 12 * 15_000);
        let by_length =
            json(TO_SPEAK, r#"{"model":"gpt-4o-mini-tts","voice":"ash","input":"x","stream_format":"sse"}"#);
        assert!(unknown(by_length).contains("max_output"));
        let twice = r#"{"model":"tts-1","voice":"ash","input":"x","input":"a longer one"}"#;
        assert!(matches!(json(TO_SPEAK, twice), Err(Failure::InvalidRequest(_))));
    }

    #[test]
    fn a_voice_that_is_stored_at_the_provider_is_refused() {
        let body = r#"{"model":"tts-1","voice":{"id":"voice_1234"},"input":"x"}"#;
        assert_eq!(refused(json(TO_SPEAK, body)), "id");
    }

    #[test]
    fn a_transcription_takes_audio_and_is_never_bound() {
        for path in [TRANSCRIPTIONS, "/v1/audio/translations"] {
            let plan = form(path, &[("file*", "ID3"), ("model", "whisper-1"), ("prompt", "{ not JSON")]);
            let plan = plan.unwrap();
            assert_eq!(need(&plan), (vec!["whisper-1"], &[Capability::Audio][..]));
            assert_eq!(plan.content_type, "multipart/form-data; boundary=X1");
            assert!(unknown(Ok(plan)).contains("how long the audio is"));
        }
        let fields = [("stream", "true"), ("model", "gpt-4o-transcribe"), ("chunking_strategy[type]", "server_vad")];
        assert!(form(TRANSCRIPTIONS, &fields).unwrap().stream);
    }

    #[test]
    fn an_edit_takes_images_and_is_not_bound() {
        let fields = [("image[]*", "a"), ("image[]*", "b"), ("mask*", "c"), ("model", "gpt-image-1"), ("n", "2")];
        let plan = form(EDITS, &fields).unwrap();
        assert_eq!(need(&plan), (vec!["gpt-image-1"], &[Capability::Images][..]));
        assert!(unknown(Ok(plan)).contains("window"));
    }

    #[test]
    fn a_form_is_a_form_and_json_is_json() {
        let body = r#"{"model":"whisper-1"}"#;
        for content_type in [None, Some("application/json"), Some("multipart/form-data")] {
            assert!(matches!(plan(TRANSCRIPTIONS, body, content_type), Err(Failure::InvalidRequest(_))));
        }
        // What is read as JSON goes up as JSON.
        let speech = plan(TO_SPEAK, r#"{"model":"tts-1","input":"x"}"#, Some("multipart/form-data; boundary=a"));
        assert_eq!(speech.unwrap().content_type, "application/json");
    }

    #[test]
    fn a_field_of_a_form_that_parsers_read_differently_is_refused() {
        let file = ("file*", "ID3");
        for fields in [
            &[file, ("model", "whisper-1"), ("model", "gpt-4o-transcribe")][..],
            &[file, ("model", "whisper-1"), ("model[]", "gpt-4o-transcribe")],
            &[file, ("model", "whisper-1"), ("model.id", "gpt-4o-transcribe")],
            &[file, ("model", "whisper-1"), ("Model", "gpt-4o-transcribe")],
            &[file, ("model*", "whisper-1")],
            &[file, ("model", "whisper-1"), ("model*", "gpt-4o-transcribe")],
            &[file, ("model", " whisper-1")],
            &[file, ("model", "whisper-1\n")],
            &[file, ("model", "")],
            &[file, ("model", "whisper-1"), ("stream", "1")],
            &[file, ("model", "whisper-1"), ("stream", "true"), ("stream", "false")],
            &[file, ("model", "whisper-1"), ("a[Model]", "x")],
            &[file, ("model", "whisper-1"), ("a", "{\"model\":\"x\",\"model\":")],
            &[file],
            &[("file", "file-1234"), ("model", "whisper-1")],
        ] {
            assert!(matches!(form(TRANSCRIPTIONS, fields), Err(Failure::InvalidRequest(_))), "{fields:?}");
        }
        for n in ["", "1.5", "+1", " 1", "0x2", "1_0", "9999999999999", "one"] {
            let fields = [("image*", "a"), ("model", "gpt-image-1"), ("n", n)];
            assert!(matches!(form(EDITS, &fields), Err(Failure::InvalidRequest(_))), "{n:?}");
        }
    }

    #[test]
    fn a_form_reaches_no_stored_data_and_no_model_unseen() {
        for (name, text, field) in [
            ("file_id", "file-1", "file_id"),
            ("images[0][file_id]", "file-1", ""),
            ("markups[0][file_id]", "file-1", "file_id"),
            ("mark", r#"{"file_id":"file-1"}"#, "file_id"),
            ("voice[id]", "voice-1", "id"),
            ("a.image_ids[]", "file-1", "image_ids"),
        ] {
            match form(EDITS, &[("image*", "a"), ("model", "gpt-image-1"), (name, text)]) {
                Err(Failure::FieldNotAllowed { field: refused, .. }) => assert_eq!(refused, field),
                Err(Failure::InvalidRequest(reason)) => assert!(field.is_empty(), "{name}: {reason}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        for (name, text) in [("svg[model]", "gpt-5.1"), ("svg", r#"{"model":"gpt-5.1"}"#)] {
            let fields = [("image*", "a"), ("model", "gpt-image-1"), ("output_format", "svg"), (name, text)];
            assert_eq!(need(&form(EDITS, &fields).unwrap()).0, ["gpt-image-1", "gpt-5.1"]);
        }
        assert_eq!(refused(form(EDITS, &[("image*", "a"), ("model", "m"), ("output_format", "svg")])), "output_format");
    }
}
