//! From the provider's answer to ours, and what it means for the booking.

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Response, StreamPipeOptions};

use super::{Call, booking::Booking, outbound::Head, upstream};
use crate::{
    domain::ledger::{Record, Reservation},
    edge::{js, settings::Upstream},
    gateway::{self, Failure, filter_models},
};

impl Call {
    /// Turns the provider's answer into ours, and sees to the booking.
    pub(super) async fn pass_on(
        &self,
        answer: Response,
        response: gateway::Response,
        reservation: &Reservation,
        booking: Booking,
        upstream: &Upstream,
    ) -> Result<Response, Failure> {
        let provider = self.inbound.provider;
        let failure = |_: JsValue| Failure::UpstreamUnreachable(provider);
        match answer.status() {
            200..300 => {
                let remaining = reservation.requests_remaining;
                let head = Head::of_upstream(&answer, &self.request_id, remaining).map_err(failure)?;
                match response {
                    gateway::Response::PassOn => self.stream(&answer, &head, reservation, booking).map_err(failure),
                    gateway::Response::FilterModels => {
                        let list = text(&answer).await;
                        booking.settle(None, Record::default()).await;
                        let list = list.and_then(|list| filter_models(list.as_bytes(), &reservation.models));
                        head.with_bytes(&list.ok_or(Failure::UpstreamUnreachable(provider))?).map_err(failure)
                    }
                }
            }
            401 => {
                discard(&answer);
                booking.release().await;
                Err(Failure::ProviderKeyRejected(provider))
            }
            status @ 400.. => {
                let body = text(&answer).await.unwrap_or_default();
                // The provider bills neither its own failures nor what it had no room for; anything else was the app's call.
                if status == 429 || status >= 500 {
                    booking.release().await;
                } else {
                    booking.settle(None, Record::default()).await;
                }
                let head = Head::of_upstream(&answer, &self.request_id, None).map_err(failure)?;
                head.with_bytes(upstream::redacted(&body, upstream).as_bytes()).map_err(failure)
            }
            // Nothing that a provider answers to these calls; following a redirect would carry the key elsewhere.
            _ => {
                discard(&answer);
                booking.release().await;
                Err(Failure::UpstreamUnreachable(provider))
            }
        }
    }

    /// The body passes inside the platform; no code of ours sees a chunk of it. When the client goes away the platform hangs up on the
    /// provider.
    fn stream(
        &self,
        answer: &Response,
        head: &Head,
        reservation: &Reservation,
        booking: Booking,
    ) -> Result<Response, JsValue> {
        let body = answer.body();
        let (true, Some(body)) = (reservation.concurrency_limited, &body) else {
            // The call is made and counted; nothing depends on when its answer ends.
            self.context.wait_until(booking.settle(None, Record::default()));
            return head.with_stream(body.as_ref());
        };
        // Here the call is in flight until its answer ends, and the answer ends when the call is settled.
        let pipe = js::IdentityTransformStream::new();
        let options = StreamPipeOptions::new();
        options.set_prevent_close(true);
        let writable = pipe.writable();
        let piped = JsFuture::from(body.pipe_to_with_options(&writable, &options));
        self.context.wait_until(async move {
            let ended = piped.await;
            booking.settle(None, Record::default()).await;
            if ended.is_ok() {
                // It fails only when the client is gone.
                let _ = JsFuture::from(writable.close()).await;
            }
        });
        head.with_stream(Some(&pipe.readable()))
    }
}

/// Lets the provider's connection go.
fn discard(answer: &Response) {
    if let Some(body) = answer.body() {
        let cancelled = JsFuture::from(body.cancel());
        wasm_bindgen_futures::spawn_local(async move { drop(cancelled.await) });
    }
}

async fn text(answer: &Response) -> Option<String> {
    JsFuture::from(answer.text().ok()?).await.ok()?.as_string()
}
