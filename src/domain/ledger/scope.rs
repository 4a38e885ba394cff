//! The counters under one set of limits: a permission's, or the whole grant's.

use serde::{Deserialize, Serialize};

use super::{
    super::{limits::Limits, time::Timestamp},
    Hold,
    command::{Limit, Refusal, Scope, ScopeUsage},
    window::RateWindow,
};

/// What is stored of a scope. What is held is not: it follows from the holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// Calls that were made.
    pub requests: u64,
    /// When the calls of the last minute were reserved. Kept only where a rate is limited.
    #[serde(default)]
    pub window: RateWindow,
}

/// The counters of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) booked: Booked,
    pub(super) requests_held: u64,
    pub(super) in_flight: u64,
}

impl Counters {
    /// Whether one more call fits. What is used up for good is said before what only has to be waited for.
    pub(super) fn room(&self, scope: Scope, limits: &Limits, counts: bool, now: Timestamp) -> Result<(), Refusal> {
        let limit = |allowed: u64| Limit { scope, allowed };
        if let Some(allowed) = limits.requests.map(u64::from).filter(|_| counts) {
            if self.booked.requests >= allowed {
                return Err(Refusal::RequestsExhausted(limit(allowed)));
            }
            if self.booked.requests.saturating_add(self.requests_held) >= allowed {
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
            && self.in_flight >= allowed
        {
            return Err(Refusal::ConcurrencyExceeded(limit(allowed)));
        }
        Ok(())
    }

    /// Requests that are left beside what is booked and held.
    pub(super) fn requests_remaining(&self, limits: &Limits) -> Option<u64> {
        let allowed = limits.requests?.get();
        Some(allowed.saturating_sub(self.booked.requests).saturating_sub(self.requests_held))
    }

    pub(super) fn reserve(&mut self, limits: &Limits, hold: &Hold) {
        self.count_held(hold);
        if limits.requests_per_minute.is_some() {
            self.booked.window.add(hold.reserved_at);
        }
    }

    /// The part of [`Self::reserve`] that is not stored.
    pub(super) fn count_held(&mut self, hold: &Hold) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.requests_held = self.requests_held.saturating_add(u64::from(hold.counts));
    }

    /// From held to booked.
    pub(super) fn book(&mut self, hold: &Hold) {
        self.let_go(hold);
        self.booked.requests = self.booked.requests.saturating_add(u64::from(hold.counts));
    }

    /// From held to nothing.
    pub(super) fn release(&mut self, hold: &Hold) {
        self.let_go(hold);
        self.booked.window.remove(hold.reserved_at);
    }

    /// From booked to nothing: the correction of a hold that was booked because its time had run out.
    pub(super) fn correct(&mut self, hold: &Hold) {
        self.booked.requests = self.booked.requests.saturating_sub(u64::from(hold.counts));
        self.booked.window.remove(hold.reserved_at);
    }

    pub(super) fn usage(&self, now: Timestamp) -> ScopeUsage {
        ScopeUsage {
            requests_used: self.booked.requests,
            requests_held: self.requests_held,
            in_flight: self.in_flight,
            last_minute: self.booked.window.count(now),
        }
    }

    fn let_go(&mut self, hold: &Hold) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.requests_held = self.requests_held.saturating_sub(u64::from(hold.counts));
    }
}
