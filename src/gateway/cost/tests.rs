use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    domain::ledger::{Amounts, HoldId},
    gateway::{Method, Plan, Request, Sent, usage::End},
};

fn plan(provider: Provider, path: &str, body: &serde_json::Value) -> Plan {
    plan_with(&PriceBook::built_in(), provider, path, body)
}

fn plan_with(prices: &PriceBook, provider: Provider, path: &str, body: &serde_json::Value) -> Plan {
    let request = Request { provider, method: Some(Method::Post), path, query: None };
    let body = body.to_string();
    let sent = Sent { body: body.as_bytes(), content_type: Some("application/json") };
    request.route().unwrap().plan(sent, prices).unwrap()
}

fn chat(mut more: serde_json::Value) -> Plan {
    let mut body =
        json!({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 100});
    body.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    plan(Provider::OpenAi, "/v1/chat/completions", &body)
}

fn messages(mut more: serde_json::Value) -> Plan {
    let mut body =
        json!({"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    plan(Provider::Anthropic, "/v1/messages", &body)
}

fn bound(plan: &Plan) -> Bound {
    match &plan.claim.worst {
        Worst::Bound(bound) => bound.clone(),
        other => panic!("{other:?}"),
    }
}

fn unknown(plan: &Plan) -> &str {
    match &plan.claim.worst {
        Worst::Unknown(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn ticket(plan: &Plan) -> Ticket {
    let bound = bound(plan);
    let amounts = Amounts { nano_usd: bound.nano_usd(), tokens: bound.tokens(), requests: 1, calls: 1 };
    Ticket { hold: HoldId(0), permission: 0, amounts, bounded: true, delegation: None }
}

fn cost(plan: &Plan, used: Used) -> Option<Cost> {
    let reading = Reading { used, end: End::Proper };
    plan.meterage.cost(&PriceBook::built_in(), &reading, &ticket(plan), None)
}

#[test]
fn a_text_is_bounded_by_its_bytes_and_what_it_may_write() {
    let bound = bound(&chat(json!({"service_tier": "default"})));
    assert!(bound.input_tokens < 2048 + 200, "{bound:?}");
    // 2 USD a million.
    assert_eq!((bound.output_tokens, bound.output_pico_usd, bound.choices), (100, 2_000_000, 1));
}

#[test]
fn a_tier_that_is_not_named_may_be_the_dearest() {
    // 3.6 USD a million with priority.
    assert_eq!(bound(&chat(json!({}))).output_pico_usd, 3_600_000);
}

#[test]
fn media_may_fill_the_window() {
    let image =
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}]);
    assert_eq!(bound(&chat(json!({"model": "gpt-5", "messages": image}))).input_tokens, 272_000);
}

#[test]
fn what_nobody_can_bound_is_unknown() {
    for (plan, reason) in [
        (chat(json!({"helpers": 3})), "helpers"),
        (chat(json!({"model": "gpt-unheard-of"})), "gpt-unheard-of"),
        (messages(json!({"tools": [{"type": "web_search_20250305", "name": "s"}]})), "web_search"),
        (
            messages(json!({"tools": [{"type": "code_execution_20250825", "name": "c", "max_uses": 1}]})),
            "code_execution",
        ),
        (messages(json!({"mcp_servers": [{"url": "https://x.example"}]})), "tool"),
        (messages(json!({"speed": "fast"})), "fast"),
        (messages(json!({"betas": ["context-1m-2025-08-07"]})), "betas"),
        (messages(json!({"context_management": {"edits": [{"type": "compact_20260112"}]}})), "compact_20260112"),
    ] {
        assert!(unknown(&plan).contains(reason), "{:?}", plan.claim.worst);
    }
}

#[test]
fn tools_of_the_provider_are_known_by_their_exact_version() {
    let with = |kind: &str| messages(json!({"tools": [{"type": kind, "name": "t", "max_uses": 1}]}));
    for kind in [
        "web_search_20250305",
        "web_search_20260209",
        "web_search_20260318",
        "web_fetch_20250910",
        "web_fetch_20260209",
        "web_fetch_20260309",
        "web_fetch_20260318",
    ] {
        assert!(matches!(with(kind).claim.worst, Worst::Bound(_)), "{kind}");
    }
    for kind in ["web_search_29990101", "web_search", "web_fetch_20250910x", "Web_search_20250305"] {
        assert!(unknown(&with(kind)).contains(kind), "{kind}");
    }
    let long = format!("web_search_20250305{}", "x".repeat(200));
    assert!(unknown(&with(&long)).len() < 200);
    let of_openai = |kind: &str| {
        let body = json!({"model": "gpt-5-mini", "input": "hi", "max_output_tokens": 9, "max_tool_calls": 2, "tools": [{"type": kind}]});
        plan(Provider::OpenAi, "/v1/responses", &body)
    };
    for kind in ["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"] {
        assert!(matches!(of_openai(kind).claim.worst, Worst::Bound(_)), "{kind}");
    }
    for kind in ["web_search_ultra", "web_search_2027_01_01"] {
        assert!(unknown(&of_openai(kind)).contains(kind), "{kind}");
    }
}

/// `claude-haiku-4-5` reads 200,000 tokens at once.
#[test]
fn where_tools_run_at_anthropic_the_model_reads_as_often_as_it_goes_on_by_itself_whatever_their_uses() {
    for uses in [0, 1, 5] {
        let tools = json!([{"type": "web_search_20250305", "name": "s", "max_uses": uses}]);
        let bound = bound(&messages(json!({"tools": tools})));
        assert_eq!((bound.input_tokens, bound.choices), (11 * 200_000, 11), "{uses} uses");
    }
}

/// 2,833 tokens of `gpt-4o-mini` and 5,667 a tile are those of `gpt-4o`, 33 times.
#[test]
fn pictures_count_as_often_as_the_provider_bills_them() {
    let image =
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}]);
    let read = |model: &str| bound(&chat(json!({"model": model, "messages": image}))).input_tokens;
    assert_eq!(read("gpt-4o-mini"), 128_000 * 3334 / 100);
    assert_eq!(read("gpt-4o"), 128_000);
    assert_eq!(read("o4-mini"), 200_000 * 172 / 100);
    assert_eq!(read("gpt-6-sol"), 922_000 * 246 / 100, "one that is not listed takes the most");
}

