//! What a user should look at: grants that end soon, whose limits are nearly used up.

use serde::Deserialize;

use super::{Flag, Value, grants::GRANT_COLUMNS};
use crate::{
    domain::{grant::Grant, id::UserId, time::Timestamp},
    edge::ports::EdgePorts,
    web::ports::{Attention, StoreError},
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
}
