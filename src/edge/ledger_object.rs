//! The Durable Object around [`crate::domain::ledger`]: loads it, feeds it commands, stores their effects before the reply leaves.
//!
//! Storage is one table, `entries (key, value)`:
//!
//! | key | value |
//! |---|---|
//! | `terms` | the grant's terms, copied from D1 when the grant was first used; after that D1 is not needed |
//! | `summary` | [`Summary`] |
//! | `hold:<n>` | a [`Hold`] |
//! | `revoked` | there when the grant was revoked before its terms were known; outweighs everything else |
//!
//! Reads and writes of this storage are synchronous, and nothing is awaited between a decision and its write: no other command comes
//! in between, and all writes of one command are one transaction. The reply waits until they are on disk.

use std::{cell::RefCell, collections::BTreeMap};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use worker::{DurableObject, Env, Request, Response, ScheduledTime, SqlStorage, State, durable_object, wasm_bindgen};

use super::{clock, d1, ledgers::Envelope, log};
use crate::domain::{
    grant::Terms,
    id::GrantId,
    ledger::{Command, Effect, Hold, HoldId, Ledger as Machine, Refusal, Reply, Snapshot, Summary},
};

const TERMS: &str = "terms";
const SUMMARY: &str = "summary";
const HOLD: &str = "hold:";
const REVOKED: &str = "revoked";

/// The ledger of one grant.
#[durable_object(alarm)]
pub struct Ledger {
    state: State,
    env: Env,
    memory: RefCell<Option<Memory>>,
}

/// What the storage holds, as far as it is known to agree with it. Dropped at the first doubt.
#[derive(Clone)]
enum Memory {
    /// Revoked before its terms were known.
    Revoked,
    /// The usual state.
    Live {
        machine: Box<Machine>,
        /// Set until they are stored.
        unsaved_terms: Option<Terms>,
    },
}

#[derive(Deserialize)]
struct EntryRow {
    key: String,
    value: String,
}

impl core::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl DurableObject for Ledger {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, memory: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let envelope: Envelope = serde_json::from_str(&request.text().await?)?;
        match self.handle(&envelope.grant_id, envelope.command).await {
            Ok(reply) => Response::from_json(&reply),
            Err(error) => {
                // What is in memory may be ahead of what is stored.
                self.memory.replace(None);
                log::failure("ledger", &error.to_string());
                Response::error("the ledger can not answer", 500)
            }
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if self.load_from_storage()? {
            self.apply(Command::ExpireHolds).await.inspect_err(|_| drop(self.memory.replace(None)))?;
        }
        Response::ok("")
    }
}

impl Ledger {
    async fn handle(&self, grant_id: &GrantId, command: Command) -> worker::Result<Reply> {
        if !self.load_from_storage()? && !self.load_from_grant(grant_id, &command).await? {
            return Ok(match command {
                Command::Read => Reply::Snapshot(Snapshot::default()),
                _ => Reply::Refused(Refusal::NoSuchGrant),
            });
        }
        self.apply(command).await
    }

    /// `false`: nothing is stored.
    fn load_from_storage(&self) -> worker::Result<bool> {
        if self.memory.borrow().is_some() {
            return Ok(true);
        }
        let sql = self.sql();
        sql.exec("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID", None)?;
        let rows: Vec<EntryRow> = sql.exec("SELECT key, value FROM entries", None)?.to_array()?;
        let mut entries: BTreeMap<String, String> = rows.into_iter().map(|row| (row.key, row.value)).collect();
        if entries.contains_key(REVOKED) {
            self.memory.replace(Some(Memory::Revoked));
            return Ok(true);
        }
        let (Some(terms), Some(summary)) = (entries.remove(TERMS), entries.remove(SUMMARY)) else {
            return Ok(false);
        };
        let mut holds: Vec<(HoldId, Hold)> = Vec::new();
        for (key, value) in &entries {
            if let Some(id) = key.strip_prefix(HOLD).and_then(|id| id.parse().ok()) {
                holds.push((HoldId(id), parse(value)?));
            }
        }
        let machine = Machine::restore(parse(&terms)?, parse::<Summary>(&summary)?, holds);
        self.memory.replace(Some(Memory::Live { machine: Box::new(machine), unsaved_terms: None }));
        Ok(true)
    }

