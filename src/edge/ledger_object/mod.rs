//! The Durable Object around [`crate::domain::ledger`]: loads it, feeds it commands, stores their effects before the reply leaves.
//!
//! | file | what it does |
//! |---|---|
//! | `object.mjs` | the object that the platform sees: reads and writes its storage, sets its alarm |
//! | this one | what is in memory, what is asked of D1, and when to wake up |
//! | `storage` | what stands in the tables of the object |
//! | `outbox` | when D1 is told what was booked, which caps are nearly used up, and what was refused |
//!
//! The object itself is a script, since each thing that is asked of the platform from wasm costs as much as a decision: a command is
//! one call of [`LedgerCore::command`], whose answer says what to store. It decides nothing.
//!
//! Reads and writes of the object's storage are synchronous, and nothing is awaited between a decision and its write: no other command
//! comes in between, and all writes of one message are one transaction. The reply waits until they are on disk.

mod outbox;
mod storage;

use core::fmt::Write as _;
use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::Env;

use super::{
    clock, courier, d1, log,
    settings::{DEFAULT_DATABASE_TIMEOUT_SECONDS, Settings},
};
use crate::domain::{
    grant::Terms,
    id::GrantId,
    ledger::{Command, Event, Govern, Ledger as Machine, LedgerId, Reached, Refusal, Refusals, Reply, Snapshot},
    policy_age::{DEFAULT_MAX_AGE_SECONDS, PolicyAge},
    time::Timestamp,
};
use outbox::Outbox;
use storage::{Stored, Writes};

/// The ledger of one grant, or of one account. Where it answers with a text for `object.mjs` to carry out, that has a line with the replies, a line with
/// when to wake the object or nothing, and then what to store; see `Writes::write_to`.
#[wasm_bindgen]
pub struct LedgerCore {
    env: Env,
    memory: RefCell<Option<Memory>>,
}

/// What an account's ledger knows of the policy.
struct OfPolicy {
    age: PolicyAge,
    /// Whether that is stored.
    is_saved: bool,
}

/// What the storage holds, as far as it is known to agree with it. Dropped at the first doubt.
struct Memory {
    owner: LedgerId,
    kind: Kind,
    outbox: Outbox,
    /// Of an account.
    of_policy: Option<OfPolicy>,
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

/// What D1 says of a grant, or an account, that was never used.
#[derive(Serialize, Deserialize)]
enum Found {
    Terms(Box<Terms>, Option<Timestamp>),
    NoSuchGrant,
    /// It doesn't answer.
    Failed(String),
}

impl core::fmt::Debug for LedgerCore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LedgerCore").finish_non_exhaustive()
    }
}

type Result<T> = core::result::Result<T, JsValue>;

