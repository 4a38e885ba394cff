use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    opaque: &["parameters"],
    own_ids: &["call_id"],
    text_references: &["container"],
    reference_types: &["item_reference"],
    bare_ids: true,
    refused: &[("background", "no")],
    lists: &[("fallbacks", "list them")],
    noted: &[("audio", Capability::Audio)],
    tool_keys: &["definition"],
    files: &["file", "image"],
    weights: &[
        ("max_tokens", Weight::MaxOutput),
        ("max_completion_tokens", Weight::MaxOutput),
        ("n", Weight::Choices),
        ("service_tier", Weight::Tier),
        ("stream_options", Weight::StreamOptions),
    ],
    deep_weights: &[],
    closed: &[("edits", &["clear", "keep"])],
    carried_by: &[],
    weightless: &["messages", "tools", "input", "system", "edits"],
    media_keys: &["image_url"],
    text_types: &["text", "function", "message", "tool_result", "ephemeral"],
    tool_needs,
};

fn tool_needs(kind: &str) -> ToolNeeds {
    match kind {
        "" | "function" => ToolNeeds::NOTHING,
        "image_generation" => ToolNeeds { model: true, ..ToolNeeds::SERVER },
        _ => ToolNeeds::SERVER,
    }
}

/// The field that is refused, if one is.
fn refused(json: &str) -> Option<String> {
    found(json).refused.map(|(field, _)| field)
}

fn found(json: &str) -> Survey {
    survey(json.as_bytes(), &RULES).unwrap()
}