    /// The first use of a grant. `false`: there is no such grant.
    async fn load_from_grant(&self, grant_id: &GrantId, command: &Command) -> worker::Result<bool> {
        let found = match d1::Database::new(&self.env)?.terms_of(grant_id).await {
            Ok(Some(found)) => Some(found),
            // A revocation must not need D1, nor the grant's row: a note that outweighs everything is as good.
            Ok(None) | Err(_) if *command == Command::Revoke => {
                self.write(&BTreeMap::from([(REVOKED.to_owned(), Some("true".to_owned()))]))?;
                self.memory.replace(Some(Memory::Revoked));
                return Ok(true);
            }
            Ok(None) => None,
            Err(error) => return Err(error.0.into()),
        };
        // Another command may have loaded it while this one waited for D1.
        if self.load_from_storage()? {
            return Ok(true);
        }
        let Some((terms, revoked_at)) = found else { return Ok(false) };
        let mut machine = Machine::new(terms.clone());
        if revoked_at.is_some() {
            // The row keeps saying so: nothing has to be stored.
            let _ = machine.apply(clock::now(), Command::Revoke);
        }
        self.memory.replace(Some(Memory::Live { machine: Box::new(machine), unsaved_terms: Some(terms) }));
        Ok(true)
    }

    async fn apply(&self, command: Command) -> worker::Result<Reply> {
        let (reply, wakes_at) = self.apply_and_store(command)?;
        if let Some(at) = wakes_at {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch stay below 2^53")]
            let at = js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(at.millis() as f64));
            self.state.storage().set_alarm(ScheduledTime::new(at)).await?;
        }
        Ok(reply)
    }

    /// Decides and stores, without letting anything in between.
    fn apply_and_store(&self, command: Command) -> worker::Result<(Reply, Option<crate::domain::time::Timestamp>)> {
        let mut memory = self.memory.borrow_mut();
        let (machine, unsaved_terms) = match memory.as_mut() {
            None => return Err("the ledger is not loaded".into()),
            Some(Memory::Revoked) => return Ok((reply_of_revoked(&command), None)),
            Some(Memory::Live { machine, unsaved_terms }) => (machine, unsaved_terms),
        };
        let (reply, effects) = machine.apply(clock::now(), command);
        let mut wakes_at = None;
        let mut writes: BTreeMap<String, Option<String>> = BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::SaveSummary(summary) => writes.insert(SUMMARY.to_owned(), Some(text(&summary)?)),
                Effect::SaveHold(id, hold) => writes.insert(format!("{HOLD}{}", id.0), Some(text(&hold)?)),
                Effect::DropHold(id) => writes.insert(format!("{HOLD}{}", id.0), None),
                Effect::WakeAt(at) => {
                    wakes_at = Some(at);
                    None
                }
            };
        }
        if writes.contains_key(SUMMARY)
            && let Some(terms) = unsaved_terms.as_ref()
        {
            writes.insert(TERMS.to_owned(), Some(text(terms)?));
        }
        self.write(&writes)?;
        if writes.contains_key(TERMS) {
            *unsaved_terms = None;
        }
        Ok((reply, wakes_at))
    }

    /// At most two statements, and nothing awaited between them: one transaction.
    fn write(&self, writes: &BTreeMap<String, Option<String>>) -> worker::Result<()> {
        let saved: Vec<_> = writes.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?))).collect();
        for chunk in saved.chunks(MAX_ROWS_PER_STATEMENT) {
            let rows = vec!["(?, ?)"; chunk.len()].join(", ");
            let values = chunk.iter().flat_map(|(key, value)| [(*key).into(), (*value).into()]).collect::<Vec<_>>();
            self.sql().exec(
                &format!("INSERT INTO entries (key, value) VALUES {rows} ON CONFLICT (key) DO UPDATE SET value = excluded.value"),
                values,
            )?;
        }
        let dropped: Vec<_> = writes.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_str()).collect();
        for chunk in dropped.chunks(MAX_ROWS_PER_STATEMENT) {
            let keys = vec!["?"; chunk.len()].join(", ");
            let values = chunk.iter().map(|key| (*key).into()).collect::<Vec<_>>();
            self.sql().exec(&format!("DELETE FROM entries WHERE key IN ({keys})"), values)?;
        }
        Ok(())
    }

    fn sql(&self) -> SqlStorage {
        self.state.storage().sql()
    }
}

/// The platform takes at most 100 parameters in a statement.
const MAX_ROWS_PER_STATEMENT: usize = 50;

fn reply_of_revoked(command: &Command) -> Reply {
    match command {
        Command::Reserve { .. } => Reply::Refused(Refusal::Revoked),
        Command::Read => Reply::Snapshot(Snapshot { revoked_at: Some(clock::now()), ..Snapshot::default() }),
        Command::Settle(_) | Command::Release(_) | Command::Revoke | Command::ExpireHolds => Reply::Done,
    }
}

fn parse<T: DeserializeOwned>(value: &str) -> worker::Result<T> {
    Ok(serde_json::from_str(value)?)
}

fn text(value: &impl Serialize) -> worker::Result<String> {
    Ok(serde_json::to_string(value)?)
}