#[wasm_bindgen]
impl LedgerCore {
    /// With nothing in memory.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self { env, memory: RefCell::new(None) }
    }

    /// What is in memory may be ahead of what is stored.
    pub fn doubt(&self, what: &str, why: &str) {
        self.memory.replace(None);
        log::failure(what, why);
    }

    /// Whether something is in memory.
    #[wasm_bindgen(js_name = isLoaded)]
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.memory.borrow().is_some()
    }

    /// Takes what is stored into memory: the rows, as a JSON list of pairs, and whether there are bookings to tell. Leaves it empty
    /// where nothing is stored. `asked_for`: whose ledger it is, where whoever asks knows it.
    ///
    /// # Errors
    /// A row that can't be read.
    pub fn load(&self, rows: &str, has_events: bool, asked_for: Option<String>) -> Result<()> {
        let stored = Stored::of(serde_json::from_str(rows).map_err(broken)?).map_err(broken)?;
        let (owner, kind, policy_as_of) = match stored {
            Stored::Nothing => return Ok(()),
            Stored::Revoked(owner) => (owner, Kind::Revoked, None),
            Stored::Ledger { owner, terms, summary, holds, delegations, refusals, policy_as_of } => {
                let machine = Machine::restore(*terms, *summary, holds, delegations);
                let machine = Box::new(machine.with_refusals(*refusals));
                (owner, Kind::Live { machine, unsaved_terms: None }, policy_as_of)
            }
        };
        // Objects of the first version didn't note whose they are.
        let Some(owner) = owner.or_else(|| asked_for.and_then(|name| name.parse().ok())) else { return Ok(()) };
        let mut outbox = if owner.tells() { Outbox::new(has_events, clock::now()) } else { Outbox::silent() };
        if let Kind::Live { machine, .. } = &kind
            && machine.refusals().is_untold()
        {
            outbox.refused(clock::now());
        }
        let of_policy = self.of_policy(&owner, policy_as_of.unwrap_or_default(), true);
        self.memory.replace(Some(Memory { owner, kind, outbox, of_policy }));
        Ok(())
    }

    /// Decides, without letting anything in between. `commands` is a JSON list. Nothing: it isn't loaded, or has to look up first what
    /// the policy is.
    ///
    /// # Errors
    /// The commands can't be read.
    pub fn command(&self, commands: &str) -> Result<Option<String>> {
        match self.memory.borrow_mut().as_mut() {
            None => Ok(None),
            Some(memory) => {
                let commands: Vec<Command> = serde_json::from_str(commands).map_err(broken)?;
                if memory.has_to_ask(&commands) { Ok(None) } else { memory.apply(commands).map(Some) }
            }
        }
    }

    /// Of a grant's ledger that nothing is stored of and that is only looked at: nothing was used, and what holds is in the grant's row,
    /// which whoever looks has read. So D1 isn't asked for it again. Nothing: it has to begin.
    ///
    /// # Errors
    /// The commands can't be read.
    #[wasm_bindgen(js_name = lookAt)]
    pub fn look_at(&self, owner: &str, commands: &str) -> Result<Option<String>> {
        let commands: Vec<Command> = serde_json::from_str(commands).map_err(broken)?;
        let is_grant = matches!(named(owner)?, LedgerId::Grant(_));
        if !is_grant || commands.iter().any(|command| *command != Command::Read) {
            return Ok(None);
        }
        let unused = commands.iter().map(|_| Reply::Snapshot(Box::default()));
        lines(&unused.collect::<Vec<_>>(), None, &Writes::default()).map(Some)
    }

    /// What D1 says of a grant, or of an account, for [`Self::begin`].
    ///
    /// # Errors
    /// That isn't the name of one.
    #[wasm_bindgen(js_name = lookUp)]
    pub async fn look_up(&self, owner: String) -> Result<String> {
        // A call waits for it.
        let seconds =
            Settings::get(&self.env).map_or(DEFAULT_DATABASE_TIMEOUT_SECONDS, |set| set.database_timeout_seconds);
        let found = match (d1::Database::of_request(&self.env, seconds), named(&owner)?) {
            (Ok(database), LedgerId::Grant(id)) => database.terms_of(&id).await.map_err(|error| error.0),
            (Ok(database), LedgerId::Account(id)) => database.account_terms_of(&id).await.map_err(|error| error.0),
            (Err(error), _) => Err(error.to_string()),
        };
        let found = match found {
            Ok(Some((terms, revoked_at))) => Found::Terms(Box::new(terms), revoked_at),
            Ok(None) => Found::NoSuchGrant,
            Err(error) => Found::Failed(error),
        };
        serde_json::to_string(&found).map_err(broken)
    }

    /// The first use of a ledger, unless another command came first, or the first with what the policy is now: as [`Self::command`].
    ///
    /// # Errors
    /// It isn't known whether there is such a grant; or what the policy is, for too long.
    pub fn begin(&self, owner: &str, commands: &str, found: &str) -> Result<String> {
        let commands: Vec<Command> = serde_json::from_str(commands).map_err(broken)?;
        let mut memory = self.memory.borrow_mut();
        if let Some(memory) = memory.as_mut() {
            return memory.catch_up(commands, serde_json::from_str(found).map_err(broken)?);
        }
        let owner = named(owner)?;
        let outbox = if owner.tells() { Outbox::default() } else { Outbox::silent() };
        let of_policy = self.of_policy(&owner, clock::now(), false);
        let first = |owner, kind| Memory { owner, kind, outbox, of_policy };
        match serde_json::from_str(found).map_err(broken)? {
            Found::Terms(terms, revoked_at) => {
                let mut machine = Box::new(Machine::new((*terms).clone()));
                if revoked_at.is_some() {
                    // The row keeps saying so: nothing has to be stored.
                    let _ = machine.apply(clock::now(), Command::Revoke);
                }
                memory.insert(first(owner, Kind::Live { machine, unsaved_terms: Some(*terms) })).apply(commands)
            }
            // A revocation must not need D1, nor the grant's row: a note that outweighs everything is as good.
            _ if commands.contains(&Command::Revoke) => {
                let writes = Writes::of_revocation(&owner);
                *memory = Some(first(owner, Kind::Revoked));
                lines(&commands.iter().map(reply_of_revoked).collect::<Vec<_>>(), None, &writes)
            }
            Found::NoSuchGrant => {
                let replies = commands.iter().map(|command| match command {
                    Command::Read => Reply::Snapshot(Box::default()),
                    _ => Reply::Refused(Refusal::NoSuchGrant),
                });
                lines(&replies.collect::<Vec<_>>(), None, &Writes::default())
            }
            Found::Failed(error) => Err(JsValue::from_str(&error)),
        }
    }

    /// The alarm has just gone off: does what is due, as [`Self::command`].
    ///
    /// # Errors
    /// As there.
    pub fn wake(&self) -> Result<Option<String>> {
        let mut memory = self.memory.borrow_mut();
        let Some(memory) = memory.as_mut() else { return Ok(None) };
        memory.outbox.woken(clock::now());
        memory.apply(vec![Command::Wake]).map(Some)
    }

    /// How many bookings D1 is to be told now; 0: none.
    #[must_use]
    pub fn due(&self) -> u32 {
        let is_due = self.memory.borrow().as_ref().is_some_and(|memory| memory.outbox.is_due());
        if is_due { outbox::BATCH } else { 0 }
    }

    /// Tells D1 of bookings and of thresholds, JSON lists of them, and of refusals, if it is time. Whether it knows them now.
    ///
    /// # Errors
    /// They can't be read.
    pub async fn tell(&self, events: String, notices: String) -> Result<bool> {
        let events: Vec<Event> = serde_json::from_str(&events).map_err(broken)?;
        let notices: Vec<Reached> = serde_json::from_str(&notices).map_err(broken)?;
        let told = self.memory.borrow_mut().as_mut().map(|memory| (memory.owner.clone(), memory.take_refusals()));
        let Some((LedgerId::Grant(grant_id), refusals)) = told else { return Ok(false) };
        let told = self.tell_database(&grant_id, &events, &notices, refusals.as_ref()).await;
        if let Err(error) = &told {
            log::failure("outbox", error);
            if let Some(Memory { kind: Kind::Live { machine, .. }, .. }) = self.memory.borrow_mut().as_mut()
                && refusals.is_some()
            {
                machine.put_refusals_back();
            }
        }
        Ok(told.is_ok())
    }

    /// The refusals, where they have just been told: to be stored, so that a count never falls behind what was told.
    ///
    /// # Errors
    /// They can't be written as JSON.
    pub fn refusals(&self) -> Result<Option<String>> {
        match self.memory.borrow().as_ref() {
            Some(Memory { kind: Kind::Live { machine, .. }, outbox, .. }) if outbox.tells_refusals() => {
                serde_json::to_string(machine.refusals()).map(Some).map_err(broken)
            }
            _ => Ok(None),
        }
    }

    /// What became of it, and whether there are more. When to wake up, where that has changed.
    #[must_use]
    pub fn told(&self, worked: bool, has_more: bool) -> Option<f64> {
        let mut memory = self.memory.borrow_mut();
        let memory = memory.as_mut()?;
        let now = clock::now();
        memory.outbox.tried(worked, has_more, now);
        if let Kind::Live { machine, .. } = &memory.kind
            && machine.refusals().is_untold()
        {
            memory.outbox.refused(now);
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch stay below 2^53")]
        memory.outbox.alarm(now).map(|at| at.millis() as f64)
    }
}

