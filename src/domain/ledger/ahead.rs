//! Room that is set aside in steps, so that most calls need no write before they are let through.
//!
//! What is durable says: "calls with these numbers may have been let through since, and they take no more than this". While the ledger
//! lives it knows better and counts each call. After a crash it knows only that, and counts all of it as held ([`Lost`]) until the
//! calls are settled or released one by one, by the [`Ticket`](super::Ticket) that each of them brings, or until their time has run out
//! and the rest is booked. Never less than what was let through, at most an eighth of the room that was left more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    super::{money::NanoUsd, time::Timestamp},
    CORRECTION_SECONDS, Counters, Effect, Hold, HoldId, Ledger,
    amounts::Amounts,
    command::{Record, Ticket},
    event::{Basis, Event},
    scope::Room,
};

/// Seconds without a call after which nothing is kept set aside: what is evicted while it is idle has no doubtful calls.
pub const IDLE_SECONDS: u64 = 2;

/// Most numbers of ended calls that are remembered one by one.
const MAX_ENDED: usize = 64;

/// What is durably set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// Calls from this number on may have been let through without a row of their own.
    pub(super) from: u64,
    /// Those from there on that have ended.
    pub(super) ended: BTreeSet<u64>,
    /// What the others take at most, over the whole grant.
    pub(super) overall: Amounts,
    /// The same per permission.
    pub(super) permissions: Vec<Amounts>,
    /// Seconds that they have.
    pub(super) ttl_seconds: u64,
}

/// Calls that a crash made doubtful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    from: u64,
    to: u64,
    ended: BTreeSet<u64>,
    overall: Amounts,
    permissions: Vec<Amounts>,
    /// When the crash was noticed: to that day and month they are counted.
    at: Timestamp,
    /// When what is left of them is booked; once it is, when they are forgotten.
    pub(super) deadline: Timestamp,
    /// Whether they were booked because their time ran out.
    overdue: bool,
    revision: u32,
}

/// How the ledger, while it lives, sets room aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// For how many calls at most; 0: none.
    pub(super) calls: u64,
    /// Such as this one, of that permission.
    pub(super) like: Option<(usize, Amounts)>,
    /// The last time a call was let through.
    pub(super) used_at: Timestamp,
    /// When to see whether the ledger is idle.
    pub(super) check_at: Option<Timestamp>,
    /// Numbers below this one are durably taken.
    pub(super) numbers_to: u64,
}

impl Ledger {
    /// Whether what is set aside covers every call that has no row.
    pub(super) fn is_covered(&self) -> bool {
        let covers = |counters: &Counters| counters.ahead.covers(&counters.unsaved);
        self.next_hold <= self.step.numbers_to && covers(&self.overall) && self.permissions.iter().all(covers)
    }

    /// For how many more calls like this one room can be set aside.
    pub(super) fn spare_calls(&self, permission: usize, call: &Amounts) -> u64 {
        let own = self.room_of_permission(permission).map_or(0, |room| room.ahead(call, self.step.calls));
        let overall = self.overall.room(&self.terms.limits, self.clock).ahead(call, own);
        self.overall.room(&self.ceiling, self.clock).ahead(call, overall)
    }

    pub(super) fn room_of_permission(&self, permission: usize) -> Option<Room> {
        let terms = self.terms.permissions.get(permission)?;
        Some(self.permissions.get(permission)?.room(&terms.limits, self.clock))
    }

    /// Sets aside what fits for the next calls, and lets go of what doesn't. To be stored.
    pub(super) fn set_aside(&mut self) {
        for counters in core::iter::once(&mut self.overall).chain(&mut self.permissions) {
            counters.ahead = counters.unsaved;
        }
        self.step.numbers_to = self.next_hold;
        let Some((permission, call)) = self.step.like else { return };
        let count = self.spare_calls(permission, &call);
        let step = call.times(count);
        self.on_both_scopes(permission, |counters| counters.ahead = counters.ahead.plus(&step));
        self.step.numbers_to = self.next_hold.saturating_add(count);
        if count > 0 && self.step.check_at.is_none() {
            self.step.check_at = Some(self.clock.plus_seconds(IDLE_SECONDS));
        }
    }

