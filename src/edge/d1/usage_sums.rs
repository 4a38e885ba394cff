//! Tables `usage_months` and `usage_days`: what a user's apps used, summed up while it is booked.
//!
//! What is told of a booking may be told again ([`Database::record_usage`](super::Database::record_usage)). So the sums change by what a
//! batch changes in `usage_events`, and in one transaction with it: a booking that is there already adds nothing, one that corrects
//! another adds itself and takes the other away.

use serde::Deserialize;

use super::{Value, store_error, unreadable};
use crate::{
    domain::{
        id::{ClientId, UserId},
        money::NanoUsd,
        month::Month,
        permission::Provider,
    },
    edge::ports::EdgePorts,
    web::ports::{AppSum, DaySum, ModelSum, MonthSums, StoreError, Sum, UsageSums},
};

/// What a batch is about to change in `usage_events`. Binds `?1`, the grant, and `?2`, the bookings as a JSON list.
const CHANGED: &str = "WITH told AS (SELECT value ->> '$.hold' AS hold, max(value ->> '$.revision') AS revision, \
     value ->> '$.reserved_at_ms' AS at_ms, coalesce(value ->> '$.provider', '') AS provider, value ->> '$.model' AS model, \
     value ->> '$.requests' AS calls, value ->> '$.tokens' AS tokens, value ->> '$.nano_usd' AS nano_usd \
     FROM json_each(?2) GROUP BY 1), \
     changed AS (SELECT told.at_ms, told.provider, told.model, told.calls, told.tokens, told.nano_usd FROM told \
     LEFT JOIN usage_events AS old ON old.grant_id = ?1 AND old.hold = told.hold \
     WHERE old.hold IS NULL OR told.revision > old.revision \
     UNION ALL SELECT old.reserved_at_ms, coalesce(old.provider, ''), old.model, -old.requests, -old.tokens, -old.nano_usd \
     FROM told CROSS JOIN usage_events AS old ON old.grant_id = ?1 AND old.hold = told.hold WHERE told.revision > old.revision)";

/// Adds to a sum that is there: never below nothing, and far from where SQLite would begin to count in doubles (a batch changes a sum by
/// less than 2^61).
const ADD: &str = "DO UPDATE SET calls = max(0, min(calls + excluded.calls, 1 << 61)), \
     tokens = max(0, min(tokens + excluded.tokens, 1 << 61)), nano_usd = max(0, min(nano_usd + excluded.nano_usd, 1 << 61))";

/// Months since the beginning of the year 0, as [`Month`] counts them.
const MONTH: &str = "strftime('%Y', at_ms / 1000, 'unixepoch') * 12 + strftime('%m', at_ms / 1000, 'unixepoch') - 1";

/// The statements that keep the sums; they stand before the one that changes `usage_events`. Both bind what [`CHANGED`] does.
pub(super) fn keep_sums() -> [String; 2] {
    let sums = "sum(calls), sum(tokens), sum(nano_usd)";
    [
        format!(
            "{CHANGED} INSERT INTO usage_months (user_id, month, client_id, provider, model, app, calls, tokens, nano_usd) \
             SELECT owner.user_id, {MONTH}, owner.client_id, provider, model, owner.client_name, {sums} \
             FROM changed CROSS JOIN grants AS owner WHERE owner.grant_id = ?1 GROUP BY 2, 4, 5 \
             ON CONFLICT (user_id, month, client_id, provider, model) {ADD}, app = excluded.app"
        ),
        format!(
            "{CHANGED} INSERT INTO usage_days (user_id, day, calls, tokens, nano_usd) \
             SELECT owner.user_id, at_ms / 86400000, {sums} \
             FROM changed CROSS JOIN grants AS owner WHERE owner.grant_id = ?1 GROUP BY 2 \
             ON CONFLICT (user_id, day) {ADD}"
        ),
    ]
}

/// Sums of sums, at most the largest number that a double carries exactly. `total` counts in doubles and never fails.
const SUMS: &str = "CAST(min(total(max(calls, 0)), 9007199254740991) AS INTEGER) AS calls, \
     CAST(min(total(max(tokens, 0)), 9007199254740991) AS INTEGER) AS tokens, \
     CAST(min(total(max(nano_usd, 0)), 9007199254740991) AS INTEGER) AS nano_usd";

#[derive(Deserialize)]
struct AppRow {
    client_id: String,
    app: String,
    #[serde(flatten)]
    sum: SumRow,
}

#[derive(Deserialize)]
struct ModelRow {
    provider: String,
    model: String,
    #[serde(flatten)]
    sum: SumRow,
}