#[test]
fn a_regional_host_costs_what_the_table_has_for_a_region() {
    let prices = PriceBook::built_in().in_one_region(Provider::OpenAi);
    let body = json!({"model": "gpt-5.4", "service_tier": "default", "max_completion_tokens": 100, "messages": []});
    let [here, there] = [&PriceBook::built_in(), &prices]
        .map(|prices| plan_with(prices, Provider::OpenAi, "/v1/chat/completions", &body));
    let tenth_more = |nano: NanoUsd| NanoUsd((nano.0 * 11).div_ceil(10));
    assert_eq!(bound(&there).nano_usd(), tenth_more(bound(&here).nano_usd()));
    let usage = Usage { input_tokens: 1_000, output_tokens: 100, tier: Some(Tier::Standard), ..Usage::default() };
    let cost = |plan: &Plan, prices: &PriceBook| {
        let reading = Reading { used: Used::Complete(vec![usage.clone()]), end: End::Proper };
        plan.meterage.cost(prices, &reading, &ticket(plan), None).unwrap().nano_usd
    };
    assert_eq!(cost(&there, &prices), tenth_more(cost(&here, &PriceBook::built_in())));
}

#[test]
fn an_alias_is_booked_at_the_price_of_the_model_that_answered_where_that_is_dearer() {
    let body =
        json!({"model": "chat-latest", "max_completion_tokens": 1_000, "service_tier": "default", "messages": []});
    let plan = plan(Provider::OpenAi, "/v1/chat/completions", &body);
    let answered = |model: &str| {
        let (tier, model) = (Some(Tier::Standard), Some(model.to_owned()));
        let usage = Usage { input_tokens: 1_000, output_tokens: 1_000, tier, model, ..Usage::default() };
        cost(&plan, Used::Complete(vec![usage])).unwrap().nano_usd
    };
    let own = answered("chat-latest");
    assert_eq!(answered("gpt-5.5-pro"), NanoUsd(30_000_000 + 180_000_000), "30 and 180 USD a million");
    assert_eq!(answered("gpt-5-nano"), own, "a cheaper one may be a mistake of its name");
    assert_eq!(answered("gpt-unheard-of"), own);
}

#[test]
fn a_bill_above_the_bound_is_believed_as_far_as_the_model_can_have_done_it() {
    let plan = chat(json!({"service_tier": "default"}));
    let booked = |input_tokens: u64, output_tokens: u64| {
        let usage = Usage { input_tokens, output_tokens, tier: Some(Tier::Standard), ..Usage::default() };
        cost(&plan, Used::Complete(vec![usage])).map(|cost| cost.tokens)
    };
    assert_eq!(booked(272_000, 128_000), Some(400_000), "its window and its maximum");
    assert_eq!(booked(272_001, 1), None);
    assert_eq!(booked(1, 128_001), None);
    let searches = Usage { web_searches: 1, tier: Some(Tier::Standard), ..Usage::default() };
    assert_eq!(cost(&plan, Used::Complete(vec![searches])), None, "nothing could search");
}

