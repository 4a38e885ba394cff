//! Table `sessions`, as its person sees it, and how each begins.

use serde::Deserialize;

use super::{Seconds, Value};
use crate::{
    domain::{
        id::UserId,
        oauth::sign_in_link::NonceHash,
        secret::{SecretHash, Session},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{NewSession, SessionRow, Sessions, StoreError, Write},
};

/// The statement that begins a session of whom `whose` selects: what stands behind `FROM`, with a column `user_id` and `more` values. None
/// begins of somebody who was removed.
pub(super) fn begin_session<'a>(
    new: &'a NewSession,
    now: Timestamp,
    whose: &str,
    more: &[Value<'a>],
) -> (String, Vec<Value<'a>>) {
    let sql = format!(
        "INSERT INTO sessions (token_hash, user_id, created_at, expires_at, last_seen_at, address, agent) \
         SELECT ?, user_id, ?, ?, ?, ?, ? FROM (SELECT user_id FROM {whose}) JOIN users USING (user_id) WHERE removed_at IS NULL"
    );
    let mut values = vec![
        Value::Text(new.hash.as_str()),
        Value::Time(now),
        Value::Time(new.expires_at),
        Value::Time(now),
        Value::Text(&new.address),
        Value::Text(&new.agent),
    ];
    values.extend_from_slice(more);
    (sql, values)
}

#[derive(Deserialize)]
struct Row {
    token_hash: String,
    created_at: Seconds,
    last_seen_at: Option<Seconds>,
    address: String,
    agent: String,
}

impl From<Row> for SessionRow {
    fn from(row: Row) -> Self {
        let created_at = row.created_at.into();
        Self {
            hash: SecretHash::from_stored(row.token_hash),
            created_at,
            last_seen_at: row.last_seen_at.map_or(created_at, Into::into),
            address: row.address,
            agent: row.agent,
        }
    }
}

impl Sessions for EdgePorts {
    async fn list_sessions(&self, user: &UserId, limit: u32, now: Timestamp) -> Result<Vec<SessionRow>, StoreError> {
        let values = [Value::Text(user.as_str()), Value::Time(now), Value::Count(limit)];
        let sql = "SELECT token_hash, created_at, last_seen_at, address, agent FROM sessions \
                   WHERE user_id = ? AND expires_at > ? ORDER BY created_at DESC, rowid DESC LIMIT ?";
        let rows: Vec<Row> = self.database.rows((sql, &values)).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    async fn delete_other_sessions(&self, user: &UserId, keep: &SecretHash<Session>) -> Result<usize, StoreError> {
        let values = [Value::Text(user.as_str()), Value::Text(keep.as_str())];
        self.database.run(("DELETE FROM sessions WHERE user_id = ? AND token_hash <> ?", &values)).await
    }

    async fn confirm_with_link(
        &self,
        nonce: &NonceHash,
        session: &SecretHash<Session>,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let (nonce, session) = (Value::Text(nonce.as_str()), Value::Text(session.as_str()));
        let link = [nonce.clone(), session.clone(), Value::Time(now), Value::Text(user.as_str())];
        let confirmed = [Value::Time(now), session.clone(), nonce, session];
        self.database
            .conditional_batch(
                &[
                    (
                        "INSERT INTO used_sign_in_links (nonce_hash, session_hash, used_at) SELECT ?, ?, ? \
                         WHERE ? = (SELECT user_id FROM users ORDER BY role = 'operator' DESC, created_at, rowid LIMIT 1) \
                         ON CONFLICT DO NOTHING",
                        &link,
                    ),
                    (
                        "UPDATE sessions SET confirmed_at = ? WHERE token_hash = ? \
                         AND EXISTS (SELECT 1 FROM used_sign_in_links WHERE nonce_hash = ? AND session_hash = ?)",
                        &confirmed,
                    ),
                ],
                0,
            )
            .await
    }
}
