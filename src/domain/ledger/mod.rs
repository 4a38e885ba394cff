//! The ledger of a grant: a pure state machine that says yes or no to every call, and never says yes too often.
//!
//! A call is `reserve`d at its upper bound, goes upstream, and is `settle`d (it was made) or `release`d (nothing was billed).
//! The shell around it (`edge::ledger_object`) stores the [`Effect`]s of a command in one transaction before its reply leaves.
//!
//! Invariants, after every command and after every crash, whatever was stored last:
//! - `booked + held ≤ limit` for every limit of every scope, unless the limit was lowered below what was used already;
//! - calls in flight ≤ `concurrency`; calls that left in any 60 seconds ≤ `requests_per_minute`, however they ended;
//! - a hold is booked at most once; a correction lowers it at most once;
//! - what is booked and held is never below what was let through and not released;
//! - after `revoke`, or from `expires_at` on, no `reserve` succeeds; after `revoke_tokens` none by a token that it means;
//! - the same for every delegation, whose calls count in everything above it;
//! - a `DPoP` proof lets one call ask at most;
//! - booked + held over a whole life ≤ the operator's ceiling, where there is one (`govern`).

mod ahead;
mod amounts;
mod bound;
mod command;
mod delegation;
mod event;
mod govern;
mod proofs;
mod refusals;
mod reserve;
mod scope;
#[cfg(test)]
mod tests;
mod thresholds;
mod tokens;
mod usage;
mod whose;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use ahead::{Ahead, IDLE_SECONDS, Lost};
use ahead::{Step, booking};
pub use amounts::{Amounts, Money, Tally};
pub use bound::Bound;
pub use command::{
    Change, Claim, Command, Cost, HoldId, Limit, Need, Record, Refusal, Reply, Reservation, Resource, Scope,
    Settlement, Shortage, Ticket, Worst,
};
use delegation::Child;
pub use delegation::{Beyond, Delegate, Delegation, MAX_DELEGATIONS, MAX_DEPTH, Share};
pub use event::{Basis, Effect, Event};
pub use govern::{Allowance, Govern};
use proofs::Proofs;
pub use proofs::{InvalidProofId, MARGIN_SECONDS, MAX_PROOFS, NONCE_SECONDS, ProofId, ProofUse};
pub use refusals::{MAX_MODEL_CHARS, Reason, Refusals, Refused};
pub use reserve::covered;
pub use scope::Booked;
use scope::Counters;
pub use thresholds::{Cap, Mark, Reached, THRESHOLDS};
pub use usage::{DelegationUsage, ScopeUsage, Snapshot};
pub use whose::LedgerId;
pub use window::{RateWindow, WINDOW_SECONDS};

use super::{grant::Terms, id::DelegationId, limits::Limits, time::Timestamp};

/// A hold that was booked because its time ran out can be corrected this much longer; then it is forgotten.
pub const CORRECTION_SECONDS: u64 = 24 * 3600;

/// Room that a call in flight takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Position in [`Terms::permissions`].
    pub permission: usize,
    /// The delegation that called, and those above it; the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
    /// What it takes.
    pub amounts: Amounts,
    /// Whether that is the most that the call can cost.
    pub bounded: bool,
    /// When the call was allowed.
    pub reserved_at: Timestamp,
    /// When it is booked at its bound if nobody settled it; once it is, when it is forgotten.
    pub deadline: Timestamp,
    /// Whether it was booked because its time ran out. Takes no room any more.
    pub overdue: bool,
    /// What is known of the call so far.
    pub record: Record,
}

/// What is stored beside the holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// When the grant was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// No access token of the grant itself that was issued at this second or before is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_revoked_until: Option<Timestamp>,
    /// No hold from this number on was given out.
    pub next_hold: u64,
    /// The latest time this ledger has seen. It doesn't go back when the clock does.
    pub clock: Timestamp,
    /// When the last call was allowed.
    pub last_used_at: Option<Timestamp>,
    /// Over the whole grant.
    pub overall: Booked,
    /// Per permission.
    pub permissions: Vec<Booked>,
    /// Room for calls without a row of their own.
    pub ahead: Ahead,
    /// Calls that crashes made doubtful.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    /// The thresholds that were said last, one of each limit at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Mark>,
}

