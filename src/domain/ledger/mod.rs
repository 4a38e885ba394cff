//! The ledger of a grant: a pure state machine that says yes or no to every call, and never says yes too often.
//!
//! A call is `reserve`d at its upper bound, goes upstream, and is `settle`d (it was made) or `release`d (nothing was billed).
//! The shell around it (`edge::ledger_do`) stores the [`Effect`]s of a command in one transaction before its reply leaves.
//!
//! Invariants, after every command and after every crash between two commands:
//! - `booked + held ≤ limit` for every limit of every scope;
//! - calls in flight ≤ `concurrency`; calls in any 60 seconds ≤ `requests_per_minute`;
//! - a hold is booked at most once; a correction lowers it at most once;
//! - after `revoke`, or from `expires_at` on, no `reserve` succeeds.

mod bound;
mod command;
mod scope;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use bound::Bound;
pub use command::{Claim, Command, HoldId, Limit, Need, Refusal, Reply, Reservation, Scope, ScopeUsage, Snapshot};
pub use scope::Booked;
use scope::Counters;
pub use window::{RateWindow, WINDOW_SECONDS};

use super::{
    grant::Terms,
    permission::{Capability, ModelPattern},
    time::Timestamp,
};

/// A hold that was booked because its time ran out can be corrected this much longer; then it is forgotten.
pub const CORRECTION_SECONDS: u64 = 24 * 3600;

/// Room that a call in flight takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Position in [`Terms::permissions`].
    pub permission: usize,
    /// Whether it is a request that is used up.
    pub counts: bool,
    /// When the call was allowed.
    pub reserved_at: Timestamp,
    /// When it is booked at its bound if nobody settled it; once it is, when it is forgotten.
    pub deadline: Timestamp,
    /// Whether it was booked because its time ran out. Takes no room any more.
    pub overdue: bool,
}

/// What is stored beside the holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// When the grant was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// The number of the next hold.
    pub next_hold: u64,
    /// The latest time this ledger has seen. It doesn't go back when the clock does.
    pub clock: Timestamp,
    /// When the last call was allowed.
    pub last_used_at: Option<Timestamp>,
    /// Over the whole grant.
    pub overall: Booked,
    /// Per permission.
    pub permissions: Vec<Booked>,
}

/// What the shell has to store, or to arrange, before the reply leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Replace the stored summary.
    SaveSummary(Box<Summary>),
    /// Insert or replace a hold.
    SaveHold(HoldId, Hold),
    /// Delete a hold.
    DropHold(HoldId),
    /// Send [`Command::ExpireHolds`] at this time, instead of any earlier arrangement.
    WakeAt(Timestamp),
}

/// The state of one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    terms: Terms,
    revoked_at: Option<Timestamp>,
    next_hold: u64,
    clock: Timestamp,
    last_used_at: Option<Timestamp>,
    overall: Counters,
    permissions: Vec<Counters>,
    holds: BTreeMap<HoldId, Hold>,
    /// The holds by deadline, so that no command looks at all of them.
    deadlines: BTreeSet<(Timestamp, HoldId)>,
    wakes_at: Option<Timestamp>,
}

