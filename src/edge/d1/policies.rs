//! Table `policies`, and what ledgers know of it.

use serde::Deserialize;

use super::{Database, Seconds, Value, from_json, store_error, to_json, unreadable, won};
use crate::{
    domain::{
        grant::Terms,
        id::UserId,
        policy::{Policed, Policy},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{Policies, StoreError, Write},
};

/// The policy of all members.
pub(super) const MEMBERS: &str = "members";

/// Saves a policy in place of the revision that was seen; the first one is inserted where none was seen. `also` is one more condition, such
/// as ` AND true`. Binds: 1 its subject, 2 the policy, 3 now, 4 the revision.
pub(super) fn save_sql(also: &str) -> String {
    format!(
        "INSERT INTO policies (subject, policy, revision, saved_at) \
         SELECT ?1, ?2, 1, ?3 WHERE (?4 = 0 OR EXISTS (SELECT 1 FROM policies WHERE subject = ?1)){also} \
         ON CONFLICT (subject) DO UPDATE SET policy = excluded.policy, revision = revision + 1, \
         saved_at = excluded.saved_at WHERE revision = ?4"
    )
}

#[derive(Deserialize)]
struct PolicyRow {
    policy: Option<String>,
    revision: Option<u64>,
}

#[derive(Deserialize)]
struct AccountRow {
    removed_at: Option<Seconds>,
    policy: Option<String>,
    revision: Option<u64>,
}

#[derive(Deserialize)]
struct UserIdRow {
    user_id: String,
}

impl TryFrom<PolicyRow> for Policed {
    type Error = StoreError;

    fn try_from(row: PolicyRow) -> Result<Self, StoreError> {
        match (row.policy, row.revision) {
            (Some(policy), Some(revision)) => Ok(Self { policy: from_json("policies.policy", &policy)?, revision }),
            _ => Ok(Self::default()),
        }
    }
}

impl Database {
    /// What the ledger of an account starts with, and when its user was removed; `None`: there is no such user.
    ///
    /// In the same transaction it is noted which policy that is: whoever changes the policy afterwards finds the ledger among those that
    /// have to be told.
    ///
    /// # Errors
    /// The database can't answer.
    pub async fn account_terms_of(&self, user: &UserId) -> Result<Option<(Terms, Option<Timestamp>)>, StoreError> {
        let (members, id) = (Value::Text(MEMBERS), Value::Text(user.as_str()));
        let note = "UPDATE users SET policy_seen = \
                    max(coalesce(policy_seen, 0), coalesce((SELECT revision FROM policies WHERE subject = ?), 0)) \
                    WHERE user_id = ?";
        let read = "SELECT users.removed_at, policies.policy, policies.revision FROM users \
                    LEFT JOIN policies ON policies.subject = ? WHERE users.user_id = ?";
        let values = [members, id];
        let results = self.batch(&[(note, &values), (read, &values)]).await?;
        let read = results.last().ok_or_else(|| StoreError("D1: a batch is incomplete".to_owned()))?;
        let rows: Vec<AccountRow> = read.results().map_err(|error| store_error(&error))?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let policed = Policed::try_from(PolicyRow { policy: row.policy, revision: row.revision })?;
        Ok(Some((policed.account_terms(), row.removed_at.map(Into::into))))
    }
}

impl Policies for EdgePorts {
    async fn find_policy(&self) -> Result<Policed, StoreError> {
        let sql = "SELECT policy, revision FROM policies WHERE subject = ?";
        let row: Option<PolicyRow> = self.database.row((sql, &[Value::Text(MEMBERS)])).await?;
        row.map_or_else(|| Ok(Policed::default()), Policed::try_from)
    }

    async fn save_policy(&self, policy: &Policy, seen: u64, now: Timestamp) -> Result<Write, StoreError> {
        let policy = to_json(policy)?;
        let values = [Value::Text(MEMBERS), Value::Text(&policy), Value::Time(now), Value::Number(seen)];
        self.database.run((&save_sql(""), &values)).await.map(won)
    }

    async fn count_untold(&self, revision: u64, most: u32) -> Result<usize, StoreError> {
        let sql = "SELECT user_id FROM users WHERE policy_seen < ? AND removed_at IS NULL ORDER BY policy_seen, user_id LIMIT ?";
        let rows: Vec<UserIdRow> = self.database.rows((sql, &[Value::Number(revision), Value::Count(most)])).await?;
        Ok(rows.len())
    }

    async fn list_untold(&self, revision: u64, limit: u32) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT user_id FROM users INDEXED BY users_by_policy WHERE policy_seen < ? AND policy_seen IS NOT NULL \
                   AND removed_at IS NULL ORDER BY policy_tried_at, user_id LIMIT ?";
        let rows: Vec<UserIdRow> = self.database.rows((sql, &[Value::Number(revision), Value::Count(limit)])).await?;
        rows.into_iter().map(|row| row.user_id.try_into().map_err(|_| unreadable("users.user_id"))).collect()
    }

    async fn note_told(
        &self,
        tried: &[UserId],
        told: &[UserId],
        revision: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (tried, told) = (to_json(&tried)?, to_json(&told)?);
        let sql = "UPDATE users SET policy_tried_at = ?, policy_seen = \
                   iif(user_id IN (SELECT value FROM json_each(?)), max(policy_seen, ?), policy_seen) \
                   WHERE user_id IN (SELECT value FROM json_each(?))";
        let values = [Value::Time(now), Value::Text(&told), Value::Number(revision), Value::Text(&tried)];
        self.database.run((sql, &values)).await.map(drop)
    }
}
