//! What a call takes of each limit, and sums of that.

use serde::{Deserialize, Serialize};

use super::super::{limits::Period, money::NanoUsd, time::Timestamp};

/// What one call, or several, take of each limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Money.
    #[serde(default)]
    pub nano_usd: NanoUsd,
    /// Tokens.
    #[serde(default)]
    pub tokens: u64,
    /// Requests that are used up.
    #[serde(default)]
    pub requests: u64,
    /// Calls of any kind, in flight and in the rate.
    #[serde(default)]
    pub calls: u64,
}

impl Amounts {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            nano_usd: self.nano_usd.plus(other.nano_usd),
            tokens: self.tokens.saturating_add(other.tokens),
            requests: self.requests.saturating_add(other.requests),
            calls: self.calls.saturating_add(other.calls),
        }
    }

    /// What is left of `self`, at least nothing.
    #[must_use]
    pub const fn minus(&self, other: &Self) -> Self {
        Self {
            nano_usd: self.nano_usd.minus(other.nano_usd),
            tokens: self.tokens.saturating_sub(other.tokens),
            requests: self.requests.saturating_sub(other.requests),
            calls: self.calls.saturating_sub(other.calls),
        }
    }

    /// The same `count` times.
    #[must_use]
    pub fn times(&self, count: u64) -> Self {
        Self {
            nano_usd: NanoUsd(self.nano_usd.0.saturating_mul(count)).min(NanoUsd::MAX),
            tokens: self.tokens.saturating_mul(count),
            requests: self.requests.saturating_mul(count),
            calls: self.calls.saturating_mul(count),
        }
    }

    /// The smaller of each.
    #[must_use]
    pub fn at_most(&self, other: &Self) -> Self {
        Self {
            nano_usd: self.nano_usd.min(other.nano_usd),
            tokens: self.tokens.min(other.tokens),
            requests: self.requests.min(other.requests),
            calls: self.calls.min(other.calls),
        }
    }

    /// Whether there is at least as much of each as in `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.at_most(self) == *other
    }
}

/// Money over the life of the grant, and in the day and the month (UTC) that came last. A call belongs to the day and the month in
/// which it was let through, whenever it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    total: NanoUsd,
    #[serde(default)]
    day: Slot,
    #[serde(default)]
    month: Slot,
}

/// Money in the window of this number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Slot(u64, NanoUsd);

impl Slot {
    fn add(&mut self, window: u64, amount: NanoUsd) {
        if window > self.0 {
            *self = Self(window, amount);
        } else if window == self.0 {
            self.1 = self.1.plus(amount);
        }
    }

    fn subtract(&mut self, window: u64, amount: NanoUsd) {
        if window == self.0 {
            self.1 = self.1.minus(amount);
        }
    }

    fn read(&self, window: u64) -> NanoUsd {
        if window == self.0 { self.1 } else { NanoUsd::ZERO }
    }
}

impl Money {
    fn add(&mut self, amount: NanoUsd, at: Timestamp) {
        self.total = self.total.plus(amount);
        self.day.add(at.day(), amount);
        self.month.add(at.month(), amount);
    }

    fn subtract(&mut self, amount: NanoUsd, at: Timestamp) {
        self.total = self.total.minus(amount);
        self.day.subtract(at.day(), amount);
        self.month.subtract(at.month(), amount);
    }

    /// In the period that `now` lies in.
    #[must_use]
    pub fn within(&self, period: Period, now: Timestamp) -> NanoUsd {
        match period {
            Period::Total => self.total,
            Period::Month => self.month.read(now.month()),
            Period::Day => self.day.read(now.day()),
        }
    }
}

/// A sum of [`Amounts`] that knows how much of its money lies in which period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Money.
    #[serde(default)]
    pub money: Money,
    /// Tokens.
    #[serde(default)]
    pub tokens: u64,
    /// Requests.
    #[serde(default)]
    pub requests: u64,
    /// Calls.
    #[serde(default)]
    pub calls: u64,
}

impl Tally {
    /// `amounts` of calls that were let through `at`.
    pub(super) fn add(&mut self, amounts: &Amounts, at: Timestamp) {
        self.money.add(amounts.nano_usd, at);
        self.tokens = self.tokens.saturating_add(amounts.tokens);
        self.requests = self.requests.saturating_add(amounts.requests);
        self.calls = self.calls.saturating_add(amounts.calls);
    }

    /// Whether nothing was ever added.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Undoes [`Self::add`] of the same.
    pub(super) fn subtract(&mut self, amounts: &Amounts, at: Timestamp) {
        self.money.subtract(amounts.nano_usd, at);
        self.tokens = self.tokens.saturating_sub(amounts.tokens);
        self.requests = self.requests.saturating_sub(amounts.requests);
        self.calls = self.calls.saturating_sub(amounts.calls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-31T12:00:00Z.
    const JANUARY: Timestamp = Timestamp::from_seconds(1_769_860_800);
    const FEBRUARY: Timestamp = JANUARY.plus_seconds(86_400);

    #[test]
    fn a_new_day_and_a_new_month_begin_with_nothing_spent() {
        let mut money = Money::default();
        money.add(NanoUsd(5), JANUARY);
        assert_eq!(money.within(Period::Day, JANUARY), NanoUsd(5));
        for period in [Period::Day, Period::Month] {
            assert_eq!(money.within(period, FEBRUARY), NanoUsd(0));
        }
        assert_eq!(money.within(Period::Total, FEBRUARY), NanoUsd(5));
    }

    #[test]
    fn what_ends_after_midnight_belongs_to_the_day_it_began() {
        let mut money = Money::default();
        money.add(NanoUsd(5), JANUARY);
        money.add(NanoUsd(3), FEBRUARY);
        money.subtract(NanoUsd(5), JANUARY);
        assert_eq!(money.within(Period::Day, FEBRUARY), NanoUsd(3));
        assert_eq!(money.within(Period::Total, FEBRUARY), NanoUsd(3));
    }
}
