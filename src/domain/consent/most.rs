//! The most that a grant can use: all of its limits, in as few amounts as say the same.

use core::num::NonZeroU64;

use crate::domain::{
    limits::{Limits, Period},
    money::Amount,
    permission::{Permission, Provider},
    time::Timestamp,
};

const DAY_SECONDS: u64 = 86_400;
const SHORTEST_MONTH_SECONDS: u64 = 28 * DAY_SECONDS;

/// Money for a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most that is spent in a period.
    pub amount: Amount,
    /// The period after which the amount is there anew.
    pub period: Period,
}

impl Budget {
    /// The budget of limits, where they have one.
    #[must_use]
    pub fn of(limits: &Limits) -> Option<Self> {
        let period = limits.budget_period;
        limits.budget_usd.map(|amount| Self { amount, period })
    }

    /// Over the whole life of a grant.
    #[must_use]
    pub const fn in_all(amount: Amount) -> Self {
        Self { amount, period: Period::Total }
    }

    /// What it comes to in a life of so many seconds, which begins and ends within a day or a month.
    fn in_a_life_of(&self, lifetime_seconds: u64) -> Amount {
        let periods = match self.period {
            Period::Total => 1,
            Period::Day => lifetime_seconds.div_ceil(DAY_SECONDS) + 1,
            Period::Month => lifetime_seconds.div_ceil(SHORTEST_MONTH_SECONDS) + 1,
        };
        self.amount.times(periods)
    }

    /// The most that is spent from `now` until `end`, by the calendar.
    #[must_use]
    pub fn between(&self, now: Timestamp, end: Timestamp) -> Amount {
        let last = Timestamp::from_millis(end.millis().saturating_sub(1)).max(now);
        let begun = self.period.window(last).saturating_sub(self.period.window(now));
        self.amount.times(begun.saturating_add(1))
    }

    /// Whether whoever keeps this one keeps `other` too.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.amount <= other.amount && self.period >= other.period
    }
}

/// The most money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MostMoney {
    /// Over everything together. Never empty, the longest period first; none follows from another.
    Together(Vec<Budget>),
    /// Each provider's own, which are for different periods: there is no one amount that says the same.
    Each(Vec<(Provider, Budget)>),
    /// Money has no limit.
    Open,
}

/// The most that a grant can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Most {
    /// Budgets that bound the money.
    pub money: MostMoney,
    /// Calls over the life of the grant.
    pub requests: Option<NonZeroU64>,
    /// Tokens over the life of the grant.
    pub tokens: Option<NonZeroU64>,
}

impl Most {
    /// Of a grant of these limits over everything and of each permission; `ceiling`: what the operator allows it over its life.
    #[must_use]
    pub fn of(overall: &Limits, permissions: &[Permission], ceiling: Option<Amount>) -> Self {
        let count = |count: fn(&Limits) -> Option<NonZeroU64>| {
            let own: Option<Vec<_>> = permissions.iter().map(|permission| count(&permission.limits)).collect();
            let sum = own.and_then(|own| own.into_iter().reduce(|sum, count| sum.saturating_add(count.get())));
            sum.into_iter().chain(count(overall)).min()
        };
        Self {
            money: money(overall, permissions, ceiling),
            requests: count(|limits| limits.requests),
            tokens: count(|limits| limits.tokens),
        }
    }

    /// Without the money that can't be reached in a life of so many seconds: at most 3.00 a day are less than 100.00 in a week.
    #[must_use]
    pub fn in_a_life_of(mut self, lifetime_seconds: u64) -> Self {
        if let MostMoney::Together(budgets) = &mut self.money {
            let all = budgets.clone();
            let is_reached = |budget: &Budget| {
                !all.iter()
                    .any(|other| other.period < budget.period && other.in_a_life_of(lifetime_seconds) <= budget.amount)
            };
            budgets.retain(is_reached);
        }
        self
    }
}

fn money(overall: &Limits, permissions: &[Permission], ceiling: Option<Amount>) -> MostMoney {
    let own: Option<Vec<_>> = permissions
        .iter()
        .map(|permission| Budget::of(&permission.limits).map(|budget| (permission.provider, budget)))
        .collect();
    let sum = own.as_deref().and_then(sum_of);
    let others: Vec<Budget> = Budget::of(overall).into_iter().chain(ceiling.map(Budget::in_all)).collect();
    match own {
        Some(own) if others.is_empty() && own.windows(2).any(is_of_different_periods) => MostMoney::Each(own),
        _ => match tightest(others.into_iter().chain(sum)) {
            none if none.is_empty() => MostMoney::Open,
            together => MostMoney::Together(together),
        },
    }
}

fn is_of_different_periods(budgets: &[(Provider, Budget)]) -> bool {
    matches!(budgets, [(_, one), (_, other)] if one.period != other.period)
}

/// What budgets come to in the shortest of their periods: one for longer is spent in no less.
fn sum_of(own: &[(Provider, Budget)]) -> Option<Budget> {
    let add = |sum: Budget, other: Budget| Budget {
        amount: sum.amount.plus(other.amount),
        period: sum.period.min(other.period),
    };
    own.iter().map(|(_, budget)| *budget).reduce(add)
}