impl Ledger {
    /// The ledger of a grant that was never used.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        let permissions = terms.permissions.iter().map(|_| Counters::default()).collect();
        Self {
            terms,
            revoked_at: None,
            next_hold: 0,
            clock: Timestamp::default(),
            last_used_at: None,
            overall: Counters::default(),
            permissions,
            holds: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            wakes_at: None,
        }
    }

    /// The ledger as its [`Effect`]s left it.
    #[must_use]
    pub fn restore(terms: Terms, summary: Summary, holds: impl IntoIterator<Item = (HoldId, Hold)>) -> Self {
        let mut ledger = Self::new(terms);
        ledger.revoked_at = summary.revoked_at;
        ledger.next_hold = summary.next_hold;
        ledger.clock = summary.clock;
        ledger.last_used_at = summary.last_used_at;
        ledger.overall.booked = summary.overall;
        for (counters, booked) in ledger.permissions.iter_mut().zip(summary.permissions) {
            counters.booked = booked;
        }
        for (id, hold) in holds {
            if !hold.overdue {
                ledger.overall.count_held(&hold);
                if let Some(counters) = ledger.permissions.get_mut(hold.permission) {
                    counters.count_held(&hold);
                }
            }
            ledger.insert_hold(id, hold);
        }
        ledger
    }

    /// Carries out a command. The effects have to be stored, all or none, before the reply is believed.
    pub fn apply(&mut self, now: Timestamp, command: Command) -> (Reply, Vec<Effect>) {
        self.clock = self.clock.max(now);
        let mut effects = Vec::new();
        self.expire_holds(&mut effects);
        let reply = match command {
            Command::Reserve { claim, hold_ttl_seconds } => {
                match self.reserve(&claim, hold_ttl_seconds, &mut effects) {
                    Ok(reservation) => Reply::Reserved(reservation),
                    Err(refusal) => Reply::Refused(refusal),
                }
            }
            Command::Settle(id) => {
                self.finish(id, Counters::book, |_, _| (), &mut effects);
                Reply::Done
            }
            Command::Release(id) => {
                self.finish(id, Counters::release, Counters::correct, &mut effects);
                Reply::Done
            }
            Command::Revoke => {
                if self.revoked_at.is_none() {
                    self.revoked_at = Some(self.clock);
                    self.save_summary(&mut effects);
                }
                Reply::Done
            }
            Command::Read => Reply::Snapshot(self.snapshot()),
            Command::ExpireHolds => {
                // The arrangement that led here is used up.
                self.wakes_at = None;
                Reply::Done
            }
        };
        self.arrange_wake(&mut effects);
        (reply, effects)
    }

    fn reserve(&mut self, claim: &Claim, ttl_seconds: u64, effects: &mut Vec<Effect>) -> Result<Reservation, Refusal> {
        let now = self.clock;
        if self.revoked_at.is_some() {
            return Err(Refusal::Revoked);
        }
        if now >= self.terms.expires_at {
            return Err(Refusal::Expired);
        }
        let permission = self.find_permission(claim)?;
        let counts = matches!(claim.need, Need::Model { .. });
        let (Some(terms), Some(counters)) =
            (self.terms.permissions.get(permission), self.permissions.get_mut(permission))
        else {
            return Err(Refusal::ProviderNotGranted);
        };
        let own = counters.room(Scope::Permission, &terms.limits, counts, now);
        let overall = self.overall.room(Scope::Grant, &self.terms.limits, counts, now);
        most_final(own, overall)?;

        let hold =
            Hold { permission, counts, reserved_at: now, deadline: now.plus_seconds(ttl_seconds), overdue: false };
        counters.reserve(&terms.limits, &hold);
        let concurrency_limited = terms.limits.concurrency.or(self.terms.limits.concurrency).is_some();
        self.overall.reserve(&self.terms.limits, &hold);
        let remaining =
            [counters.requests_remaining(&terms.limits), self.overall.requests_remaining(&self.terms.limits)];
        let id = HoldId(self.next_hold);
        self.next_hold = self.next_hold.saturating_add(1);
        self.last_used_at = Some(now);
        effects.push(Effect::SaveHold(id, hold.clone()));
        self.insert_hold(id, hold);
        self.save_summary(effects);
        Ok(Reservation {
            hold: id,
            requests_remaining: remaining.into_iter().flatten().min(),
            models: self.models_to_list(claim),
            concurrency_limited,
        })
    }

    /// The first permission that covers the claim, or the reason that is nearest to a yes.
    fn find_permission(&self, claim: &Claim) -> Result<usize, Refusal> {
        let mut nearest = Refusal::ProviderNotGranted;
        for (index, permission) in self.terms.permissions.iter().enumerate() {
            if permission.provider != claim.provider {
                continue;
            }
            let (models, capabilities): (&[String], &[Capability]) = match &claim.need {
                Need::Model { models, capabilities } => (models, capabilities),
                Need::Models { model } => (model.as_slice(), &[]),
            };
            if let Some(model) = models.iter().find(|model| !permission.allows_model(model)) {
                if nearest == Refusal::ProviderNotGranted {
                    nearest = Refusal::ModelNotGranted(model.clone());
                }
                continue;
            }
            match capabilities.iter().find(|capability| !permission.capabilities.contains(capability)) {
                Some(missing) => nearest = Refusal::CapabilityNotGranted(*missing),
                None => return Ok(index),
            }
        }
        Err(nearest)
    }

    fn models_to_list(&self, claim: &Claim) -> Vec<ModelPattern> {
        match claim.need {
            Need::Model { .. } => Vec::new(),
            Need::Models { .. } => self
                .terms
                .permissions
                .iter()
                .filter(|permission| permission.provider == claim.provider)
                .flat_map(|permission| permission.models.iter().cloned())
                .collect(),
        }
    }

    /// Ends a hold. One that is unknown was ended before.
    fn finish(
        &mut self,
        id: HoldId,
        open: fn(&mut Counters, &Hold),
        overdue: fn(&mut Counters, &Hold),
        effects: &mut Vec<Effect>,
    ) {
        let Some(hold) = self.remove_hold(id) else { return };
        let change = if hold.overdue { overdue } else { open };
        self.on_both_scopes(&hold, change);
        effects.push(Effect::DropHold(id));
        self.save_summary(effects);
    }

    fn expire_holds(&mut self, effects: &mut Vec<Effect>) {
        let now = self.clock;
        let mut changed = false;
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            let Some(mut hold) = self.remove_hold(id) else { return };
            changed = true;
            if hold.overdue {
                effects.push(Effect::DropHold(id));
                continue;
            }
            self.on_both_scopes(&hold, Counters::book);
            hold.overdue = true;
            hold.deadline = now.plus_seconds(CORRECTION_SECONDS);
            effects.push(Effect::SaveHold(id, hold.clone()));
            self.insert_hold(id, hold);
        }
        if changed {
            self.save_summary(effects);
        }
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

    fn on_both_scopes(&mut self, hold: &Hold, change: fn(&mut Counters, &Hold)) {
        change(&mut self.overall, hold);
        if let Some(counters) = self.permissions.get_mut(hold.permission) {
            change(counters, hold);
        }
    }

    fn arrange_wake(&mut self, effects: &mut Vec<Effect>) {
        let Some((next, _)) = self.deadlines.first().copied() else { return };
        if self.wakes_at.is_none_or(|at| next < at) {
            self.wakes_at = Some(next);
            effects.push(Effect::WakeAt(next));
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            revoked_at: self.revoked_at,
            last_used_at: self.last_used_at,
            overall: self.overall.usage(self.clock),
            permissions: self.permissions.iter().map(|counters| counters.usage(self.clock)).collect(),
        }
    }

    fn save_summary(&self, effects: &mut Vec<Effect>) {
        let summary = Summary {
            revoked_at: self.revoked_at,
            next_hold: self.next_hold,
            clock: self.clock,
            last_used_at: self.last_used_at,
            overall: self.overall.booked.clone(),
            permissions: self.permissions.iter().map(|counters| counters.booked.clone()).collect(),
        };
        effects.retain(|effect| !matches!(effect, Effect::SaveSummary(_)));
        effects.push(Effect::SaveSummary(Box::new(summary)));
    }
}

/// Of two refusals the one that waiting doesn't cure.
fn most_final(own: Result<(), Refusal>, overall: Result<(), Refusal>) -> Result<(), Refusal> {
    match (own, overall) {
        (Err(_), Err(overall @ Refusal::RequestsExhausted(_))) => Err(overall),
        (Err(own), _) => Err(own),
        (Ok(()), overall) => overall,
    }
}
