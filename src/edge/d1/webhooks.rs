//! Tables `webhooks`, `webhook_deliveries`.

use serde::Deserialize;

use super::{Database, Seconds, Value, from_json, notices::period, unreadable, won};
use crate::{
    domain::{
        grant::Terms,
        id::{ClientId, GrantId, UserId},
        ledger::Cap,
        money::NanoUsd,
        time::Timestamp,
        webhook::{Body, CallData, Data, DeliveryError, EventType, GrantData, LimitData, Quantity, next_attempt},
    },
    edge::{courier, ports::EdgePorts},
    web::ports::{Delivery, StoreError, Webhook, Webhooks, Write},
};

#[derive(Deserialize)]
struct WebhookRow {
    url: String,
    secret_name: String,
    created_at: Seconds,
}

#[derive(Deserialize)]
struct DeliveryRow {
    message_id: String,
    #[serde(rename = "type")]
    kind: String,
    client_name: Option<String>,
    at: Seconds,
    attempts: u32,
    next_attempt_at: Option<Seconds>,
    delivered_at: Option<Seconds>,
    status: Option<u16>,
    error: Option<String>,
}

/// A delivery with all that its body tells.
#[derive(Deserialize)]
struct DueRow {
    delivery_id: u64,
    message_id: String,
    #[serde(rename = "type")]
    kind: String,
    grant_id: Option<String>,
    at: Seconds,
    attempts: u32,
    client_id: Option<String>,
    client_name: Option<String>,
    user_id: Option<String>,
    terms: Option<String>,
    permission: Option<i64>,
    cap: Option<String>,
    period: Option<String>,
    // Signed, so that a row that can't be right is no reason to read none.
    allowed: Option<i64>,
    threshold: Option<i64>,
    used: Option<i64>,
    provider: Option<String>,
    model: Option<String>,
    request_id: Option<String>,
    nano_usd: Option<i64>,
    over_bound_nano_usd: Option<i64>,
}

#[derive(Deserialize)]
struct NextRow {
    next: Option<Seconds>,
}

/// A delivery that is to be tried now.
#[derive(Clone, Debug)]
pub struct Due {
    delivery_id: u64,
    attempts: u32,
    /// The header `webhook-id`.
    pub message_id: String,
    /// JSON. `None`: what it tells of can't be read.
    pub body: Option<String>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let unreadable_error = || unreadable("webhook_deliveries.error");
        let error = row.error.map(|text| DeliveryError::from_stored(&text).ok_or_else(unreadable_error));
        Ok(Self {
            message_id: row.message_id,
            kind: EventType::from_stored(&row.kind).ok_or_else(|| unreadable("webhook_deliveries.type"))?,
            app: row.client_name,
            at: row.at.into(),
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(Into::into),
            delivered_at: row.delivered_at.map(Into::into),
            status: row.status,
            error: error.transpose()?,
        })
    }
}

impl DueRow {
    fn due(self) -> Due {
        let (delivery_id, attempts, message_id) = (self.delivery_id, self.attempts, self.message_id.clone());
        Due { delivery_id, attempts, message_id, body: self.body().ok() }
    }

    fn body(self) -> Result<String, StoreError> {
        let kind = EventType::from_stored(&self.kind).ok_or_else(|| unreadable("webhook_deliveries.type"))?;
        let at: Timestamp = self.at.into();
        super::to_json(&Body { kind: kind.as_str(), timestamp: at.rfc3339(), data: self.data(kind)? })
    }

