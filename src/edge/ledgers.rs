//! Talks to the Durable Objects that hold the ledgers.

use serde::{Deserialize, Serialize};
use worker::{Method, ObjectNamespace, Request, RequestInit};

use crate::domain::{
    id::GrantId,
    ledger::{Command, Reply},
};

/// The binding's name in `wrangler.toml`.
pub const BINDING: &str = "LEDGER";

/// What goes over to the object: it is named after the grant but can't read its own name everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Whose ledger.
    pub grant_id: GrantId,
    /// What it shall do.
    pub command: Command,
}

/// A ledger that could not answer. For the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ledger: {0}")]
pub struct LedgerUnavailable(String);

/// Every ledger.
#[derive(Clone, Debug)]
pub struct Ledgers(pub ObjectNamespace);

impl Ledgers {
    /// Sends a command to the ledger of a grant.
    ///
    /// # Errors
    /// [`LedgerUnavailable`]: then it is unknown whether the command was carried out.
    pub async fn send(&self, grant_id: &GrantId, command: Command) -> Result<Reply, LedgerUnavailable> {
        let envelope = Envelope { grant_id: grant_id.clone(), command };
        let body = serde_json::to_string(&envelope).map_err(|error| LedgerUnavailable(error.to_string()))?;
        self.fetch(grant_id, &body).await.map_err(|error| LedgerUnavailable(error.to_string()))
    }

    async fn fetch(&self, grant_id: &GrantId, body: &str) -> worker::Result<Reply> {
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(body.into()));
        let request = Request::new_with_init("https://ledger/", &init)?;
        let stub = self.0.get_by_name(grant_id.as_str())?;
        let mut response = stub.fetch_with_request(request).await?;
        let text = response.text().await?;
        if response.status_code() != 200 {
            return Err(format!("status {}: {text}", response.status_code()).into());
        }
        Ok(serde_json::from_str(&text)?)
    }
}
