//! Whatever of a call is bounded is refused past its bound, never cut: what isn't looked at decides nothing, and so could do anything.
//!
//! The bounds are found in the source. A new one fails here until it has a call just at it, and one just past it.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::json;

use super::{Failure, Method, Plan, Request, Sent, prices::PriceBook};
use crate::domain::{ledger::Worst, permission::Provider};

/// Files whose code reads what a caller sends.
const READS_CALLS: [&str; 7] = [
    "betas.rs",
    "plan.rs",
    "multipart/mod.rs",
    "survey/mod.rs",
    "survey/form.rs",
    "survey/value.rs",
    "survey/weights.rs",
];
/// Bounds of no call: the platform's part reads the body, and refuses a longer one before it is planned; and an edit is ours.
const ELSEWHERE: [&str; 2] = ["MAX_BODY_BYTES", "MAX_EDIT_BYTES"];

fn source(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway").join(file)).unwrap()
}

/// By name: every `const MAX_… = number` of those files.
fn bounds() -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for file in READS_CALLS {
        for line in source(file).lines().filter(|line| line.contains("const MAX_")) {
            let (head, value) = line.split_once(" = ").unwrap();
            let name = head.split("const ").nth(1).unwrap().split(':').next().unwrap();
            let factors = value.trim_end_matches(';').split('*').map(|factor| factor.trim().replace('_', ""));
            let value = factors.map(|factor| factor.parse::<usize>().unwrap()).product();
            found.insert(name.to_owned(), value);
        }
    }
    found
}

fn call(provider: Provider, method: Method, path: &str, content_type: &str, body: &[u8]) -> Result<Plan, Failure> {
    let request = Request { provider, method: Some(method), path, query: None };
    request.route()?.plan(Sent { body, content_type: Some(content_type) }, &PriceBook::built_in())
}

fn messages(mut more: serde_json::Value) -> Result<Plan, Failure> {
    let mut body = json!({"model": "claude-haiku-4-5", "max_tokens": 9, "messages": []});
    body.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    call(Provider::Anthropic, Method::Post, "/v1/messages", "application/json", body.to_string().as_bytes())
}

/// A form with one field more; `head` stands behind its name.
fn form(boundary: &str, name: &str, head: &str, more: usize) -> Result<Plan, Failure> {
    let part = |name: &str, head: &str, text: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{head}\r\n\r\n{text}\r\n")
    };
    let mut body = part("model", "", "gpt-image-1") + &part("prompt", "", "a dog") + &part(name, head, "1");
    for index in 0..more {
        body += &part(&format!("extra{index}"), "", "x");
    }
    let body = body + "--" + boundary + "--\r\n";
    let content_type = format!("multipart/form-data; boundary={boundary}");
    call(Provider::OpenAi, Method::Post, "/v1/images/edits", &content_type, body.as_bytes())
}

/// A call that has just so much of what this bounds.
fn with(bound: &str, size: usize) -> Result<Plan, Failure> {
    match bound {
        "MAX_NAMED_MODELS" => {
            let models: Vec<_> = (0..size).map(|index| json!({"model": format!("claude-{index}")})).collect();
            messages(json!({ "fallbacks": models }))
        }
        "MAX_MODEL_BYTES" => messages(json!({"fallbacks": [{"model": "m".repeat(size)}]})),
        "MAX_SERVER_TOOLS" => {
            let tool = json!({"type": "web_search_20250305", "name": "s", "max_uses": 0});
            messages(json!({"tools": vec![tool; size]}))
        }
        "MAX_PATH_MODEL_BYTES" => {
            call(Provider::OpenAi, Method::Get, &format!("/v1/models/{}", "m".repeat(size)), "application/json", b"")
        }
        "MAX_BOUNDARY_BYTES" => form(&"b".repeat(size), "n", "", 0),
        "MAX_NAME_BYTES" => form("X", &"n".repeat(size), "", 0),
        "MAX_PARTS" => form("X", "n", "", size - 3),
        // One digit for a number of images.
        "MAX_DIGITS" => {
            let digits = "0".repeat(size - 1) + "1";
            let body = format!(
                "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-image-1\r\n\
                 --X\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n{digits}\r\n--X--\r\n"
            );
            let content_type = "multipart/form-data; boundary=X";
            call(Provider::OpenAi, Method::Post, "/v1/images/edits", content_type, body.as_bytes())
        }
        "MAX_HEAD_BYTES" => {
            let begins = "Content-Disposition: form-data; name=\"image\"";
            let named = "; filename=\"\"";
            // The empty line behind them is of them.
            let file = "f".repeat(size - begins.len() - named.len() - "\r\n\r\n".len());
            form("X", "image", &format!("; filename=\"{file}\""), 0)
        }
        other => panic!("{other} has no call here: add one that is just at it"),
    }
}

fn is_refused(plan: Result<Plan, Failure>) -> bool {
    plan.is_err_and(|failure| (400..404).contains(&failure.code().status()))
}

#[test]
fn whatever_is_bounded_is_refused_past_its_bound() {
    let bounds = bounds();
    assert!(bounds.len() >= 10, "{bounds:?}");
    for (name, most) in bounds.into_iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        if name == "MAX_SERVER_TOOLS" {
            // Without a cap any number may run; the ledger says no where there is one.
            assert!(matches!(with(&name, most).unwrap().claim.worst, Worst::Bound(_)));
            assert!(matches!(with(&name, most + 1).unwrap().claim.worst, Worst::TooManyTools(_)));
            continue;
        }
        assert!(with(&name, most).is_ok(), "{name} {most}: {:?}", with(&name, most));
        assert!(is_refused(with(&name, most + 1)), "{name} {most}: one more passes");
    }
}

#[test]
fn too_many_of_a_kind_have_a_code_of_their_own() {
    let code = |bound: &str| with(bound, bounds()[bound] + 1).unwrap_err().code().as_str();
    assert_eq!(code("MAX_NAMED_MODELS"), "too_many_models");
}

/// A body that is nested deeper than the parser goes is refused, and not read as far as it goes.
#[test]
fn depth_is_refused_past_its_bound() {
    let nested = |depth: usize| {
        let body = format!(
            r#"{{"model":"claude-haiku-4-5","max_tokens":9,"messages":{}1{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        call(Provider::Anthropic, Method::Post, "/v1/messages", "application/json", body.as_bytes())
    };
    assert!(nested(100).is_ok());
    assert!(is_refused(nested(200)));
}

/// What is read of a call is never cut to a size. Where a text is shown it is, by one function.
#[test]
fn nothing_that_decides_is_cut() {
    for file in READS_CALLS {
        let source = source(file);
        let code = source.split("#[cfg(test)]").next().unwrap();
        for cut in [".truncate(", ".take(", ".chars().take"] {
            for line in code.lines().filter(|line| line.contains(cut)) {
                // `Option::take` takes no number.
                assert!(line.contains(".take()"), "{file}: {line}");
            }
        }
    }
}
