//! What goes back: heads by allow-list, bodies as the platform has them, refusals in the provider's own shape.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{ReadableStream, Response};

use super::{head::Headers, inbound::Inbound, upstream::Answered};
use crate::{
    domain::{ledger::Reservation, permission::Provider},
    edge::js,
    gateway::{
        Failure,
        challenge::{Challenge, is_insufficient},
        dialect, headers,
    },
};

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_SECONDS: &str = "86400";

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    status: u16,
    headers: Headers,
}

impl Head {
    /// A head with what every answer of the data plane carries.
    #[must_use]
    pub fn new(status: u16, request_id: &str) -> Self {
        let mut headers = Headers::default();
        headers.set("access-control-allow-origin", "*");
        headers.set("access-control-expose-headers", headers::EXPOSED);
        headers.set("cache-control", "no-store");
        headers.set("x-content-type-options", "nosniff");
        headers.set(headers::REQUEST_ID, request_id);
        Self { status, headers }
    }

    /// The head of a provider's answer: only what is on the list comes through.
    #[must_use]
    pub fn of_upstream(status: u16, answered: &Answered, request_id: &str, reservation: Option<&Reservation>) -> Self {
        let mut head = Self::new(status, request_id);
        for (name, value) in answered.headers.iter() {
            if headers::RESPONSE_HEADERS.contains(&name) {
                head.headers.set(name, value);
            }
        }
        if !answered.dropped.is_empty() {
            head.headers.set(headers::DROPPED, &answered.dropped.join(", "));
        }
        if let Some(reservation) = reservation {
            for (name, value) in headers::of_reservation(reservation) {
                head.headers.set(name, &value);
            }
        }
        head
    }

    /// With a nonce for the client's next `DPoP` proof, where it needs a new one.
    #[must_use]
    pub fn with_nonce(mut self, nonce: Option<&str>) -> Self {
        if let Some(nonce) = nonce {
            self.headers.set(headers::DPOP_NONCE, nonce);
        }
        self
    }

    /// With a stream for a body, or none.
    ///
    /// # Errors
    /// A status or header that the platform doesn't take.
    pub fn with_stream(&self, body: Option<&ReadableStream>) -> Result<Response, JsValue> {
        js::respond(self.status, self.headers.as_text(), body.map_or(&JsValue::NULL, AsRef::as_ref))
    }

    /// With bytes for a body.
    ///
    /// # Errors
    /// As [`Self::with_stream`].
    pub fn with_bytes(&self, body: &[u8]) -> Result<Response, JsValue> {
        self.with_array(&Uint8Array::from(body))
    }

    /// With bytes that the platform has.
    ///
    /// # Errors
    /// As [`Self::with_stream`].
    pub fn with_array(&self, body: &Uint8Array) -> Result<Response, JsValue> {
        js::respond(self.status, self.headers.as_text(), body)
    }
}

/// Answers a browser that asks whether its app may call (the Fetch standard's CORS preflight). Tokens are all that counts here, so
/// every origin may.
///
/// # Errors
/// As [`Head::with_stream`].
pub fn preflight(inbound: &Inbound, request_id: &str) -> Result<Response, JsValue> {
    let mut head = Head::new(204, request_id);
    head.headers.set("access-control-allow-methods", "GET, POST, OPTIONS");
    if let Some(asked) = inbound.header("access-control-request-headers") {
        head.headers.set("access-control-allow-headers", asked);
    }
    head.headers.set("access-control-max-age", PREFLIGHT_SECONDS);
    head.headers.set("vary", "access-control-request-headers");
    head.with_stream(None)
}

/// A refusal, so that the provider's SDK raises the exception that it knows. `issuer` is the broker's, for the challenge of a 401.
///
/// # Errors
/// As [`Head::with_stream`].
pub fn refusal(
    failure: &Failure,
    provider: Provider,
    request_id: &str,
    challenge: &Challenge<'_>,
    nonce: Option<&str>,
) -> Result<Response, JsValue> {
    let code = failure.code();
    let mut head = Head::new(code.status(), request_id);
    head.headers.set("content-type", "application/json");
    for (name, value) in headers::of_failure(failure) {
        head.headers.set(name, &value);
    }
    if code.status() == 401 || is_insufficient(code) {
        head.headers.set("www-authenticate", &challenge.header(failure));
    }
    if let Some(nonce) = nonce {
        head.headers.set(headers::DPOP_NONCE, nonce);
    }
    let body = (dialect(provider).error_body)(failure, request_id);
    head.with_bytes(body.to_string().as_bytes())
}
