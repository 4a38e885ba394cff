//! What was used of limits, as people read it.

use core::num::{NonZeroU32, NonZeroU64};

use super::format::{Moment, Round, this_period, thousands, usd};
use crate::domain::{
    ledger::ScopeUsage,
    limits::{Limits, Period},
    money::{Amount, NanoUsd},
    time::Timestamp,
};

/// What was used of a limit; without a limit, what was used.
#[derive(Debug)]
pub struct Usage {
    /// Of what.
    pub label: &'static str,
    /// `1.23 of 5.00 USD this month`, `3 of 40`; without a limit `3`.
    pub figure: String,
    /// Whether there is a limit.
    pub is_limited: bool,
    /// Of the limit, in percent.
    pub percent: u64,
    /// Calls that run at this moment, where the figure doesn't count them.
    pub running: u64,
    /// What calls in flight hold of it, if anything.
    pub held: Option<String>,
    /// What is left beside that.
    pub left: Option<String>,
    /// When it begins anew.
    pub resets: Option<Moment>,
    /// Nothing is left, and waiting for calls in flight doesn't help.
    pub is_used_up: bool,
}

/// Whose limits they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Of the whole grant: what was spent is always told.
    Grant,
    /// Of one permission.
    Permission,
}

/// Money first; then requests, which are always told; and what limits a moment where there is such a limit.
#[must_use]
pub fn lines(of: Of, limits: &Limits, used: &ScopeUsage, now: Timestamp) -> Vec<Usage> {
    let small = |limit: Option<NonZeroU32>| limit.map(|limit| u64::from(limit.get()));
    let mut lines = Vec::new();
    if of == Of::Grant || limits.budget_usd.is_some() {
        lines.push(money(limits, used, now));
    }
    if let Some(tokens) = limits.tokens {
        lines.push(count("Tokens", used.tokens_used, used.tokens_held, Some(tokens.get())));
    }
    let requests = count("Requests", used.requests_used, used.requests_held, limits.requests.map(NonZeroU64::get));
    lines.push(Usage { running: used.in_flight, ..requests });
    // These come back by themselves: what is left of them is old before it is read.
    let moment = |label, used, limit: Option<u64>| {
        limit.map(|limit| Usage { left: None, is_used_up: false, ..count(label, used, 0, Some(limit)) })
    };
    lines.extend(moment("In the last minute", used.last_minute, small(limits.requests_per_minute)));
    lines.extend(moment("At this moment", used.in_flight, small(limits.concurrency)));
    lines
}

fn money(limits: &Limits, used: &ScopeUsage, now: Timestamp) -> Usage {
    let spent = usd(used.spent, Round::Up);
    let held = (used.held > NanoUsd::ZERO).then(|| format!("{} USD", usd(used.held, Round::Up)));
    let Some(budget) = limits.budget_usd.map(Amount::nano_usd) else {
        return Usage {
            label: "Spent",
            figure: format!("{spent} USD"),
            is_limited: false,
            percent: 0,
            running: 0,
            held,
            left: None,
            resets: None,
            is_used_up: false,
        };
    };
    let left = budget.minus(used.spent).minus(used.held);
    Usage {
        label: "Spent",
        figure: format!("{spent} of {budget} USD {}", this_period(limits.budget_period)),
        is_limited: true,
        percent: percent(used.spent.0, budget.0),
        running: 0,
        held,
        left: Some(format!("{} USD", usd(left, Round::Down))),
        resets: match limits.budget_period {
            Period::Total => None,
            Period::Month => Some(Moment::new(now.next_month(), now)),
            Period::Day => Some(Moment::new(now.next_day(), now)),
        },
        is_used_up: used.spent >= budget,
    }
}

fn count(label: &'static str, used: u64, held: u64, allowed: Option<u64>) -> Usage {
    Usage {
        label,
        figure: allowed
            .map_or_else(|| thousands(used), |allowed| format!("{} of {}", thousands(used), thousands(allowed))),
        is_limited: allowed.is_some(),
        percent: allowed.map_or(0, |allowed| percent(used, allowed)),
        running: 0,
        held: (held > 0).then(|| thousands(held)),
        left: allowed.map(|allowed| thousands(allowed.saturating_sub(used).saturating_sub(held))),
        resets: None,
        is_used_up: allowed.is_some_and(|allowed| used >= allowed),
    }
}

/// At least one as soon as there is something.
fn percent(used: u64, allowed: u64) -> u64 {
    let percent = u128::from(used) * 100 / u128::from(allowed.max(1));
    u64::try_from(percent).unwrap_or(100).clamp(u64::from(used > 0), 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_seconds(1_795_392_000);

    fn five_usd(budget_period: Period) -> Limits {
        Limits { budget_usd: "5".parse().ok(), budget_period, ..Limits::NONE }
    }

    #[test]
    fn money_comes_first_and_says_of_how_much_and_until_when() {
        let used = ScopeUsage { spent: NanoUsd(1_230_000_000), held: NanoUsd(20_000_000), ..ScopeUsage::default() };
        let lines = lines(Of::Grant, &five_usd(Period::Month), &used, NOW);
        let money = &lines[0];
        assert_eq!(money.figure, "1.23 of 5.00 USD this month");
        assert_eq!((money.held.as_deref(), money.left.as_deref()), (Some("0.02 USD"), Some("3.75 USD")));
        assert_eq!(money.resets.as_ref().unwrap().human, "1 Dec 2026, 00:00 UTC");
        assert_eq!((money.percent, money.is_used_up), (24, false));
    }

    #[test]
    fn what_was_spent_is_told_without_a_limit_too_but_once() {
        let used = ScopeUsage { spent: NanoUsd(1), ..ScopeUsage::default() };
        let overall = lines(Of::Grant, &Limits::NONE, &used, NOW);
        assert_eq!((overall[0].figure.as_str(), overall[0].is_limited), ("0.000000001 USD", false));
        assert_eq!(lines(Of::Permission, &Limits::NONE, &used, NOW)[0].label, "Requests");
    }

    #[test]
    fn a_limit_that_was_lowered_below_what_was_used_is_used_up() {
        let used = ScopeUsage { spent: NanoUsd(7_000_000_000), ..ScopeUsage::default() };
        let money = &lines(Of::Grant, &five_usd(Period::Total), &used, NOW)[0];
        assert_eq!((money.figure.as_str(), money.percent, money.is_used_up), ("7.00 of 5.00 USD in all", 100, true));
        assert_eq!(money.left.as_deref(), Some("0.00 USD"));
    }

    #[test]
    fn a_little_is_not_nothing() {
        assert_eq!([percent(0, 10), percent(1, 1_000_000), percent(u64::MAX, 1), percent(1, 0)], [0, 1, 100, 100]);
    }
}