/// The state of one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    terms: Terms,
    /// [`Terms::ceiling`], where it binds this ledger.
    ceiling: Limits,
    revoked_at: Option<Timestamp>,
    tokens_revoked_until: Option<Timestamp>,
    next_hold: u64,
    clock: Timestamp,
    last_used_at: Option<Timestamp>,
    overall: Counters,
    permissions: Vec<Counters>,
    holds: BTreeMap<HoldId, Hold>,
    /// The holds by deadline, so that no command looks at all of them.
    deadlines: BTreeSet<(Timestamp, HoldId)>,
    /// The holds without a row.
    unsaved: BTreeSet<HoldId>,
    /// No hold below this number is without a row.
    ahead_from: u64,
    /// Holds from there on that have ended.
    ended: BTreeSet<u64>,
    step: Step,
    ttl_seconds: u64,
    /// What was set aside before the crash that this ledger comes out of.
    found: Option<Ahead>,
    lost: Vec<Lost>,
    delegations: BTreeMap<DelegationId, Child>,
    /// Delegations that are to be stored.
    touched: BTreeSet<DelegationId>,
    proofs: Proofs,
    said: Vec<Mark>,
    /// The cap that has just refused a call for good.
    refused_by: Option<(Option<usize>, Cap)>,
    refusals: Refusals,
    /// Whether there is a stored summary, or will be before any answer.
    is_stored: bool,
    wakes_at: Option<Timestamp>,
}

