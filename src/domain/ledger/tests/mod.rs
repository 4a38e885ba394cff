//! The ledger's rules one by one ([`rules`], [`money`], [`ahead`], [`delegations`], [`proofs`]), then all of them under random commands and crashes ([`random`]).

mod accounts;
mod ahead;
mod delegations;
mod ends;
mod govern;
mod money;
mod proofs;
mod random;
mod refusals;
mod rules;
mod thresholds;
mod tokens;

use std::collections::BTreeMap;

use super::*;
use crate::domain::{
    authorization_details::Requested,
    permission::{Capability, ModelPattern, Provider},
};

/// 2023-11-14T22:13:20Z.
const START: Timestamp = Timestamp::from_seconds(1_700_000_000);
const TTL: u64 = 100;

/// How many random orders a property is tried in: a fifth of `all`, and all of them by `npm run check:long` (`LEDGER_ORDERS=all`).
fn orders(all: u32) -> u32 {
    let is_long = std::env::var("LEDGER_ORDERS").is_ok_and(|orders| orders == "all");
    if is_long { all } else { all / 5 }
}

fn terms(limits: &str, overall: &str) -> Terms {
    let details = format!(
        r#"[{{"type":"ai_access","provider":"openai","models":["gpt-5*"],"capabilities":["chat"],"limits":{limits}}},
            {{"type":"ai_access","provider":"openai","models":["embed"],"capabilities":["embeddings"]}},
            {{"type":"ai_limits"{overall}}}]"#
    );
    let asked = Requested::from_authorization_details(&details).unwrap();
    Terms {
        permissions: asked.permissions,
        limits: asked.limits,
        expires_at: START.plus_seconds(10_000_000),
        ..Terms::default()
    }
}

/// Nothing read, and so many nano-USD written, one for each token.
fn costing(nano_usd: u64) -> Bound {
    Bound {
        input_nano_usd: crate::domain::money::NanoUsd(0),
        input_tokens: 0,
        output_pico_usd: 1000,
        output_tokens: nano_usd,
        choices: 1,
        least_output_tokens: None,
    }
}

fn claim(model: &str, capability: Capability) -> Claim {
    let need = Need::Model { models: vec![model.into()], capabilities: vec![capability] };
    Claim { provider: Provider::OpenAi, need, endpoint: "/v1/x".into(), worst: Worst::Free }
}

fn chat() -> Claim {
    claim("gpt-5-mini", Capability::Chat)
}

fn chat_costing(nano_usd: u64) -> Claim {
    Claim { worst: Worst::Bound(costing(nano_usd)), ..chat() }
}

fn models() -> Claim {
    Claim { need: Need::Models { model: None }, ..chat() }
}

fn settled(ticket: &Ticket, nano_usd: u64) -> Command {
    let cost = Cost { nano_usd: crate::domain::money::NanoUsd(nano_usd), tokens: nano_usd, exact: true };
    Command::Settle(Box::new(Settlement { ticket: ticket.clone(), cost: Some(cost), record: Record::default() }))
}

/// The provider didn't say what it used.
fn settled_unknown(ticket: &Ticket) -> Command {
    Command::Settle(Box::new(Settlement { ticket: ticket.clone(), cost: None, record: Record::default() }))
}

/// What is on disk.
#[derive(Clone)]
struct Disk {
    terms: Terms,
    summary: Option<Summary>,
    holds: BTreeMap<HoldId, Hold>,
    delegations: BTreeMap<DelegationId, Delegation>,
    /// What the world was or will be told, by hold.
    events: BTreeMap<HoldId, Event>,
    /// What the person was or will be told.
    told: Vec<Reached>,
    refusals: Refusals,
    writes: usize,
}

impl Disk {
    /// What it is found to hold.
    fn ledger(&self) -> Ledger {
        let (terms, holds) = (self.terms.clone(), self.holds.clone());
        match self.summary.clone() {
            None => Ledger::new(terms),
            Some(summary) => Ledger::restore(terms, summary, holds, self.delegations.values().cloned())
                .with_refusals(self.refusals.clone()),
        }
    }
}

/// A ledger, and what is stored of it.
struct Fixture {
    ledger: Ledger,
    disk: Disk,
    wake: Option<Timestamp>,
    now: Timestamp,
    ahead: u32,
}

