//! What is told of what was used.

use serde::{Deserialize, Serialize};

use super::{
    super::{
        grant::Terms,
        id::DelegationId,
        limits::Limits,
        money::{Amount, NanoUsd},
        time::Timestamp,
    },
    delegation::{Delegate, MAX_DEPTH},
};

/// What a grant used, for the person who watches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// No access token of the grant itself that was issued at this second or before is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_revoked_until: Option<Timestamp>,
    /// When the last call was allowed.
    pub last_used_at: Option<Timestamp>,
    /// What is enforced. `None`: the grant was never used nor changed, so it is what D1 says.
    pub terms: Option<Terms>,
    /// Over the whole grant.
    pub overall: ScopeUsage,
    /// Per permission, in the order of the terms.
    pub permissions: Vec<ScopeUsage>,
    /// Those that live, and those with calls in flight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegations: Vec<DelegationUsage>,
}

/// What a delegation used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationUsage {
    /// What was delegated.
    pub terms: Delegate,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Over the whole delegation.
    pub overall: ScopeUsage,
    /// Per permission, in the order of its terms.
    pub permissions: Vec<ScopeUsage>,
}

impl Snapshot {
    /// A delegation, then the one that it was narrowed from, and so on. Empty where there is no such delegation.
    #[must_use]
    pub fn line_of(&self, id: &DelegationId) -> Vec<&DelegationUsage> {
        let mut line = Vec::new();
        let mut next = Some(id);
        while let Some(found) = next.and_then(|id| self.delegations.iter().find(|one| one.terms.id == *id)) {
            line.push(found);
            next = found.terms.parent.as_ref().filter(|_| line.len() < MAX_DEPTH);
        }
        line
    }
}

/// What was used under one set of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeUsage {
    /// Booked calls.
    pub requests_used: u64,
    /// Calls that are held and not booked yet.
    pub requests_held: u64,
    /// Calls in flight.
    pub in_flight: u64,
    /// Calls in the last 60 seconds, where their rate is limited.
    pub last_minute: u64,
    /// When the first of those no longer counts, and there is room for as many more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_in_minute_at: Option<Timestamp>,
    /// Money booked over the life of the grant.
    pub spent_total: NanoUsd,
    /// Money booked in the budget's present period.
    pub spent: NanoUsd,
    /// Money held by calls in flight that belong to that period.
    pub held: NanoUsd,
    /// Of the money spent in that period: what calls cost above the bounds that they held.
    #[serde(default)]
    pub over_bound: NanoUsd,
    /// Of the tokens booked: the same.
    #[serde(default)]
    pub tokens_over_bound: u64,
    /// Tokens booked.
    pub tokens_used: u64,
    /// Tokens held by calls in flight.
    pub tokens_held: u64,
}

/// What is left of each limit beside what is used and held, at the moment of the reading. `None`: no such limit.
impl ScopeUsage {
    /// Of `budget_usd`, in its present period, which ends at [`Period::resets_at`](super::super::limits::Period::resets_at).
    #[must_use]
    pub fn remaining_budget(&self, limits: &Limits) -> Option<NanoUsd> {
        limits.budget_usd.map(|budget| Amount::nano_usd(budget).minus(self.spent).minus(self.held))
    }

    /// Of `tokens`. They don't come back.
    #[must_use]
    pub fn remaining_tokens(&self, limits: &Limits) -> Option<u64> {
        limits.tokens.map(|most| most.get().saturating_sub(self.tokens_used).saturating_sub(self.tokens_held))
    }

    /// Of `requests`. They don't come back.
    #[must_use]
    pub fn remaining_requests(&self, limits: &Limits) -> Option<u64> {
        limits.requests.map(|most| most.get().saturating_sub(self.requests_used).saturating_sub(self.requests_held))
    }

    /// Of `requests_per_minute`. More comes at [`Self::next_in_minute_at`].
    #[must_use]
    pub fn remaining_in_minute(&self, limits: &Limits) -> Option<u64> {
        limits.requests_per_minute.map(|most| u64::from(most.get()).saturating_sub(self.last_minute))
    }

    /// Of `concurrency`. More comes whenever a call ends.
    #[must_use]
    pub fn remaining_in_flight(&self, limits: &Limits) -> Option<u64> {
        limits.concurrency.map(|most| u64::from(most.get()).saturating_sub(self.in_flight))
    }
}

#[cfg(test)]
mod tests {
    use core::num::{NonZeroU32, NonZeroU64};

    use super::*;

    fn all() -> Limits {
        Limits {
            budget_usd: "0.000001".parse().ok(),
            tokens: NonZeroU64::new(100),
            requests: NonZeroU64::new(10),
            requests_per_minute: NonZeroU32::new(5),
            concurrency: NonZeroU32::new(3),
            ..Limits::NONE
        }
    }

    fn remaining(used: &ScopeUsage, limits: &Limits) -> [Option<u64>; 5] {
        [
            used.remaining_budget(limits).map(|money| money.0),
            used.remaining_tokens(limits),
            used.remaining_requests(limits),
            used.remaining_in_minute(limits),
            used.remaining_in_flight(limits),
        ]
    }

    #[test]
    fn what_is_left_is_beside_what_is_used_and_held() {
        let used = ScopeUsage {
            spent: NanoUsd(300),
            held: NanoUsd(200),
            spent_total: NanoUsd(9_999),
            tokens_used: 50,
            tokens_held: 7,
            requests_used: 4,
            requests_held: 1,
            last_minute: 2,
            in_flight: 1,
            ..ScopeUsage::default()
        };
        assert_eq!(remaining(&used, &all()), [500, 43, 5, 3, 2].map(Some));
    }

    #[test]
    fn nothing_is_left_of_a_limit_that_was_lowered_below_what_is_used() {
        let used = ScopeUsage {
            spent: NanoUsd(9_000),
            tokens_used: 101,
            requests_used: 11,
            last_minute: 6,
            in_flight: 4,
            ..ScopeUsage::default()
        };
        assert_eq!(remaining(&used, &all()), [Some(0); 5]);
    }

    #[test]
    fn nothing_remains_of_a_limit_that_there_is_not() {
        assert_eq!(remaining(&ScopeUsage::default(), &Limits::NONE), [None; 5]);
    }
}
