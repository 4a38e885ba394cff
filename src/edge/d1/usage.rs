//! What ledgers have booked.

use serde::{Deserialize, Serialize};

use super::{Database, Value, from_json, to_json, unreadable, usage_sums::keep_sums};
use crate::{
    domain::{
        calls::{CallFilter, CallQuery, Position, Side},
        id::{DelegationId, GrantId},
        ledger::{Basis, Event},
        money::NanoUsd,
        permission::Provider,
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{Booking, CallSum, StoreError, Usage},
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
    over_bound_nano_usd: u64,
    tokens: u64,
    requests: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    status: u16,
    basis: &'static str,
    price_version: &'a str,
    request_id: &'a str,
    delegation: Option<&'a str>,
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
            over_bound_nano_usd: event.over_bound.0,
            tokens: event.amounts.tokens,
            requests: event.amounts.requests,
            input_tokens: record.input_tokens,
            cached_tokens: record.cached_tokens,
            output_tokens: record.output_tokens,
            status: record.status,
            basis: event.basis.as_str(),
            price_version: &record.price_version,
            request_id: &record.request_id,
            delegation: event.delegation.as_ref().map(DelegationId::as_str),
        }
    }
}

/// The columns after `grant_id`, as [`Row`] names them.
const COLUMNS: [&str; 21] = [
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
    "over_bound_nano_usd",
    "tokens",
    "requests",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "status",
    "basis",
    "price_version",
    "request_id",
    "delegation",
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

/// The columns of [`BookingRow`], in its order.
const SHOWN: [&str; 16] = [
    "hold",
    "reserved_at_ms",
    "duration_ms",
    "provider",
    "model",
    "endpoint",
    "status",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "tokens",
    "nano_usd",
    "over_bound_nano_usd",
    "basis",
    "delegation",
    "request_id",
];

/// A row as a JSON list: SQLite makes one text of all rows of an answer, which is read far faster than as many objects of JavaScript.
#[derive(Debug, Deserialize)]
struct BookingRow(
    u64,
    u64,
    u64,
    Option<String>,
    String,
    String,
    u16,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    String,
    Option<String>,
    String,
);

#[derive(Deserialize)]
struct RowsRow {
    rows: String,
}

#[derive(Deserialize)]
struct SumRow {
    calls: u64,
    nano_usd: u64,
}

#[derive(Deserialize)]
struct ModelRow {
    model: String,
}

#[derive(Deserialize)]
struct PositionRow {
    reserved_at_ms: u64,
    hold: u64,
}

impl TryFrom<BookingRow> for Booking {
    type Error = StoreError;

    fn try_from(row: BookingRow) -> Result<Self, StoreError> {
        let BookingRow(hold, reserved_at_ms, duration_ms, provider, model, endpoint, status, ..) = row;
        let BookingRow(
            ..,
            input_tokens,
            cached_tokens,
            output_tokens,
            tokens,
            nano_usd,
            over_bound,
            basis,
            delegation,
            request_id,
        ) = row;
        let provider = provider.map(|text| text.parse().map_err(|_| unreadable("usage_events.provider")));
        let delegation = delegation.map(|id| id.try_into().map_err(|_| unreadable("usage_events.delegation")));
        Ok(Self {
            hold,
            reserved_at: Timestamp::from_millis(reserved_at_ms),
            duration_ms,
            provider: provider.transpose()?,
            model,
            endpoint,
            status,
            input_tokens,
            cached_tokens,
            output_tokens,
            tokens,
            cost: NanoUsd(nano_usd),
            over_bound: NanoUsd(over_bound),
            basis: Basis::from_stored(&basis).ok_or_else(|| unreadable("usage_events.basis"))?,
            delegation: delegation.transpose()?,
            request_id,
        })
    }
}

/// The holds of the calls that a filter lets through, by an index alone. Without `INDEXED BY` SQLite, which knows nothing of how many
/// rows there are, takes the index by time where there is one by model.
///
/// Binds: the grant; the position after which and the one before which they stand; the least and the highest status; how many; and the
/// model, if one is asked for.
fn found(filter: &CallFilter, columns: &str, newest_first: bool) -> String {
    let (index, model) = match filter.model {
        None => ("usage_events_by_time", ""),
        Some(_) => ("usage_events_by_model", " AND model = ?9"),
    };
    let order = if newest_first { " DESC" } else { "" };
    format!(
        "SELECT {columns} FROM usage_events INDEXED BY {index} WHERE grant_id = ?1{model} \
         AND (reserved_at_ms, hold) > (?2, ?3) AND (reserved_at_ms, hold) < (?4, ?5) AND status BETWEEN ?6 AND ?7 \
         ORDER BY reserved_at_ms{order}, hold{order} LIMIT ?8"
    )
}

/// What is bound in [`found`].
fn bound<'a>(grant: &'a GrantId, query: &'a CallQuery) -> Vec<Value<'a>> {
    let (after, before) = query.between();
    let statuses = query.filter.statuses();
    let mut values = vec![
        Value::Text(grant.as_str()),
        Value::Number(after.at.millis()),
        Value::Number(after.hold),
        Value::Number(before.at.millis()),
        Value::Number(before.hold),
        Value::Count(u32::from(*statuses.start())),
        Value::Count(u32::from(*statuses.end())),
        Value::Count(query.limit),
    ];
    values.extend(query.filter.model.as_deref().map(Value::Text));
    values
}

impl Usage for EdgePorts {
    async fn list_calls(&self, grant: &GrantId, query: &CallQuery) -> Result<Vec<Booking>, StoreError> {
        let newest_first = !matches!(query.side, Side::Newer(_));
        let found = found(&query.filter, "hold", newest_first);
        let shown = SHOWN.map(|name| format!("event.{name}")).join(", ");
        let sql = format!(
            "SELECT json_group_array(json_array({shown})) AS rows FROM ({found}) AS found \
             CROSS JOIN usage_events AS event ON event.grant_id = ?1 AND event.hold = found.hold"
        );
        let answer: Option<RowsRow> = self.database.row((&sql, &bound(grant, query))).await?;
        let rows: Vec<BookingRow> = answer.map_or(Ok(Vec::new()), |answer| from_json("usage_events", &answer.rows))?;
        let mut calls = rows.into_iter().map(Booking::try_from).collect::<Result<Vec<_>, _>>()?;
        // The order in which SQLite gathers them is nobody's promise.
        calls.sort_unstable_by_key(|call| core::cmp::Reverse(call.position()));
        Ok(calls)
    }

    async fn sum_calls(&self, grant: &GrantId, filter: &CallFilter, most: u32) -> Result<CallSum, StoreError> {
        let query = CallQuery { filter: filter.clone(), side: Side::Newest, limit: most };
        let found = found(filter, "nano_usd", true);
        let sql = format!("SELECT count(*) AS calls, coalesce(sum(nano_usd), 0) AS nano_usd FROM ({found})");
        let sum: Option<SumRow> = self.database.row((&sql, &bound(grant, &query))).await?;
        Ok(sum.map_or_else(CallSum::default, |sum| CallSum { calls: sum.calls, cost: NanoUsd(sum.nano_usd) }))
    }

    async fn list_called_models(&self, grant: &GrantId, limit: u32) -> Result<Vec<String>, StoreError> {
        // From one model to the next by the index: as many steps as there are models, not calls.
        let next =
            "SELECT min(model) FROM usage_events INDEXED BY usage_events_by_model WHERE grant_id = ?1 AND model >";
        let sql = format!(
            "WITH RECURSIVE called(model) AS (SELECT ({next} '') UNION ALL \
             SELECT ({next} called.model) FROM called WHERE called.model IS NOT NULL LIMIT ?2) \
             SELECT model FROM called WHERE model IS NOT NULL"
        );
        let rows: Vec<ModelRow> =
            self.database.rows((&sql, &[Value::Text(grant.as_str()), Value::Count(limit)])).await?;
        Ok(rows.into_iter().map(|row| row.model).collect())
    }

    async fn end_of_calls(&self, grant: &GrantId, query: &CallQuery) -> Result<Option<Position>, StoreError> {
        let before_last = query.limit.saturating_sub(1);
        let sql = format!("{} OFFSET {before_last}", found(&query.filter, "reserved_at_ms, hold", true));
        let with_next = CallQuery { limit: 2, ..query.clone() };
        let rows: Vec<PositionRow> = self.database.rows((&sql, &bound(grant, &with_next))).await?;
        match rows.as_slice() {
            [last, _] => Ok(Some(Position { at: Timestamp::from_millis(last.reserved_at_ms), hold: last.hold })),
            _ => Ok(None),
        }
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
