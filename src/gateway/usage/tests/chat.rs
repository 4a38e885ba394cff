use super::*;

const CHAT_ENDS: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5-mini-2025-08-07","service_tier":"default","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#;

#[test]
fn a_chat_says_its_usage_whole_and_streamed() {
    let whole = r#"{"id":"x","object":"chat.completion","model":"gpt-5-mini-2025-08-07","choices":[{"message":{"content":"\"usage\":{}"}}],
        "usage":{"prompt_tokens":1200,"completion_tokens":340,"total_tokens":1540,"prompt_tokens_details":{"cached_tokens":1024},
        "completion_tokens_details":{"reasoning_tokens":256}},"service_tier":"default"}"#;
    assert_eq!(json(AnswerKind::Chat, whole), complete(&[chat_usage()]));
    let text = events(&[CHAT_BEGINS, CHAT_ENDS, CHAT_USAGE, "[DONE]"]);
    assert_eq!(stream(AnswerKind::Chat, &text), complete(&[chat_usage()]));
}

#[test]
fn a_chat_stream_that_was_not_asked_says_nothing() {
    let text = events(&[CHAT_BEGINS, CHAT_ENDS, "[DONE]"]);
    assert_eq!(stream(AnswerKind::Chat, &text), missing(End::Proper));
    assert_eq!(stream(AnswerKind::Chat, &events(&[CHAT_BEGINS])), missing(End::Broken));
}

#[test]
fn a_chat_usage_by_itself_behind_the_end_of_a_choice_is_final_even_if_the_stream_breaks_behind_it() {
    let reading = stream(AnswerKind::Chat, &events(&[CHAT_BEGINS, CHAT_ENDS, CHAT_USAGE]));
    assert_eq!(reading, Reading { used: Used::Complete(vec![chat_usage()]), end: End::Broken });
}

#[test]
fn a_running_count_of_a_chat_that_stands_by_itself_is_not_final_before_a_choice_has_ended() {
    let reading = stream(AnswerKind::Chat, &events(&[CHAT_BEGINS, CHAT_USAGE]));
    assert_eq!(reading, Reading { used: Used::Partial(vec![chat_usage()]), end: End::Broken });
}

#[test]
fn a_running_count_in_a_chat_is_final_only_at_its_end() {
    let running = |count| {
        format!(
            r#"{{"choices":[{{"index":0,"delta":{{"content":"x"}}}}],"usage":{{"prompt_tokens":5,"completion_tokens":{count},"total_tokens":{}}}}}"#,
            5 + count
        )
    };
    let usage = Usage { input_tokens: 5, output_tokens: 2, ..Usage::default() };
    let text = events(&[&running(1), &running(2), "[DONE]"]);
    assert_eq!(stream(AnswerKind::Chat, &text), complete(std::slice::from_ref(&usage)));
    let cut = stream(AnswerKind::Chat, &events(&[&running(1), &running(2)]));
    assert_eq!(cut, Reading { used: Used::Partial(vec![usage]), end: End::Broken });
}

#[test]
fn a_chat_usage_without_choices_or_under_groqs_name_is_read() {
    let usage = Usage { input_tokens: 7, output_tokens: 3, ..Usage::default() };
    for chunk in [
        r#"{"x_groq":{"id":"req","usage":{"queue_time":0.1,"prompt_tokens":7,"prompt_time":0.2,"completion_tokens":3,"total_tokens":10}}}"#,
        r#"{"usage":{"prompt_tokens":7,"completion_tokens":3}}"#,
        r#"{"choices":[{"finish_reason":"stop"}],"usage":null,"x_groq":{"usage":{"prompt_tokens":7,"completion_tokens":3}}}"#,
    ] {
        assert_eq!(stream(AnswerKind::Chat, &events(&[chunk, "[DONE]"])), complete(std::slice::from_ref(&usage)));
    }
}

#[test]
fn an_error_in_the_middle_of_a_chat_is_seen() {
    let error = r#"{"error":{"message":"overloaded","type":"server_error","code":null}}"#;
    assert_eq!(stream(AnswerKind::Chat, &events(&[CHAT_BEGINS, error, "[DONE]"])), missing(End::Failed));
    let reading = stream(AnswerKind::Chat, &events(&[CHAT_BEGINS, error, CHAT_USAGE]));
    assert_eq!(reading, Reading { used: Used::Partial(vec![chat_usage()]), end: End::Failed });
}

#[test]
fn sound_and_what_is_written_to_the_cache_are_told_apart_in_a_chat() {
    let whole = r#"{"model":"gpt-audio","usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
        "prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":20,"audio_tokens":60,"image_tokens":5,"text_tokens":35},
        "completion_tokens_details":{"audio_tokens":40,"text_tokens":10}},"service_tier":"priority"}"#;
    let usage = Usage {
        input_tokens: 100,
        cached_tokens: 10,
        cache_write_tokens: 20,
        input_audio_tokens: 60,
        input_image_tokens: 5,
        output_tokens: 50,
        output_audio_tokens: 40,
        tier: Some(Tier::Priority),
        model: model("gpt-audio"),
        ..Usage::default()
    };
    assert_eq!(json(AnswerKind::Chat, whole), complete(&[usage]));
}