    fn data(self, kind: EventType) -> Result<Data, StoreError> {
        let count = |column, number: Option<i64>| {
            number.map(|number| u64::try_from(number).map_err(|_| unreadable(column))).transpose()
        };
        let mut data = Data::default();
        let (allowed, used) = (count("notices.allowed", self.allowed)?, count("notices.used", self.used)?);
        if kind == EventType::Expiring {
            data.expires_at = allowed.map(|at| Timestamp::from_seconds(at).rfc3339());
            data.days_left = self.threshold.and_then(|days| u32::try_from(days).ok());
        }
        if let (EventType::LimitReached, Some(cap), Some(allowed)) = (kind, &self.cap, allowed) {
            let cap = Cap::from_stored(cap).ok_or_else(|| unreadable("notices.cap"))?;
            let index = self.permission.and_then(|index| usize::try_from(index).ok());
            let terms: Option<Terms> = self.terms.as_deref().map(|json| from_json("grants.terms", json)).transpose()?;
            let permission = index.zip(terms).and_then(|(index, terms)| terms.permissions.into_iter().nth(index));
            data.limit = Some(LimitData {
                limit: cap.as_str(),
                scope: if index.is_some() { "permission" } else { "grant" },
                provider: permission.map(|permission| permission.provider),
                period: period("notices.period", self.period.as_deref().unwrap_or_default())?,
                threshold: self.threshold.and_then(|percent| u8::try_from(percent).ok()).unwrap_or_default(),
                allowed: Quantity::of(cap, allowed),
                used: Quantity::of(cap, used.unwrap_or_default()),
            });
        }
        if kind == EventType::OverBound {
            let booked = count("usage_events.nano_usd", self.nano_usd)?.map(NanoUsd);
            let over_bound = count("usage_events.over_bound_nano_usd", self.over_bound_nano_usd)?.map(NanoUsd);
            let (Some(booked), Some(over_bound)) = (booked, over_bound) else {
                return Err(unreadable("webhook_deliveries.hold"));
            };
            data.call = Some(CallData {
                provider: self.provider.and_then(|name| name.parse().ok()),
                model: self.model.unwrap_or_default(),
                request_id: self.request_id.unwrap_or_default(),
                held_usd: Quantity::Usd(booked.minus(over_bound)),
                booked_usd: Quantity::Usd(booked),
                over_bound_usd: Quantity::Usd(over_bound),
            });
        }
        if let Some(grant_id) = self.grant_id {
            data.grant = Some(GrantData {
                grant_id: GrantId::try_from(grant_id).map_err(|_| unreadable("webhook_deliveries.grant_id"))?,
                client_id: self.client_id.and_then(|id| ClientId::try_from(id).ok()),
                app: self.client_name,
                user_id: self.user_id.and_then(|id| UserId::try_from(id).ok()),
            });
        }
        Ok(data)
    }
}

impl Database {
    /// Where an operator's program is told.
    ///
    /// # Errors
    /// The database can't answer.
    pub async fn webhook(&self) -> Result<Option<Webhook>, StoreError> {
        let row: Option<WebhookRow> =
            self.row(("SELECT url, secret_name, created_at FROM webhooks WHERE webhook_id = 1", &[])).await?;
        Ok(row.map(|row| Webhook { url: row.url, secret_name: row.secret_name, created_at: row.created_at.into() }))
    }

    /// What is to be tried now, the longest due first, at most `limit`.
    ///
    /// # Errors
    /// The database can't answer.
    pub async fn due_deliveries(&self, limit: u32, now: Timestamp) -> Result<Vec<Due>, StoreError> {
        let sql = "SELECT delivery_id, message_id, type, d.grant_id, d.at, attempts, client_id, client_name, g.user_id, terms, \
                   n.permission, cap, period, allowed, threshold, used, provider, model, request_id, nano_usd, over_bound_nano_usd \
                   FROM webhook_deliveries AS d LEFT JOIN notices AS n ON n.notice_id = d.notice_id \
                   LEFT JOIN grants AS g ON g.grant_id = d.grant_id \
                   LEFT JOIN usage_events AS e ON e.grant_id = d.grant_id AND e.hold = d.hold \
                   WHERE next_attempt_at <= ? ORDER BY next_attempt_at, delivery_id LIMIT ?";
        let rows: Vec<DueRow> = self.rows((sql, &[Value::Time(now), Value::Count(limit)])).await?;
        Ok(rows.into_iter().map(DueRow::due).collect())
    }

