//! Tables `users`, `sessions`, `used_sign_in_links`.

use serde::Deserialize;

use super::{Seconds, Value, unreadable, won};
use crate::{
    domain::{
        id::UserId,
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
    expires_at: Seconds,
}

impl Users for EdgePorts {
    async fn sign_in(&self, new: &NewSignIn, now: Timestamp) -> Result<Write, StoreError> {
        let nonce = Value::Text(new.nonce_hash.as_str());
        let session = Value::Text(new.session_hash.as_str());
        let (candidate, first, operator) =
            (Value::Text(new.candidate.as_str()), Value::Text(FIRST_USER), Value::Text(Role::Operator.as_str()));
        let (now, ends) = (Value::Time(now), Value::Time(new.session_expires_at));
        let link = [nonce.clone(), session.clone(), now.clone()];
        let user = [candidate, first, operator, now.clone()];
        let opened = [session.clone(), now, ends, nonce, session];
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
                    (
                        "INSERT INTO sessions (token_hash, user_id, created_at, expires_at) SELECT ?, user_id, ?, ? \
                         FROM (SELECT user_id FROM users ORDER BY created_at, user_id LIMIT 1) \
                         WHERE EXISTS (SELECT 1 FROM used_sign_in_links WHERE nonce_hash = ? AND session_hash = ?)",
                        &opened,
                    ),
                ],
                0,
            )
            .await
    }

    async fn find_session(&self, hash: &SecretHash<Session>, now: Timestamp) -> Result<Option<SignedIn>, StoreError> {
        let row: Option<SessionRow> = self
            .database
            .row((
                "SELECT users.user_id, users.name, users.role, sessions.created_at, sessions.expires_at FROM sessions \
                 JOIN users USING (user_id) WHERE token_hash = ? AND expires_at > ?",
                &[Value::Text(hash.as_str()), Value::Time(now)],
            ))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let id = row.user_id.try_into().map_err(|_| unreadable("users.user_id"))?;
        let role = Role::from_stored(&row.role).ok_or_else(|| unreadable("users.role"))?;
        let user = User { id, name: row.name, role };
        Ok(Some(SignedIn { user, since: row.created_at.into(), expires_at: row.expires_at.into() }))
    }

    async fn extend_session(
        &self,
        hash: &SecretHash<Session>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let until = Value::Time(expires_at);
        let values = [until.clone(), Value::Text(hash.as_str()), Value::Time(now), until];
        let sql = "UPDATE sessions SET expires_at = ? WHERE token_hash = ? AND expires_at > ? AND expires_at < ?";
        self.database.run((sql, &values)).await.map(won)
    }

    async fn rename_user(&self, id: &UserId, name: &str) -> Result<(), StoreError> {
        let values = [Value::Text(name), Value::Text(id.as_str())];
        self.database.run(("UPDATE users SET name = ? WHERE user_id = ?", &values)).await.map(drop)
    }

    async fn delete_session(&self, hash: &SecretHash<Session>) -> Result<(), StoreError> {
        let values = [Value::Text(hash.as_str())];
        self.database.run(("DELETE FROM sessions WHERE token_hash = ?", &values)).await.map(drop)
    }
}
