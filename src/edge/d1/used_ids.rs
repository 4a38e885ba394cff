//! Table `used_ids`.

use super::{Value, won};
use crate::{
    domain::{oauth::replay::ReplayId, time::Timestamp},
    edge::ports::EdgePorts,
    web::ports::{StoreError, UsedIds, Write},
};

impl UsedIds for EdgePorts {
    async fn use_id(&self, id: &ReplayId, expires_at: Timestamp) -> Result<Write, StoreError> {
        // A second more: rows hold whole seconds, and it must outlive what it names.
        let values = [Value::Text(id.as_str()), Value::Time(expires_at.plus_seconds(1))];
        let sql = "INSERT INTO used_ids (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING";
        self.database.run((sql, &values)).await.map(won)
    }
}