#[test]
fn an_edit_of_the_context_that_nobody_knows_is_unknown() {
    let edit = |edits: serde_json::Value| messages(json!({"context_management": edits}));
    for edits in [
        json!({"edits": [{"type": "summarize_20270101"}]}),
        json!({"edits": [{"type": "clear_thinking_20251015"}, {"type": "Compact_20260112"}]}),
        json!({"edits": [{"type": "clear_tool_uses_20250919", "then": {"type": "message"}}]}),
        json!([{"type": "compaction"}]),
    ] {
        assert!(unknown(&edit(edits.clone())).contains("context_management"), "{edits}");
    }
    let known = json!({"edits": [
        {"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 1}},
        {"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 30_000},
            "keep": {"type": "tool_uses", "value": 3}, "exclude_tools": ["memory"]},
    ]});
    assert!(bound(&edit(known)).input_tokens < 3_000);
}

#[test]
fn labels_of_the_callers_own_cost_nothing_and_may_say_anything() {
    let own = json!({"session_id": "s", "thread_id": "t", "model": "x", "tools": [{"type": "web_search"}], "type": "image", "id": "i"});
    let chat = chat(json!({"metadata": own, "user": "u", "safety_identifier": "s", "prompt_cache_key": "k"}));
    let body = json!({"model": "gpt-5-mini", "max_output_tokens": 10, "client_metadata": own, "metadata": own, "user": "u",
        "safety_identifier": "s", "prompt_cache_key": "k",
        "input": [{"type": "message", "role": "user", "content": "hi", "internal_chat_message_metadata_passthrough": {"turn_id": "t"}}]});
    let responses = plan(Provider::OpenAi, "/v1/responses", &body);
    let messages = messages(json!({"metadata": own}));
    for plan in [chat, responses, messages] {
        assert!(bound(&plan).input_tokens < 3_000, "{:?}", plan.claim);
        assert_eq!(plan.meterage.models.len(), 1);
    }
}

#[test]
fn as_many_tools_of_the_provider_as_are_looked_at_are_bounded_and_one_more_is_not() {
    let searches = |count| vec![json!({"type": "web_search_20250305", "name": "s", "max_uses": 0}); count];
    assert!(bound(&messages(json!({"tools": searches(128)}))).nano_usd().0 > 0);
    let mut tools = searches(128);
    tools.push(json!({"type": "code_execution_20250825", "name": "c"}));
    assert_eq!(messages(json!({"tools": tools})).claim.worst, Worst::TooManyTools(128));
}

#[test]
fn of_the_callers_own_tools_any_number_is_bounded() {
    let tools = vec![json!({"type": "function", "function": {"name": "f", "parameters": {}}}); 1_000];
    assert!(bound(&chat(json!({"tools": tools}))).input_tokens > 0);
    let tools = vec![json!({"name": "own", "input_schema": {}}); 1_000];
    assert!(bound(&messages(json!({"tools": tools}))).input_tokens > 0);
}

#[test]
fn models_that_may_take_over_add_up() {
    let one = bound(&messages(json!({})));
    let both = bound(&messages(json!({"fallbacks": [{"model": "claude-opus-5"}]})));
    assert!(both.nano_usd().0 > 5 * one.nano_usd().0);
    assert_eq!(both.choices, 2);
}

#[test]
fn a_model_that_may_take_over_is_bound_by_what_its_own_entry_says() {
    let usual = bound(&messages(json!({"fallbacks": [{"model": "claude-opus-5"}]})));
    let longer = json!({"fallbacks": [{"model": "claude-opus-5", "max_tokens": 64_000}]});
    assert_eq!(bound(&messages(longer)).output_tokens, 64_000);
    let faster = json!({"model": "claude-opus-5", "speed": "standard", "fallbacks": [{"model": "claude-opus-5-5", "speed": "fast"}]});
    let faster = bound(&messages(faster));
    assert!(faster.output_pico_usd >= 2 * 25_000_000, "{faster:?}");
    let null = json!({"fallbacks": [{"model": "claude-opus-5", "max_tokens": null, "speed": null}]});
    let null = bound(&messages(null));
    assert_eq!((null.output_tokens, null.output_pico_usd), (usual.output_tokens, usual.output_pico_usd));
    let odd = json!({"fallbacks": [{"model": "claude-opus-5", "max_tokens": 1e6}]});
    assert!(unknown(&messages(odd)).contains("max_tokens"));
    let unpriced = json!({"fallbacks": [{"model": "claude-haiku-4-5-20251001", "speed": "fast"}]});
    assert!(unknown(&messages(unpriced)).contains("fast"));
}

#[test]
fn tools_that_the_provider_describes_are_read_too() {
    let tools = json!([
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "computer_20250124", "name": "computer", "display_width_px": 1, "display_height_px": 1},
        {"type": "memory_20250818", "name": "memory"},
        {"name": "own", "input_schema": {}},
    ]);
    let read = bound(&messages(json!({"tools": tools}))).input_tokens;
    assert!(read >= 346 + 245 + 700 + 735 + 499 + 2_048, "{read}");
    assert!(bound(&messages(json!({"tools": [{"name": "own", "input_schema": {}}]}))).input_tokens < 2_048 + 300);
}

