//! The most that a call can cost, as far as the ledger has to know.

use serde::{Deserialize, Serialize};

use super::super::money::NanoUsd;

/// The most that a call can cost: a part that is known, and a part for each token that is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Everything that doesn't depend on how much is written.
    pub input_nano_usd: NanoUsd,
    /// Most tokens read.
    pub input_tokens: u64,
    /// Pico-USD for each token written.
    pub output_pico_usd: u64,
    /// Most tokens written in one choice.
    pub output_tokens: u64,
    /// How many choices are written, each up to `output_tokens`.
    pub choices: u64,
    /// The caller named no maximum: a lower one may be set for it, but not below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_output_tokens: Option<u64>,
}

impl Bound {
    /// In money.
    #[must_use]
    pub fn nano_usd(&self) -> NanoUsd {
        let written = u128::from(self.output_tokens).saturating_mul(u128::from(self.choices));
        self.input_nano_usd
            .plus(NanoUsd::from_pico_rounded_up(written.saturating_mul(u128::from(self.output_pico_usd))))
    }

    /// In tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens.saturating_mul(self.choices))
    }

    /// Most tokens that each choice can write for at most `money`. `None`: not even the input fits.
    #[must_use]
    pub fn output_that_costs(&self, money: NanoUsd) -> Option<u64> {
        if money < self.input_nano_usd {
            return None;
        }
        let per_token = u128::from(self.output_pico_usd).saturating_mul(u128::from(self.choices));
        let most = money.minus(self.input_nano_usd).pico().checked_div(per_token);
        Some(most.map_or(u64::MAX, |most| u64::try_from(most).unwrap_or(u64::MAX)))
    }

    /// Most tokens that each choice can write within `tokens` in all. `None`: not even the input fits.
    #[must_use]
    pub fn output_within(&self, tokens: u64) -> Option<u64> {
        let left = tokens.checked_sub(self.input_tokens)?;
        Some(left.checked_div(self.choices).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound(output_pico_usd: u64, choices: u64) -> Bound {
        Bound {
            input_nano_usd: NanoUsd(1_000),
            input_tokens: 100,
            output_pico_usd,
            output_tokens: 1_000,
            choices,
            least_output_tokens: None,
        }
    }

    #[test]
    fn every_choice_is_counted() {
        assert_eq!(bound(2_000, 3).nano_usd(), NanoUsd(1_000 + 6_000));
        assert_eq!(bound(2_000, 3).tokens(), 3_100);
    }

    #[test]
    fn no_output_fits_where_the_input_does_not() {
        assert_eq!(bound(1, 1).output_that_costs(NanoUsd(999)), None);
        assert_eq!(bound(1, 1).output_within(99), None);
    }

    #[test]
    fn output_without_a_price_always_fits() {
        assert_eq!(bound(0, 1).output_that_costs(NanoUsd(1_000)), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn the_output_that_fits_fits_and_one_token_more_does_not(
            money in 1_000_u64..1_000_000_000, price in 1_u64..200_000_000, choices in 1_u64..9,
        ) {
            let mut bound = bound(price, choices);
            bound.output_tokens = bound.output_that_costs(NanoUsd(money)).unwrap();
            prop_assert!(bound.nano_usd() <= NanoUsd(money));
            bound.output_tokens += 1;
            prop_assert!(bound.nano_usd() > NanoUsd(money));
        }
    }
}
