mod chat;
mod messages;
mod others;
mod responses;

use proptest::prelude::*;

use super::*;

fn json(kind: AnswerKind, text: &str) -> Reading {
    let mut meter = Meter::for_json(kind);
    meter.feed(text.as_bytes());
    meter.finish()
}

fn stream(kind: AnswerKind, text: &str) -> Reading {
    let mut meter = Meter::for_stream(kind);
    meter.feed(text.as_bytes());
    meter.finish()
}

fn events(data: &[&str]) -> String {
    data.iter().flat_map(|data| ["data: ", data, "\n\n"]).collect()
}

fn complete(usages: &[Usage]) -> Reading {
    Reading { used: Used::Complete(usages.to_vec()), end: End::Proper }
}

fn missing(end: End) -> Reading {
    Reading { used: Used::Missing, end }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands where a usage has its model")]
fn model(name: &str) -> Option<String> {
    Some(name.to_owned())
}

const CHAT_BEGINS: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5-mini-2025-08-07","service_tier":"default","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"k7"}"#;

const CHAT_USAGE: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5-mini-2025-08-07","service_tier":"default","choices":[],"usage":{"prompt_tokens":1200,"completion_tokens":340,"total_tokens":1540,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":256,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#;

fn chat_usage() -> Usage {
    Usage {
        input_tokens: 1200,
        cached_tokens: 1024,
        output_tokens: 340,
        reasoning_tokens: 256,
        tier: Some(Tier::Standard),
        model: model("gpt-5-mini-2025-08-07"),
        ..Usage::default()
    }
}

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"model":"gpt-5.1-2025-11-13","service_tier":"flex",
    "output":[{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"x"}},
      {"id":"ws_2","type":"web_search_call","status":"completed","action":{"type":"open_page","url":"https://x.example"}},
      {"id":"sh","type":"local_shell_call","action":{"type":"exec"}},{"id":"x","type":"other","action":"text"},
      {"id":"msg_1","type":"message","content":[{"type":"output_text","text":"hi"}]}],"tools":[{"type":"web_search"}],
    "usage":{"input_tokens":900,"input_tokens_details":{"cached_tokens":512,"cache_write_tokens":100,
      "cache_write_tokens_details":{"ttl_12h_tokens":60,"ttl_30m_tokens":40}},"output_tokens":80,
      "output_tokens_details":{"reasoning_tokens":64},"total_tokens":980}}"#;

fn response_event(kind: &str, response: &str) -> String {
    format!(r#"{{"type":"{kind}","sequence_number":9,"response":{}}}"#, response.replace('\n', " "))
}

const MESSAGE_BEGINS: &str = r#"{"type":"message_start","message":{"model":"claude-sonnet-4-5-20250929","id":"msg_1","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":30,"cache_creation_input_tokens":700,"cache_read_input_tokens":2000,"cache_creation":{"ephemeral_5m_input_tokens":500,"ephemeral_1h_input_tokens":200},"output_tokens":1,"service_tier":"standard","inference_geo":"us","speed":"standard"}}}"#;

const MESSAGE_ENDS: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":120}}"#;

#[test]
fn an_absurd_usage_counts_as_none() {
    for tokens in [
        r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
        r#"{"prompt_tokens":"1","completion_tokens":1}"#,
        r#"{"prompt_tokens":9007199254740992,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1}"#,
        r#"{"prompt_tokens":null,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"prompt_tokens":2,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1,"total_tokens":1}"#,
        r#"{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cache_write_tokens":1,"cache_write_tokens_details":{"ttl_12h_tokens":2}}}"#,
        "[]",
        "7",
        "true",
    ] {
        let whole = format!(r#"{{"model":"m","usage":{tokens}}}"#);
        assert_eq!(json(AnswerKind::Chat, &whole), missing(End::Proper), "{tokens}");
        let chunk = format!(r#"{{"model":"m","choices":[],"usage":{tokens}}}"#);
        let text = events(&[&chunk, "[DONE]"]);
        assert_eq!(stream(AnswerKind::Chat, &text), missing(End::Proper), "{tokens}");
        // One that could be believed does not make up for it.
        assert_eq!(
            stream(AnswerKind::Chat, &events(&[&chunk, CHAT_USAGE, "[DONE]"])),
            missing(End::Proper),
            "{tokens}"
        );
    }
}

#[test]
fn a_usage_that_stands_twice_counts_as_none() {
    let tokens = r#"{"prompt_tokens":1,"completion_tokens":1}"#;
    for kind in [AnswerKind::Chat, AnswerKind::Embeddings] {
        let text = format!(r#"{{"usage":{tokens},"usage":{tokens}}}"#);
        assert_eq!(json(kind, &text), missing(End::Proper));
    }
}

#[test]
fn unknown_members_never_break_it() {
    let text = CHAT_USAGE.replace(r#"{"prompt_tokens""#, r#"{"new":[{"x":1.5}],"cost":0.0001,"prompt_tokens""#);
    assert_eq!(stream(AnswerKind::Chat, &events(&[CHAT_BEGINS, &text, "[DONE]"])), complete(&[chat_usage()]));
}

#[test]
fn a_json_answer_that_is_cut_off_has_not_said_all() {
    let text = r#"{"model":"m","usage":{"prompt_tokens":1,"completion_tokens":1},"service_tier":"pri"#;
    let usage = Usage { input_tokens: 1, output_tokens: 1, model: model("m"), ..Usage::default() };
    let partial = Reading { used: Used::Partial(vec![usage]), end: End::Broken };
    assert_eq!(json(AnswerKind::Chat, text), partial);
    assert_eq!(json(AnswerKind::Chat, r#"{"model":"m","usage":{"prompt_tokens":1"#), missing(End::Broken));
}

const KINDS: [AnswerKind; 8] = [
    AnswerKind::Chat,
    AnswerKind::Responses,
    AnswerKind::Embeddings,
    AnswerKind::Images,
    AnswerKind::Transcription,
    AnswerKind::Speech,
    AnswerKind::Messages,
    AnswerKind::Free,
];

/// Bytes that are nearly an answer.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let whole = events(&[
        CHAT_BEGINS,
        CHAT_USAGE,
        "[DONE]",
        &response_event("response.completed", RESPONSE),
        MESSAGE_BEGINS,
        MESSAGE_ENDS,
        r#"{"type":"speech.audio.done","usage":{"input_tokens":14,"output_tokens":101}}"#,
    ]);
    (any::<proptest::sample::Index>(), proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4))
        .prop_map(move |(start, changes)| {
            let mut bytes = whole.as_bytes()[start.index(whole.len())..].to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

proptest! {
    #[test]
    fn no_bytes_make_a_meter_panic(bytes in prop_oneof![nearly(), proptest::collection::vec(any::<u8>(), 0..300)]) {
        for kind in KINDS {
            for mut meter in [Meter::for_json(kind), Meter::for_stream(kind)] {
                meter.feed(&bytes);
                let _ = meter.finish();
            }
        }
    }

    #[test]
    fn where_an_answer_is_cut_makes_no_difference(bytes in nearly(), size in 1_usize..40) {
        for kind in KINDS {
            for make in [Meter::for_json, Meter::for_stream] {
                let (mut whole, mut parts) = (make(kind), make(kind));
                whole.feed(&bytes);
                bytes.chunks(size).for_each(|part| parts.feed(part));
                prop_assert_eq!(whole.finish(), parts.finish());
            }
        }
    }
}