#[test]
fn reasoning_that_is_sent_by_its_id_alone_may_fill_the_window() {
    let read = |item: serde_json::Value| {
        let body = json!({"model": "gpt-5", "max_output_tokens": 10, "input": [item]});
        bound(&plan(Provider::OpenAi, "/v1/responses", &body)).input_tokens
    };
    for item in [
        json!({"type": "reasoning", "id": "rs_1", "summary": []}),
        json!({"type": "compaction", "id": "cmp_1"}),
        json!({"id": "rs_1", "encrypted_content": null, "type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]}),
    ] {
        assert_eq!(read(item.clone()), 272_000, "{item}");
    }
    for item in [
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}),
        json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}),
        json!({"encrypted_content": "gAAA", "summary": [], "id": "rs_1", "type": "reasoning"}),
        json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}),
    ] {
        assert!(read(item.clone()) < 3_000, "{item}");
    }
}

#[test]
fn a_prediction_is_not_bound_by_the_maximum() {
    let long = "x ".repeat(10_000);
    let plan = chat(json!({"prediction": {"type": "content", "content": long}}));
    assert!(unknown(&plan).contains("prediction"));
}

#[test]
fn a_tier_that_the_answer_does_not_say_is_the_dearest_that_may_have_served() {
    let usage = Usage { input_tokens: 10, output_tokens: 10, ..Usage::default() };
    let silent = |tier: serde_json::Value| {
        cost(&chat(json!({"service_tier": tier})), Used::Complete(vec![usage.clone()])).unwrap().nano_usd
    };
    // 0.45 and 3.6 USD a million; 0.25 and 2.
    let (dear, usual) = (NanoUsd(10 * 450 + 10 * 3_600), NanoUsd(10 * 250 + 10 * 2_000));
    for tier in [json!("priority"), json!("auto"), json!("fast"), json!(null)] {
        assert_eq!(silent(tier.clone()), dear, "{tier}");
    }
    for tier in [json!("default"), json!("flex")] {
        assert_eq!(silent(tier.clone()), usual, "{tier}");
    }
    let told = Usage { tier: Some(Tier::Standard), ..usage.clone() };
    assert_eq!(cost(&chat(json!({"service_tier": "priority"})), Used::Complete(vec![told])).unwrap().nano_usd, usual);
}

#[test]
fn an_answer_by_a_model_that_was_not_named_costs_what_the_dearest_would() {
    let plan = messages(json!({"fallbacks": [{"model": "claude-opus-5"}]}));
    let by = |model: &str| {
        let usage = Usage { input_tokens: 10, output_tokens: 10, model: Some(model.to_owned()), ..Usage::default() };
        cost(&plan, Used::Complete(vec![usage])).unwrap().nano_usd
    };
    assert!(by("claude-haiku-4-5") < by("claude-opus-5"));
    assert_eq!(by("claude-something-else"), by("claude-opus-5"));
}

#[test]
fn a_search_that_no_answer_counts_is_paid() {
    let plan = chat(json!({"model": "gpt-4o-search-preview"}));
    let usage = Usage { input_tokens: 10, output_tokens: 10, ..Usage::default() };
    // 0.025 USD.
    assert!(cost(&plan, Used::Complete(vec![usage])).unwrap().nano_usd > NanoUsd(25_000_000));
}

