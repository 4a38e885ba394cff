//! Table `audit`, as a grant's owner reads it.

use serde::Deserialize;

use super::{Seconds, Value, unreadable};
use crate::{
    domain::{
        audit::{Actor, Entry, Event},
        id::GrantId,
    },
    edge::ports::EdgePorts,
    web::ports::{History, StoreError},
};

#[derive(Deserialize)]
struct AuditRow {
    audit_id: u64,
    at: Seconds,
    user_id: String,
    actor: String,
    event: String,
    grant_id: String,
    subject: String,
    detail: String,
    address: String,
    agent: String,
}

impl TryFrom<AuditRow> for (u64, Entry) {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        let entry = Entry {
            at: row.at.into(),
            user: row.user_id.try_into().map_err(|_| unreadable("audit.user_id"))?,
            actor: Actor::from_stored(&row.actor).ok_or_else(|| unreadable("audit.actor"))?,
            event: Event::from_stored(&row.event).ok_or_else(|| unreadable("audit.event"))?,
            grant: Some(row.grant_id.try_into().map_err(|_| unreadable("audit.grant_id"))?),
            subject: row.subject,
            detail: row.detail,
            address: row.address,
            agent: row.agent,
        };
        Ok((row.audit_id, entry))
    }
}

impl History for EdgePorts {
    async fn list_history(
        &self,
        grant: &GrantId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, Entry)>, StoreError> {
        // The index is one of the rows that name a grant: SQLite has to be told that this asks for no others.
        let sql = "SELECT audit_id, at, user_id, actor, event, grant_id, subject, detail, address, agent FROM audit \
                   WHERE grant_id = ?1 AND grant_id IS NOT NULL AND audit_id < ?2 ORDER BY audit_id DESC LIMIT ?3";
        let before = before.unwrap_or(crate::domain::money::MAX_STORED_INTEGER);
        let values = [Value::Text(grant.as_str()), Value::Number(before), Value::Count(limit)];
        let rows: Vec<AuditRow> = self.database.rows((sql, &values)).await?;
        rows.into_iter().map(TryFrom::try_from).collect()
    }
}
