//! Table `refusals`.

use serde::{Deserialize, Serialize};

use super::{Database, Value, to_json, unreadable};
use crate::{
    domain::{
        id::{GrantId, UserId},
        ledger::{Reason, Refusals as Told, Refused},
        notice::RefusedCalls,
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{Refusals, StoreError},
};

#[derive(Serialize)]
struct ToldRow<'a> {
    reason: &'static str,
    count: u64,
    first_at_ms: u64,
    last_at_ms: u64,
    last_model: &'a str,
}

impl<'a> ToldRow<'a> {
    fn new(reason: Reason, run: &'a Refused) -> Self {
        Self {
            reason: reason.as_str(),
            count: run.count,
            first_at_ms: run.first_at.millis(),
            last_at_ms: run.last_at.millis(),
            last_model: &run.model,
        }
    }
}

#[derive(Deserialize)]
struct Row {
    grant_id: String,
    client_name: String,
    reason: String,
    count: u64,
    first_at_ms: u64,
    last_at_ms: u64,
    last_model: String,
}

impl TryFrom<Row> for RefusedCalls {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            grant_id: row.grant_id.try_into().map_err(|_| unreadable("refusals.grant_id"))?,
            app: row.client_name,
            reason: Reason::from_stored(&row.reason).ok_or_else(|| unreadable("refusals.reason"))?,
            run: Refused {
                count: row.count,
                first_at: Timestamp::from_millis(row.first_at_ms),
                last_at: Timestamp::from_millis(row.last_at_ms),
                model: row.last_model,
            },
        })
    }
}

impl Database {
    /// Records a grant's refusals, in one statement. A count of the same run never falls: a ledger that lost its memory may know less.
    ///
    /// # Errors
    /// The database can't answer; then nothing, or everything, was recorded.
    pub async fn record_refusals(&self, grant: &GrantId, refusals: &Told) -> Result<(), StoreError> {
        let row = |(reason, run)| ToldRow::new(reason, run);
        let rows = to_json(&refusals.runs().map(row).collect::<Vec<_>>())?;
        let sql = "INSERT INTO refusals (grant_id, owner_id, reason, count, first_at_ms, last_at_ms, last_model) \
                   SELECT grants.grant_id, grants.user_id, value->>'$.reason', value->>'$.count', value->>'$.first_at_ms', \
                   value->>'$.last_at_ms', value->>'$.last_model' FROM json_each(?), grants WHERE grants.grant_id = ? \
                   ON CONFLICT (grant_id, reason) DO UPDATE SET owner_id = excluded.owner_id, \
                   count = iif(excluded.first_at_ms = refusals.first_at_ms, max(excluded.count, refusals.count), excluded.count), \
                   first_at_ms = excluded.first_at_ms, last_at_ms = excluded.last_at_ms, last_model = excluded.last_model \
                   WHERE excluded.last_at_ms > refusals.last_at_ms";
        self.run((sql, &[Value::Text(&rows), Value::Text(grant.as_str())])).await.map(drop)
    }
}

impl Refusals for EdgePorts {
    async fn recent_refusals(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<RefusedCalls>, StoreError> {
        let sql = "SELECT refusals.grant_id, client_name, reason, count, first_at_ms, last_at_ms, last_model \
                   FROM refusals INDEXED BY refusals_by_owner CROSS JOIN grants USING (grant_id) \
                   WHERE refusals.owner_id = ? AND last_at_ms >= ? ORDER BY last_at_ms DESC LIMIT ?";
        let values = [Value::Text(user.as_str()), Value::Number(since.millis()), Value::Count(limit)];
        let rows: Vec<Row> = self.database.rows((sql, &values)).await?;
        rows.into_iter().map(RefusedCalls::try_from).collect()
    }
}
