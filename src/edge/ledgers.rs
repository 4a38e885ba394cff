//! Talks to the Durable Objects that hold the ledgers; `ledgers.mjs` has the call itself.

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::js;
use crate::domain::{
    id::GrantId,
    ledger::{Command, Reply},
};

/// A ledger that could not answer. For the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ledger: {0}")]
pub struct LedgerUnavailable(String);

/// Sends a command to the ledger of a grant.
///
/// # Errors
/// [`LedgerUnavailable`]: then it is unknown whether the command was carried out.
pub async fn send(grant_id: &GrantId, command: &Command) -> Result<Reply, LedgerUnavailable> {
    let commands = serde_json::to_string(&[command]).map_err(unavailable)?;
    let replies = JsFuture::from(js::command(grant_id.as_str(), &commands)).await;
    let replies = replies.map_err(|error: JsValue| unavailable(js::message(&error)))?.as_string().unwrap_or_default();
    let [reply]: [Reply; 1] = serde_json::from_str(&replies).map_err(unavailable)?;
    Ok(reply)
}

/// Sends a command whose reply nobody needs. When this is back it was carried out; it may have waited a moment, to go together with
/// others of the same grant.
///
/// # Errors
/// As [`send`].
pub async fn send_soon(grant_id: &GrantId, command: &Command) -> Result<(), LedgerUnavailable> {
    let command = serde_json::to_string(command).map_err(unavailable)?;
    match JsFuture::from(js::command_soon(grant_id.as_str(), &command)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(unavailable(js::message(&error))),
    }
}

fn unavailable(error: impl core::fmt::Display) -> LedgerUnavailable {
    LedgerUnavailable(error.to_string())
}
