use proptest::prelude::*;

use super::{
    super::{book, parse},
    *,
};

#[test]
fn every_line_of_the_table_is_found() {
    let book = PriceBook::built_in();
    assert_eq!(book.all().count(), book::TABLE.lines().count() - 1);
    for (model, price) in book.all() {
        assert!(price.is_some(), "{model}");
    }
    for line in book::TABLE.lines().skip(1) {
        let entry = parse::Entry::read(1, &serde_json::from_str(line).unwrap()).unwrap();
        assert_eq!(book.find(entry.provider, &entry.model), Some(&entry.price));
    }
}

#[test]
fn every_model_of_the_table_answers_in_text_but_those_that_make_something_else() {
    let other = ["embedding", "moderation", "image", "tts", "transcribe", "whisper"];
    let mut kinds = 0;
    for (model, price) in PriceBook::built_in().all() {
        let is_other = other.iter().any(|kind| model.contains(kind));
        assert_eq!(price.unwrap().is_of_chat(), !is_other, "{model}");
        kinds += usize::from(is_other);
    }
    assert!(kinds > other.len(), "there are some of each");
}

#[test]
fn what_a_question_costs_is_known_of_models_that_answer_in_text() {
    let book = PriceBook::built_in();
    let cost = |model| book.of_chat(Provider::OpenAi, model, (1_000, 1_000));
    assert_eq!(cost("gpt-5-mini"), Some(NanoUsd(2_250_000)));
    for model in
        ["text-embedding-3-small", "gpt-image-1", "gpt-4o-mini-tts", "whisper-1", "omni-moderation-latest", "no"]
    {
        assert_eq!(cost(model), None, "{model}");
    }
    let own = r#"[{"provider":"openai","model":"m","input":"1","output":"2"}]"#;
    let own = PriceBook::with_overrides(own).unwrap();
    assert_eq!(
        own.of_chat(Provider::OpenAi, "m", (1_000, 1_000)),
        Some(NanoUsd(3_000_000)),
        "the operator's needs no more"
    );
}

#[test]
fn only_exact_ids_have_a_price() {
    let book = PriceBook::built_in();
    for model in ["gpt-5-mini-2099-01-01", "gpt-5-min", "GPT-5-mini", "gpt-5-mini ", "", "ft:gpt-5-mini:me::1", "ft:"] {
        assert_eq!(book.find(Provider::OpenAi, model), None, "{model:?}");
    }
    assert_eq!(book.find(Provider::Anthropic, "gpt-5-mini"), None);
}

#[test]
fn the_fine_tuned_cost_what_their_base_costs_fine_tuned() {
    let book = PriceBook::built_in();
    let base = book.find(Provider::OpenAi, "ft:gpt-4.1-mini-2025-04-14");
    assert!(base.is_some());
    for model in ["ft:gpt-4.1-mini-2025-04-14:org:name:id", "ft:gpt-4.1-mini-2025-04-14:org::id:ckpt-step-10"] {
        assert_eq!(book.find(Provider::OpenAi, model), base);
        assert_eq!(book.find(Provider::Anthropic, model), None);
    }
}

#[test]
fn the_operators_price_takes_the_place_of_the_built_in_one() {
    let json = r#"[{"provider":"openai","model":"gpt-5-mini","input":"1","output":"0.000001"},
        {"provider":"openai","model":"ft:gpt-5-mini:org::id","input":"7","output":"8","max_output":9}]"#;
    let book = PriceBook::with_overrides(json).unwrap();
    let price = book.find(Provider::OpenAi, "gpt-5-mini").unwrap();
    assert_eq!(price.cost(&text(1_000, 0)), NanoUsd(1_000_000));
    assert_eq!(price.cost(&text(0, 1_000)), NanoUsd(1));
    assert_eq!(price.window(), None);
    assert_eq!(book.find(Provider::OpenAi, "ft:gpt-5-mini:org::id").unwrap().max_output(), Some(9));
    assert_eq!(book.find(Provider::OpenAi, "gpt-5"), PriceBook::built_in().find(Provider::OpenAi, "gpt-5"));
}

#[test]
fn the_version_names_the_table_and_marks_the_operators_prices() {
    assert_eq!(PriceBook::built_in().version(), "litellm-1.109.1");
    let version = |json: &str| PriceBook::with_overrides(json).unwrap().version().to_owned();
    // The first bytes of the SHA-256 of "[]".
    assert_eq!(version("[]"), "litellm-1.109.1+4f53cda1");
    assert_ne!(version("[]"), version(" []"));
    assert!(version("[]").len() <= 40);
}

