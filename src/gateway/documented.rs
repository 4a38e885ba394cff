//! What `docs/prices.md` says of the most that a call can cost, row by row. A row that is new there, or whose words change, fails here until
//! somebody has written down what it means in figures.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Method, Plan, Request, Sent,
    prices::PriceBook,
    usage::{End, Reading, Tier, Usage, Used},
};
use crate::domain::{
    ledger::{Amounts, Bound, HoldId, Ticket, Worst},
    money::NanoUsd,
    permission::Provider,
};

const PAGE: &str = include_str!("../../docs/prices.md");

/// The first cells of the table behind this line.
fn rows(behind: &str) -> Vec<&'static str> {
    let (_, page) = PAGE.split_once(behind).unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cell = |line: &'static str| line.strip_prefix("| ")?.split(" | ").next();
    table.map_while(cell).collect()
}

/// Holds the checks against the rows, both ways.
fn hold(behind: &str, checks: &[(&str, &dyn Fn())]) {
    let written: BTreeSet<&str> = rows(behind).into_iter().collect();
    let checked: BTreeSet<&str> = checks.iter().map(|(row, _)| *row).collect();
    assert_eq!(written, checked);
    for (row, check) in checks {
        println!("{row}");
        check();
    }
}

fn plan(prices: &PriceBook, provider: Provider, path: &str, body: &Value) -> Plan {
    let body = body.to_string();
    let request = Request { provider, method: Some(Method::Post), path, query: None };
    let sent = Sent { body: body.as_bytes(), content_type: Some("application/json") };
    request.route().unwrap().plan(sent, prices).unwrap()
}

fn with(mut body: Value, mut more: Value) -> Value {
    body.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    body
}

fn bound_of(plan: &Plan) -> Bound {
    match &plan.claim.worst {
        Worst::Bound(bound) => bound.clone(),
        other => panic!("{other:?}"),
    }
}

fn chat(more: Value) -> Bound {
    let body = json!({"model": "gpt-5", "service_tier": "default", "max_completion_tokens": 100, "messages": []});
    bound_of(&plan(&PriceBook::built_in(), Provider::OpenAi, "/v1/chat/completions", &with(body, more)))
}

fn responses(more: Value) -> Bound {
    let body = json!({"model": "gpt-5", "service_tier": "default", "max_output_tokens": 100, "input": "hi"});
    bound_of(&plan(&PriceBook::built_in(), Provider::OpenAi, "/v1/responses", &with(body, more)))
}

