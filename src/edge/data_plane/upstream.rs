//! The call to the provider: the one place where its real key leaves the broker's memory.

use secrecy::ExposeSecret;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Response};

use super::{body, head::Headers, inbound::Inbound};
use crate::{
    domain::id::GrantId,
    edge::{
        js::{self, Called},
        settings::Upstream,
    },
    gateway::{betas, dialect, headers, without_account_names},
};

/// What goes to the provider.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Its body, where it has one.
    pub body: Option<body::Outgoing>,
    /// What the body is.
    pub content_type: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Whether what the call can cost is limited.
    pub is_capped: bool,
}

/// What became of the call.
#[derive(Debug)]
pub enum Outcome {
    /// The provider answers.
    Answered(Answered),
    /// The platform refused to send it. For the log.
    Unsent(String),
    /// The connection could not be made, or was lost before an answer came: the platform says the same of both, so what the provider
    /// did with the request is not known. For the log.
    Lost(String),
    /// It did not begin to answer in time; what it did with the request is not known.
    TimedOut,
    /// The client went away; what the provider did with the request is not known.
    Abandoned,
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Answered {
    /// As the platform has it.
    pub raw: Response,
    /// Its headers.
    pub headers: Headers,
    /// What hangs up on the provider.
    pub give_up: AbortController,
    /// Betas that the provider wasn't told of.
    pub dropped: Vec<String>,
}

/// Makes the call and waits for the head of its answer.
pub async fn call(
    inbound: &Inbound,
    outgoing: Outgoing<'_>,
    grant_id: &GrantId,
    upstream: &Upstream,
    timeout_seconds: u64,
) -> Outcome {
    let url = format!("{}{}", upstream.base_url, outgoing.target);
    let content_type = outgoing.body.is_some().then_some(outgoing.content_type);
    let (headers, dropped) = request_headers(inbound, outgoing.is_capped, content_type, grant_id, upstream);
    #[expect(clippy::cast_precision_loss, reason = "a timeout is at most a day")]
    let seconds = timeout_seconds as f64;
    let none = JsValue::UNDEFINED;
    let (value, length) = outgoing.body.as_ref().map_or((&none, 0), |body| (&body.value, body.length));
    let called = js::call_upstream(&inbound.raw, &inbound.method, &url, headers.as_text(), value, length, seconds);
    let called: Called = match JsFuture::from(called).await {
        Ok(called) => called.unchecked_into(),
        Err(error) => return Outcome::Unsent(js::message(&error)),
    };
    match called.problem().as_deref() {
        None => Outcome::Answered(Answered {
            raw: called.response(),
            headers: Headers::received(called.headers()),
            give_up: called.give_up(),
            dropped,
        }),
        Some("late") => Outcome::TimedOut,
        Some("abandoned") => Outcome::Abandoned,
        Some(_) => Outcome::Lost(called.reason().unwrap_or_default()),
    }
}

/// The headers that leave, and the betas that don't.
fn request_headers(
    inbound: &Inbound,
    is_capped: bool,
    content_type: Option<&str>,
    grant_id: &GrantId,
    upstream: &Upstream,
) -> (Headers, Vec<String>) {
    let dialect = dialect(inbound.provider);
    let mut sent = Headers::default();
    for (name, value) in dialect.default_headers {
        sent.set(name, value);
    }
    let mut dropped = Vec::new();
    for (name, value) in inbound.headers().filter(|(name, _)| headers::passes_upstream(name)) {
        if is_capped && betas::HEADERS.contains(&name) {
            let narrowed = betas::narrow(name, value);
            if let Some(value) = narrowed.value {
                sent.set(name, &value);
            }
            dropped.extend(narrowed.dropped);
        } else {
            sent.set(name, value);
        }
    }
    if let Some(key) = inbound.header(headers::IDEMPOTENCY_KEY)
        && key.len() <= headers::MAX_IDEMPOTENCY_KEY_BYTES
    {
        sent.set(headers::IDEMPOTENCY_KEY, &format!("{grant_id}-{key}"));
    }
    // What comes back is forwarded as it is, and searched where it is an error.
    sent.set("accept-encoding", "identity");
    if let Some(kind) = content_type {
        sent.set("content-type", kind);
    }
    let (name, prefix) = dialect.key_header;
    sent.set(name, &format!("{prefix}{}", upstream.key.expose_secret()));
    (sent, dropped)
}

/// The text of an error answer, without the key, should the provider repeat it, and without the operator's account.
#[must_use]
pub fn redacted(text: &str, upstream: &Upstream) -> String {
    without_account_names(&text.replace(upstream.key.expose_secret(), "[redacted]"))
}
