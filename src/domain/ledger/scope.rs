//! The counters under one set of limits: a permission's, or the whole grant's.

use serde::{Deserialize, Serialize};

use super::{
    super::{
        limits::{Limits, Period},
        money::NanoUsd,
        time::Timestamp,
    },
    amounts::{Amounts, Tally},
    bound::Bound,
    command::{Limit, Refusal, Resource, Scope, Shortage},
    usage::ScopeUsage,
    window::RateWindow,
};

/// What is stored of a scope. What is held is not: it follows from the holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// Calls that were made, and what they cost.
    pub tally: Tally,
    /// Of that: what calls cost above their bounds, money and tokens.
    #[serde(default, skip_serializing_if = "Tally::is_nothing")]
    pub over_bound: Tally,
    /// When the calls of the last minute were reserved. Kept only where a rate is limited.
    #[serde(default)]
    pub window: RateWindow,
}

/// The counters of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) booked: Booked,
    /// By calls in flight.
    pub(super) held: Tally,
    /// Of that: by holds that have no row of their own.
    pub(super) unsaved: Amounts,
    /// What is durably set aside for those, and for some more.
    pub(super) ahead: Amounts,
}

/// What is left of each limit for one more call, beside what is booked and held. `None`: no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) nano_usd: Option<NanoUsd>,
    pub(super) tokens: Option<u64>,
    pub(super) requests: Option<u64>,
    pub(super) calls: Option<u64>,
}

impl Room {
    /// How many calls of this kind fit into an eighth of it, at most `most`. An eighth, so that close to a cap each call is held
    /// exactly, and what a crash can make doubtful stays small.
    pub(super) fn ahead(&self, call: &Amounts, most: u64) -> u64 {
        const PART: u64 = 8;
        let fits = |room: Option<u64>, each: u64| room.and_then(|room| (room / PART).checked_div(each));
        [
            fits(self.nano_usd.map(|nano| nano.0), call.nano_usd.0),
            fits(self.tokens, call.tokens),
            fits(self.requests, call.requests),
            fits(self.calls, call.calls),
        ]
        .into_iter()
        .flatten()
        .fold(most, u64::min)
    }
}

impl Counters {
    /// Whether one more call fits by what can be counted in calls. What is used up for good is said before what only has to be
    /// waited for.
    pub(super) fn calls_fit(
        &self,
        scope: Scope,
        limits: &Limits,
        call: &Amounts,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let limit = |allowed: u64| Limit { scope, allowed };
        if let Some(allowed) = limits.requests.map(u64::from).filter(|_| call.requests > 0) {
            if self.booked.tally.requests >= allowed {
                return Err(Refusal::RequestsExhausted(limit(allowed)));
            }
            if self.booked.tally.requests.saturating_add(self.held.requests) >= allowed {
                return Err(Refusal::RequestsHeld(limit(allowed)));
            }
        }
        if let Some(allowed) = limits.requests_per_minute.map(|rate| u64::from(rate.get()))
            && self.booked.window.count(now) >= allowed
        {
            let retry_after_seconds = self.booked.window.seconds_until_below(allowed, now).max(1);
            let resets_at = now.plus_seconds(retry_after_seconds);
            return Err(Refusal::RateLimited { limit: limit(allowed), resets_at, retry_after_seconds });
        }
        if let Some(allowed) = limits.concurrency.map(|most| u64::from(most.get()))
            && self.held.calls >= allowed
        {
            return Err(Refusal::ConcurrencyExceeded(limit(allowed)));
        }
        Ok(())
    }

