use proptest::prelude::*;

use super::*;

fn post(provider: Provider, path: &str, body: &str) -> Result<Plan, Failure> {
    let sent = Sent { body: body.as_bytes(), ..Sent::default() };
    Request { provider, method: Some(Method::Post), path, query: None }.route()?.plan(sent, &PriceBook::built_in())
}

fn get(provider: Provider, path: &str, query: Option<&str>) -> Result<Plan, Failure> {
    Request { provider, method: Some(Method::Get), path, query }.route()?.plan(Sent::default(), &PriceBook::built_in())
}

fn chat(body: &str) -> Result<Plan, Failure> {
    post(Provider::OpenAi, "/v1/chat/completions", body)
}

fn responses(body: &str) -> Result<Plan, Failure> {
    post(Provider::OpenAi, "/v1/responses", body)
}

fn messages(body: &str) -> Result<Plan, Failure> {
    post(Provider::Anthropic, "/v1/messages", body)
}

fn need(plan: Result<Plan, Failure>) -> (Vec<String>, Vec<Capability>) {
    match plan.unwrap().claim.need {
        Need::Model { models, capabilities } => (models, capabilities),
        Need::Models { .. } => panic!("not a call"),
    }
}

#[test]
fn a_chat_needs_its_model_and_chat() {
    let plan = chat(r#"{"model":"gpt-5-mini","stream":true,"messages":[]}"#);
    assert!(plan.as_ref().unwrap().stream);
    assert_eq!(need(plan), (vec!["gpt-5-mini".to_owned()], vec![Capability::Chat]));
}

#[test]
fn options_of_a_stream_that_say_nothing_are_set_where_they_stand() {
    let edited = |options: &str| {
        let body = format!(r#"{{"model":"m","stream":true,"stream_options":{options}}}"#);
        let plan = chat(&body).unwrap();
        let mut body = body.into_bytes();
        plan.edit(&mut body, None).map(|edit| (edit.strips_usage, String::from_utf8(body).unwrap()))
    };
    let expected = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(edited("null").unwrap(), (true, expected.to_owned()));
    for options in ["false", "[]", "\"\""] {
        assert!(matches!(edited(options), Err(Failure::InvalidRequest(_))), "{options}");
    }
}

#[test]
fn a_call_without_a_model_is_refused() {
    assert!(matches!(chat("{}"), Err(Failure::InvalidRequest(_))));
    assert!(matches!(messages("{}"), Err(Failure::InvalidRequest(_))));
}

#[test]
fn moderations_take_the_documented_default_model() {
    let plan = post(Provider::OpenAi, "/v1/moderations", r#"{"input":"x"}"#);
    assert_eq!(need(plan), (vec!["omni-moderation-latest".to_owned()], vec![Capability::Moderation]));
}

#[test]
fn functions_are_not_server_tools() {
    let plan = chat(r#"{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{}}}]}"#);
    assert_eq!(need(plan).1, [Capability::Chat]);
    let plan =
        messages(r#"{"model":"m","tools":[{"name":"f","input_schema":{}},{"type":"bash_20250124","name":"bash"}]}"#);
    assert_eq!(need(plan).1, [Capability::Chat]);
}

#[test]
fn tools_that_run_at_the_provider_take_server_tools() {
    for plan in [
        responses(r#"{"model":"m","tools":[{"type":"web_search"}]}"#),
        responses(r#"{"model":"m","input":[{"type":"additional_tools","tools":[{"type":"mcp"}]}]}"#),
        responses(r#"{"model":"m","tools":[{"type":"not_known_yet"}]}"#),
        chat(r#"{"model":"m","web_search_options":{"user_location":null}}"#),
        chat(r#"{"model":"m","web_search_options":{}}"#),
        chat(r#"{"model":"gpt-4o-search-preview"}"#),
        messages(r#"{"model":"m","tools":[{"type":"web_search_20260318","name":"web_search"}]}"#),
        messages(r#"{"model":"m","mcp_servers":[{"url":"https://x.example"}]}"#),
        messages(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"type":"web_search_20260318","name":"web_search"}}}]}]}"#,
        ),
        chat(r#"{"model":"gpt-6-search"}"#),
    ] {
        assert!(need(plan).1.contains(&Capability::ServerTools));
    }
}

#[test]
fn every_model_that_can_be_dispatched_is_claimed() {
    let plan =
        messages(r#"{"model":"a","fallbacks":[{"model":"b"}],"tools":[{"type":"advisor_20260301","model":"c"}]}"#);
    assert_eq!(need(plan).0, ["a", "b", "c"]);
}

#[test]
fn what_reaches_data_of_other_apps_is_refused() {
    for plan in [
        responses(r#"{"model":"m","previous_response_id":"resp_1"}"#),
        responses(r#"{"model":"m","conversation":"conv_1"}"#),
        responses(r#"{"model":"m","prompt":{"id":"pmpt_1"}}"#),
        responses(r#"{"model":"m","background":true}"#),
        responses(r#"{"model":"m","store":true}"#),
        responses(r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}"#),
        responses(r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"file_1"}]}]}"#),
        responses(r#"{"model":"m","tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#),
        chat(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file_1"}}]}]}"#),
        messages(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#,
        ),
        messages(r#"{"model":"m","container":"container_1"}"#),
        messages(r#"{"model":"m","thread":{"type":"continue","previous_message_id":"msg_1"}}"#),
        messages(r#"{"model":"m","thread":{"type":"create"}}"#),
        messages(r#"{"model":"m","diagnostics":{"previous_message_id":"msg_1"}}"#),
        responses(r#"{"model":"m","input":[{"id":"msg_1"}]}"#),
        responses(r#"{"model":"m","input":[{"id":"msg_1","type":null}]}"#),
        responses(r#"{"model":"m","tools":[{"type":"code_interpreter","container":"cntr_1"}]}"#),
        responses(r#"{"model":"m","tools":[{"type":"mcp","tunnel_id":"t"}]}"#),
        responses(r#"{"model":"m","prompt_cache_options":{"comparison_response_id":"resp_1"}}"#),
        chat(r#"{"model":"m","messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#),
    ] {
        assert!(matches!(plan, Err(Failure::FieldNotAllowed { .. })), "{plan:?}");
    }
}

#[test]
fn a_model_that_the_provider_would_choose_is_refused() {
    for plan in [
        messages(r#"{"model":"m","fallbacks":"default"}"#),
        responses(r#"{"model":"m","tools":[{"type":"image_generation"}]}"#),
    ] {
        assert!(matches!(plan, Err(Failure::FieldNotAllowed { .. })), "{plan:?}");
    }
}

#[test]
fn a_tool_that_makes_images_takes_images_and_its_model() {
    let plan = responses(r#"{"model":"m","tools":[{"type":"image_generation","model":"gpt-image-1"}]}"#);
    let (models, capabilities) = need(plan);
    assert_eq!(models, ["m", "gpt-image-1"]);
    assert_eq!(capabilities, [Capability::Chat, Capability::ServerTools, Capability::Images]);
}

#[test]
fn what_a_conversation_says_of_itself_is_allowed() {
    for plan in [
        responses(
            r#"{"model":"m","input":[{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"x"},{"id":"msg_1","role":"user","content":"x"},
            {"type":"computer_call_output","call_id":"c","acknowledged_safety_checks":[{"id":"sc_1"}],"output":{"type":"computer_screenshot"}}]}"#,
        ),
        chat(
            r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f"}}]},
            {"role":"tool","tool_call_id":"c","content":"x"}]}"#,
        ),
        messages(
            r#"{"model":"m","metadata":{"user_id":"u"},"messages":[{"role":"user","content":[{"type":"tool_result",
            "tool_use_id":"t","content":"x"}]}]}"#,
        ),
    ] {
        assert!(plan.is_ok(), "{plan:?}");
    }
}

#[test]
fn storing_nothing_is_allowed() {
    assert!(responses(r#"{"model":"m","store":false,"previous_response_id":null,"background":false}"#).is_ok());
}

#[test]
fn a_tool_result_is_the_callers_own_data() {
    let body = r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"read",
        "input":{"file_id":"mine","model":"mine"}}]}]}"#;
    assert_eq!(need(messages(body)).0, ["m"]);
}

#[test]
fn other_endpoints_are_refused() {
    for path in [
        "/v1/files",
        "/v1/batches",
        "/v1/fine_tuning/jobs",
        "/v1/responses/resp_1",
        "/v1/realtime/client_secrets",
        "/v1/assistants",
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/v1/chat/completions/x",
        "/v1/./models",
        "/v1/models/..%2ffiles",
        "/v1/models/a/b",
        "/v1/models/..",
        "/V1/chat/completions",
        "",
        "/",
    ] {
        assert!(matches!(post(Provider::OpenAi, path, "{}"), Err(Failure::EndpointNotGranted { .. })), "{path}");
        assert!(matches!(get(Provider::OpenAi, path, None), Err(Failure::EndpointNotGranted { .. })), "{path}");
    }
    let delete = Request { provider: Provider::OpenAi, method: None, path: "/v1/models/m", query: None };
    assert!(matches!(delete.route(), Err(Failure::EndpointNotGranted { .. })));
}

#[test]
fn a_model_in_the_path_is_the_one_that_is_checked() {
    let plan = get(Provider::OpenAi, "/v1/models/ft:gpt-4o:org::id", None).unwrap();
    assert_eq!(plan.claim.need, Need::Models { model: Some("ft:gpt-4o:org::id".to_owned()) });
}

fn target(provider: Provider, path: &str, query: &str) -> String {
    get(provider, path, Some(query)).unwrap().target
}

#[test]
fn a_list_of_models_is_asked_for_by_the_parameters_that_are_known() {
    assert_eq!(
        target(Provider::Anthropic, "/v1/models", "limit=5&after_id=a%26b"),
        "/v1/models?limit=5&after_id=a%26b"
    );
    assert_eq!(
        target(Provider::Anthropic, "/v1/models", "client_version=1&limit=1000&key=secret&beta=true&Limit=1"),
        "/v1/models?limit=1000&beta=true"
    );
    for query in ["client_version=0.171.0", "model=x&access_token=t", "&&", "=", "%ff=%00", ""] {
        assert_eq!(target(Provider::OpenAi, "/v1/models", query), "/v1/models", "{query}");
        assert_eq!(target(Provider::OpenAi, "/v1/models/gpt-5", query), "/v1/models/gpt-5", "{query}");
    }
}

#[test]
fn a_parameter_that_could_change_what_a_call_does_is_refused() {
    let call =
        |provider, path, query| Request { provider, method: Some(Method::Post), path, query: Some(query) }.route();
    for query in ["api-version=2026-01-01", "client_version=1", "limit=1&x"] {
        let routed = call(Provider::OpenAi, "/v1/responses", query);
        assert!(matches!(routed, Err(Failure::InvalidRequest(_))), "{query}");
    }
    assert!(call(Provider::Anthropic, "/v1/messages", "beta=true").is_ok());
}

#[test]
fn a_list_of_models_is_cut_down_to_the_granted_ones() {
    let list = br#"{"object":"list","data":[{"id":"gpt-5"},{"id":"gpt-4"},{"noid":1}],"has_more":false}"#;
    let cut = filter_models(list, &["gpt-5*".parse().unwrap()]).unwrap();
    let cut: serde_json::Value = serde_json::from_slice(&cut).unwrap();
    assert_eq!(cut, serde_json::json!({"object":"list","data":[{"id":"gpt-5"}],"has_more":false}));
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(path in ".{0,60}", query in ".{0,60}", body in ".{0,200}") {
        let _ = get(Provider::Anthropic, &path, Some(&query));
        let _ = post(Provider::OpenAi, &path, &body);
        let _ = chat(&body);
    }
}
