//! Table `passkeys`.

use serde::Deserialize;

use super::{Flag, Seconds, Value, sessions::begin_session, unreadable, won};
use crate::{
    domain::{
        id::{PasskeyId, UserId},
        secret::{SecretHash, Session},
        time::Timestamp,
        webauthn::{CredentialId, PublicKey},
    },
    edge::ports::EdgePorts,
    web::ports::{NewPasskey, NewSession, PasskeyRow, PasskeyUse, Passkeys, StoreError, Write},
};

const COLUMNS: &str =
    "passkey_id, user_id, credential_id, public_key, sign_count, backup_eligible, name, created_at, last_used_at";
/// The passkey is as it was when it was checked. Binds: it, the count.
const UNCHANGED: &str = "passkey_id = ? AND sign_count = ?";

#[derive(Deserialize)]
struct Row {
    passkey_id: String,
    user_id: String,
    credential_id: String,
    public_key: String,
    sign_count: u32,
    backup_eligible: Flag,
    name: String,
    created_at: Seconds,
    last_used_at: Option<Seconds>,
}

impl TryFrom<Row> for PasskeyRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.passkey_id.try_into().map_err(|_| unreadable("passkeys.passkey_id"))?,
            user: row.user_id.try_into().map_err(|_| unreadable("passkeys.user_id"))?,
            credential_id: CredentialId::parse(&row.credential_id)
                .ok_or_else(|| unreadable("passkeys.credential_id"))?,
            key: PublicKey::from_stored(&row.public_key).ok_or_else(|| unreadable("passkeys.public_key"))?,
            sign_count: row.sign_count,
            backup_eligible: row.backup_eligible.into(),
            name: row.name,
            created_at: row.created_at.into(),
            last_used_at: row.last_used_at.map(Into::into),
        })
    }
}

/// The statement that adds a passkey of whom `whose` selects: what stands behind `FROM`, with a column `user_id` and `more` values.
pub(super) fn add_passkey<'a>(
    new: &'a NewPasskey,
    key: &'a str,
    now: Timestamp,
    whose: &str,
    more: &[Value<'a>],
) -> (String, Vec<Value<'a>>) {
    let sql = format!(
        "INSERT INTO passkeys (passkey_id, user_id, credential_id, public_key, sign_count, backup_eligible, name, created_at) \
         SELECT ?, user_id, ?, ?, ?, ?, ?, ? FROM {whose}"
    );
    let credential = &new.credential;
    let mut values = vec![
        Value::Text(new.id.as_str()),
        Value::Text(credential.id.as_str()),
        Value::Text(key),
        Value::Count(credential.sign_count),
        Value::Count(u32::from(credential.backup_eligible)),
        Value::Text(&new.name),
        Value::Time(now),
    ];
    values.extend_from_slice(more);
    (sql, values)
}

/// The statement that notes a use. It comes last: what stands before it asks for the count that was seen.
fn note_use<'a>(used: &PasskeyUse<'a>, now: Timestamp) -> (String, [Value<'a>; 4]) {
    let sql = format!("UPDATE passkeys SET sign_count = ?, last_used_at = ? WHERE {UNCHANGED}");
    let values =
        [Value::Count(used.sign_count), Value::Time(now), Value::Text(used.id.as_str()), Value::Count(used.seen_count)];
    (sql, values)
}

impl Passkeys for EdgePorts {
    async fn find_passkey(&self, credential: &CredentialId) -> Result<Option<PasskeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM passkeys WHERE credential_id = ?");
        let row: Option<Row> = self.database.row((&sql, &[Value::Text(credential.as_str())])).await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn list_passkeys(&self, user: &UserId) -> Result<Vec<PasskeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM passkeys WHERE user_id = ? ORDER BY created_at, passkey_id");
        let rows: Vec<Row> = self.database.rows((&sql, &[Value::Text(user.as_str())])).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn insert_passkey(
        &self,
        user: &UserId,
        new: &NewPasskey,
        most: u32,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let key = new.credential.key.to_stored();
        let user = Value::Text(user.as_str());
        let (sql, values) = add_passkey(
            new,
            &key,
            now,
            "users WHERE user_id = ? AND (SELECT count(*) FROM passkeys WHERE user_id = ?) < ? ON CONFLICT DO NOTHING",
            &[user.clone(), user, Value::Count(most)],
        );
        self.database.run((&sql, &values)).await.map(won)
    }

    async fn rename_passkey(&self, user: &UserId, id: &PasskeyId, name: &str) -> Result<Write, StoreError> {
        let values = [Value::Text(name), Value::Text(id.as_str()), Value::Text(user.as_str())];
        let sql = "UPDATE passkeys SET name = ? WHERE passkey_id = ? AND user_id = ?";
        self.database.run((sql, &values)).await.map(won)
    }

    async fn remove_passkey(&self, user: &UserId, id: &PasskeyId) -> Result<Write, StoreError> {
        let user = Value::Text(user.as_str());
        let values = [Value::Text(id.as_str()), user.clone(), user];
        let sql = "DELETE FROM passkeys WHERE passkey_id = ? AND user_id = ? \
                   AND (SELECT count(*) FROM passkeys WHERE user_id = ?) > 1";
        self.database.run((sql, &values)).await.map(won)
    }

    async fn sign_in_with_passkey(
        &self,
        used: &PasskeyUse<'_>,
        session: &NewSession,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let seen = [Value::Text(used.id.as_str()), Value::Count(used.seen_count)];
        let (begin, opened) = begin_session(session, now, &format!("passkeys WHERE {UNCHANGED}"), &seen);
        let (note, noted) = note_use(used, now);
        self.database.conditional_batch(&[(&begin, &opened), (&note, &noted)], 0).await
    }

    async fn confirm_with_passkey(
        &self,
        used: &PasskeyUse<'_>,
        session: &SecretHash<Session>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let confirmed = [
            Value::Time(now),
            Value::Text(session.as_str()),
            Value::Text(used.id.as_str()),
            Value::Count(used.seen_count),
        ];
        let confirm = format!(
            "UPDATE sessions SET confirmed_at = ? WHERE token_hash = ? \
             AND user_id = (SELECT user_id FROM passkeys WHERE {UNCHANGED})"
        );
        let (note, noted) = note_use(used, now);
        self.database.conditional_batch(&[(&confirm, &confirmed), (&note, &noted)], 1).await
    }
}
