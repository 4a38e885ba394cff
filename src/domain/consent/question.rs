//! What an amount of money roughly buys.

use crate::domain::money::NanoUsd;

/// Words that a short question has, and its answer.
pub const QUESTION_WORDS: (u64, u64) = (500, 200);
/// The same in tokens, of which four make three words of English.
pub const QUESTION_TOKENS: (u64, u64) = (QUESTION_WORDS.0 * 4 / 3 + 1, QUESTION_WORDS.1 * 4 / 3 + 1);

/// How many questions of `cost` a budget pays for: never said to be more, and with one digit that says something, since the next
/// would claim to know how long questions are.
#[must_use]
pub fn questions(budget: NanoUsd, cost: NanoUsd) -> Option<u64> {
    let count = budget.0.checked_div(cost.0)?;
    let step = 10_u64.pow(count.checked_ilog10().unwrap_or(0));
    Some(count / step * step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_count_has_one_digit_that_says_something() {
        for (budget, cost, count) in [(5_000, 1, 5_000), (7_132, 1, 7_000), (99, 10, 9), (5, 10, 0), (1_999, 1, 1_000)]
        {
            assert_eq!(questions(NanoUsd(budget), NanoUsd(cost)), Some(count), "{budget} / {cost}");
        }
    }

    #[test]
    fn what_costs_nothing_is_not_counted() {
        assert_eq!(questions(NanoUsd(5), NanoUsd::ZERO), None);
    }

    proptest! {
        #[test]
        fn a_budget_never_buys_less_than_is_said(budget in 0..u64::MAX, cost in 1..u64::MAX) {
            let count = questions(NanoUsd(budget), NanoUsd(cost)).unwrap();
            prop_assert!(u128::from(count) * u128::from(cost) <= u128::from(budget));
            prop_assert!(u128::from(count) * 2 * u128::from(cost) + u128::from(cost) * 2 > u128::from(budget), "nor half of it");
        }
    }
}
