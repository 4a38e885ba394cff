//! What a user should look at: grants that end soon, whose limits are nearly used up; calls that cost more than was held for them.

use serde::Deserialize;

use super::{Flag, Value, grants::GRANT_COLUMNS, unreadable};
use crate::{
    domain::{grant::Grant, id::UserId, money::NanoUsd, time::Timestamp},
    edge::ports::EdgePorts,
    web::ports::{Attention, OverBound, StoreError},
};

/// Binds: the user, now.
const HAS_GRANTS: &str = "SELECT EXISTS (SELECT 1 FROM grants INDEXED BY grants_of_user_by_age WHERE user_id = ?1 \
     AND (claimed_at IS NOT NULL OR claimable_until > ?2)) AS is_there";

/// Binds: the user, now, the last moment, how many.
fn ending() -> String {
    format!(
        "SELECT {GRANT_COLUMNS} FROM grants INDEXED BY grants_of_user_by_end WHERE user_id = ?1 AND revoked_at IS NULL \
         AND expires_at > ?2 AND expires_at <= ?3 AND (claimed_at IS NOT NULL OR claimable_until > ?2) \
         ORDER BY expires_at LIMIT ?4"
    )
}

/// Of which a notice said so lately: what is used by now, only the ledger knows. Binds: the user, now, since when, how many.
fn near_limits() -> String {
    format!(
        "SELECT {GRANT_COLUMNS} FROM grants WHERE revoked_at IS NULL AND expires_at > ?2 AND grant_id IN \
         (SELECT grant_id FROM notices INDEXED BY notices_near_limits WHERE user_id = ?1 AND kind = 'limit' AND threshold >= 80 \
         AND at >= ?3 ORDER BY at DESC, notice_id DESC LIMIT ?4)"
    )
}

/// Binds: the first day, how many. The sums are such as a double carries exactly.
const OVER_BOUND: &str = "SELECT provider, model, sum(calls) AS calls, \
     CAST(min(total(nano_usd), 9007199254740991) AS INTEGER) AS nano_usd FROM over_bound_days WHERE day >= ? \
     GROUP BY provider, model HAVING sum(calls) > 0 ORDER BY 4 DESC, provider, model LIMIT ?";

#[derive(Deserialize)]
struct OverBoundRow {
    provider: String,
    model: String,
    calls: u64,
    nano_usd: u64,
}

impl TryFrom<OverBoundRow> for OverBound {
    type Error = StoreError;

    fn try_from(row: OverBoundRow) -> Result<Self, StoreError> {
        let provider = match row.provider.as_str() {
            "" => None,
            name => Some(name.parse().map_err(|_| unreadable("over_bound_days.provider"))?),
        };
        Ok(Self { provider, model: row.model, calls: row.calls, cost: NanoUsd(row.nano_usd) })
    }
}

#[derive(Deserialize)]
struct AnyRow {
    is_there: Flag,
}

impl Attention for EdgePorts {
    async fn has_grants(&self, user: &UserId, now: Timestamp) -> Result<bool, StoreError> {
        let values = [Value::Text(user.as_str()), Value::Time(now)];
        let row: Option<AnyRow> = self.database.row((HAS_GRANTS, &values)).await?;
        Ok(row.is_some_and(|row| row.is_there.into()))
    }

    async fn list_ending(
        &self,
        user: &UserId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError> {
        let values = [Value::Text(user.as_str()), Value::Time(now), Value::Time(until), Value::Count(limit)];
        self.database.grants_by(&ending(), &values).await
    }

    async fn list_near_limits(
        &self,
        user: &UserId,
        now: Timestamp,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError> {
        let values = [Value::Text(user.as_str()), Value::Time(now), Value::Time(since), Value::Count(limit)];
        self.database.grants_by(&near_limits(), &values).await
    }

    async fn list_over_bound(&self, since_day: u64, limit: u32) -> Result<Vec<OverBound>, StoreError> {
        let rows: Vec<OverBoundRow> =
            self.database.rows((OVER_BOUND, &[Value::Number(since_day), Value::Count(limit)])).await?;
        rows.into_iter().map(OverBound::try_from).collect()
    }
}