#[derive(Deserialize)]
struct DayRow {
    day: u64,
    #[serde(flatten)]
    sum: SumRow,
}

#[derive(Deserialize)]
struct SumRow {
    calls: u64,
    tokens: u64,
    nano_usd: u64,
}

#[derive(Deserialize)]
struct AroundRow {
    before: Option<u64>,
    after: Option<u64>,
    apps: u64,
    models: u64,
}

impl From<SumRow> for Sum {
    fn from(row: SumRow) -> Self {
        Self { calls: row.calls, tokens: row.tokens, cost: NanoUsd(row.nano_usd) }
    }
}

impl TryFrom<AppRow> for AppSum {
    type Error = StoreError;

    fn try_from(row: AppRow) -> Result<Self, StoreError> {
        let app: Result<ClientId, _> = row.client_id.try_into();
        Ok(Self { id: app.map_err(|_| unreadable("usage_months.client_id"))?, name: row.app, sum: row.sum.into() })
    }
}

impl TryFrom<ModelRow> for ModelSum {
    type Error = StoreError;

    fn try_from(row: ModelRow) -> Result<Self, StoreError> {
        let provider: Option<Provider> = match row.provider.as_str() {
            "" => None,
            name => Some(name.parse().map_err(|_| unreadable("usage_months.provider"))?),
        };
        Ok(Self { provider, model: row.model, sum: row.sum.into() })
    }
}

fn rows<T: for<'a> Deserialize<'a>>(result: &worker::D1Result) -> Result<Vec<T>, StoreError> {
    result.results().map_err(|error| store_error(&error))
}

/// The statements behind [`UsageSums::sum_month`]: by app, by model, by day, and what lies around.
pub(super) fn month_queries() -> [String; 4] {
    let of_month = "FROM usage_months WHERE user_id = ?1 AND month = ?2";
    [
        format!(
            "SELECT client_id, max(app) AS app, {SUMS} {of_month} GROUP BY client_id \
             ORDER BY nano_usd DESC, calls DESC, client_id LIMIT ?3"
        ),
        format!(
            "SELECT provider, model, {SUMS} {of_month} GROUP BY provider, model \
             ORDER BY nano_usd DESC, calls DESC, provider, model LIMIT ?3"
        ),
        format!(
            "SELECT day, {SUMS} FROM usage_days WHERE user_id = ?1 AND day >= ?2 AND day < ?3 GROUP BY day ORDER BY day"
        ),
        format!(
            "SELECT (SELECT max(month) FROM usage_months WHERE user_id = ?1 AND month < ?2) AS before, \
             (SELECT min(month) FROM usage_months WHERE user_id = ?1 AND month > ?2) AS after, \
             (SELECT count(DISTINCT client_id) {of_month}) AS apps, \
             (SELECT count(*) FROM (SELECT DISTINCT provider, model {of_month})) AS models"
        ),
    ]
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl UsageSums for EdgePorts {
    async fn sum_month(&self, user: &UserId, month: Month, most: u32) -> Result<MonthSums, StoreError> {
        let [apps, models, days, around] = month_queries();
        let user = Value::Text(user.as_str());
        let listed = [user.clone(), Value::Count(count(month.number())), Value::Count(most)];
        let (first, days_of_it) = (month.first_day(), month.days());
        let of_days = [user, Value::Count(count(first)), Value::Count(count(first + days_of_it))];
        let statements = [
            (apps.as_str(), listed.as_slice()),
            (models.as_str(), listed.as_slice()),
            (days.as_str(), of_days.as_slice()),
            (around.as_str(), listed.get(..2).unwrap_or_default()),
        ];
        let results = self.database.batch(&statements).await?;
        let [apps, models, days, around] = results.as_slice() else {
            return Err(StoreError("D1: a batch is incomplete".to_owned()));
        };
        let around = rows::<AroundRow>(around)?.pop();
        let around = around.ok_or_else(|| unreadable("usage_months.month"))?;
        Ok(MonthSums {
            apps: rows::<AppRow>(apps)?.into_iter().map(AppSum::try_from).collect::<Result<_, _>>()?,
            app_count: around.apps,
            models: rows::<ModelRow>(models)?.into_iter().map(ModelSum::try_from).collect::<Result<_, _>>()?,
            model_count: around.models,
            days: rows::<DayRow>(days)?.into_iter().map(|row| DaySum { day: row.day, sum: row.sum.into() }).collect(),
            before: around.before.and_then(Month::from_number),
            after: around.after.and_then(Month::from_number),
        })
    }
}