    /// The most that each choice may write so that the call fits: what the bound says, or less where that may be lowered.
    pub(super) fn output_that_fits(
        &self,
        scope: Scope,
        limits: &Limits,
        bound: &Bound,
        now: Timestamp,
    ) -> Result<u64, Refusal> {
        let mut output = bound.output_tokens;
        let least = bound.least_output_tokens.map_or(bound.output_tokens, |least| least.min(bound.output_tokens));
        let mut held_back: Option<Shortage> = None;
        let mut check = |shortage: Shortage, in_all: Option<u64>, beside_held: Option<u64>| {
            if in_all.is_none_or(|most| most < least) {
                return Err(Refusal::DoesNotFit(shortage));
            }
            match beside_held {
                Some(most) if most >= least => output = output.min(most),
                _ => held_back = held_back.or(Some(shortage)),
            }
            Ok(())
        };
        if let Some(budget) = limits.budget_usd {
            let (period, allowed) = (limits.budget_period, budget.nano_usd());
            let left = allowed.minus(self.booked.tally.money.within(period, now));
            let beside_held = left.minus(self.held.money.within(period, now));
            let in_all = bound.output_that_costs(left);
            let shortage = Shortage {
                limit: Limit { scope, allowed: allowed.0 },
                of: Resource::Budget(period),
                needed: bound.nano_usd().0,
                remaining: left.0,
                fitting_output_tokens: in_all,
                resets_at: period.resets_at(now),
            };
            check(shortage, in_all, bound.output_that_costs(beside_held))?;
        }
        if let Some(allowed) = limits.tokens.map(u64::from) {
            let left = allowed.saturating_sub(self.booked.tally.tokens);
            let beside_held = left.saturating_sub(self.held.tokens);
            let in_all = bound.output_within(left);
            let shortage = Shortage {
                limit: Limit { scope, allowed },
                of: Resource::Tokens,
                needed: bound.tokens(),
                remaining: left,
                fitting_output_tokens: in_all,
                resets_at: None,
            };
            check(shortage, in_all, bound.output_within(beside_held))?;
        }
        held_back.map_or(Ok(output), |shortage| Err(Refusal::RoomHeld(shortage)))
    }

    /// What is left beside what is booked and held.
    pub(super) fn room(&self, limits: &Limits, now: Timestamp) -> Room {
        let money = |allowed: NanoUsd| {
            let period = limits.budget_period;
            let used = self.booked.tally.money.within(period, now).plus(self.held.money.within(period, now));
            allowed.minus(used)
        };
        let left = |allowed: u64, booked: u64, held: u64| allowed.saturating_sub(booked).saturating_sub(held);
        let rate =
            limits.requests_per_minute.map(|rate| u64::from(rate.get()).saturating_sub(self.booked.window.count(now)));
        let concurrency = limits.concurrency.map(|most| left(most.get().into(), 0, self.held.calls));
        Room {
            nano_usd: limits.budget_usd.map(|budget| money(budget.nano_usd())),
            tokens: limits.tokens.map(|tokens| left(tokens.get(), self.booked.tally.tokens, self.held.tokens)),
            requests: limits.requests.map(|most| left(most.get(), self.booked.tally.requests, self.held.requests)),
            calls: [rate, concurrency].into_iter().flatten().min(),
        }
    }

    /// A call is let through.
    pub(super) fn hold(&mut self, limits: &Limits, call: &Amounts, at: Timestamp) {
        self.held.add(call, at);
        self.count_in_rate(limits, call.calls, at);
    }

    /// Calls count in the rate, where there is one.
    pub(super) fn count_in_rate(&mut self, limits: &Limits, calls: u64, at: Timestamp) {
        if limits.requests_per_minute.is_some() {
            self.booked.window.add(calls, at);
        }
    }

    /// From held to booked, at what it cost; `over_bound` of that was not held.
    pub(super) fn settle(&mut self, held: &Amounts, cost: &Amounts, over_bound: &Amounts, at: Timestamp) {
        self.held.subtract(held, at);
        self.booked.tally.add(cost, at);
        self.booked.over_bound.add(over_bound, at);
    }

    /// A call of that moment never left: it doesn't count in the rate after all.
    pub(super) fn uncount_in_rate(&mut self, at: Timestamp) {
        self.booked.window.remove(at);
    }

    /// Corrects a booking that was made because a hold's time had run out.
    pub(super) fn correct(&mut self, booked: &Amounts, cost: &Amounts, over_bound: &Amounts, at: Timestamp) {
        self.booked.tally.subtract(booked, at);
        self.booked.tally.add(cost, at);
        self.booked.over_bound.add(over_bound, at);
    }

    pub(super) fn usage(&self, limits: &Limits, now: Timestamp) -> ScopeUsage {
        let period = limits.budget_period;
        ScopeUsage {
            requests_used: self.booked.tally.requests,
            requests_held: self.held.requests,
            in_flight: self.held.calls,
            last_minute: self.booked.window.count(now),
            next_in_minute_at: self.booked.window.first_leaves_at(now),
            spent_total: self.booked.tally.money.within(Period::Total, now),
            spent: self.booked.tally.money.within(period, now),
            held: self.held.money.within(period, now),
            over_bound: self.booked.over_bound.money.within(period, now),
            tokens_over_bound: self.booked.over_bound.tokens,
            tokens_used: self.booked.tally.tokens,
            tokens_held: self.held.tokens,
        }
    }
}
