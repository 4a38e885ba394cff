//! What ledgers have booked.

use serde::{Deserialize, Serialize};

use super::{Database, Value, to_json, unreadable, usage_sums::keep_sums};
use crate::{
    domain::{
        id::GrantId,
        ledger::{Basis, Event},
        money::NanoUsd,
        permission::Provider,
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{Booking, StoreError, Usage},
};

/// A row of `usage_events`, but for the grant.
#[derive(Serialize)]
struct Row<'a> {
    hold: u64,
    revision: u32,
    permission: Option<usize>,
    provider: Option<Provider>,
    model: &'a str,
    endpoint: &'a str,
    reserved_at_ms: u64,
    booked_at_ms: u64,
    duration_ms: u64,
    nano_usd: u64,
    tokens: u64,
    requests: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    status: u16,
    basis: &'static str,
    price_version: &'a str,
    request_id: &'a str,
}

impl<'a> From<&'a Event> for Row<'a> {
    fn from(event: &'a Event) -> Self {
        let record = &event.record;
        Self {
            hold: event.hold.0,
            revision: event.revision,
            permission: event.permission,
            provider: record.provider,
            model: &record.model,
            endpoint: &record.endpoint,
            reserved_at_ms: event.reserved_at.millis(),
            booked_at_ms: event.booked_at.millis(),
            duration_ms: record.duration_ms,
            nano_usd: event.amounts.nano_usd.0,
            tokens: event.amounts.tokens,
            requests: event.amounts.requests,
            input_tokens: record.input_tokens,
            cached_tokens: record.cached_tokens,
            output_tokens: record.output_tokens,
            status: record.status,
            basis: event.basis.as_str(),
            price_version: &record.price_version,
            request_id: &record.request_id,
        }
    }
}

/// The columns after `grant_id`, as [`Row`] names them.
const COLUMNS: [&str; 19] = [
    "hold",
    "revision",
    "permission",
    "provider",
    "model",
    "endpoint",
    "reserved_at_ms",
    "booked_at_ms",
    "duration_ms",
    "nano_usd",
    "tokens",
    "requests",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "status",
    "basis",
    "price_version",
    "request_id",
];

impl Database {
    /// Records what a ledger has booked, and keeps the sums over it, in one batch. What is there already stays, unless this is a
    /// correction of it.
    ///
    /// # Errors
    /// The database can't answer; then nothing, or everything, was recorded.
    pub async fn record_usage(&self, grant: &GrantId, events: &[Event]) -> Result<(), StoreError> {
        let rows = to_json(&events.iter().map(Row::from).collect::<Vec<_>>())?;
        let read = COLUMNS.map(|name| format!("value->>'$.{name}'")).join(", ");
        let replace = COLUMNS.map(|name| format!("{name} = excluded.{name}")).join(", ");
        let insert = format!(
            "INSERT INTO usage_events (grant_id, {}) SELECT ?, {read} FROM json_each(?) WHERE true \
             ON CONFLICT (grant_id, hold) DO UPDATE SET {replace} WHERE excluded.revision > usage_events.revision",
            COLUMNS.join(", ")
        );
        let [months, days] = keep_sums();
        let values = [Value::Text(grant.as_str()), Value::Text(&rows)];
        // The sums first: they compare with what is there.
        self.batch(&[(&months, &values), (&days, &values), (&insert, &values)]).await.map(drop)
    }
}

#[derive(Deserialize)]
struct BookingRow {
    reserved_at_ms: u64,
    provider: Option<String>,
    model: String,
    endpoint: String,
    status: u16,
    input_tokens: u64,
    output_tokens: u64,
    tokens: u64,
    nano_usd: u64,
    basis: String,
}

impl TryFrom<BookingRow> for Booking {
    type Error = StoreError;

    fn try_from(row: BookingRow) -> Result<Self, StoreError> {
        let provider = row.provider.map(|text| text.parse().map_err(|_| unreadable("usage_events.provider")));
        Ok(Self {
            reserved_at: Timestamp::from_millis(row.reserved_at_ms),
            provider: provider.transpose()?,
            model: row.model,
            endpoint: row.endpoint,
            status: row.status,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            tokens: row.tokens,
            cost: NanoUsd(row.nano_usd),
            basis: Basis::from_stored(&row.basis).ok_or_else(|| unreadable("usage_events.basis"))?,
        })
    }
}

impl Usage for EdgePorts {
    async fn list_bookings(&self, grant: &GrantId, limit: u32) -> Result<Vec<Booking>, StoreError> {
        let sql = "SELECT reserved_at_ms, provider, model, endpoint, status, input_tokens, output_tokens, tokens, nano_usd, \
                   basis FROM usage_events WHERE grant_id = ? ORDER BY hold DESC LIMIT ?";
        let values = [Value::Text(grant.as_str()), Value::Count(limit)];
        let rows: Vec<BookingRow> = self.database.rows((sql, &values)).await?;
        rows.into_iter().map(Booking::try_from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_row_has_a_column() {
        let event: Event = serde_json::from_str(
            r#"{"hold":1,"revision":0,"permission":0,"reserved_at":1,"booked_at":2,"amounts":{},"basis":"usage",
                "record":{"provider":"openai","model":"m","endpoint":"/v1/x"}}"#,
        )
        .unwrap();
        let row = serde_json::to_value(Row::from(&event)).unwrap();
        let mut fields: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns = COLUMNS.to_vec();
        fields.sort_unstable();
        columns.sort_unstable();
        assert_eq!(fields, columns);
    }
}
