//! Delivers webhooks. `courier.mjs` is the Durable Object whose alarm asks for it; there is one for the whole broker.
//!
//! What is to be delivered stands in D1 (`webhook_deliveries`), written in the same moment as what it tells of. Nothing depends on being
//! woken: the alarm stands at whatever is due next, and the hourly clean-up wakes it, too. A delivery whose success could not be noted is
//! made again, under the same `webhook-id`.

use futures_util::future::join_all;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use worker::Env;

use super::{clock, d1, d1::Due, js, log, settings::Settings};
use crate::{
    domain::{
        oauth::remote_address::RemoteAddress,
        time::Timestamp,
        webhook::{DeliveryError, TIMEOUT_SECONDS, WebhookSecret},
    },
    web::ports::Webhook,
};

/// Deliveries that are made at once: the platform allows six requests.
const AT_ONCE: u32 = 6;

/// What the object asks.
#[wasm_bindgen]
pub struct CourierCore {
    env: Env,
}

impl core::fmt::Debug for CourierCore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CourierCore").finish_non_exhaustive()
    }
}

#[wasm_bindgen]
impl CourierCore {
    /// Without any state.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self { env }
    }

    /// Tries what is due. When to come again, in milliseconds since the epoch; nothing: when it is woken.
    ///
    /// # Errors
    /// The database can't answer, or a secret is missing.
    pub async fn deliver(&self) -> Result<Option<f64>, JsValue> {
        let next = deliver(&self.env).await.map_err(|error| JsValue::from_str(&error))?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch stay below 2^53")]
        Ok(next.map(|millis| millis as f64))
    }
}

/// Wakes the object; never fails.
pub async fn wake() {
    drop(JsFuture::from(js::wake_courier()).await);
}

async fn deliver(env: &Env) -> Result<Option<u64>, String> {
    let settings = Settings::get(env).map_err(|error| error.to_string())?;
    let database = d1::Database::of_job(env).map_err(|error| error.to_string())?;
    let Some(webhook) = database.webhook().await.map_err(|error| error.0)? else { return Ok(None) };
    let due = database.due_deliveries(AT_ONCE, clock::now()).await.map_err(|error| error.0)?;
    let sent = join_all(due.iter().map(|due| send(due, &webhook, &settings))).await;
    for (due, (status, error)) in due.iter().zip(sent) {
        if let Some(error) = error {
            log::failure("webhook", error.as_str());
        }
        database.note_attempt(due, status, error, clock::now()).await.map_err(|error| error.0)?;
    }
    let next = database.next_delivery_at().await.map_err(|error| error.0)?;
    Ok(next.map(Timestamp::millis))
}

/// The status that it was answered with, if it was, and why it failed, if it did.
async fn send(due: &Due, webhook: &Webhook, settings: &Settings) -> (Option<u16>, Option<DeliveryError>) {
    let Some(body) = &due.body else { return (None, Some(DeliveryError::Unreadable)) };
    // The broker may have moved since the address was stored.
    let Ok(address) = RemoteAddress::parse(&webhook.url, settings.own_reach()) else {
        return (None, Some(DeliveryError::Address));
    };
    let now = clock::now();
    let secret = WebhookSecret::named(&webhook.secret_name, settings.cookie_key());
    let signature = secret.sign(&due.message_id, now, body);
    let timestamp = now.seconds().to_string();
    let posted = js::post_webhook(address.as_str(), &due.message_id, &timestamp, &signature, body, TIMEOUT_SECONDS);
    let Ok(posted) = JsFuture::from(posted).await else { return (None, Some(DeliveryError::Unreachable)) };
    let posted: js::Posted = posted.unchecked_into();
    let status = Some(posted.status()).filter(|status| *status != 0);
    let error =
        posted.trouble().map(|trouble| DeliveryError::from_stored(&trouble).unwrap_or(DeliveryError::Unreachable));
    (status, error)
}