#[test]
fn the_top_of_a_body_is_read() {
    let found = found(r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
    assert_eq!((found.model.as_deref(), found.stream), (Some("m"), true));
    assert!(found.nested_models.is_empty());
}

#[test]
fn a_key_that_matters_may_not_stand_twice() {
    for json in [
        r#"{"model":"cheap","model":"dear"}"#,
        r#"{"model":"cheap","mod\u0065l":"dear"}"#,
        r#"{"stream":true,"stream":false}"#,
        r#"{"background":false,"background":true}"#,
        r#"{"tools":[{"type":"function","type":"web_search"}]}"#,
    ] {
        assert!(survey(json.as_bytes(), &RULES).unwrap_err().contains("duplicate"), "{json}");
    }
}

#[test]
fn a_key_that_tells_what_an_object_is_may_not_stand_twice() {
    for json in [
        r#"{"input":[{"id":"msg_1","type":"message","type":null}]}"#,
        r#"{"input":[{"id":"msg_1","role":"user","role":null}]}"#,
        r#"{"input":[{"id":null,"id":"msg_1"}]}"#,
        r#"{"tools":[{"type":"image_generation","model":"gpt-image-1","model":null}]}"#,
        r#"{"input":[{"id":"msg_1","type":"message","typ\u0065":null}]}"#,
    ] {
        assert!(survey(json.as_bytes(), &RULES).unwrap_err().contains("duplicate"), "{json}");
    }
    assert_eq!(refused(r#"{"tools":[{"type":"function","parameters":{"type":"a","type":"b"}}]}"#), None);
}

#[test]
fn a_model_is_found_at_any_depth() {
    assert_eq!(found(r#"{"model":"m","fallbacks":[{"model":"x"},{"a":{"model":"y"}}]}"#).nested_models, ["x", "y"]);
}

#[test]
fn the_callers_own_data_is_passed_over() {
    let json = r#"{"tools":[{"type":"function","parameters":{"file_id":"a","model":"b","tools":[{"type":"x"}]}}]}"#;
    assert_eq!(found(json), Survey::default());
}

#[test]
fn references_to_stored_data_are_found_at_any_depth() {
    assert_eq!(refused(r#"{"m":[{"content":[{"file":{"file_id":"f"}}]}]}"#).as_deref(), Some("file_id"));
    assert_eq!(refused(r#"{"input":[{"id":"i","type":"item_reference"}]}"#).as_deref(), Some("item_reference"));
    assert_eq!(refused(r#"{"m":[{"file_id":null}]}"#), None);
}

#[test]
fn an_id_that_nobody_knows_is_a_reference() {
    for json in [
        r#"{"previous_response_id":"x"}"#,
        r#"{"a":{"not_known_yet_ids":["x"]}}"#,
        r#"{"a":[{"Tunnel_ID":"x"}]}"#,
        r#"{"a":[{"id":"msg_1"}]}"#,
        r#"{"a":[{"id":"msg_1","type":null}]}"#,
        r#"{"a":{"audio":{"id":"audio_1"}}}"#,
    ] {
        assert!(refused(json).is_some(), "{json}");
    }
}

#[test]
fn the_callers_own_ids_are_not_references() {
    for json in [
        r#"{"a":[{"call_id":"c","type":"function_call"}]}"#,
        r#"{"a":[{"id":"c","type":"function"},{"id":"m","role":"user"}]}"#,
        r#"{"id":"x"}"#,
    ] {
        assert_eq!(refused(json), None, "{json}");
    }
}

#[test]
fn a_container_by_name_is_a_reference_and_a_new_one_is_not() {
    assert_eq!(refused(r#"{"tools":[{"type":"x","container":"cntr_1"}]}"#).as_deref(), Some("container"));
    assert_eq!(refused(r#"{"tools":[{"type":"x","container":{"type":"auto"}}]}"#), None);
}

#[test]
fn tools_are_found_wherever_they_stand() {
    for json in [
        r#"{"tools":[{"type":"web_search"}]}"#,
        r#"{"input":[{"tools":[{"type":"function"},{"type":"web_search"}]}]}"#,
        r#"{"m":[{"tool":{"type":"tool_definition","definition":{"type":"web_search"}}}]}"#,
        r#"{"tools":[5]}"#,
        r#"{"tools":["web_search"]}"#,
        r#"{"tools":[[{"type":"function"}]]}"#,
    ] {
        assert_eq!(found(json).capabilities, [Capability::ServerTools], "{json}");
    }
    assert_eq!(found(r#"{"tools":[{"name":"x"},{"type":null},{"type":"function"}]}"#).capabilities, []);
}

#[test]
fn a_tool_that_runs_a_model_of_its_own_names_it() {
    assert!(refused(r#"{"tools":[{"type":"image_generation"}]}"#).is_some());
    let found = found(r#"{"tools":[{"type":"image_generation","model":"gpt-image-1"}]}"#);
    assert_eq!((found.refused, found.nested_models), (None, vec!["gpt-image-1".to_owned()]));
}

#[test]
fn a_field_can_need_a_capability() {
    assert_eq!(found(r#"{"audio":{}}"#).capabilities, [Capability::Audio]);
    assert_eq!(found(r#"{"audio":null}"#).capabilities, []);
}

#[test]
fn a_refused_key_counts_when_it_says_something() {
    assert_eq!(refused(r#"{"background":false}"#), None);
    assert_eq!(refused(r#"{"background":null}"#), None);
    assert_eq!(refused(r#"{"background":true}"#).as_deref(), Some("background"));
}

#[test]
fn what_has_to_be_a_list_is_refused_as_anything_else() {
    assert_eq!(refused(r#"{"fallbacks":"default"}"#).as_deref(), Some("fallbacks"));
    assert_eq!(refused(r#"{"fallbacks":{}}"#).as_deref(), Some("fallbacks"));
    assert_eq!(refused(r#"{"fallbacks":[{"model":"x"}]}"#), None);
}

#[test]
fn a_key_that_decides_in_another_case_is_refused() {
    for json in [
        r#"{"Model":"dear"}"#,
        r#"{"Stream":true}"#,
        r#"{"BACKGROUND":true}"#,
        r#"{"a":[{"Model":"dear"}]}"#,
        r#"{"a":{"Tools":[{"type":"web_search"}]}}"#,
        r#"{"tools":[{"Type":"web_search"}]}"#,
    ] {
        assert!(survey(json.as_bytes(), &RULES).unwrap_err().contains("another case"), "{json}");
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_refused_also_where_nobody_looks() {
    assert!(survey(b"{\"parameters\":\"\xc0\xa2\"}", &RULES).unwrap_err().contains("UTF-8"));
}

#[test]
fn what_is_not_one_object_is_refused() {
    for json in ["", "[]", "null", "\"x\"", "{", "{}{}", "{\"model\":1}", "{\"model\":null}", "{\"model\":\"\"}"] {
        assert!(survey(json.as_bytes(), &RULES).is_err(), "{json}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(survey(deep.as_bytes(), &RULES).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = survey(&bytes, &RULES);
    }

    #[test]
    fn every_text_behind_a_model_is_seen(model in "[a-z0-9.-]{1,40}", depth in 0..20_usize) {
        let json = format!("{{\"a\":{}{{\"model\":\"{model}\"}}{}}}", "[".repeat(depth), "]".repeat(depth));
        prop_assert_eq!(found(&json).nested_models, [model]);
    }
}

fn weights(json: &str) -> Weights {
    found(json).weights
}

#[test]
fn what_decides_what_a_call_can_cost_is_read() {
    let weights = weights(
        r#"{"model":"m","max_tokens":10,"max_completion_tokens":20,"n":3,"service_tier":"flex","stream_options":{}}"#,
    );
    assert_eq!((weights.max_output, weights.choices, weights.tier.as_deref()), (Some(20), Some(3), Some("flex")));
    assert!(weights.stream_options);
}

#[test]
fn a_number_that_decides_is_a_whole_number_and_stands_once() {
    for json in [
        r#"{"max_tokens":1.5}"#,
        r#"{"max_tokens":-1}"#,
        r#"{"max_tokens":"10"}"#,
        r#"{"max_tokens":10,"max_tokens":99}"#,
        r#"{"n":1e3}"#,
        r#"{"MAX_TOKENS":10}"#,
        r#"{"tools":[{"type":"web_search","max_uses":1,"max_uses":9}]}"#,
    ] {
        assert!(survey(json.as_bytes(), &RULES).is_err(), "{json}");
    }
    assert_eq!(weights(r#"{"max_tokens":null}"#).max_output, None);
}

#[test]
fn whatever_is_not_known_to_be_text_is_media() {
    assert!(
        !weights(r#"{"messages":[{"content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}"#)
            .media
    );
    for json in [
        r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]}"#,
        r#"{"messages":[{"content":[{"type":"hologram"}]}]}"#,
        r#"{"messages":[{"content":[{"image_url":{"url":"https://x"}}]}]}"#,
    ] {
        assert!(weights(json).media, "{json}");
    }
}

#[test]
fn a_cache_that_is_written_for_longer_is_seen() {
    assert!(weights(r#"{"system":[{"type":"text","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#).long_cache);
    assert!(!weights(r#"{"system":[{"type":"text","cache_control":{"type":"ephemeral","ttl":"5m"}}]}"#).long_cache);
}

#[test]
fn tools_that_run_at_the_provider_are_weighed_with_their_uses() {
    let tools = weights(r#"{"tools":[{"type":"web_search","max_uses":2},{"type":"function"},"code"]}"#).tools;
    let tools: Vec<(&str, Option<u64>)> = tools.iter().map(|tool| (tool.kind.as_str(), tool.max_uses)).collect();
    assert_eq!(tools, [("web_search", Some(2)), ("unknown", None)]);
}

#[test]
fn a_key_of_which_nobody_knows_what_it_costs_is_seen() {
    assert_eq!(weights(r#"{"messages":[],"n":1,"audio":{"voice":"x"}}"#).unknown, None);
    assert_eq!(weights(r#"{"messages":[],"helpers":5}"#).unknown.as_deref(), Some("helpers"));
    assert_eq!(weights(r#"{"helpers":null}"#).unknown, None);
}

#[test]
fn behind_a_key_that_is_closed_a_type_that_nobody_knows_is_seen_at_any_depth() {
    assert_eq!(weights(r#"{"edits":[{"type":"clear","keep":{"type":"keep"}}]}"#).unknown, None);
    assert_eq!(weights(r#"{"edits":[{"type":"sum_up"}]}"#).unknown.as_deref(), Some("sum_up in edits"));
    assert_eq!(
        weights(r#"{"edits":{"a":[[{"type":"clear","b":{"type":"text"}}]]}}"#).unknown.as_deref(),
        Some("text in edits")
    );
    assert_eq!(
        weights(r#"{"edits":[{"type":"clear"}],"messages":[{"type":"text"},{"a":{"type":"text"}}]}"#).unknown,
        None
    );
    assert_eq!(
        weights(r#"{"messages":[{"edits":{"type":"text"},"type":"text"}]}"#).unknown.as_deref(),
        Some("text in edits")
    );
    assert_eq!(weights(r#"{"edits":[],"edits":[{"type":"sum_up"}]}"#).unknown.as_deref(), Some("sum_up in edits"));
}

#[test]
fn of_the_tools_at_the_provider_so_many_are_looked_at_and_one_more_is_told() {
    let tools =
        |count: usize| weights(&format!(r#"{{"tools":[{}{{"type":"function"}}]}}"#, r#"{"type":"x"},"#.repeat(count)));
    assert_eq!((tools(128).tools.len(), tools(128).too_many_tools), (128, false));
    assert_eq!((tools(129).tools.len(), tools(129).too_many_tools), (128, true));
    let own = weights(&format!(r#"{{"tools":[{}5]}}"#, r#"{"type":"function"},"#.repeat(1_000)));
    assert_eq!((own.tools.len(), own.too_many_tools), (1, false));
}