#[test]
fn errors_name_the_price_and_the_field_and_say_what_to_do() {
    let error = |entry: &str| PriceBook::with_overrides(&format!("[{entry}]")).unwrap_err().to_string();
    let with = |field: &str| error(&format!(r#"{{"provider":"openai","model":"m","input":"1","output":"2",{field}}}"#));
    let per_million = "write USD per million as a text like \"0.25\": at most six digits before and after the point";
    for text in ["0.25", "null", "\"-1\"", "\"1.\"", "\".5\"", "\"1e3\"", "\"1234567\"", "\"0.0000001\"", "\"\"", "[]"]
    {
        assert_eq!(with(&format!("\"cached\":{text}")), format!("price 1 (m), cached: {per_million}"));
    }
    let cases = [
        (with("\"outptu\":\"1\""), "price 1 (m), outptu: no such field; see docs/prices.md"),
        (with("\"input\":\"1\""), "price 1 (m), input: stands twice; remove one of them"),
        (
            with("\"search\":1"),
            "price 1 (m), search: write USD for one as a text like \"0.01\": at most six digits before and twelve after the point",
        ),
        (with("\"window\":0"), "price 1 (m), window: write a whole number of tokens like 128000"),
        (with("\"max_output\":\"9\""), "price 1 (m), max_output: write a whole number of tokens like 128000"),
        (with("\"fast_percent\":99"), "price 1 (m), fast_percent: write a whole number of percent from 100 to 1000"),
        (
            with("\"flex\":{\"long\":{\"inputs\":\"1\"}}"),
            "price 1 (m), flex.long.inputs: no such field; see docs/prices.md",
        ),
        (with("\"flex\":\"1\""), "price 1 (m), flex: write an object with prices, like {\"input\": \"0.25\"}"),
        (with("\"long\":{\"input\":\"1\"}"), "price 1 (m), long.above: is missing"),
        (with("\"flex\":{\"long\":{\"input\":\"1\"}}"), "price 1 (m), long.above: is missing"),
        (error("{\"provider\":\"openai\",\"input\":\"1\",\"output\":\"1\"}"), "price 1, model: is missing"),
        (error("{\"model\":\"m\",\"input\":\"1\",\"output\":\"1\"}"), "price 1 (m), provider: is missing"),
        (error("{\"model\":\"m\",\"provider\":\"acme\"}"), "price 1 (m), provider: write \"openai\" or \"anthropic\""),
        (error("{\"model\":\"m\",\"provider\":\"openai\",\"output\":\"1\"}"), "price 1 (m), input: is missing"),
        (error("{\"model\":\"m\",\"provider\":\"openai\",\"input\":\"1\"}"), "price 1 (m), output: is missing"),
        (error("7"), "price 1: write an object with prices, like {\"input\": \"0.25\"}"),
    ];
    for (error, expected) in cases {
        assert_eq!(error, expected);
    }
    let twice = r#"[{"provider":"openai","model":"m","input":"1","max_output":0},
        {"provider":"openai","model":"m","input":"2","max_output":0}]"#;
    assert_eq!(
        PriceBook::with_overrides(twice).unwrap_err().to_string(),
        "price 2 is a second one for \"m\"; remove one of them"
    );
    let list = PriceBook::with_overrides("{}").unwrap_err().to_string();
    assert_eq!(list, "prices are a JSON list of objects, one for each model: it is something else");
    let list = PriceBook::with_overrides("[{").unwrap_err().to_string();
    assert!(list.starts_with("prices are a JSON list of objects, one for each model: EOF"), "{list}");
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in ".{0,200}") {
        let _ = PriceBook::with_overrides(&text);
    }

    #[test]
    fn no_price_breaks_the_parser(entry in entry()) {
        if let Ok(book) = PriceBook::with_overrides(&format!("[{entry}]")) {
            let price = book.find(Provider::OpenAi, "m").unwrap();
            let _ = price.cost(&text(u64::MAX, u64::MAX));
            let _ = price.bound(&Ask::of_bytes(u64::MAX));
        }
    }
}

/// Something like a price.
fn entry() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "input",
        "cached",
        "output",
        "audio_second",
        "characters",
        "search",
        "window",
        "max_output",
        "fast_percent",
        "above",
        "inputs",
    ]);
    let value = prop::sample::select(vec![
        "\"1\"",
        "\"999999.999999\"",
        "\"0\"",
        "200",
        "0",
        "1.5",
        "null",
        "[1]",
        "\"a\"",
        "-1",
    ]);
    let fields = prop::collection::vec((field, value), 0..4);
    let objects = prop::collection::vec((prop::sample::select(vec!["long", "flex", "priority"]), fields.clone()), 0..3);
    (fields, objects).prop_map(|(fields, objects)| {
        let written = |fields: Vec<(&str, &str)>| {
            fields.iter().map(|(field, value)| format!("\"{field}\":{value}")).collect::<Vec<_>>()
        };
        let mut all = vec!["\"provider\":\"openai\"".to_owned(), "\"model\":\"m\"".to_owned()];
        all.extend(written(fields));
        all.extend(objects.into_iter().map(|(name, fields)| format!("\"{name}\":{{{}}}", written(fields).join(","))));
        format!("{{{}}}", all.join(","))
    })
}