impl Fixture {
    /// One that writes every call.
    fn new(limits: &str, overall: &str) -> Self {
        let terms = terms(limits, overall);
        let disk = Disk {
            terms: terms.clone(),
            summary: None,
            holds: BTreeMap::new(),
            delegations: BTreeMap::new(),
            events: BTreeMap::new(),
            told: Vec::new(),
            refusals: Refusals::default(),
            writes: 0,
        };
        Self { ledger: Ledger::new(terms), disk, wake: None, now: START, ahead: 0 }
    }

    /// One that sets room aside.
    fn ahead(limits: &str, overall: &str) -> Self {
        Self { ahead: 8, ..Self::new(limits, overall) }
    }

    fn apply(&mut self, command: Command) -> Reply {
        let (reply, effects) = self.ledger.apply(self.now, command);
        let mut wrote = false;
        for effect in effects {
            wrote |= !matches!(effect, Effect::WakeAt(_));
            match effect {
                Effect::SaveTerms(terms) => self.disk.terms = *terms,
                Effect::SaveSummary(summary) => self.disk.summary = Some(*summary),
                Effect::SaveHold(id, hold) => drop(self.disk.holds.insert(id, *hold)),
                Effect::DropHold(id) => drop(self.disk.holds.remove(&id)),
                Effect::SaveDelegation(one) => drop(self.disk.delegations.insert(one.terms.id.clone(), *one)),
                Effect::DropDelegation(id) => drop(self.disk.delegations.remove(&id)),
                Effect::Book(event) => {
                    let before = self.disk.events.insert(event.hold, *event.clone());
                    assert!(before.is_none_or(|before| before.revision < event.revision), "booked twice: {event:?}");
                }
                Effect::Tell(reached) => self.disk.told.push(*reached),
                Effect::SaveRefusals(refusals) => self.disk.refusals = *refusals,
                Effect::WakeAt(at) => self.wake = Some(at),
            }
        }
        self.disk.writes += usize::from(wrote);
        reply
    }

    /// What a SIGKILL leaves.
    fn crash(&mut self) {
        self.wake = None;
        self.ledger = self.disk.ledger();
    }

    fn reserve(&mut self, claim: Claim) -> Result<Reservation, Refusal> {
        self.reserve_as(None, claim)
    }

    fn reserve_as(&mut self, delegation: Option<DelegationId>, claim: Claim) -> Result<Reservation, Refusal> {
        let command = Command::Reserve {
            claim,
            hold_ttl_seconds: TTL,
            ahead: self.ahead,
            delegation,
            proof: None,
            issued_at: None,
        };
        match self.apply(command) {
            Reply::Reserved(reservation) => Ok(reservation),
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// With an access token of the grant itself that was issued then.
    fn chat_with_token_of(&mut self, issued_at: Timestamp) -> Result<(), Refusal> {
        let (claim, issued_at) = (chat(), Some(issued_at));
        let command = Command::Reserve {
            claim,
            hold_ttl_seconds: TTL,
            ahead: self.ahead,
            delegation: None,
            proof: None,
            issued_at,
        };
        match self.apply(command) {
            Reply::Reserved(_) => Ok(()),
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn chat(&mut self) -> Result<Ticket, Refusal> {
        self.reserve(chat()).map(|reservation| reservation.ticket)
    }

    fn spend(&mut self, nano_usd: u64) -> Result<Ticket, Refusal> {
        self.reserve(chat_costing(nano_usd)).map(|reservation| reservation.ticket)
    }

    fn usage(&mut self) -> Snapshot {
        match self.apply(Command::Read) {
            Reply::Snapshot(snapshot) => *snapshot,
            other => panic!("{other:?}"),
        }
    }

    fn change(&mut self, edit: impl FnOnce(&mut Change)) -> Reply {
        let terms = self.ledger.terms();
        let permissions = terms.permissions.iter().map(|permission| permission.limits).collect();
        let mut change =
            Change { limits: terms.limits, permissions, paused: terms.paused, expires_at: None, revision: None };
        edit(&mut change);
        self.apply(Command::Change(change))
    }

    fn later(&mut self, seconds: u64) {
        self.now = self.now.plus_seconds(seconds);
    }
}

fn exhausted(scope: Scope, allowed: u64) -> Result<Ticket, Refusal> {
    Err(Refusal::RequestsExhausted(Limit { scope, allowed }))
}