    /// Gives every call that has none a row, and lets go of what is set aside.
    pub(super) fn checkpoint(&mut self, effects: &mut Vec<Effect>) {
        for id in core::mem::take(&mut self.unsaved) {
            if let Some(hold) = self.holds.get(&id) {
                effects.push(Effect::SaveHold(id, Box::new(hold.clone())));
            }
        }
        for counters in core::iter::once(&mut self.overall).chain(&mut self.permissions) {
            counters.unsaved = Amounts::default();
        }
        self.step.like = None;
        self.step.check_at = None;
        self.ended.clear();
        self.ahead_from = self.next_hold;
        self.save_summary(effects);
    }

    /// Looks whether the ledger is idle.
    pub(super) fn check_idle(&mut self, effects: &mut Vec<Effect>) {
        if self.step.check_at.is_none_or(|at| self.clock < at) {
            return;
        }
        if self.step.used_at.plus_seconds(IDLE_SECONDS) <= self.clock {
            self.checkpoint(effects);
        } else {
            self.step.check_at = Some(self.clock.plus_seconds(IDLE_SECONDS));
        }
    }

    /// A call has ended; its number must not end a second time.
    pub(super) fn note_ended(&mut self, id: HoldId) {
        if id.0 < self.ahead_from {
            return;
        }
        self.ended.insert(id.0);
        // Below the oldest call without a row, every number is either ended or has a row.
        self.ahead_from = self.unsaved.first().map_or(self.next_hold, |first| first.0);
        let from = self.ahead_from;
        self.ended.retain(|id| *id >= from);
    }

    pub(super) fn remembers_too_much(&self) -> bool {
        self.ended.len() > MAX_ENDED
    }

    pub(super) fn ahead(&self) -> Ahead {
        Ahead {
            from: self.ahead_from,
            ended: self.ended.clone(),
            overall: self.overall.ahead,
            permissions: self.permissions.iter().map(|counters| counters.ahead).collect(),
            ttl_seconds: self.ttl_seconds,
        }
    }

    /// After a crash: whatever was set aside may have been used.
    pub(super) fn take_stock(&mut self, effects: &mut Vec<Effect>) {
        let Some(ahead) = self.found.take() else { return };
        if ahead.overall.calls == 0 {
            return;
        }
        let now = self.clock;
        let to = self.next_hold;
        // A number of its own, for its booking.
        self.next_hold = to.saturating_add(1);
        self.ahead_from = self.next_hold;
        let with_a_row = self.holds.keys().map(|id| id.0).filter(|id| (ahead.from..to).contains(id));
        let lost = Lost {
            from: ahead.from,
            to,
            ended: ahead.ended.into_iter().chain(with_a_row).collect(),
            overall: ahead.overall,
            permissions: ahead.permissions,
            at: now,
            deadline: now.plus_seconds(ahead.ttl_seconds),
            overdue: false,
            revision: 0,
        };
        self.overall.held.add(&lost.overall, now);
        self.overall.count_in_rate(&self.terms.limits, lost.overall.calls, now);
        for ((counters, amounts), terms) in
            self.permissions.iter_mut().zip(&lost.permissions).zip(&self.terms.permissions)
        {
            counters.held.add(amounts, now);
            if amounts.calls > 0 {
                counters.count_in_rate(&terms.limits, amounts.calls, now);
            }
        }
        self.lost.push(lost);
        self.save_summary(effects);
    }

    /// The counters as the lost calls of a stored summary leave them.
    pub(super) fn count_lost(&mut self, lost: Vec<Lost>) {
        for lost in lost.iter().filter(|lost| !lost.overdue) {
            self.overall.held.add(&lost.overall, lost.at);
            for (counters, amounts) in self.permissions.iter_mut().zip(&lost.permissions) {
                counters.held.add(amounts, lost.at);
            }
        }
        self.lost = lost;
    }

