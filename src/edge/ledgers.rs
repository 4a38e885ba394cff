//! Talks to the Durable Objects that hold the ledgers; `ledgers.mjs` has the call itself.

use std::borrow::Cow;

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::js;
use crate::domain::{
    id::{GrantId, UserId},
    ledger::{Command, LedgerId, Reply},
};

/// A ledger that could not answer. For the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ledger: {0}")]
pub struct LedgerUnavailable(String);

/// Who has a ledger.
pub trait HasLedger {
    /// What it is called.
    fn ledger(&self) -> Cow<'_, str>;
}

impl HasLedger for GrantId {
    fn ledger(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

/// Of the user's account.
impl HasLedger for UserId {
    fn ledger(&self) -> Cow<'_, str> {
        LedgerId::Account(self.clone()).to_string().into()
    }
}

/// Sends a command to the ledger of a grant, or of an account.
///
/// # Errors
/// [`LedgerUnavailable`]: then it is unknown whether the command was carried out.
pub async fn send(owner: &impl HasLedger, command: &Command) -> Result<Reply, LedgerUnavailable> {
    let [reply] = send_all(owner, [command]).await?;
    Ok(reply)
}

/// Sends several, which are carried out with nothing in between, all or none.
///
/// # Errors
/// As [`send`].
pub async fn send_all<const N: usize>(
    owner: &impl HasLedger,
    commands: [&Command; N],
) -> Result<[Reply; N], LedgerUnavailable> {
    let commands = serde_json::to_string(&commands[..]).map_err(unavailable)?;
    let replies = JsFuture::from(js::command(&owner.ledger(), &commands)).await;
    let replies = replies.map_err(|error: JsValue| unavailable(js::message(&error)))?.as_string().unwrap_or_default();
    let replies: Vec<Reply> = serde_json::from_str(&replies).map_err(unavailable)?;
    replies.try_into().map_err(|_| unavailable("not as many replies as commands"))
}

/// Sends a command whose reply nobody needs. When this is back it was carried out; it may have waited a moment, to go together with
/// others of the same ledger.
///
/// # Errors
/// As [`send`].
pub async fn send_soon(owner: &impl HasLedger, command: &Command) -> Result<(), LedgerUnavailable> {
    let command = serde_json::to_string(command).map_err(unavailable)?;
    match JsFuture::from(js::command_soon(&owner.ledger(), &command)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(unavailable(js::message(&error))),
    }
}

fn unavailable(error: impl core::fmt::Display) -> LedgerUnavailable {
    LedgerUnavailable(error.to_string())
}