impl Memory {
    /// What is to be told of refusals now.
    fn take_refusals(&mut self) -> Option<Refusals> {
        match &mut self.kind {
            Kind::Live { machine, .. } if self.outbox.tells_refusals() => Some(machine.take_refusals()),
            _ => None,
        }
    }

    /// Whether what an account's ledger knows of the policy is too old for what is asked.
    fn has_to_ask(&self, commands: &[Command]) -> bool {
        let is_old = || self.of_policy.as_ref().is_some_and(|known| known.age.has_to_ask(clock::now()));
        let is_call = |command: &Command| matches!(command, Command::Reserve { .. });
        matches!(self.kind, Kind::Live { .. }) && commands.iter().any(is_call) && is_old()
    }

    /// As [`Self::apply`], after what D1 says of the policy.
    fn catch_up(&mut self, mut commands: Vec<Command>, found: Found) -> Result<String> {
        let now = clock::now();
        // Somebody else may have come first.
        let Some(known) = self.of_policy.as_mut().filter(|known| known.age.has_to_ask(now)) else {
            return self.apply(commands);
        };
        let mut told = Vec::new();
        match found {
            Found::Terms(terms, removed_at) => {
                *known = OfPolicy { age: known.age.looked_up(now), is_saved: false };
                told.push(Command::Govern(Box::new(Govern::of_account(*terms))));
                told.extend(removed_at.map(|_| Command::Revoke));
            }
            Found::NoSuchGrant => return Err(JsValue::from_str("there is no such account")),
            Found::Failed(error) => match known.age.not_looked_up(now) {
                Some(age) => {
                    known.age = age;
                    log::failure("policy", &error);
                }
                None => return Err(JsValue::from_str(&error)),
            },
        }
        let unasked = told.len();
        told.append(&mut commands);
        self.apply_all(told, unasked)
    }

