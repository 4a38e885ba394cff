//! Limits as programs read them: what each allows, what is used, held and left, and when it resets.

use serde::Serialize;

use crate::domain::{
    ledger::ScopeUsage,
    limits::{Limits, Period},
    money::NanoUsd,
    time::Timestamp,
};

/// One member per limit that is set. Money is a decimal text in USD, times are seconds since the epoch.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_usd: Option<Budget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<Count>,
}

#[derive(Debug, Serialize)]
struct Budget {
    limit: String,
    period: Period,
    used: String,
    held: String,
    remaining: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Count {
    limit: u64,
    used: u64,
    held: u64,
    remaining: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<u64>,
}

/// The report of one set of limits.
#[must_use]
pub fn report(limits: &Limits, usage: &ScopeUsage, now: Timestamp) -> Report {
    let count = |limit: Option<u64>, used, held, remaining: Option<u64>, resets_at: Option<Timestamp>| {
        let resets_at = resets_at.map(Timestamp::seconds);
        limit.map(|limit| Count { limit, used, held, remaining: remaining.unwrap_or_default(), resets_at })
    };
    let budget = |amount: NanoUsd| Budget {
        limit: amount.to_string(),
        period: limits.budget_period,
        used: usage.spent.to_string(),
        held: usage.held.to_string(),
        remaining: usage.remaining_budget(limits).unwrap_or(NanoUsd::ZERO).to_string(),
        resets_at: limits.budget_period.resets_at(now).map(Timestamp::seconds),
    };
    let per_minute = limits.requests_per_minute.map(|most| most.get().into());
    let at_once = limits.concurrency.map(|most| most.get().into());
    Report {
        budget_usd: limits.budget_usd.map(|amount| budget(amount.nano_usd())),
        tokens: count(
            limits.tokens.map(Into::into),
            usage.tokens_used,
            usage.tokens_held,
            usage.remaining_tokens(limits),
            None,
        ),
        requests: count(
            limits.requests.map(Into::into),
            usage.requests_used,
            usage.requests_held,
            usage.remaining_requests(limits),
            None,
        ),
        requests_per_minute: count(
            per_minute,
            usage.last_minute,
            0,
            usage.remaining_in_minute(limits),
            usage.next_in_minute_at,
        ),
        concurrency: count(at_once, usage.in_flight, 0, usage.remaining_in_flight(limits), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limits_that_are_set_are_reported() {
        let limits = Limits { budget_usd: "5".parse().ok(), budget_period: Period::Day, ..Limits::NONE };
        let usage = ScopeUsage { spent: NanoUsd(1_250_000_000), held: NanoUsd(250_000_000), ..ScopeUsage::default() };
        let json = serde_json::to_value(report(&limits, &usage, Timestamp::from_seconds(1))).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "budget_usd": { "limit": "5.00", "period": "day", "used": "1.25", "held": "0.25",
                "remaining": "3.50", "resets_at": 86_400 } })
        );
    }
}