/// Those that don't follow from another, the longest period first.
fn tightest(budgets: impl Iterator<Item = Budget>) -> Vec<Budget> {
    let mut tightest: Vec<Budget> = Vec::new();
    for budget in budgets {
        if !tightest.iter().any(|other| other.is_within(&budget)) {
            tightest.retain(|other| !budget.is_within(other));
            tightest.push(budget);
        }
    }
    tightest.sort_by_key(|budget| core::cmp::Reverse(budget.period));
    tightest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authorization_details::Requested;

    fn budget(usd: &str, period: Period) -> Budget {
        Budget { amount: usd.parse().unwrap(), period }
    }

    /// `overall` and the limits of one permission for each of the two providers, as JSON.
    fn most(overall: &str, own: &[&str], ceiling: Option<&str>) -> Most {
        let entries = own.iter().zip(Provider::ALL).map(|(limits, provider)| {
            format!(
                r#"{{"type":"ai_access","provider":"{provider}","models":["*"],"capabilities":["chat"],"limits":{{{limits}}}}}"#
            )
        });
        let mut entries: Vec<String> = entries.collect();
        entries.push(format!(r#"{{"type":"ai_limits"{}{overall}}}"#, if overall.is_empty() { "" } else { "," }));
        let asked = Requested::from_authorization_details(&format!("[{}]", entries.join(","))).unwrap();
        Most::of(&asked.limits, &asked.permissions, ceiling.and_then(|usd| usd.parse().ok()))
    }

    fn together(overall: &str, own: &[&str], ceiling: Option<&str>) -> Vec<Budget> {
        match most(overall, own, ceiling).money {
            MostMoney::Together(budgets) => budgets,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_budget_of_the_only_provider_is_all_there_is() {
        let own = [r#""budget_usd":"1","requests":50"#];
        assert_eq!(together("", &own, None), [budget("1", Period::Total)]);
        assert_eq!(most("", &own, None).requests, NonZeroU64::new(50));
    }

    #[test]
    fn budgets_of_several_providers_for_the_same_period_are_added_up() {
        let own =
            [r#""budget_usd":"1","budget_period":"day","requests":3"#, r#""budget_usd":"2.5","budget_period":"day""#];
        assert_eq!(together("", &own, None), [budget("3.5", Period::Day)]);
        assert_eq!(most("", &own, None).requests, None, "the other provider's are open");
    }

    #[test]
    fn budgets_for_different_periods_are_said_each() {
        let own = [r#""budget_usd":"1","budget_period":"day""#, r#""budget_usd":"2""#];
        let each = [(Provider::OpenAi, budget("1", Period::Day)), (Provider::Anthropic, budget("2", Period::Total))];
        assert_eq!(most("", &own, None).money, MostMoney::Each(each.into()));
        let both = [budget("5", Period::Total), budget("3", Period::Day)];
        assert_eq!(
            together("", &own, Some("5")),
            both,
            "beside one over everything they are added up for the shortest"
        );
    }

    #[test]
    fn only_what_does_not_follow_from_another_limit_is_said() {
        let day = r#""budget_usd":"1","budget_period":"day""#;
        assert_eq!(together(r#""budget_usd":"5""#, &[r#""budget_usd":"2""#], None), [budget("2", Period::Total)]);
        assert_eq!(together(r#""budget_usd":"1""#, &[day], None), [budget("1", Period::Total)]);
        assert_eq!(
            together(r#""budget_usd":"5""#, &[day], None),
            [budget("5", Period::Total), budget("1", Period::Day)]
        );
        assert_eq!(together("", &[r#""budget_usd":"3""#], Some("2")), [budget("2", Period::Total)]);
    }

    #[test]
    fn what_is_not_reached_in_the_life_of_a_grant_is_not_said() {
        let week = |usd, period| {
            let limits = format!(r#""budget_usd":"3","budget_period":"{period}""#);
            match most("", &[&limits], Some(usd)).in_a_life_of(7 * DAY_SECONDS).money {
                MostMoney::Together(budgets) => budgets,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(week("24", "day"), [budget("3", Period::Day)], "a week has a part of eight days");
        assert_eq!(week("23", "day"), [budget("23", Period::Total), budget("3", Period::Day)]);
        assert_eq!(week("6", "month"), [budget("3", Period::Month)]);
        assert_eq!(week("5", "month"), [budget("5", Period::Total), budget("3", Period::Month)]);
    }

    #[test]
    fn money_that_one_provider_leaves_open_is_open() {
        assert_eq!(most("", &[r#""budget_usd":"1""#, ""], None).money, MostMoney::Open);
    }

    #[test]
    fn counts_are_the_sum_of_the_providers_or_what_is_less_over_everything() {
        let own = [r#""requests":30,"tokens":7"#, r#""requests":20"#];
        let requests = |overall| most(overall, &own, None).requests.map(NonZeroU64::get);
        assert_eq!(
            [requests(""), requests(r#""requests":40"#), requests(r#""requests":90"#)],
            [Some(50), Some(40), Some(50)]
        );
        assert_eq!(most(r#""tokens":9"#, &own, None).tokens, NonZeroU64::new(9));
    }
}