    /// What became of an attempt: the status that it was answered with, if it was, and why it failed, if it did.
    ///
    /// # Errors
    /// The database can't answer; then it is tried again.
    pub async fn note_attempt(
        &self,
        due: &Due,
        status: Option<u16>,
        error: Option<DeliveryError>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let delivered_at = error.is_none().then_some(now);
        let again = error.filter(|error| error.may_pass());
        let next = again.and_then(|_| next_attempt(due.attempts.saturating_add(1), now));
        let sql = "UPDATE webhook_deliveries SET attempts = attempts + 1, last_attempt_at = ?, status = ?, error = ?, \
                   delivered_at = ?, next_attempt_at = ? WHERE delivery_id = ? AND attempts = ? AND next_attempt_at IS NOT NULL";
        let values = [
            Value::Time(now),
            Value::OptionalNumber(status.map(u64::from)),
            Value::OptionalText(error.map(DeliveryError::as_str)),
            Value::OptionalNumber(delivered_at.map(Timestamp::seconds)),
            Value::OptionalNumber(next.map(Timestamp::seconds)),
            Value::Number(due.delivery_id),
            Value::Count(due.attempts),
        ];
        self.run((sql, &values)).await.map(drop)
    }

    /// When something is to be tried next.
    ///
    /// # Errors
    /// The database can't answer.
    pub async fn next_delivery_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT min(next_attempt_at) AS next FROM webhook_deliveries WHERE next_attempt_at IS NOT NULL";
        let row: Option<NextRow> = self.row((sql, &[])).await?;
        Ok(row.and_then(|row| row.next).map(Into::into))
    }
}

impl Webhooks for EdgePorts {
    async fn find_webhook(&self) -> Result<Option<Webhook>, StoreError> {
        self.database.webhook().await
    }

    async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let sql = "INSERT INTO webhooks (webhook_id, url, secret_name, created_at) VALUES (1, ?, ?, ?) \
                   ON CONFLICT (webhook_id) DO UPDATE SET url = excluded.url, secret_name = excluded.secret_name";
        let values = [Value::Text(&webhook.url), Value::Text(&webhook.secret_name), Value::Time(webhook.created_at)];
        self.database.run((sql, &values)).await.map(drop)
    }

    async fn delete_webhook(&self) -> Result<(), StoreError> {
        let given_up =
            "UPDATE webhook_deliveries SET next_attempt_at = NULL, error = ? WHERE next_attempt_at IS NOT NULL";
        let error = [Value::Text(DeliveryError::TurnedOff.as_str())];
        self.database.batch(&[("DELETE FROM webhooks", &[]), (given_up, &error)]).await.map(drop)
    }

    async fn insert_ping(&self, most: u32, now: Timestamp) -> Result<Write, StoreError> {
        let sql = "INSERT INTO webhook_deliveries (type, at, next_attempt_at) SELECT 'ping', ?1, ?1 \
                   WHERE EXISTS (SELECT 1 FROM webhooks) \
                   AND (SELECT count(*) FROM webhook_deliveries WHERE next_attempt_at IS NOT NULL) < ?2";
        self.database.run((sql, &[Value::Time(now), Value::Count(most)])).await.map(won)
    }

    async fn list_deliveries(&self, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let sql = "SELECT message_id, type, client_name, at, attempts, next_attempt_at, delivered_at, status, error \
                   FROM webhook_deliveries LEFT JOIN grants USING (grant_id) ORDER BY delivery_id DESC LIMIT ?";
        let rows: Vec<DeliveryRow> = self.database.rows((sql, &[Value::Count(limit)])).await?;
        rows.into_iter().map(Delivery::try_from).collect()
    }

    async fn wake_courier(&self) {
        worker::send::SendFuture::new(courier::wake()).await;
    }
}
