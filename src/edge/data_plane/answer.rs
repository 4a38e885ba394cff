//! From the provider's answer to ours, and what it means for the booking.

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStream, Response};

use super::{
    Call,
    booking::Booking,
    head::Headers,
    outbound::Head,
    upstream::{self, Answered},
    waits,
};
use crate::{
    domain::ledger::Reservation,
    edge::{
        js::{self, Passing},
        settings::{Patience, Upstream},
    },
    gateway::{
        self, Failure, filter_models, is_billed,
        throttle::Wait,
        usage::{AnswerKind, Meter},
    },
};

/// An answer of so few tokens, at half a KiB each, is shorter than a MiB: it may gather in the isolate, which costs less than to be handed
/// on piece by piece.
const FEW_TOKENS: u64 = 2048;
/// What is copied into the wasm's memory at once.
const PIECE_BYTES: u32 = 64 * 1024;

/// How a body passes: with what hangs up on the provider, whether its end waits, and seconds between two pieces and in all.
type Pass = fn(&ReadableStream, &AbortController, bool, u32, u32) -> Passing;

/// An answer that has begun, and what is known of its call.
pub struct Answer<'a> {
    /// The provider's.
    pub given: Answered,
    /// How long its pieces are waited for.
    pub patience: Patience,
    /// What to do with it.
    pub response: gateway::Response,
    /// Whether the usage in its stream was asked for by the broker alone.
    pub strips_usage: bool,
    /// What the ledger said.
    pub reservation: &'a Reservation,
    /// A nonce for the client's next proof, where it needs a new one.
    pub next_nonce: Option<String>,
    /// Who gave it.
    pub upstream: &'a Upstream,
}

impl Call {
    /// Turns the provider's answer into ours, and sees to the booking.
    pub(super) async fn pass_on(&self, answer: Answer<'_>, booking: Booking) -> Result<Response, Failure> {
        let provider = self.inbound.provider;
        let failure = |_: JsValue| Failure::UpstreamUnreachable(provider);
        let status = answer.given.raw.status();
        match status {
            200..300 => {
                let head = Head::of_upstream(status, &answer.given, &self.request_id, Some(answer.reservation))
                    .with_nonce(answer.next_nonce.as_deref());
                match answer.response {
                    gateway::Response::PassOn if is_event_stream(&answer.given.headers) => {
                        let pass = if answer.strips_usage {
                            js::without_usage
                        } else if booking.writes_at_most(FEW_TOKENS) {
                            js::metered
                        } else {
                            js::pumped
                        };
                        self.stream(&answer, &head, booking, pass, Meter::for_stream).map_err(failure)
                    }
                    // Sound, which says nothing of its use, and images, which are long.
                    gateway::Response::PassOn if booking.answer_kind() == AnswerKind::Speech => {
                        self.stream(&answer, &head, booking, js::passing, Meter::for_json).map_err(failure)
                    }
                    gateway::Response::PassOn if booking.answer_kind() == AnswerKind::Images => {
                        self.stream(&answer, &head, booking, js::pumped, Meter::for_json).map_err(failure)
                    }
                    gateway::Response::PassOn => self.whole(&answer, &head, booking, status).await,
                    gateway::Response::FilterModels => {
                        let list = text(&answer).await;
                        booking.settle_free(status).await;
                        let list = list.and_then(|list| filter_models(list.as_bytes(), &answer.reservation.models));
                        head.with_bytes(&list.ok_or(Failure::UpstreamUnreachable(provider))?).map_err(failure)
                    }
                }
            }
            401 => {
                discard(&answer.given.raw);
                booking.release().await;
                Err(Failure::ProviderKeyRejected(provider))
            }
            400.. => {
                let body = text(&answer).await;
                if let Some(wait) = Wait::of(status, |name| answer.given.headers.get(name), body.as_deref()) {
                    waits::note(booking.grant_id(), provider, booking.model(), wait);
                }
                match is_billed(status, body.as_deref()) {
                    gateway::Billed::Nothing => booking.release().await,
                    gateway::Billed::ACall => booking.settle_free(status).await,
                    gateway::Billed::Unknown => booking.settle_at_bound(status).await,
                }
                let head = Head::of_upstream(status, &answer.given, &self.request_id, None)
                    .with_nonce(answer.next_nonce.as_deref());
                let body = upstream::redacted(&body.unwrap_or_default(), answer.upstream);
                head.with_bytes(body.as_bytes()).map_err(failure)
            }
            // Nothing that a provider answers to these calls; following a redirect would carry the key elsewhere.
            _ => {
                discard(&answer.given.raw);
                booking.release().await;
                Err(Failure::UpstreamUnreachable(provider))
            }
        }
    }

