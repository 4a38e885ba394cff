//! Table `audit`.

use super::Value;
use crate::{
    domain::audit::Entry,
    edge::ports::EdgePorts,
    web::ports::{Audit, StoreError},
};

impl Audit for EdgePorts {
    async fn record(&self, entry: &Entry) -> Result<(), StoreError> {
        let values = [
            Value::Time(entry.at),
            Value::Text(entry.user.as_str()),
            Value::Text(entry.actor.as_str()),
            Value::Text(entry.event.as_str()),
            Value::OptionalText(entry.grant.as_ref().map(|id| id.as_str())),
            Value::Text(&entry.subject),
            Value::Text(&entry.detail),
            Value::Text(&entry.address),
            Value::Text(&entry.agent),
        ];
        let sql = "INSERT INTO audit (at, user_id, actor, event, grant_id, subject, detail, address, agent) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        self.database.run((sql, &values)).await.map(drop)
    }
}
