//! Tokens that people make for themselves, in table `grants`.

use super::{Value, to_json, won};
use crate::{
    domain::{grant::Grant, id::UserId, time::Timestamp},
    edge::ports::EdgePorts,
    web::ports::{PersonalTokens, StoreError, Write},
};

impl PersonalTokens for EdgePorts {
    async fn insert_token(&self, grant: &Grant, most: usize, now: Timestamp) -> Result<Write, StoreError> {
        let terms = to_json(&grant.terms)?;
        let values = [
            Value::Text(grant.id.as_str()),
            Value::Text(grant.user_id.as_str()),
            Value::Text(grant.client_id.as_str()),
            Value::Text(&grant.client_name),
            Value::Text(&terms),
            Value::Time(grant.created_at),
            Value::Time(grant.terms.expires_at),
            Value::Time(now),
            Value::Time(now),
            Value::Text(grant.user_id.as_str()),
            Value::Time(now),
            Value::Number(most as u64),
        ];
        let sql = "INSERT INTO grants (grant_id, user_id, client_id, client_name, terms, created_at, expires_at, claimable_until, claimed_at) \
                   SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT COUNT(*) FROM grants WHERE client_id = 'personal' AND user_id = ? \
                   AND revoked_at IS NULL AND expires_at > ?) < ? ON CONFLICT (grant_id) DO NOTHING";
        self.database.run((sql, &values)).await.map(won)
    }

    async fn list_tokens(&self, user: &UserId, limit: u32) -> Result<Vec<Grant>, StoreError> {
        let values = [Value::Text(user.as_str()), Value::Count(limit)];
        let newest = "INDEXED BY grants_personal WHERE client_id = 'personal' AND user_id = ? ORDER BY created_at DESC, grant_id LIMIT ?";
        self.database.grants(newest, &values).await
    }
}