    /// The body passes inside the platform, as it comes. What it says of its use is read from a copy, lazily, and booked when it is over,
    /// also when the client has gone: then the provider is hung up on.
    fn stream(
        &self,
        answer: &Answer<'_>,
        head: &Head,
        mut booking: Booking,
        pass: Pass,
        meter: fn(AnswerKind) -> Meter,
    ) -> Result<Response, JsValue> {
        let status = answer.given.raw.status();
        let Some(body) = answer.given.raw.body() else {
            self.context.wait_until(booking.settle_at_bound(status));
            return head.with_stream(None);
        };
        // A call is in flight until its answer ends; where that is limited, the answer ends when the call is settled.
        let holds_end = answer.reservation.concurrency_limited;
        let Patience { idle_seconds, seconds } = answer.patience;
        let passing: Passing = pass(&body, &answer.given.give_up, holds_end, idle_seconds, seconds);
        let readable = passing.readable();
        self.context.wait_until(async move {
            let mut meter = meter(booking.answer_kind());
            while let Ok(piece) = JsFuture::from(passing.next()).await {
                let Ok(piece) = piece.dyn_into::<Uint8Array>() else { break };
                meter.feed(&piece.to_vec());
            }
            booking.settle(&meter.finish(), status).await;
            drop(JsFuture::from(passing.release()).await);
        });
        head.with_stream(Some(&readable))
    }

    /// An answer that comes at once.
    async fn whole(
        &self,
        answer: &Answer<'_>,
        head: &Head,
        mut booking: Booking,
        status: u16,
    ) -> Result<Response, Failure> {
        let mut meter = Meter::for_json(booking.answer_kind());
        let body = match bytes(answer).await {
            Ok(body) => body,
            Err(is_late) => {
                // It broke off, or the client went away.
                booking.settle(&meter.finish(), status).await;
                let provider = self.inbound.provider;
                return Err(if is_late {
                    Failure::UpstreamTimeout(provider)
                } else {
                    Failure::UpstreamUnreachable(provider)
                });
            }
        };
        let mut from = 0;
        while from < body.length() {
            let to = from.saturating_add(PIECE_BYTES).min(body.length());
            meter.feed(&body.subarray(from, to).to_vec());
            from = to;
        }
        let reading = meter.finish();
        if answer.reservation.concurrency_limited {
            booking.settle(&reading, status).await;
        } else {
            self.context.wait_until(async move { booking.settle(&reading, status).await });
        }
        head.with_array(&body).map_err(|_| Failure::UpstreamUnreachable(self.inbound.provider))
    }
}

fn is_event_stream(headers: &Headers) -> bool {
    let kind = headers.get("content-type").unwrap_or_default();
    kind.trim_start().get(..17).is_some_and(|start| start.eq_ignore_ascii_case("text/event-stream"))
}

/// Lets the provider's connection go.
fn discard(answer: &Response) {
    if let Some(body) = answer.body() {
        let cancelled = JsFuture::from(body.cancel());
        wasm_bindgen_futures::spawn_local(async move { drop(cancelled.await) });
    }
}

/// All of an answer.
///
/// # Errors
/// It broke off; whether because it took too long.
async fn bytes(answer: &Answer<'_>) -> Result<Uint8Array, bool> {
    let Patience { idle_seconds, seconds } = answer.patience;
    let body = js::whole_answer(&answer.given.raw, &answer.given.give_up, idle_seconds, seconds);
    match JsFuture::from(body).await {
        Ok(body) => body.dyn_into().map_err(|_| false),
        Err(error) => Err(js::message(&error) == "late"),
    }
}

async fn text(answer: &Answer<'_>) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes(answer).await.ok()?.to_vec()).into_owned())
}