    fn apply(&mut self, commands: Vec<Command>) -> Result<String> {
        self.apply_all(commands, 0)
    }

    /// `unasked`: how many of the first nobody waits for.
    fn apply_all(&mut self, commands: Vec<Command>, unasked: usize) -> Result<String> {
        let now = clock::now();
        let (machine, unsaved_terms) = match &mut self.kind {
            Kind::Revoked => {
                let replies: Vec<Reply> = commands.iter().skip(unasked).map(reply_of_revoked).collect();
                return lines(&replies, self.outbox.alarm(now), &Writes::default());
            }
            Kind::Live { machine, unsaved_terms } => (machine, unsaved_terms),
        };
        let mut replies = Vec::with_capacity(commands.len());
        let mut all_effects = Vec::new();
        for command in commands {
            let (reply, effects) = machine.apply(now, command);
            replies.push(reply);
            all_effects.extend(effects);
        }
        replies.drain(..unasked.min(replies.len()));
        all_effects.retain(|effect| self.owner.keeps(effect));
        if machine.refusals().is_untold() {
            self.outbox.refused(now);
        }
        let mut writes = Writes::of(all_effects).map_err(broken)?;
        self.outbox.wakes_machine(writes.wakes_at);
        if writes.has_events() {
            self.outbox.filled(now);
        }
        if !writes.is_empty()
            && let Some(terms) = unsaved_terms.take()
        {
            writes.add_origin(&self.owner, &terms).map_err(broken)?;
        }
        // It needs no write of its own: whoever has forgotten it asks once more.
        if let Some(known) = self.of_policy.as_mut().filter(|known| !known.is_saved && !writes.is_empty()) {
            writes.add_policy_as_of(known.age.as_of()).map_err(broken)?;
            known.is_saved = true;
        }
        lines(&replies, self.outbox.alarm(now), &writes)
    }
}

impl LedgerCore {
    fn of_policy(&self, owner: &LedgerId, as_of: Timestamp, is_saved: bool) -> Option<OfPolicy> {
        matches!(owner, LedgerId::Account(_)).then(|| {
            let max_age = Settings::get(&self.env).map_or(DEFAULT_MAX_AGE_SECONDS, |set| set.policy_max_age_seconds);
            OfPolicy { age: PolicyAge::new(as_of, max_age), is_saved }
        })
    }

    async fn tell_database(
        &self,
        grant_id: &GrantId,
        events: &[Event],
        notices: &[Reached],
        refusals: Option<&Refusals>,
    ) -> core::result::Result<(), String> {
        let database = d1::Database::of_job(&self.env).map_err(|error| error.to_string())?;
        if !events.is_empty() {
            database.record_usage(grant_id, events).await.map_err(|error| error.0)?;
            if events.iter().any(|event| !event.over_bound.is_zero()) {
                courier::wake().await;
            }
        }
        if !notices.is_empty() {
            database.record_notices(grant_id, notices).await.map_err(|error| error.0)?;
            courier::wake().await;
        }
        if let Some(refusals) = refusals {
            database.record_refusals(grant_id, refusals).await.map_err(|error| error.0)?;
        }
        Ok(())
    }
}

fn lines(replies: &[Reply], wake_at: Option<Timestamp>, writes: &Writes) -> Result<String> {
    let mut lines = serde_json::to_string(replies).map_err(broken)?;
    lines.push('\n');
    if let Some(at) = wake_at {
        // Writing to a string does not fail.
        let _ = write!(lines, "{}", at.millis());
    }
    writes.write_to(&mut lines);
    Ok(lines)
}

fn reply_of_revoked(command: &Command) -> Reply {
    match command {
        Command::Reserve { .. } | Command::Look { .. } | Command::Change(_) | Command::Delegate(_) => {
            Reply::Refused(Refusal::Revoked)
        }
        Command::Read => Reply::Snapshot(Box::new(Snapshot { revoked_at: Some(clock::now()), ..Snapshot::default() })),
        Command::Settle(_)
        | Command::Release(_)
        | Command::Withdraw(_)
        | Command::Govern(_)
        | Command::Revoke
        | Command::RevokeTokens(_)
        | Command::RevokeDelegation(_)
        | Command::NoteRefusal { .. }
        | Command::Wake => Reply::Done,
    }
}

fn named(owner: &str) -> Result<LedgerId> {
    owner.parse().map_err(|_| JsValue::from_str("that is not the name of a ledger"))
}

fn broken(error: impl core::fmt::Display) -> JsValue {
    JsValue::from_str(&error.to_string())
}
