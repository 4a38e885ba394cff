//! Table `recovery_codes`.

use serde::Deserialize;

use super::{Value, sessions::begin_session};
use crate::{
    domain::{
        id::UserId,
        recovery_code::RecoveryCodeHash,
        secret::{SecretHash, Session},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{NewSession, Recovery, StoreError, Write},
};

#[derive(Deserialize)]
struct CountRow {
    codes: u32,
}

impl Recovery for EdgePorts {
    async fn count_recovery_codes(&self, user: &UserId) -> Result<u32, StoreError> {
        let sql = "SELECT count(*) AS codes FROM recovery_codes WHERE user_id = ? AND used_at IS NULL";
        let row: Option<CountRow> = self.database.row((sql, &[Value::Text(user.as_str())])).await?;
        Ok(row.map_or(0, |row| row.codes))
    }

    async fn replace_recovery_codes(
        &self,
        user: &UserId,
        codes: &[RecoveryCodeHash],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let owner = [Value::Text(user.as_str())];
        let rows: Vec<_> = codes
            .iter()
            .map(|code| [Value::Text(code.as_str()), Value::Text(user.as_str()), Value::Time(now)])
            .collect();
        let mut batch: Vec<(&str, &[Value<'_>])> = vec![("DELETE FROM recovery_codes WHERE user_id = ?", &owner)];
        let insert = "INSERT INTO recovery_codes (code_hash, user_id, created_at) VALUES (?, ?, ?)";
        batch.extend(rows.iter().map(|row| (insert, row.as_slice())));
        self.database.batch(&batch).await.map(drop)
    }

    async fn sign_in_with_recovery_code(
        &self,
        code: &RecoveryCodeHash,
        session: &NewSession,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let unused = [Value::Text(code.as_str())];
        let (begin, opened) =
            begin_session(session, now, "recovery_codes WHERE code_hash = ? AND used_at IS NULL", &unused);
        let used = [Value::Time(now), Value::Text(code.as_str())];
        let mark = "UPDATE recovery_codes SET used_at = ? WHERE code_hash = ? AND used_at IS NULL";
        self.database.conditional_batch(&[(&begin, &opened), (mark, &used)], 0).await
    }

    async fn confirm_with_recovery_code(
        &self,
        code: &RecoveryCodeHash,
        session: &SecretHash<Session>,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let (code, user) = (Value::Text(code.as_str()), Value::Text(user.as_str()));
        let confirmed = [Value::Time(now), Value::Text(session.as_str()), user.clone(), code.clone()];
        let confirm = "UPDATE sessions SET confirmed_at = ? WHERE token_hash = ? AND user_id = ? \
                       AND user_id = (SELECT user_id FROM recovery_codes WHERE code_hash = ? AND used_at IS NULL)";
        let marked = [Value::Time(now), code, user];
        let mark = "UPDATE recovery_codes SET used_at = ? WHERE code_hash = ? AND user_id = ? AND used_at IS NULL";
        self.database.conditional_batch(&[(confirm, &confirmed), (mark, &marked)], 1).await
    }
}
