//! Tables `users`, `sessions`, `used_sign_in_links`.

use serde::Deserialize;

use super::{Flag, Seconds, Value, sessions::begin_session, unreadable, won};
use crate::{
    domain::{
        secret::{SecretHash, Session},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{NewSignIn, Role, SignedIn, StoreError, User, Users, Write},
};

/// What the first user is called until passkeys bring names.
const FIRST_USER: &str = "Operator";

#[derive(Deserialize)]
struct SessionRow {
    user_id: String,
    name: String,
    role: String,
    created_at: Seconds,
    confirmed_at: Option<Seconds>,
    expires_at: Seconds,
    has_passkey: Flag,
}

impl Users for EdgePorts {
    async fn sign_in(&self, new: &NewSignIn, now: Timestamp) -> Result<Write, StoreError> {
        let nonce = Value::Text(new.nonce_hash.as_str());
        let session = Value::Text(new.session.hash.as_str());
        let (candidate, first, operator) =
            (Value::Text(new.candidate.as_str()), Value::Text(FIRST_USER), Value::Text(Role::Operator.as_str()));
        let link = [nonce.clone(), session.clone(), Value::Time(now)];
        let user = [candidate, first, operator, Value::Time(now)];
        let (begin, opened) = begin_session(
            &new.session,
            now,
            "(SELECT user_id FROM users ORDER BY created_at, user_id LIMIT 1) \
             WHERE EXISTS (SELECT 1 FROM used_sign_in_links WHERE nonce_hash = ? AND session_hash = ?)",
            &[nonce, session],
        );
        self.database
            .conditional_batch(
                &[
                    (
                        "INSERT INTO used_sign_in_links (nonce_hash, session_hash, used_at) VALUES (?, ?, ?) \
                         ON CONFLICT DO NOTHING",
                        &link,
                    ),
                    (
                        "INSERT INTO users (user_id, name, role, created_at) SELECT ?, ?, ?, ? \
                         WHERE NOT EXISTS (SELECT 1 FROM users)",
                        &user,
                    ),
                    (&begin, &opened),
                ],
                0,
            )
            .await
    }

    async fn find_session(&self, hash: &SecretHash<Session>, now: Timestamp) -> Result<Option<SignedIn>, StoreError> {
        let row: Option<SessionRow> = self
            .database
            .row((
                "SELECT users.user_id, users.name, users.role, sessions.created_at, sessions.confirmed_at, \
                 sessions.expires_at, \
                 EXISTS (SELECT 1 FROM passkeys WHERE passkeys.user_id = users.user_id) AS has_passkey FROM sessions \
                 JOIN users USING (user_id) WHERE token_hash = ? AND expires_at > ? AND users.removed_at IS NULL",
                &[Value::Text(hash.as_str()), Value::Time(now)],
            ))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let id = row.user_id.try_into().map_err(|_| unreadable("users.user_id"))?;
        let role = Role::from_stored(&row.role).ok_or_else(|| unreadable("users.role"))?;
        let user = User { id, name: row.name, role };
        let since = row.created_at.into();
        Ok(Some(SignedIn {
            user,
            since,
            confirmed_at: row.confirmed_at.map_or(since, Into::into),
            expires_at: row.expires_at.into(),
            has_passkey: row.has_passkey.into(),
        }))
    }

    async fn extend_session(
        &self,
        hash: &SecretHash<Session>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let until = Value::Time(expires_at);
        let values = [until.clone(), Value::Time(now), Value::Text(hash.as_str()), Value::Time(now), until];
        let sql = "UPDATE sessions SET expires_at = ?, last_seen_at = ? WHERE token_hash = ? AND expires_at > ? AND expires_at < ?";
        self.database.run((sql, &values)).await.map(won)
    }

    async fn delete_session(&self, hash: &SecretHash<Session>) -> Result<(), StoreError> {
        let values = [Value::Text(hash.as_str())];
        self.database.run(("DELETE FROM sessions WHERE token_hash = ?", &values)).await.map(drop)
    }
}
