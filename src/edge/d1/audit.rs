//! Table `audit`.

use serde::Deserialize;

use super::{Seconds, Value, unreadable};
use crate::{
    domain::{
        audit::{Actor, Entry},
        id::{ClientId, GrantId},
    },
    edge::ports::EdgePorts,
    web::ports::{Audit, AuditQuery, AuditRow, StoreError},
};

#[derive(Deserialize)]
struct Row {
    audit_id: u64,
    at: Seconds,
    user_id: String,
    user_name: String,
    actor: String,
    event: String,
    grant_id: Option<String>,
    subject: String,
    detail: String,
    address: String,
    agent: String,
}

impl TryFrom<Row> for AuditRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.audit_id,
            at: row.at.into(),
            user: row.user_id.try_into().map_err(|_| unreadable("audit.user_id"))?,
            user_name: row.user_name,
            actor: Actor::from_stored(&row.actor),
            event: row.event,
            grant: super::grants::grant_id("audit.grant_id", row.grant_id)?,
            subject: row.subject,
            detail: row.detail,
            address: row.address,
            agent: row.agent,
        })
    }
}

impl Audit for EdgePorts {
    async fn record(&self, entry: &Entry) -> Result<(), StoreError> {
        let values = [
            Value::Time(entry.at),
            Value::Text(entry.user.as_str()),
            Value::Text(entry.actor.as_str()),
            Value::Text(entry.event.as_str()),
            Value::OptionalText(entry.grant.as_ref().map(GrantId::as_str)),
            Value::Text(&entry.subject),
            Value::Text(&entry.detail),
            Value::Text(&entry.address),
            Value::Text(&entry.agent),
        ];
        let sql = "INSERT INTO audit (at, user_id, actor, event, grant_id, subject, detail, address, agent) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        self.database.run((sql, &values)).await.map(drop)
    }

    async fn record_ended_grants(&self, client: &ClientId, entry: &Entry) -> Result<(), StoreError> {
        let values = [
            Value::Time(entry.at),
            Value::Text(entry.actor.as_str()),
            Value::Text(entry.event.as_str()),
            Value::Text(&entry.detail),
            Value::Text(&entry.address),
            Value::Text(&entry.agent),
            Value::Text(client.as_str()),
            Value::Time(entry.at),
            Value::Text(entry.event.as_str()),
        ];
        let sql = "INSERT INTO audit (at, user_id, actor, event, grant_id, subject, detail, address, agent) \
                   SELECT ?, user_id, ?, ?, grant_id, client_name, ?, ?, ? FROM grants WHERE client_id = ? AND revoked_at = ? \
                   AND NOT EXISTS (SELECT 1 FROM audit WHERE audit.grant_id = grants.grant_id AND audit.event = ?)";
        self.database.run((sql, &values)).await.map(drop)
    }

    async fn list_audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        let (mut conditions, mut values) = (vec!["TRUE".to_owned()], Vec::new());
        if let Some(user) = &query.user {
            conditions.push("audit.user_id = ?".to_owned());
            values.push(Value::Text(user.as_str()));
        }
        if let Some(grant) = &query.grant {
            conditions.push("audit.grant_id = ?".to_owned());
            values.push(Value::Text(grant.as_str()));
        }
        if let Some(before) = query.before {
            conditions.push("audit_id < ?".to_owned());
            values.push(Value::Number(before));
        }
        if !query.events.is_empty() {
            conditions.push(format!("event IN ({})", vec!["?"; query.events.len()].join(", ")));
            values.extend(query.events.iter().map(|event| Value::Text(event.as_str())));
        }
        values.push(Value::Count(query.limit));
        let sql = format!(
            "SELECT audit_id, at, audit.user_id, users.name AS user_name, actor, event, grant_id, subject, detail, address, agent \
             FROM audit CROSS JOIN users ON users.user_id = audit.user_id WHERE {} ORDER BY audit_id DESC LIMIT ?",
            conditions.join(" AND ")
        );
        let rows: Vec<Row> = self.database.rows((&sql, &values)).await?;
        rows.into_iter().map(AuditRow::try_from).collect()
    }
}