fn messages(more: Value) -> Bound {
    let body = json!({"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [], "inference_geo": "global"});
    bound_of(&plan(&PriceBook::built_in(), Provider::Anthropic, "/v1/messages", &with(body, more)))
}

/// The price of a model `m` of OpenAI that is written so.
fn written(price: &str) -> PriceBook {
    PriceBook::with_overrides(&format!(r#"[{{"provider":"openai","model":"m",{price}}}]"#)).unwrap()
}

fn cost(price: &str, usage: &Usage) -> NanoUsd {
    written(price).find(Provider::OpenAi, "m").unwrap().cost(usage)
}

fn usage() -> Usage {
    Usage { input_tokens: 1_000_000, tier: Some(Tier::Standard), ..Usage::default() }
}

const USD: u64 = 1_000_000_000;

/// `gpt-5` reads 272,000 tokens, writes 128,000 and costs 1.25 and 10 USD a million; `claude-haiku-4-5` reads 200,000.
#[test]
fn the_most_that_a_call_can_cost_is_as_documented() {
    let image =
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}]);
    let search = |uses: u64| json!({"tools": [{"type": "web_search"}], "max_tool_calls": uses});
    let base_url = || {
        let body = json!({"model": "gpt-5.4", "service_tier": "default", "max_completion_tokens": 100, "messages": []});
        let prices = PriceBook::built_in().in_one_region(Provider::OpenAi);
        let plan = plan(&prices, Provider::OpenAi, "/v1/chat/completions", &body);
        assert_eq!(bound_of(&plan).output_pico_usd, 16_500_000, "15 USD a million, and a tenth");
        let bound = bound_of(&plan);
        let amounts = Amounts { nano_usd: bound.nano_usd(), tokens: bound.tokens(), requests: 1, calls: 1 };
        let ticket = Ticket { hold: HoldId(0), permission: 0, amounts, bounded: true, delegation: None };
        let used = Usage { output_tokens: 100, tier: Some(Tier::Standard), ..Usage::default() };
        let reading = Reading { used: Used::Complete(vec![used]), end: End::Proper };
        assert_eq!(plan.meterage.cost(&prices, &reading, &ticket, None).unwrap().nano_usd, NanoUsd(1_650_000));
    };
    hold(
        "## The most that a call can cost",
        &[
            ("text that is read", &|| {
                let long = chat(json!({"user": "x".repeat(1_000)})).input_tokens;
                assert_eq!(long - chat(json!({"user": ""})).input_tokens, 1_000);
                assert_eq!(chat(json!({"user": "x".repeat(400_000)})).input_tokens, 272_000);
            }),
            ("a tool of the caller's that the provider describes (bash, text editor, computer, memory, …)", &|| {
                let with = |kind: &str| messages(json!({"tools": [{"type": kind, "name": "t"}]})).input_tokens;
                assert_eq!(with("bash_20250124") - with("custom"), 2_048 + "bash_20250124".len() as u64 - 6);
            }),
            ("with anything but text, or reasoning or a compaction that is sent by its id alone", &|| {
                assert_eq!(chat(json!({"messages": image})).input_tokens, 272_000);
                assert_eq!(chat(json!({"messages": image, "model": "gpt-4o-mini"})).input_tokens, 128_000 * 3334 / 100);
                for kind in ["reasoning", "compaction"] {
                    assert_eq!(responses(json!({"input": [{"type": kind, "id": "x"}]})).input_tokens, 272_000);
                }
            }),
            ("each use of a tool that runs at OpenAI", &|| {
                let bound = responses(search(3));
                assert_eq!(bound.input_tokens, 4 * 272_000);
                // At 0.01 USD a search.
                let read = NanoUsd::from_pico_rounded_up(4 * 272_000 * 1_250_000);
                assert_eq!(bound.input_nano_usd, read.plus(NanoUsd(3 * USD / 100)));
            }),
            ("tools that run at Anthropic", &|| {
                let tools = json!([{"type": "web_search_20250305", "name": "s", "max_uses": 2}]);
                let bound = messages(json!({ "tools": tools }));
                assert_eq!(bound.input_tokens, 11 * 200_000);
                // What is written to a cache costs most, 1.25 USD a million; a search 0.01 USD.
                let read = NanoUsd::from_pico_rounded_up(11 * 200_000 * 1_250_000);
                assert_eq!(bound.input_nano_usd, read.plus(NanoUsd(2 * USD / 100)));
            }),
            ("speech that is billed by its characters", &|| {
                let body = json!({"model": "tts-1", "voice": "ash", "input": "é🚀"});
                let plan = plan(&PriceBook::built_in(), Provider::OpenAi, "/v1/audio/speech", &body);
                assert_eq!(plan.meterage.characters, Some(3));
                assert_eq!(bound_of(&plan).nano_usd(), NanoUsd(body.to_string().len() as u64 * 15_000));
            }),
            ("what is written", &|| {
                let bound = chat(json!({"n": 3}));
                assert_eq!((bound.output_tokens, bound.choices), (100, 3));
                assert_eq!(chat(json!({"max_completion_tokens": null})).output_tokens, 128_000);
                assert_eq!(messages(json!({"thinking": {"type": "enabled", "budget_tokens": 500}})).output_tokens, 500);
                let fallbacks = json!([{"model": "claude-haiku-4-5", "max_tokens": 700}]);
                assert_eq!(messages(json!({ "fallbacks": fallbacks })).output_tokens, 700);
            }),
            ("each time that everything is read once more", &|| assert_eq!(responses(search(3)).choices, 4)),
            ("the price of a token read", &|| {
                // Written to a cache for an hour: 2 USD a million.
                let long = json!([{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}]);
                let bound = messages(json!({ "messages": long }));
                assert_eq!(bound.input_nano_usd, NanoUsd(bound.input_tokens * 2_000));
            }),
            ("no tier named", &|| assert_eq!(chat(json!({"service_tier": null})).output_pico_usd, 20_000_000)),
            ("flex named", &|| assert_eq!(chat(json!({"service_tier": "flex"})).output_pico_usd, 10_000_000)),
            ("no region named at Anthropic", &|| {
                let more = json!({"model": "claude-sonnet-5", "inference_geo": null});
                assert_eq!(messages(more).output_pico_usd, 11_000_000, "10 USD a million, and a tenth");
            }),
            ("`OPENAI_BASE_URL` that is not `https://api.openai.com`", &base_url),
        ],
    );
}

#[test]
fn what_is_missing_of_a_price_is_billed_as_documented() {
    let price = |more: &str| format!(r#""input":"2","output":"8","window":1000,"max_output":100{more}"#);
    let bare = || price("");
    hold(
        "What is missing is never a discount:",
        &[
            ("`cached`, `write`, `audio_input`, `image_input`", &|| {
                for usage in [
                    Usage { cached_tokens: 1_000_000, ..usage() },
                    Usage { cache_write_tokens: 1_000_000, ..usage() },
                    Usage { cache_write_long_tokens: 1_000_000, ..usage() },
                    Usage { input_audio_tokens: 1_000_000, ..usage() },
                    Usage { input_image_tokens: 1_000_000, ..usage() },
                ] {
                    assert_eq!(cost(&bare(), &usage), NanoUsd(2 * USD), "{usage:?}");
                }
                let long = Usage { cache_write_long_tokens: 1_000_000, ..usage() };
                assert_eq!(cost(&price(r#","write":"3""#), &long), NanoUsd(3 * USD));
            }),
            ("a price of a tier, or of a long context", &|| {
                let flex = Usage { output_tokens: 1_000_000, input_tokens: 0, tier: Some(Tier::Flex), ..usage() };
                assert_eq!(cost(&price(r#","flex":{"input":"1"}"#), &flex), NanoUsd(8 * USD));
                let long = Usage { output_tokens: 1_000_000, ..usage() };
                assert_eq!(cost(&price(r#","long":{"above":10,"input":"3"}"#), &long), NanoUsd(11 * USD));
            }),
            ("every price of `priority` or `ultrafast`", &|| {
                let in_tier = |tier| Usage { tier: Some(tier), ..usage() };
                let price = price(r#","priority":{"input":"5"}"#);
                assert_eq!(cost(&price, &in_tier(Tier::Ultrafast)), NanoUsd(5 * USD));
                assert_eq!(cost(&bare(), &in_tier(Tier::Priority)), NanoUsd(2 * USD));
            }),
            ("`search`", &|| {
                let usage = Usage { web_searches: 2, ..Usage::default() };
                assert_eq!(cost(&bare(), &usage), NanoUsd(2 * 25 * USD / 1_000));
            }),
            ("`fast_percent`", &|| assert_eq!(cost(&bare(), &Usage { fast: true, ..usage() }), NanoUsd(12 * USD))),
            ("`image_percent`", &|| {
                let most = |json: &str, provider| {
                    let book = PriceBook::with_overrides(json).unwrap();
                    book.find(provider, "m").unwrap().most_read(true)
                };
                let of = |provider: &str| format!(r#"[{{"provider":"{provider}","model":"m",{}}}]"#, bare());
                assert_eq!(most(&of("openai"), Provider::OpenAi), Some(2_460));
                assert_eq!(most(&of("anthropic"), Provider::Anthropic), Some(1_000));
            }),
            ("the tier in an answer of OpenAI", &|| {
                let body = json!({"model": "gpt-5", "max_completion_tokens": 100, "messages": []});
                let plan = plan(&PriceBook::built_in(), Provider::OpenAi, "/v1/chat/completions", &body);
                let bound = bound_of(&plan);
                let amounts = Amounts { nano_usd: bound.nano_usd(), tokens: bound.tokens(), requests: 1, calls: 1 };
                let ticket = Ticket { hold: HoldId(0), permission: 0, amounts, bounded: true, delegation: None };
                let used = Used::Complete(vec![Usage { output_tokens: 100, ..Usage::default() }]);
                let cost =
                    plan.meterage.cost(&PriceBook::built_in(), &Reading { used, end: End::Proper }, &ticket, None);
                assert_eq!(cost.unwrap().nano_usd, NanoUsd(2_000_000), "20 USD a million with priority");
            }),
            ("counts that contradict each other", &|| {
                let usage = Usage { cached_tokens: 1_000_001, ..usage() };
                assert!(cost(&price(r#","cached":"1","write":"3""#), &usage) >= NanoUsd(3 * USD));
            }),
        ],
    );
}
