//! Limits: what a permission or a whole grant may use at most.

use core::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

pub use super::money::MAX_STORED_INTEGER;
use super::{money::Amount, time::Timestamp};

/// The `limits` object of an authorization detail. An absent limit doesn't bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Money, in each [`Period`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<Amount>,
    /// What `budget_usd` is for. Says nothing without it.
    #[serde(default, skip_serializing_if = "Period::is_total")]
    pub budget_period: Period,
    /// Tokens, read and written together, over the life of the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<NonZeroU64>,
    /// Calls over the life of the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<NonZeroU64>,
    /// Calls in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Calls in flight at one moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
}

/// How long a budget lasts. The longer, the tighter: 5 USD in all are within 5 USD a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
    /// The life of the grant.
    #[default]
    Total,
}

impl Period {
    /// Every period.
    pub const ALL: [Self; 3] = [Self::Total, Self::Month, Self::Day];

    /// The name in `authorization_details`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// When the one that `now` lies in ends; a total never does.
    #[must_use]
    pub const fn resets_at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Day => Some(now.next_day()),
            Self::Month => Some(now.next_month()),
            Self::Total => None,
        }
    }

    /// The number of the one that `now` lies in; there is but one total.
    #[must_use]
    pub const fn window(self, now: Timestamp) -> u64 {
        match self {
            Self::Day => now.day(),
            Self::Month => now.month(),
            Self::Total => 0,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_total(&self) -> bool {
        *self == Self::Total
    }
}

impl Limits {
    /// Nothing is limited.
    pub const NONE: Self = Self {
        budget_usd: None,
        budget_period: Period::Total,
        tokens: None,
        requests: None,
        requests_per_minute: None,
        concurrency: None,
    };

    /// Whether every limit of `other` is kept or made tighter by `self`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        fn tighter<T: Ord>(mine: Option<T>, theirs: Option<T>) -> bool {
            match (mine, theirs) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(mine), Some(theirs)) => mine <= theirs,
            }
        }
        let period = other.budget_usd.is_none() || self.budget_period >= other.budget_period;
        tighter(self.budget_usd, other.budget_usd)
            && period
            && tighter(self.tokens, other.tokens)
            && tighter(self.requests, other.requests)
            && tighter(self.requests_per_minute, other.requests_per_minute)
            && tighter(self.concurrency, other.concurrency)
    }

    /// Each limit as `self` names it, or else as `other` does.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let budget = if self.budget_usd.is_some() { self } else { other };
        Self {
            budget_usd: budget.budget_usd,
            budget_period: budget.budget_period,
            tokens: self.tokens.or(other.tokens),
            requests: self.requests.or(other.requests),
            requests_per_minute: self.requests_per_minute.or(other.requests_per_minute),
            concurrency: self.concurrency.or(other.concurrency),
        }
    }

    /// Whether money can go without an end: neither the whole grant nor every permission has a budget.
    #[must_use]
    pub fn leave_money_open<'a>(overall: &Self, permissions: impl IntoIterator<Item = &'a Self>) -> bool {
        overall.budget_usd.is_none() && permissions.into_iter().any(|limits| limits.budget_usd.is_none())
    }

    /// Whether money or tokens are limited, so that a call has to have a bound.
    #[must_use]
    pub const fn caps_cost(&self) -> bool {
        self.budget_usd.is_some() || self.tokens.is_some()
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(usd: &str, budget_period: Period) -> Limits {
        Limits { budget_usd: Some(usd.parse().unwrap()), budget_period, ..Limits::NONE }
    }

    #[test]
    fn a_budget_is_within_one_that_is_as_large_for_a_shorter_time() {
        assert!(budget("5", Period::Total).is_within(&budget("5", Period::Day)));
        assert!(budget("4", Period::Day).is_within(&budget("5", Period::Day)));
        assert!(!budget("1", Period::Day).is_within(&budget("5", Period::Total)));
        assert!(!budget("6", Period::Total).is_within(&budget("5", Period::Total)));
    }

    #[test]
    fn any_budget_is_within_none_and_none_is_within_no_budget() {
        assert!(budget("5", Period::Day).is_within(&Limits::NONE));
        assert!(!Limits::NONE.is_within(&budget("5", Period::Day)));
    }

    #[test]
    fn what_one_does_not_name_is_as_the_other_names_it() {
        let mine = Limits { tokens: NonZeroU64::new(5), ..Limits::NONE };
        let theirs = Limits { tokens: NonZeroU64::new(7), requests: NonZeroU64::new(9), ..budget("5", Period::Day) };
        assert_eq!(mine.or(theirs), Limits { tokens: NonZeroU64::new(5), ..theirs });
        assert_eq!(
            budget("1", Period::Month).or(theirs),
            Limits { tokens: theirs.tokens, requests: theirs.requests, ..budget("1", Period::Month) }
        );
    }

    #[test]
    fn a_budget_begins_anew_when_its_period_ends() {
        // 2026-01-31T12:00:00Z.
        let now = Timestamp::from_seconds(1_769_860_800);
        assert_eq!(Period::Day.resets_at(now), Some(now.next_day()));
        assert_eq!(Period::Month.resets_at(now), Some(now.next_month()));
        assert_eq!(Period::Total.resets_at(now), None);
    }
}