    /// Ends a call that a crash made doubtful, at what it cost: when it is booked as let through, and what that changes. `None`: it
    /// is none of those, so it had ended before.
    pub(super) fn finish_lost(
        &mut self,
        ticket: &Ticket,
        cost: &Amounts,
        over_bound: &Amounts,
    ) -> Option<(Timestamp, Vec<Effect>)> {
        if ticket.delegation.is_some() {
            // It had a row, so it isn't doubtful.
            return None;
        }
        let id = ticket.hold.0;
        let lost = self.lost.iter_mut().find(|lost| (lost.from..lost.to).contains(&id) && !lost.ended.contains(&id))?;
        lost.ended.insert(id);
        let mut effects = Vec::new();
        let own = lost.permissions.get_mut(ticket.permission)?;
        // It was within what was set aside; what isn't there can't be given back.
        let given_back = ticket.amounts.at_most(&lost.overall).at_most(own);
        lost.overall = lost.overall.minus(&given_back);
        *own = own.minus(&given_back);
        let (at, overdue) = (lost.at, lost.overdue);
        let end = |counters: &mut Counters, held: &Amounts, cost: &Amounts, over_bound: &Amounts| {
            if overdue {
                counters.correct(held, cost, over_bound, at);
            } else {
                counters.settle(held, cost, over_bound, at);
            }
        };
        let counters = self.permissions.get_mut(ticket.permission);
        for counters in core::iter::once(&mut self.overall).chain(counters) {
            end(counters, &given_back, cost, over_bound);
        }
        if lost.overall.calls == 0 {
            // That was the last of them: what is left was set aside for nobody.
            let nothing = Amounts::default();
            end(&mut self.overall, &lost.overall, &nothing, &nothing);
            for (counters, left) in self.permissions.iter_mut().zip(&lost.permissions) {
                end(counters, left, &nothing, &nothing);
            }
            lost.overall = Amounts::default();
        }
        if lost.overdue {
            lost.revision = lost.revision.saturating_add(1);
            effects.push(Effect::Book(Box::new(lost.event(self.clock))));
        }
        self.lost.retain(|lost| lost.overall.calls > 0);
        Some((at, effects))
    }

    /// Books what is left of lost calls whose time has run out.
    pub(super) fn expire_lost(&mut self, effects: &mut Vec<Effect>) -> bool {
        let now = self.clock;
        let mut lost = core::mem::take(&mut self.lost);
        let mut changed = false;
        lost.retain_mut(|lost| {
            if lost.deadline > now {
                return true;
            }
            changed = true;
            if lost.overdue {
                return false;
            }
            let nothing = Amounts::default();
            self.overall.settle(&lost.overall, &lost.overall, &nothing, lost.at);
            for (counters, amounts) in self.permissions.iter_mut().zip(&lost.permissions) {
                counters.settle(amounts, amounts, &nothing, lost.at);
            }
            lost.overdue = true;
            lost.deadline = now.plus_seconds(CORRECTION_SECONDS);
            effects.push(Effect::Book(Box::new(lost.event(now))));
            true
        });
        self.lost = lost;
        changed
    }
}

impl Lost {
    fn event(&self, now: Timestamp) -> Event {
        let mut used = self.permissions.iter().enumerate().filter(|(_, amounts)| amounts.calls > 0);
        let permission = match (used.next(), used.next()) {
            (Some((only, _)), None) => Some(only),
            _ => None,
        };
        Event {
            hold: HoldId(self.to),
            revision: self.revision,
            permission,
            reserved_at: self.at,
            booked_at: now,
            amounts: self.overall,
            over_bound: NanoUsd::ZERO,
            basis: Basis::Unaccounted,
            delegation: None,
            record: Record::default(),
        }
    }
}

/// A hold's own booking.
pub(super) fn booking(
    id: HoldId,
    hold: &Hold,
    now: Timestamp,
    amounts: Amounts,
    basis: Basis,
    record: Record,
) -> Event {
    Event {
        hold: id,
        revision: u32::from(hold.overdue),
        permission: Some(hold.permission),
        reserved_at: hold.reserved_at,
        booked_at: now,
        amounts,
        over_bound: NanoUsd::ZERO,
        basis,
        delegation: hold.shares.first().map(|share| share.delegation.clone()),
        record,
    }
}
