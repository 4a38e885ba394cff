//! Calls as apps send them, and answers as providers do.

use aipassport::{
    domain::{
        ledger::Need,
        permission::{ModelPattern, Provider},
    },
    gateway::{
        Failure, MAX_EDIT_BYTES, Method, Plan, Request, Sent, betas, dialect, filter_models, is_billed,
        prices::PriceBook,
        usage::{AnswerKind, Meter, Reading, Used},
        without_account_names,
    },
};
use serde_json::Value;

use super::{fields, texts};

thread_local! {
    static PRICES: PriceBook = PriceBook::built_in();
}

/// What stands in the URL, `content-type`, `anthropic-beta`, and the body. `GET` for whatever has no body.
pub fn call(input: &[u8]) {
    let [target, content_type, named, body] = fields(input);
    let Some([target]) = texts(target) else { return };
    let (Some([content_type]), Some([named])) = (texts(content_type), texts(named)) else { return };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let method = if body.is_empty() { Method::Get } else { Method::Post };
    for header in betas::HEADERS {
        let left = betas::narrow(header, named).value.unwrap_or_default();
        assert!(betas::narrow(header, &left).dropped.is_empty(), "what leaves is on the list");
    }
    for provider in Provider::ALL {
        let plan = |body: &[u8]| -> Result<Plan, Failure> {
            let route = Request { provider, method: Some(method), path, query }.route()?;
            let sent = Sent { body, content_type: Some(content_type) };
            PRICES.with(|prices| route.plan(sent, prices))
        };
        match plan(body) {
            Ok(planned) => holds(&planned, path, body, plan),
            Err(failure) => {
                assert!((400..500).contains(&failure.code().status()));
                let told = (dialect(provider).error_body)(&failure, "req_1");
                assert!(told.is_object() && !failure.message().is_empty());
            }
        }
    }
}

fn holds(planned: &Plan, path: &str, body: &[u8], plan: impl Fn(&[u8]) -> Result<Plan, Failure>) {
    assert!(planned.target == path || planned.target.starts_with(&format!("{path}?")));
    assert!(http::HeaderValue::from_str(&planned.content_type).is_ok());
    assert!(
        url::Url::parse(&format!("https://provider.example{}", planned.target)).is_ok_and(|url| url.path() == path)
    );
    let Need::Model { models, capabilities } = &planned.claim.need else { return };
    assert!(!models.is_empty() && !capabilities.is_empty());
    // Of two parsers that read it, neither sees another model.
    let json: Option<Value> = serde_json::from_slice(body).ok().filter(|_| planned.content_type == "application/json");
    if let Some(model) = json.as_ref().and_then(|json| json.get("model")).and_then(Value::as_str) {
        assert_eq!(models[0], model);
    }
    for most in [None, Some(1), Some(4096)] {
        let mut edited = body.to_vec();
        if planned.edit(&mut edited, most).is_err() {
            continue;
        }
        assert!(edited.len() <= body.len() + MAX_EDIT_BYTES, "the data plane leaves so much room");
        let again = plan(&edited).expect("what was read can be read when it is edited");
        assert_eq!(again.claim.need, planned.claim.need);
        assert_eq!((again.stream, &again.target), (planned.stream, &planned.target));
        let mut twice = edited.clone();
        again.edit(&mut twice, most).unwrap();
        assert_eq!(twice, edited, "nothing is left to edit");
    }
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

/// A byte for the kind of the answer, a byte for where it is cut, and the answer.
pub fn answer(input: &[u8]) {
    let [kind, cut, body @ ..] = input else { return };
    let answer = KINDS[usize::from(*kind) % KINDS.len()];
    let reading = |part: usize| -> Reading {
        let mut meter = if (usize::from(*kind) / KINDS.len()).is_multiple_of(2) {
            Meter::for_stream(answer)
        } else {
            Meter::for_json(answer)
        };
        body.chunks(part).for_each(|part| meter.feed(part));
        meter.finish()
    };
    let whole = reading(body.len().max(1));
    assert_eq!(reading(usize::from(*cut).max(1)), whole, "it reads the same wherever it is cut");
    let (Used::Complete(usages) | Used::Partial(usages)) = &whole.used else { return };
    assert!(!usages.is_empty());
    for usage in usages {
        assert!(usage.cached_tokens <= usage.input_tokens && usage.reasoning_tokens <= usage.output_tokens);
        PRICES.with(|prices| {
            for provider in Provider::ALL {
                let models = [usage.model.as_deref().unwrap_or("gpt-5"), "claude-opus-4-5", "gpt-4o-mini-tts"];
                for price in models.iter().filter_map(|model| prices.find(provider, model)) {
                    let _ = price.cost(usage);
                }
            }
        });
    }
}

/// The patterns that are granted, by commas, and the list.
pub fn list_of_models(input: &[u8]) {
    let [granted, list] = fields(input);
    let Ok(granted) = core::str::from_utf8(granted) else { return };
    let granted: Vec<ModelPattern> = granted.split(',').filter_map(|pattern| pattern.parse().ok()).collect();
    let Some(shown) = filter_models(list, &granted) else { return };
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    for model in shown["data"].as_array().unwrap() {
        let id = model["id"].as_str().expect("every model that is shown has an id");
        assert!(granted.iter().any(|pattern| pattern.matches(id)));
    }
}

/// What a provider says when it refuses.
pub fn failure(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let shown = without_account_names(&text);
    assert_eq!(without_account_names(&shown), shown, "nothing is left to hide");
    for status in [200, 400, 429, 500] {
        let _ = is_billed(status, Some(&text));
    }
}