impl Ledger {
    /// The ledger of a grant that was never used.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        let permissions = terms.permissions.iter().map(|_| Counters::default()).collect();
        Self {
            ceiling: govern::ceiling_of(&terms),
            terms,
            revoked_at: None,
            tokens_revoked_until: None,
            next_hold: 0,
            clock: Timestamp::default(),
            last_used_at: None,
            overall: Counters::default(),
            permissions,
            holds: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            ahead_from: 0,
            ended: BTreeSet::new(),
            step: Step::default(),
            ttl_seconds: 0,
            found: None,
            lost: Vec::new(),
            delegations: BTreeMap::new(),
            touched: BTreeSet::new(),
            proofs: Proofs::of_a_new_ledger(),
            said: Vec::new(),
            refused_by: None,
            refusals: Refusals::default(),
            is_stored: false,
            wakes_at: None,
        }
    }

    /// The ledger as its [`Effect`]s left it.
    #[must_use]
    pub fn restore(
        terms: Terms,
        summary: Summary,
        holds: impl IntoIterator<Item = (HoldId, Hold)>,
        delegations: impl IntoIterator<Item = Delegation>,
    ) -> Self {
        let mut ledger = Self::new(terms);
        ledger.proofs = Proofs::of_a_restored_ledger();
        ledger.is_stored = true;
        for stored in delegations {
            ledger.delegations.insert(stored.terms.id.clone(), Child::restore(stored));
        }
        ledger.revoked_at = summary.revoked_at;
        ledger.tokens_revoked_until = summary.tokens_revoked_until;
        ledger.next_hold = summary.next_hold;
        ledger.ahead_from = summary.next_hold;
        ledger.clock = summary.clock;
        ledger.last_used_at = summary.last_used_at;
        ledger.overall.booked = summary.overall;
        for (counters, booked) in ledger.permissions.iter_mut().zip(summary.permissions) {
            counters.booked = booked;
        }
        for (id, hold) in holds {
            if !hold.overdue {
                ledger.on_every_scope(hold.permission, &hold.shares, |counters, _| {
                    counters.held.add(&hold.amounts, hold.reserved_at);
                });
            }
            ledger.insert_hold(id, hold);
        }
        ledger.count_lost(summary.lost);
        ledger.said = summary.said;
        ledger.ttl_seconds = summary.ahead.ttl_seconds;
        ledger.found = Some(summary.ahead);
        ledger
    }

    /// What is enforced.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Carries out a command. The effects have to be stored, all or none, before the reply is believed.
    pub fn apply(&mut self, now: Timestamp, command: Command) -> (Reply, Vec<Effect>) {
        self.clock = self.clock.max(now);
        self.proofs.begin(self.clock);
        let mut effects = Vec::new();
        self.take_stock(&mut effects);
        self.expire(&mut effects);
        let reply = match command {
            // Whose app sends a token that it took back itself has nothing to look at: that isn't counted among the refusals.
            Command::Reserve { delegation: None, issued_at, .. } if self.check_token(issued_at).is_err() => {
                Reply::Refused(Refusal::Revoked)
            }
            Command::Reserve { claim, hold_ttl_seconds, ahead, delegation, proof, issued_at: _ } => {
                if delegation.is_none() {
                    self.step.calls = ahead.into();
                }
                self.ttl_seconds = self.ttl_seconds.max(hold_ttl_seconds);
                let model = claim.need.model();
                match self.reserve_once(claim, delegation.as_ref(), proof.as_ref(), hold_ttl_seconds, &mut effects) {
                    Ok(reservation) => Reply::Reserved(reservation),
                    Err(refusal) => {
                        self.note_refusal(&refusal, &model, &mut effects);
                        Reply::Refused(refusal)
                    }
                }
            }
            Command::Settle(settlement) => {
                self.finish(&settlement.ticket, settlement.cost.as_ref(), Some(settlement.record), &mut effects);
                Reply::Done
            }
            Command::Release(ticket) => {
                self.finish(&ticket, None, None, &mut effects);
                Reply::Done
            }
            Command::Withdraw(ticket) => {
                self.uncount_in_rate(ticket.hold);
                self.finish(&ticket, None, None, &mut effects);
                Reply::Done
            }
            Command::Change(change) => self.change(change, &mut effects),
            Command::Govern(govern) => self.govern(*govern, &mut effects),
            Command::Revoke => {
                if self.revoked_at.is_none() {
                    self.revoked_at = Some(self.clock);
                    self.checkpoint(&mut effects);
                }
                Reply::Done
            }
            Command::RevokeTokens(until) => {
                self.revoke_tokens(until, &mut effects);
                Reply::Done
            }
            Command::Delegate(asked) => self.delegate(*asked, &mut effects),
            Command::RevokeDelegation(id) => {
                self.revoke_delegation(id);
                Reply::Done
            }
            Command::NoteRefusal { reason, model } => {
                self.count_refusal(reason, &model, &mut effects);
                Reply::Done
            }
            Command::Look { provider, delegation } => match self.look(provider, delegation.as_ref()) {
                Ok(()) => Reply::Done,
                Err(refusal) => {
                    self.note_refusal(&refusal, "", &mut effects);
                    Reply::Refused(refusal)
                }
            },
            Command::Read => {
                self.save_delegations(&mut effects);
                Reply::Snapshot(Box::new(self.snapshot()))
            }
            Command::Wake => {
                // The arrangement that led here is used up.
                self.wakes_at = None;
                self.check_idle(&mut effects);
                Reply::Done
            }
        };
        if effects.iter().any(|effect| matches!(effect, Effect::Book(_))) {
            self.note_thresholds(None, &mut effects);
        }
        self.save_delegations(&mut effects);
        self.arrange_wake(&mut effects);
        (reply, effects)
    }

    /// The call of this hold never left, so it doesn't count in the rate. One that has ended before does.
    fn uncount_in_rate(&mut self, id: HoldId) {
        let Some(hold) = self.holds.get(&id) else { return };
        let (permission, shares, at) = (hold.permission, hold.shares.clone(), hold.reserved_at);
        self.on_every_scope(permission, &shares, |counters, _| counters.uncount_in_rate(at));
    }

    /// Ends a hold: at `cost`, or at its bound where that isn't known, or, without a record, at nothing. One that is unknown has ended
    /// before.
    fn finish(&mut self, ticket: &Ticket, cost: Option<&Cost>, record: Option<Record>, effects: &mut Vec<Effect>) {
        let known = self.remove_hold(ticket.hold);
        let (held, bounded) =
            known.as_ref().map_or((ticket.amounts, ticket.bounded), |hold| (hold.amounts, hold.bounded));
        let released = record.is_none();
        let (amounts, basis) = if released { (Amounts::default(), Basis::Released) } else { price(held, cost) };
        let over_bound = if bounded { amounts.minus(&held) } else { Amounts::default() };
        let now = self.clock;
        if let Some(hold) = known {
            self.on_every_scope(hold.permission, &hold.shares, |counters, _| {
                if hold.overdue {
                    counters.correct(&held, &amounts, &over_bound, hold.reserved_at);
                } else {
                    counters.settle(&held, &amounts, &over_bound, hold.reserved_at);
                }
            });
            self.touch(&hold);
            if self.unsaved.remove(&ticket.hold) {
                self.on_both_scopes(hold.permission, |counters| counters.unsaved = counters.unsaved.minus(&held));
            } else {
                effects.push(Effect::DropHold(ticket.hold));
            }
            // That models were listed is not worth telling.
            let counts = held.requests > 0 || amounts != Amounts { calls: amounts.calls, ..Amounts::default() };
            if counts && (!released || hold.overdue) {
                let record = record.unwrap_or_else(|| hold.record.clone());
                let event = booking(ticket.hold, &hold, now, amounts, basis, record);
                effects.push(Effect::Book(Box::new(Event { over_bound: over_bound.nano_usd, ..event })));
            }
        } else if let Some((reserved_at, more)) = self.finish_lost(ticket, &amounts, &over_bound) {
            effects.extend(more);
            if let Some(record) = record {
                effects.push(Effect::Book(Box::new(Event {
                    hold: ticket.hold,
                    revision: 0,
                    permission: Some(ticket.permission),
                    reserved_at,
                    booked_at: now,
                    amounts,
                    over_bound: over_bound.nano_usd,
                    basis,
                    delegation: ticket.delegation.clone(),
                    record,
                })));
            }
        } else {
            return;
        }
        self.note_ended(ticket.hold);
        if self.remembers_too_much() {
            self.checkpoint(effects);
        } else {
            self.save_summary(effects);
        }
    }

    fn expire(&mut self, effects: &mut Vec<Effect>) {
        let now = self.clock;
        let mut changed = self.expire_lost(effects);
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            let Some(mut hold) = self.remove_hold(id) else { return };
            changed = true;
            if hold.overdue {
                effects.push(Effect::DropHold(id));
                self.note_ended(id);
                continue;
            }
            let amounts = hold.amounts;
            self.on_every_scope(hold.permission, &hold.shares, |counters, _| {
                counters.settle(&amounts, &amounts, &Amounts::default(), hold.reserved_at);
            });
            self.touch(&hold);
            if self.unsaved.remove(&id) {
                self.on_both_scopes(hold.permission, |counters| counters.unsaved = counters.unsaved.minus(&amounts));
                self.note_ended(id);
            }
            let event = booking(id, &hold, now, amounts, Basis::Overdue, hold.record.clone());
            effects.push(Effect::Book(Box::new(event)));
            hold.overdue = true;
            hold.deadline = now.plus_seconds(CORRECTION_SECONDS);
            effects.push(Effect::SaveHold(id, Box::new(hold.clone())));
            self.insert_hold(id, hold);
        }
        if changed {
            self.save_summary(effects);
        }
    }

    fn check_alive(&self) -> Result<(), Refusal> {
        if self.revoked_at.is_some() {
            return Err(Refusal::Revoked);
        }
        if self.clock >= self.terms.expires_at { Err(Refusal::Expired) } else { Ok(()) }
    }

    fn change(&mut self, change: Change, effects: &mut Vec<Effect>) -> Reply {
        if let Err(ended) = self.check_alive() {
            return Reply::Refused(ended);
        }
        if change.permissions.len() != self.terms.permissions.len() {
            return Reply::Refused(Refusal::NoSuchGrant);
        }
        if change.revision.is_some_and(|revision| revision != self.terms.revision) {
            return Reply::Changed(self.terms.clone());
        }
        let expires_at = change.expires_at.unwrap_or(self.terms.expires_at);
        if self.clock >= expires_at {
            return Reply::Refused(Refusal::Expired);
        }
        if let Err(beyond) = self.check_ceiling(&change) {
            return Reply::Refused(beyond);
        }
        let before = self.terms.clone();
        self.terms.expires_at = expires_at;
        self.terms.limits = change.limits;
        for (permission, limits) in self.terms.permissions.iter_mut().zip(change.permissions) {
            permission.limits = limits;
        }
        self.terms.paused = change.paused;
        if self.terms != before {
            self.terms.revision = self.terms.revision.saturating_add(1);
            // What is set aside was measured by the old limits.
            self.checkpoint(effects);
            effects.push(Effect::SaveTerms(Box::new(self.terms.clone())));
        }
        Reply::Changed(self.terms.clone())
    }

    fn insert_hold(&mut self, id: HoldId, hold: Hold) {
        self.deadlines.insert((hold.deadline, id));
        self.holds.insert(id, hold);
    }

    fn remove_hold(&mut self, id: HoldId) -> Option<Hold> {
        let hold = self.holds.remove(&id)?;
        self.deadlines.remove(&(hold.deadline, id));
        Some(hold)
    }

    fn on_both_scopes(&mut self, permission: usize, mut change: impl FnMut(&mut Counters)) {
        change(&mut self.overall);
        if let Some(counters) = self.permissions.get_mut(permission) {
            change(counters);
        }
    }

    fn arrange_wake(&mut self, effects: &mut Vec<Effect>) {
        let hold = self.deadlines.first().map(|(deadline, _)| *deadline);
        let lost = self.lost.iter().map(|lost| lost.deadline).min();
        let Some(next) = [hold, lost, self.step.check_at].into_iter().flatten().min() else { return };
        if self.wakes_at.is_none_or(|at| next < at) {
            self.wakes_at = Some(next);
            effects.push(Effect::WakeAt(next));
        }
    }

    fn snapshot(&self) -> Snapshot {
        let permissions = self.permissions.iter().zip(&self.terms.permissions);
        Snapshot {
            revoked_at: self.revoked_at,
            tokens_revoked_until: self.tokens_revoked_until,
            last_used_at: self.last_used_at,
            terms: Some(self.terms.clone()),
            overall: self.overall.usage(&self.terms.limits, self.clock),
            permissions: permissions.map(|(counters, terms)| counters.usage(&terms.limits, self.clock)).collect(),
            delegations: self.delegations_usage(),
        }
    }

    /// Stores the summary as it is now, whatever an earlier part of the same command had to store.
    fn save_summary(&mut self, effects: &mut Vec<Effect>) {
        self.is_stored = true;
        self.set_aside();
        let summary = Summary {
            revoked_at: self.revoked_at,
            tokens_revoked_until: self.tokens_revoked_until,
            next_hold: self.step.numbers_to.max(self.next_hold),
            clock: self.clock,
            last_used_at: self.last_used_at,
            overall: self.overall.booked.clone(),
            permissions: self.permissions.iter().map(|counters| counters.booked.clone()).collect(),
            ahead: self.ahead(),
            lost: self.lost.clone(),
            said: self.said.clone(),
        };
        effects.retain(|effect| !matches!(effect, Effect::SaveSummary(_)));
        effects.push(Effect::SaveSummary(Box::new(summary)));
    }
}

/// What is booked for a call that was made: what it cost, also where that is above its hold. Then the bound was wrong, and hiding that
/// would only make the next call as wrong.
const fn price(held: Amounts, cost: Option<&Cost>) -> (Amounts, Basis) {
    match cost {
        Some(cost) => {
            let basis = if cost.exact { Basis::Usage } else { Basis::Bound };
            (Amounts { nano_usd: cost.nano_usd, tokens: cost.tokens, ..held }, basis)
        }
        None => (held, Basis::Bound),
    }
}
