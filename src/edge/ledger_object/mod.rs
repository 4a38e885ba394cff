//! The Durable Object around [`crate::domain::ledger`]: loads it, feeds it commands, stores their effects before the reply leaves.
//!
//! | file | what it does |
//! |---|---|
//! | this one | commands, and when to wake up |
//! | [`storage`] | the tables of the object |
//! | [`outbox`] | tells D1 what was booked |
//!
//! Reads and writes of the object's storage are synchronous, and nothing is awaited between a decision and its write: no other command
//! comes in between, and all writes of one command are one transaction. The reply waits until they are on disk.

mod outbox;
mod storage;

use std::cell::RefCell;

use worker::{DurableObject, Env, Request, Response, ScheduledTime, State, durable_object, wasm_bindgen};

use super::{clock, d1, ledgers::Envelope, log};
use crate::domain::{
    grant::Terms,
    id::GrantId,
    ledger::{Command, Ledger as Machine, Refusal, Reply, Snapshot},
    time::Timestamp,
};
use outbox::Outbox;
use storage::{Storage, Stored, Writes};

/// The ledger of one grant.
#[durable_object(alarm)]
pub struct Ledger {
    state: State,
    env: Env,
    memory: RefCell<Option<Memory>>,
}

/// What the storage holds, as far as it is known to agree with it. Dropped at the first doubt.
struct Memory {
    grant_id: GrantId,
    kind: Kind,
    outbox: Outbox,
    /// When the platform was asked to wake the object, if it was.
    alarm_at: Option<Timestamp>,
}

enum Kind {
    /// Revoked before its terms were known.
    Revoked,
    /// The usual state.
    Live {
        machine: Box<Machine>,
        /// Set until they are stored.
        unsaved_terms: Option<Terms>,
    },
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
        match self.handle(envelope).await {
            Ok(reply) => Response::from_json(&reply),
            Err(error) => {
                self.doubt("ledger", &error);
                Response::error("the ledger can not answer", 500)
            }
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if let Err(error) = self.wake().await {
            self.doubt("ledger alarm", &error);
            return Err(error);
        }
        Response::ok("")
    }
}

impl Ledger {
    /// What is in memory may be ahead of what is stored.
    fn doubt(&self, what: &'static str, error: &worker::Error) {
        self.memory.replace(None);
        log::failure(what, &error.to_string());
    }

    async fn handle(&self, envelope: Envelope) -> worker::Result<Reply> {
        let Envelope { grant_id, command } = envelope;
        if !self.load(Some(&grant_id))? && !self.load_from_grant(&grant_id, &command).await? {
            return Ok(match command {
                Command::Read => Reply::Snapshot(Box::default()),
                _ => Reply::Refused(Refusal::NoSuchGrant),
            });
        }
        let (reply, alarm) = self.apply(command)?;
        self.set_alarm(alarm).await?;
        Ok(reply)
    }

    async fn wake(&self) -> worker::Result<()> {
        if !self.load(None)? {
            return Ok(());
        }
        if let Some(memory) = self.memory.borrow_mut().as_mut() {
            // It has just gone off.
            memory.alarm_at = None;
            memory.outbox.woken();
        }
        let (_, alarm) = self.apply(Command::Wake)?;
        // First, so that the object wakes up again whatever becomes of the rest.
        self.set_alarm(alarm).await?;
        let alarm = self.flush().await?;
        self.set_alarm(alarm).await
    }

    /// Tells D1 what is due. When to wake up again.
    async fn flush(&self) -> worker::Result<Option<Timestamp>> {
        let storage = self.storage();
        let due = self
            .memory
            .borrow()
            .as_ref()
            .and_then(|memory| memory.outbox.is_due(clock::now()).then(|| memory.grant_id.clone()));
        let Some(grant_id) = due else { return Ok(None) };
        let events = storage.events(outbox::BATCH)?;
        let told = d1::Database::new(&self.env)?.record_usage(&grant_id, &events).await;
        if let Err(error) = &told {
            log::failure("outbox", &error.0);
        } else {
            storage.drop_events(&events)?;
        }
        let more = storage.has_events()?;
        let mut memory = self.memory.borrow_mut();
        let Some(memory) = memory.as_mut() else { return Ok(None) };
        memory.outbox.tried(told.is_ok(), more, clock::now());
        Ok(memory.wake_at())
    }

