//! Table `users`, as the operator sees it.

use serde::Deserialize;

use super::{Flag, Seconds, Value, unreadable};
use crate::{
    domain::{
        id::{GrantId, UserId},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{Members, Person, Role, StoreError, User, Write},
};

/// Binds: now, now.
const COLUMNS: &str = "user_id, name, role, created_at, removed_at, policy_seen IS NOT NULL AS has_account, \
     (SELECT count(*) FROM grants WHERE grants.user_id = users.user_id AND revoked_at IS NULL AND expires_at > ? \
     AND (claimed_at IS NOT NULL OR claimable_until > ?)) AS active_grants";

#[derive(Deserialize)]
struct PersonRow {
    user_id: String,
    name: String,
    role: String,
    created_at: Seconds,
    removed_at: Option<Seconds>,
    has_account: Flag,
    active_grants: u32,
}

#[derive(Deserialize)]
struct GrantIdRow {
    grant_id: String,
}

impl TryFrom<PersonRow> for Person {
    type Error = StoreError;

    fn try_from(row: PersonRow) -> Result<Self, StoreError> {
        let id = row.user_id.try_into().map_err(|_| unreadable("users.user_id"))?;
        let role = Role::from_stored(&row.role).ok_or_else(|| unreadable("users.role"))?;
        Ok(Self {
            user: User { id, name: row.name, role },
            since: row.created_at.into(),
            removed_at: row.removed_at.map(Into::into),
            active_grants: row.active_grants,
            has_account: row.has_account.into(),
        })
    }
}

impl Members for EdgePorts {
    async fn list_people(&self, now: Timestamp, skip: u32, limit: u32) -> Result<Vec<Person>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM users WHERE removed_at IS NULL \
             ORDER BY role = 'operator' DESC, created_at, user_id LIMIT ? OFFSET ?"
        );
        let values = [Value::Time(now), Value::Time(now), Value::Count(limit), Value::Count(skip)];
        let rows: Vec<PersonRow> = self.database.rows((&sql, &values)).await?;
        rows.into_iter().map(Person::try_from).collect()
    }

    async fn find_person(&self, id: &UserId, now: Timestamp) -> Result<Option<Person>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE user_id = ?");
        let values = [Value::Time(now), Value::Time(now), Value::Text(id.as_str())];
        let row: Option<PersonRow> = self.database.row((&sql, &values)).await?;
        row.map(Person::try_from).transpose()
    }

    async fn remove_member(&self, id: &UserId, now: Timestamp) -> Result<Write, StoreError> {
        let user = Value::Text(id.as_str());
        let removal = [Value::Time(now), user.clone()];
        self.database
            .conditional_batch(
                &[
                    (
                        "UPDATE users SET removed_at = ? WHERE user_id = ? AND role = 'member' AND removed_at IS NULL",
                        &removal,
                    ),
                    (
                        "DELETE FROM sessions WHERE user_id IN \
                         (SELECT user_id FROM users WHERE user_id = ? AND removed_at IS NOT NULL)",
                        &[user],
                    ),
                ],
                0,
            )
            .await
    }

    async fn list_active_grants_of_user(
        &self,
        user: &UserId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<GrantId>, StoreError> {
        let sql = "SELECT grant_id FROM grants WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ? LIMIT ?";
        let values = [Value::Text(user.as_str()), Value::Time(now), Value::Count(limit)];
        let rows: Vec<GrantIdRow> = self.database.rows((sql, &values)).await?;
        rows.into_iter().map(|row| row.grant_id.try_into().map_err(|_| unreadable("grants.grant_id"))).collect()
    }
}