#[test]
fn counting_tokens_costs_nothing() {
    let body = json!({"model": "claude-haiku-4-5", "messages": []});
    let plan = plan(Provider::Anthropic, "/v1/messages/count_tokens", &body);
    assert_eq!(plan.claim.worst, Worst::Free);
}

proptest! {
    #[test]
    fn whatever_a_provider_can_bill_for_a_request_is_within_its_bound(
        text in "[a-zA-Z\\u{80}-\\u{ffff} ]{0,200}", max in 1_u64..5000, n in 1_u64..4, tier in prop::sample::select(vec!["auto", "default", "flex", "priority"]),
        read in 0..=1000_u64, cached in 0..=1000_u64, written in 0..=1000_u64, which in 0..4_usize,
    ) {
        let plan = chat(json!({"messages": [{"role": "user", "content": text}], "max_completion_tokens": max, "n": n, "service_tier": tier}));
        let bound = bound(&plan);
        let part = |of: u64, per_mille: u64| of * per_mille / 1000;
        let input = part(bound.input_tokens, read);
        let possible = match tier {
            "default" => &[Tier::Standard][..],
            "flex" => &[Tier::Standard, Tier::Flex],
            _ => &[Tier::Standard, Tier::Flex, Tier::Priority],
        };
        let served = possible.get(which).copied();
        let usage = Usage {
            input_tokens: input, cached_tokens: part(input, cached), output_tokens: part(max * n, written), tier: served, ..Usage::default()
        };
        let cost = cost(&plan, Used::Complete(vec![usage])).unwrap();
        prop_assert!(cost.nano_usd <= bound.nano_usd() && cost.tokens <= bound.tokens());
    }
}

fn speech(model: &str, characters: Option<u64>) -> Meterage {
    Meterage {
        provider: Provider::OpenAi,
        answer: AnswerKind::Speech,
        models: vec![model.to_owned()],
        bound: None,
        searches: 0,
        runs_tools: false,
        characters,
        tier: AskedTier::Unsaid,
        most: Most::default(),
    }
}

/// More than any of it costs.
const HELD: Amounts = Amounts { nano_usd: NanoUsd::MAX, tokens: 1_000_000, requests: 1, calls: 1 };

fn cost_of(meterage: &Meterage, used: Used) -> Option<Cost> {
    let ticket = Ticket { hold: HoldId(1), permission: 0, amounts: HELD, bounded: true, delegation: None };
    meterage.cost(&PriceBook::built_in(), &Reading { used, end: End::Broken }, &ticket, None)
}

#[test]
fn speech_that_is_billed_by_its_characters_is_exact_whatever_became_of_the_sound() {
    let usage = Usage { input_tokens: 3, output_tokens: 9, ..Usage::default() };
    let by_text = |tokens| Some(Cost { nano_usd: NanoUsd(11 * 15_000), tokens, exact: true });
    assert_eq!(cost_of(&speech("tts-1", Some(11)), Used::Missing), by_text(0));
    assert_eq!(cost_of(&speech("tts-1", Some(11)), Used::Partial(vec![usage.clone()])), by_text(0));
    assert_eq!(cost_of(&speech("tts-1", Some(11)), Used::Complete(vec![usage])), by_text(12));
    assert_eq!(cost_of(&speech("tts-1", None), Used::Missing), None);
    assert_eq!(cost_of(&speech("tts-9", Some(11)), Used::Missing), None);
}

#[test]
fn a_length_without_a_price_is_not_free() {
    let heard = |model: &str| Meterage { answer: AnswerKind::Transcription, ..speech(model, None) };
    let usage = Usage { audio_millis: 2_000, ..Usage::default() };
    let used = Used::Complete(vec![usage]);
    assert_eq!(cost_of(&heard("gpt-4o-mini-tts"), used.clone()), None);
    let expected = Cost { nano_usd: NanoUsd(200_000), tokens: 0, exact: true };
    assert_eq!(cost_of(&heard("whisper-1"), used), Some(expected));
}

#[test]
fn speech_that_is_billed_by_tokens_is_known_only_from_its_events() {
    let usage = Usage { input_tokens: 10, output_tokens: 20, output_audio_tokens: 20, ..Usage::default() };
    assert_eq!(cost_of(&speech("gpt-4o-mini-tts", Some(11)), Used::Missing), None);
    // 0.60 and 12 USD a million.
    let expected = Cost { nano_usd: NanoUsd(10 * 600 + 20 * 12_000), tokens: 30, exact: true };
    assert_eq!(cost_of(&speech("gpt-4o-mini-tts", Some(11)), Used::Complete(vec![usage])), Some(expected));
}