    /// `false`: nothing is stored.
    fn load(&self, asked_for: Option<&GrantId>) -> worker::Result<bool> {
        if self.memory.borrow().is_some() {
            return Ok(true);
        }
        let storage = self.storage();
        let stored = storage.load()?;
        let (grant_id, kind) = match stored {
            Stored::Nothing => return Ok(false),
            Stored::Revoked(grant_id) => (grant_id, Kind::Revoked),
            Stored::Ledger { grant_id, terms, summary, holds } => {
                let machine = Box::new(Machine::restore(*terms, *summary, holds));
                (grant_id, Kind::Live { machine, unsaved_terms: None })
            }
        };
        // Objects of the first version didn't note whose they are.
        let Some(grant_id) = grant_id.or_else(|| asked_for.cloned()) else { return Ok(false) };
        let outbox = Outbox::new(storage.has_events()?, clock::now());
        self.memory.replace(Some(Memory { grant_id, kind, outbox, alarm_at: None }));
        Ok(true)
    }

    /// The first use of a grant. `false`: there is no such grant.
    async fn load_from_grant(&self, grant_id: &GrantId, command: &Command) -> worker::Result<bool> {
        let memory = |kind| Memory { grant_id: grant_id.clone(), kind, outbox: Outbox::default(), alarm_at: None };
        let found = match d1::Database::new(&self.env)?.terms_of(grant_id).await {
            Ok(Some(found)) => Some(found),
            // A revocation must not need D1, nor the grant's row: a note that outweighs everything is as good.
            Ok(None) | Err(_) if *command == Command::Revoke => {
                self.storage().write(&Writes::of_revocation(grant_id))?;
                self.memory.replace(Some(memory(Kind::Revoked)));
                return Ok(true);
            }
            Ok(None) => None,
            Err(error) => return Err(error.0.into()),
        };
        // Another command may have loaded it while this one waited for D1.
        if self.load(Some(grant_id))? {
            return Ok(true);
        }
        let Some((terms, revoked_at)) = found else { return Ok(false) };
        let mut machine = Machine::new(terms.clone());
        if revoked_at.is_some() {
            // The row keeps saying so: nothing has to be stored.
            let _ = machine.apply(clock::now(), Command::Revoke);
        }
        self.memory.replace(Some(memory(Kind::Live { machine: Box::new(machine), unsaved_terms: Some(terms) })));
        Ok(true)
    }

    /// Decides and stores, without letting anything in between. When to wake up, where that has changed.
    fn apply(&self, command: Command) -> worker::Result<(Reply, Option<Timestamp>)> {
        let mut memory = self.memory.borrow_mut();
        let Some(memory) = memory.as_mut() else { return Err("the ledger is not loaded".into()) };
        let (machine, unsaved_terms) = match &mut memory.kind {
            Kind::Revoked => return Ok((reply_of_revoked(&command), memory.wake_at())),
            Kind::Live { machine, unsaved_terms } => (machine, unsaved_terms),
        };
        let now = clock::now();
        let (reply, effects) = machine.apply(now, command);
        let mut writes = Writes::of(effects)?;
        memory.outbox.wakes_machine(writes.wakes_at);
        if writes.has_events() {
            memory.outbox.filled(now);
        }
        if !writes.is_empty() {
            if let Some(terms) = unsaved_terms.as_ref() {
                writes.add_origin(&memory.grant_id, terms)?;
            }
            self.storage().write(&writes)?;
            *unsaved_terms = None;
        }
        Ok((reply, memory.wake_at()))
    }

    async fn set_alarm(&self, at: Option<Timestamp>) -> worker::Result<()> {
        let Some(at) = at else { return Ok(()) };
        if let Some(memory) = self.memory.borrow_mut().as_mut() {
            memory.alarm_at = Some(at);
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch stay below 2^53")]
        let at = js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(at.millis() as f64));
        self.state.storage().set_alarm(ScheduledTime::new(at)).await
    }

    fn storage(&self) -> Storage {
        Storage::new(self.state.storage().sql())
    }
}

impl Memory {
    /// When the platform has to be asked to wake the object; `None`: it knows already.
    fn wake_at(&self) -> Option<Timestamp> {
        let wanted = self.outbox.wake_at()?;
        self.alarm_at.is_none_or(|at| wanted < at).then_some(wanted)
    }
}

fn reply_of_revoked(command: &Command) -> Reply {
    match command {
        Command::Reserve { .. } | Command::Change(_) => Reply::Refused(Refusal::Revoked),
        Command::Read => Reply::Snapshot(Box::new(Snapshot { revoked_at: Some(clock::now()), ..Snapshot::default() })),
        Command::Settle(_) | Command::Release(_) | Command::Revoke | Command::Wake => Reply::Done,
    }
}
