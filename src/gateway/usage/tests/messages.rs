use super::*;

const MESSAGE_STOPS: &str = r#"{"type":"message_stop"}"#;

fn message_usage(output_tokens: u64) -> Usage {
    Usage {
        input_tokens: 2730,
        cached_tokens: 2000,
        cache_write_tokens: 500,
        cache_write_long_tokens: 200,
        output_tokens,
        tier: Some(Tier::Standard),
        in_region: true,
        model: model("claude-sonnet-4-5-20250929"),
        ..Usage::default()
    }
}

#[test]
fn a_messages_input_includes_what_was_cached() {
    let whole = r#"{"model":"claude-sonnet-4-5-20250929","type":"message","content":[{"type":"text","text":"x"}],"container":null,"usage":{"input_tokens":30,
        "cache_creation_input_tokens":700,"cache_read_input_tokens":2000,
        "cache_creation":{"ephemeral_5m_input_tokens":500,"ephemeral_1h_input_tokens":200},"output_tokens":120,
        "service_tier":"standard","inference_geo":"us","server_tool_use":null,"output_tokens_details":null}}"#;
    assert_eq!(json(AnswerKind::Messages, whole), complete(&[message_usage(120)]));
    let text = events(&[MESSAGE_BEGINS, r#"{"type":"ping"}"#, MESSAGE_ENDS, MESSAGE_STOPS]);
    assert_eq!(stream(AnswerKind::Messages, &text), complete(&[message_usage(120)]));
}

#[test]
fn every_region_but_anywhere_is_one() {
    for (geo, in_region) in [("us", true), ("eu", true), ("global", false), ("not_available", false)] {
        let whole =
            format!(r#"{{"model":"m","usage":{{"input_tokens":1,"output_tokens":2,"inference_geo":"{geo}"}}}}"#);
        let usage = Usage { input_tokens: 1, output_tokens: 2, in_region, model: model("m"), ..Usage::default() };
        assert_eq!(json(AnswerKind::Messages, &whole), complete(&[usage]), "{geo}");
    }
}

#[test]
fn cache_writes_that_are_not_told_apart_were_for_the_usual_time() {
    let whole = r#"{"model":"m","usage":{"input_tokens":1,"cache_creation_input_tokens":10,"cache_creation":null,"output_tokens":2}}"#;
    let usage =
        Usage { input_tokens: 11, cache_write_tokens: 10, output_tokens: 2, model: model("m"), ..Usage::default() };
    assert_eq!(json(AnswerKind::Messages, whole), complete(&[usage]));
}

#[test]
fn cache_writes_that_grow_after_they_were_told_apart_go_by_the_longest_time_there_was() {
    let ends = |written: u64| {
        format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{{"cache_creation_input_tokens":{written},"output_tokens":120}}}}"#
        )
    };
    let long = Usage { input_tokens: 2830, cache_write_long_tokens: 300, ..message_usage(120) };
    assert_eq!(stream(AnswerKind::Messages, &events(&[MESSAGE_BEGINS, &ends(800), MESSAGE_STOPS])), complete(&[long]));
    let begins = MESSAGE_BEGINS.replace(
        r#""ephemeral_5m_input_tokens":500,"ephemeral_1h_input_tokens":200"#,
        r#""ephemeral_5m_input_tokens":700,"ephemeral_1h_input_tokens":0"#,
    );
    let short = Usage { input_tokens: 2830, cache_write_tokens: 800, cache_write_long_tokens: 0, ..message_usage(120) };
    assert_eq!(stream(AnswerKind::Messages, &events(&[&begins, &ends(800), MESSAGE_STOPS])), complete(&[short]));
}

#[test]
fn counts_in_a_message_stream_are_cumulative_and_the_largest_holds() {
    let first =
        r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":40,"input_tokens":null}}"#;
    let second = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":30,"cache_creation_input_tokens":700,"cache_read_input_tokens":2000,"output_tokens":120,"output_tokens_details":{"thinking_tokens":80},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}}}"#;
    let text = events(&[MESSAGE_BEGINS, first, second, MESSAGE_STOPS]);
    let usage = Usage { reasoning_tokens: 80, web_searches: 2, ..message_usage(120) };
    assert_eq!(stream(AnswerKind::Messages, &text), complete(&[usage]));
}

