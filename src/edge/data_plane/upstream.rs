//! The call to the provider: the one place where its real key leaves the broker's memory.

use core::{future::Future, pin::pin, task::Poll, time::Duration};
use std::future::poll_fn;

use js_sys::Uint8Array;
use secrecy::ExposeSecret;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, Headers, RequestInit, RequestRedirect, Response};

use super::inbound::Inbound;
use crate::{
    domain::id::GrantId,
    edge::{js, settings::Upstream},
    gateway::{dialect, headers, without_account_names},
};

/// What goes to the provider.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// As the platform has it.
    pub body: Option<&'a Uint8Array>,
    /// What the body is.
    pub content_type: &'a str,
    /// Path and query.
    pub target: &'a str,
}

/// What became of the call.
#[derive(Debug)]
pub enum Outcome {
    /// The provider answers; and what hangs up on it.
    Answered(Response, AbortController),
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

/// Makes the call and waits for the head of its answer.
pub async fn call(
    inbound: &Inbound,
    outgoing: Outgoing<'_>,
    grant_id: &GrantId,
    upstream: &Upstream,
    timeout_seconds: u64,
) -> Outcome {
    let client = inbound.raw.signal();
    match begin(inbound, outgoing, grant_id, upstream, &client) {
        Err(error) => Outcome::Unsent(js::message(&error)),
        Ok((answer, give_up)) => {
            let timeout = worker::Delay::from(Duration::from_secs(timeout_seconds));
            match first(JsFuture::from(answer), timeout).await {
                None => {
                    give_up.abort();
                    Outcome::TimedOut
                }
                Some(Ok(answer)) => match answer.dyn_into() {
                    Ok(answer) => Outcome::Answered(answer, give_up),
                    Err(_) => Outcome::Lost("not a response".to_owned()),
                },
                Some(Err(_)) if client.aborted() => Outcome::Abandoned,
                Some(Err(error)) => Outcome::Lost(js::message(&error)),
            }
        }
    }
}

fn begin(
    inbound: &Inbound,
    outgoing: Outgoing<'_>,
    grant_id: &GrantId,
    upstream: &Upstream,
    client: &AbortSignal,
) -> Result<(js_sys::Promise, AbortController), JsValue> {
    let give_up = AbortController::new()?;
    let init = RequestInit::new();
    init.set_method(&inbound.method);
    let headers = request_headers(inbound, grant_id, upstream)?;
    init.set_headers(headers.as_ref());
    // A redirect would carry the key to another host: the platform strips only `Authorization`.
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&AbortSignal::any(&js_sys::Array::of2(client, &give_up.signal()))));
    if let Some(body) = outgoing.body {
        headers.set("content-type", outgoing.content_type)?;
        init.set_body(body);
    }
    Ok((js::fetch(&format!("{}{}", upstream.base_url, outgoing.target), &init), give_up))
}

fn request_headers(inbound: &Inbound, grant_id: &GrantId, upstream: &Upstream) -> Result<Headers, JsValue> {
    let dialect = dialect(inbound.provider);
    let sent = Headers::new()?;
    for (name, value) in dialect.default_headers {
        sent.set(name, value)?;
    }
    for (name, value) in worker::Headers(inbound.raw.headers()).entries() {
        if headers::passes_upstream(&name) {
            sent.set(&name, &value)?;
        }
    }
    if let Some(key) = inbound.header(headers::IDEMPOTENCY_KEY)
        && key.len() <= headers::MAX_IDEMPOTENCY_KEY_BYTES
    {
        sent.set(headers::IDEMPOTENCY_KEY, &format!("{grant_id}-{key}"))?;
    }
    // What comes back is forwarded as it is, and searched where it is an error.
    sent.set("accept-encoding", "identity")?;
    let (name, prefix) = dialect.key_header;
    sent.set(name, &format!("{prefix}{}", upstream.key.expose_secret()))?;
    Ok(sent)
}

/// The text of an error answer, without the key, should the provider repeat it, and without the operator's account.
#[must_use]
pub fn redacted(text: &str, upstream: &Upstream) -> String {
    without_account_names(&text.replace(upstream.key.expose_secret(), "[redacted]"))
}

/// `None`: the timeout came first.
async fn first<T>(answer: impl Future<Output = T>, timeout: impl Future<Output = ()>) -> Option<T> {
    let (mut answer, mut timeout) = (pin!(answer), pin!(timeout));
    poll_fn(|context| {
        if let Poll::Ready(answer) = answer.as_mut().poll(context) {
            return Poll::Ready(Some(answer));
        }
        timeout.as_mut().poll(context).map(|()| None)
    })
    .await
}
