use super::*;

fn response_usage() -> Usage {
    Usage {
        input_tokens: 900,
        cached_tokens: 512,
        cache_write_tokens: 40,
        cache_write_long_tokens: 60,
        output_tokens: 80,
        reasoning_tokens: 64,
        web_searches: 1,
        tier: Some(Tier::Flex),
        model: model("gpt-5.1-2025-11-13"),
        ..Usage::default()
    }
}

#[test]
fn a_response_says_its_usage_whole_and_streamed() {
    assert_eq!(json(AnswerKind::Responses, RESPONSE), complete(&[response_usage()]));
    let begun = response_event("response.created", r#"{"id":"resp_1","error":null,"usage":null}"#);
    for last in ["response.completed", "response.incomplete"] {
        let text = events(&[
            &begun,
            r#"{"type":"response.output_text.delta","delta":"usage"}"#,
            &response_event(last, RESPONSE),
        ]);
        assert_eq!(stream(AnswerKind::Responses, &text), complete(&[response_usage()]));
    }
}

#[test]
fn a_failed_response_has_used_what_it_says() {
    let text = events(&[&response_event("response.failed", RESPONSE)]);
    let reading = Reading { used: Used::Complete(vec![response_usage()]), end: End::Failed };
    assert_eq!(stream(AnswerKind::Responses, &text), reading);
    let text = events(&[&response_event("response.failed", r#"{"error":{"code":"server_error"},"usage":null}"#)]);
    assert_eq!(stream(AnswerKind::Responses, &text), missing(End::Failed));
    let text = events(&[r#"{"type":"error","code":"x","message":"usage","param":null,"sequence_number":1}"#]);
    assert_eq!(stream(AnswerKind::Responses, &text), missing(End::Failed));
}

#[test]
fn a_response_stream_that_breaks_off_says_nothing() {
    let text = events(&[&response_event("response.in_progress", RESPONSE)]);
    assert_eq!(stream(AnswerKind::Responses, &text), missing(End::Broken));
}

#[test]
fn searches_that_the_provider_counts_go_before_those_that_are_seen() {
    let text = RESPONSE.replace(r#""usage":{"#, r#""tool_usage":{"web_search":{"num_requests":7}},"usage":{"#);
    let usage = Usage { web_searches: 7, ..response_usage() };
    assert_eq!(json(AnswerKind::Responses, &text), complete(&[usage]));
}

#[test]
fn images_that_a_response_drew_are_billed_by_the_model_that_drew_them() {
    let drawn = r#""tool_usage":{"image_gen":{"input_tokens":50,"input_tokens_details":{"image_tokens":0,"text_tokens":50},"output_tokens":1056,"total_tokens":1106}},"usage":{"#;
    let text = RESPONSE.replace(r#""usage":{"#, drawn);
    let with_tool = text
        .replace(r#""tools":["#, r#""tools":[{"type":"image_generation","model":"gpt-image-1"},"#)
        .replace(r#""output":["#, r#""output":[{"type":"image_generation_call","result":"AAAA"},"#);
    let image = Usage {
        input_tokens: 50,
        output_tokens: 1056,
        output_image_tokens: 1056,
        model: model("gpt-image-1"),
        ..Usage::default()
    };
    assert_eq!(json(AnswerKind::Responses, &with_tool), complete(&[response_usage(), image]));
    // Whose tokens they are is not said.
    let partial = Reading { used: Used::Partial(vec![response_usage()]), end: End::Proper };
    assert_eq!(json(AnswerKind::Responses, &text), partial);
}

#[test]
fn a_response_that_ran_what_is_not_counted_has_not_said_all() {
    for kind in ["code_interpreter_call", "file_search_call", "shell_call", "image_generation_call"] {
        let text = RESPONSE.replace(r#""output":["#, &format!(r#""output":[{{"type":"{kind}"}},"#));
        let partial = Reading { used: Used::Partial(vec![response_usage()]), end: End::Proper };
        assert_eq!(json(AnswerKind::Responses, &text), partial, "{kind}");
    }
}
