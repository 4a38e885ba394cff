//! What is read from a corpus of answers, and what it costs. `tests/oracle/oracle.test.mjs` compares the lines that this prints with
//! what an independent library makes of the same answers; here the corpus itself is the test.

use std::{fs, path::Path};

use aipassport::{
    domain::permission::Provider,
    gateway::{
        prices::PriceBook,
        usage::{AnswerKind, End, Meter, Reading, Usage, Used},
    },
};
use serde::Deserialize;
use serde_json::json;

#[derive(Clone, Deserialize)]
struct Case {
    name: String,
    provider: Provider,
    kind: String,
    stream: bool,
    model: String,
    said: String,
    body: String,
}

impl Case {
    fn meter(&self) -> Meter {
        let kind = match self.kind.as_str() {
            "chat" => AnswerKind::Chat,
            "responses" => AnswerKind::Responses,
            "embeddings" => AnswerKind::Embeddings,
            "images" => AnswerKind::Images,
            "transcription" => AnswerKind::Transcription,
            "speech" => AnswerKind::Speech,
            "messages" => AnswerKind::Messages,
            "free" => AnswerKind::Free,
            other => panic!("{other}"),
        };
        if self.stream { Meter::for_stream(kind) } else { Meter::for_json(kind) }
    }

    /// In parts of so many bytes.
    fn read(&self, part: usize) -> Reading {
        let mut meter = self.meter();
        self.body.as_bytes().chunks(part).for_each(|part| meter.feed(part));
        meter.finish()
    }
}

fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        for line in fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            cases.push(serde_json::from_str(line).unwrap());
        }
    }
    cases
}

fn said(used: &Used) -> (&'static str, &[Usage]) {
    match used {
        Used::Complete(usages) => ("complete", usages),
        Used::Partial(usages) => ("partial", usages),
        Used::Missing => ("missing", &[]),
    }
}

#[test]
fn every_answer_of_the_corpus_says_what_it_should() {
    let cases = corpus();
    assert!(cases.len() >= 200, "{}", cases.len());
    for case in cases {
        assert_eq!(said(&case.read(usize::MAX).used).0, case.said, "{}", case.name);
    }
}

#[test]
fn where_an_answer_of_the_corpus_is_cut_makes_no_difference() {
    for case in corpus() {
        let whole = case.read(usize::MAX);
        for part in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(case.read(part), whole, "{} in parts of {part}", case.name);
        }
        // Every single cut, as far as is quick.
        for at in 1..case.body.len().min(1000) {
            let (first, rest) = case.body.as_bytes().split_at(at);
            let mut meter = case.meter();
            meter.feed(first);
            meter.feed(rest);
            assert_eq!(meter.finish(), whole, "{} at {at}", case.name);
        }
    }
}

#[test]
fn a_stream_of_the_corpus_that_breaks_anywhere_never_says_more_than_it_did_as_a_whole() {
    for case in corpus() {
        let whole = case.read(usize::MAX).used;
        for end in (0..case.body.len()).step_by(13) {
            let body = String::from_utf8_lossy(case.body.as_bytes().split_at(end).0).into_owned();
            let part = Case { body, ..case.clone() };
            if let complete @ Used::Complete(_) = part.read(usize::MAX).used {
                assert_eq!(complete, whole, "{} broken at {end}", case.name);
            }
        }
    }
}

#[test]
fn the_readings_are_printed_for_the_oracle() {
    let book = PriceBook::built_in();
    for case in corpus() {
        let Reading { used, end } = case.read(usize::MAX);
        let (said, usages) = said(&used);
        let cost = |usage: &Usage| {
            let model = usage.model.as_deref().unwrap_or(&case.model);
            book.find(case.provider, model).map(|price| price.cost(usage).0)
        };
        let nano_usd: Option<u64> = usages.iter().map(cost).sum();
        let usages: Vec<_> = usages.iter().map(as_json).collect();
        let ended = end == End::Proper;
        println!(
            "{}",
            json!({ "name": case.name, "said": said, "ended": ended, "usages": usages, "nano_usd": nano_usd })
        );
    }
}

fn as_json(usage: &Usage) -> serde_json::Value {
    json!({
        "model": usage.model,
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens + usage.cache_write_long_tokens,
        "cache_write_1h_tokens": usage.cache_write_long_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "input_image_tokens": usage.input_image_tokens,
        "output_tokens": usage.output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "output_audio_tokens": usage.output_audio_tokens,
        "output_image_tokens": usage.output_image_tokens,
        "web_searches": usage.web_searches,
        "audio_millis": usage.audio_millis,
    })
}
