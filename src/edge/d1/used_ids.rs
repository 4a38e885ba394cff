//! Table `used_ids`.

use super::Value;
use crate::{
    domain::{oauth::replay::ReplayId, time::Timestamp},
    edge::{clock, ports::EdgePorts},
    web::ports::{StoreError, UsedIds, Write},
};

/// Most rows that one use deletes: more than it makes, so that those that are over don't pile up, however many come.
const FORGOTTEN_AT_A_USE: u32 = 4;

/// How much longer than it must a row stays here.
const CLOCKS_DIFFER_SECONDS: u64 = 60;

/// Binds: until when they were needed, how many.
const FORGET: &str = "DELETE FROM used_ids WHERE id IN \
                      (SELECT id FROM used_ids WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";

impl UsedIds for EdgePorts {
    async fn use_id(&self, id: &ReplayId, expires_at: Timestamp) -> Result<Write, StoreError> {
        // A second more: rows hold whole seconds, and it must outlive what it names.
        let values = [Value::Text(id.as_str()), Value::Time(expires_at.plus_seconds(1))];
        let sql = "INSERT INTO used_ids (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING";
        // Another machine's clock may be behind.
        let until = Timestamp::from_seconds(clock::now().seconds().saturating_sub(CLOCKS_DIFFER_SECONDS));
        let over = [Value::Time(until), Value::Count(FORGOTTEN_AT_A_USE)];
        self.database.conditional_batch(&[(sql, &values), (FORGET, &over)], 0).await
    }
}