#[test]
fn a_gateway_that_says_the_input_only_at_the_end_is_read_too() {
    let begins = r#"{"type":"message_start","message":{"model":"m","usage":{"input_tokens":0,"output_tokens":0}}}"#;
    let ends =
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":55,"output_tokens":9}}"#;
    let usage = Usage { input_tokens: 55, output_tokens: 9, model: model("m"), ..Usage::default() };
    assert_eq!(stream(AnswerKind::Messages, &events(&[begins, ends, MESSAGE_STOPS])), complete(&[usage]));
}

#[test]
fn a_message_stream_that_breaks_off_says_its_input() {
    let partial = |end| Reading { used: Used::Partial(vec![message_usage(1)]), end };
    assert_eq!(stream(AnswerKind::Messages, &events(&[MESSAGE_BEGINS])), partial(End::Broken));
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert_eq!(stream(AnswerKind::Messages, &events(&[MESSAGE_BEGINS, error])), partial(End::Failed));
    assert_eq!(stream(AnswerKind::Messages, &events(&[MESSAGE_BEGINS, MESSAGE_STOPS])), partial(End::Proper));
    assert_eq!(stream(AnswerKind::Messages, &events(&[error])), missing(End::Failed));
}

#[test]
fn priority_is_no_price_of_its_own_at_anthropic() {
    let begins = MESSAGE_BEGINS.replace(r#""service_tier":"standard""#, r#""service_tier":"priority""#);
    let usage = Usage { tier: None, ..message_usage(120) };
    assert_eq!(stream(AnswerKind::Messages, &events(&[&begins, MESSAGE_ENDS, MESSAGE_STOPS])), complete(&[usage]));
}

#[test]
fn a_message_that_used_a_container_has_not_said_all() {
    let ends = MESSAGE_ENDS.replace(r#""stop_sequence":null"#, r#""container":{"id":"c","expires_at":"x"}"#);
    let text = events(&[MESSAGE_BEGINS, &ends, MESSAGE_STOPS]);
    let partial = Reading { used: Used::Partial(vec![message_usage(120)]), end: End::Proper };
    assert_eq!(stream(AnswerKind::Messages, &text), partial);
}

fn iterations(iterations: &str) -> String {
    format!(
        r#"{{"model":"a","usage":{{"input_tokens":100,"output_tokens":50,"speed":"fast","iterations":[{iterations}]}}}}"#
    )
}

fn tokens(name: &str, input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, fast: true, model: model(name), ..Usage::default() }
}

#[test]
fn compactions_and_advisors_are_billed_beside_the_message() {
    let text = iterations(
        r#"{"type":"message","model":"a","input_tokens":100,"output_tokens":50},{"type":"compaction","input_tokens":40,"output_tokens":8},
           {"type":"advisor_message","model":"b","input_tokens":20,"cache_read_input_tokens":5,"output_tokens":4}"#,
    );
    let advisor = Usage { cached_tokens: 5, ..tokens("b", 25, 4) };
    assert_eq!(json(AnswerKind::Messages, &text), complete(&[tokens("a", 100, 50), tokens("a", 40, 8), advisor]));
}

#[test]
fn other_models_of_a_fallback_are_billed_at_their_own_price() {
    let adds_up = iterations(
        r#"{"type":"message","model":"z","input_tokens":30,"output_tokens":10},{"type":"fallback_message","model":"a","input_tokens":70,"output_tokens":40}"#,
    );
    assert_eq!(json(AnswerKind::Messages, &adds_up), complete(&[tokens("a", 70, 40), tokens("z", 30, 10)]));
    let beside = iterations(
        r#"{"type":"message","model":"z","input_tokens":30,"output_tokens":10},{"type":"fallback_message","model":"a","input_tokens":100,"output_tokens":50}"#,
    );
    assert_eq!(json(AnswerKind::Messages, &beside), complete(&[tokens("a", 100, 50), tokens("z", 30, 10)]));
}
