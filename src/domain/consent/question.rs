//! What the most that a grant can use roughly buys, in short questions.

use super::{Most, MostMoney};
use crate::domain::{limits::Period, money::NanoUsd};

/// Words that a short question has, and its answer.
pub const QUESTION_WORDS: (u64, u64) = (500, 200);
/// The same in tokens, of which four make three words of English.
pub const QUESTION_TOKENS: (u64, u64) = (QUESTION_WORDS.0 * 4 / 3 + 1, QUESTION_WORDS.1 * 4 / 3 + 1);

const DAY_SECONDS: u64 = 86_400;
const MONTH_SECONDS: u64 = 30 * DAY_SECONDS;

/// How many short questions fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Questions {
    /// Questions that fit into one period.
    pub count: u64,
    /// The period of `count`.
    pub each: Period,
    /// Questions that fit into the whole life of the grant.
    pub in_all: u64,
}

impl Questions {
    /// Those of `cost` into what a grant, or one permission of it, can use in a life of so many seconds: never said to be more. Nothing
    /// where money is open, not even one fits, or they cost nothing.
    #[must_use]
    pub fn that_fit(most: &Most, cost: NanoUsd, lifetime_seconds: u64) -> Option<Self> {
        let MostMoney::Together(budgets) = &most.money else { return None };
        let by_money = budgets.iter().map(|budget| {
            let count = budget.amount.nano_usd().0.checked_div(cost.0).map(in_round_numbers)?;
            let in_all = count.saturating_mul(periods_of(budget.period, lifetime_seconds));
            Some(Self { count, each: budget.period, in_all })
        });
        let by_money = by_money.collect::<Option<Vec<Self>>>()?.into_iter().min_by_key(|questions| questions.in_all)?;
        let by_tokens =
            most.tokens.map(|tokens| in_round_numbers(tokens.get() / (QUESTION_TOKENS.0 + QUESTION_TOKENS.1)));
        let by_count = most.requests.map(core::num::NonZeroU64::get).into_iter().chain(by_tokens).min();
        let fewest = match by_count.filter(|count| *count <= by_money.in_all) {
            Some(count) => Self { count, each: Period::Total, in_all: count },
            None => by_money,
        };
        (fewest.count > 0).then_some(fewest)
    }
}

/// How many of these a life has at most.
const fn periods_of(period: Period, lifetime_seconds: u64) -> u64 {
    match period {
        Period::Total => 1,
        Period::Day => lifetime_seconds.div_ceil(DAY_SECONDS),
        Period::Month => lifetime_seconds.div_ceil(MONTH_SECONDS),
    }
}

/// With one digit that says something, since the next would claim to know how long questions are.
fn in_round_numbers(count: u64) -> u64 {
    let step = 10_u64.pow(count.checked_ilog10().unwrap_or(0));
    count / step * step
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU64;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{consent::Budget, money::Amount};

    const WEEK_SECONDS: u64 = 7 * DAY_SECONDS;

    fn most(nano: u64, period: Period, requests: u64, tokens: u64) -> Most {
        let amount: Amount = NanoUsd(nano).to_string().parse().unwrap();
        Most {
            money: MostMoney::Together(vec![Budget { amount, period }]),
            requests: NonZeroU64::new(requests),
            tokens: NonZeroU64::new(tokens),
        }
    }

    fn count(most: &Most, cost: u64) -> Option<(u64, Period)> {
        Questions::that_fit(most, NanoUsd(cost), WEEK_SECONDS).map(|questions| (questions.count, questions.each))
    }

    #[test]
    fn a_count_has_one_digit_that_says_something() {
        for (budget, cost, told) in [(5_000, 1, 5_000), (7_132, 1, 7_000), (99, 10, 9), (1_999, 1, 1_000)] {
            assert_eq!(
                count(&most(budget, Period::Total, 0, 0), cost),
                Some((told, Period::Total)),
                "{budget} / {cost}"
            );
        }
    }

    #[test]
    fn what_costs_nothing_or_too_much_is_not_counted() {
        assert_eq!(count(&most(5, Period::Total, 0, 0), 0), None);
        assert_eq!(count(&most(5, Period::Total, 0, 0), 10), None);
        assert_eq!(count(&Most { money: MostMoney::Open, requests: None, tokens: None }, 10), None);
    }

    #[test]
    fn no_more_questions_are_promised_than_requests_or_tokens() {
        assert_eq!(count(&most(7_132, Period::Total, 50, 0), 1), Some((50, Period::Total)));
        assert_eq!(count(&most(7_132, Period::Total, 9_000, 0), 1), Some((7_000, Period::Total)));
        assert_eq!(count(&most(7_132, Period::Total, 0, 100_000), 1), Some((100, Period::Total)));
        assert_eq!(count(&most(7_132, Period::Total, 0, 100), 1), None);
    }

    #[test]
    fn of_a_budget_for_each_day_all_days_count_against_the_requests() {
        assert_eq!(count(&most(30, Period::Day, 0, 0), 1), Some((30, Period::Day)));
        assert_eq!(count(&most(30, Period::Day, 210, 0), 1), Some((210, Period::Total)));
        assert_eq!(count(&most(30, Period::Day, 211, 0), 1), Some((30, Period::Day)));
    }

    #[test]
    fn of_several_budgets_the_one_counts_that_is_used_up_first() {
        let budget = |usd: &str, period| Budget { amount: usd.parse().unwrap(), period };
        let both = |usd| MostMoney::Together(vec![budget(usd, Period::Total), budget("1", Period::Day)]);
        let told = |usd| count(&Most { money: both(usd), ..most(1, Period::Total, 0, 0) }, 1_000_000);
        assert_eq!(told("4"), Some((4_000, Period::Total)));
        assert_eq!(told("40"), Some((1_000, Period::Day)));
    }

    proptest! {
        #[test]
        fn no_more_is_said_than_a_budget_buys_or_than_there_are_requests(
            budget in 1..u64::MAX / 4_000, cost in 1..u64::MAX / 4_000, period in 0_usize..3, requests in 0_u64..1_000, days in 1_u64..366,
        ) {
            let period = Period::ALL[period];
            let most = most(budget % crate::domain::limits::MAX_STORED_INTEGER + 1, period, requests, 0);
            let MostMoney::Together(budgets) = &most.money else { panic!("{most:?}") };
            if let Some(questions) = Questions::that_fit(&most, NanoUsd(cost), days * DAY_SECONDS) {
                let budget = u128::from(budgets[0].amount.nano_usd().0);
                let (count, cost) = (u128::from(questions.count), u128::from(cost));
                prop_assert!(requests == 0 || questions.in_all <= requests);
                if questions.each == period && questions.in_all != requests {
                    prop_assert!(count * cost <= budget);
                    prop_assert!(count * 2 * cost + cost * 2 > budget, "nor half of it");
                }
            }
        }
    }
}
