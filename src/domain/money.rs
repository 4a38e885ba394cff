//! Money: whole nano-USD, never a float.

use core::{fmt, num::NonZeroU64, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Largest number that is stored: D1 and Durable Objects hand numbers to wasm as JavaScript doubles.
pub const MAX_STORED_INTEGER: u64 = (1 << 53) - 1;

const NANO_PER_USD: u64 = 1_000_000_000;
const NANO_DIGITS: usize = 9;
const PICO_PER_NANO: u128 = 1_000;

/// An amount in nano-USD (10⁻⁹ USD). Sums saturate; what is stored stays under 2^53, which is nine million USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be stored.
    pub const MAX: Self = Self(MAX_STORED_INTEGER);

    /// Pico-USD (10⁻¹² USD), rounded up: what is booked is never below what was billed.
    #[must_use]
    pub fn from_pico_rounded_up(pico: u128) -> Self {
        u64::try_from(pico.div_ceil(PICO_PER_NANO)).map_or(Self::MAX, |nano| Self(nano).min(Self::MAX))
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// The sum, at most [`Self::MAX`].
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0)).min(Self::MAX)
    }

    /// The difference, at least nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// In pico-USD.
    #[must_use]
    pub fn pico(self) -> u128 {
        u128::from(self.0).saturating_mul(PICO_PER_NANO)
    }
}

impl fmt::Display for NanoUsd {
    /// `5.00`, `0.000125`: at least two places, and as many more as there is something to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / NANO_PER_USD, self.0 % NANO_PER_USD);
        let places = format!("{rest:09}");
        let shown = places.trim_end_matches('0');
        write!(f, "{whole}.{shown:0<2}")
    }
}

/// The text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount in USD is written like \"5.00\": digits, and at most nine places after a point")]
pub struct NotAnAmount;

impl FromStr for NanoUsd {
    type Err = NotAnAmount;

    /// `5`, `5.00`, `0.000000001`. No sign, exponent, separator or blank.
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(places) || places.len() > NANO_DIGITS {
            return Err(NotAnAmount);
        }
        let whole: u64 = whole.parse().map_err(|_| NotAnAmount)?;
        let rest: u64 = format!("{places:0<NANO_DIGITS$}").parse().map_err(|_| NotAnAmount)?;
        let nano = whole.checked_mul(NANO_PER_USD).and_then(|nano| nano.checked_add(rest)).ok_or(NotAnAmount)?;
        if nano > MAX_STORED_INTEGER { Err(NotAnAmount) } else { Ok(Self(nano)) }
    }
}

/// A positive amount that a limit allows; in JSON a decimal text, as `budget_usd` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(NonZeroU64);

impl Amount {
    /// What is offered for a try.
    pub const ONE_USD: Self = Self(NonZeroU64::MIN.saturating_add(NANO_PER_USD - 1));
    /// What is proposed where an app names no amount.
    pub const FIVE_USD: Self = Self(NonZeroU64::MIN.saturating_add(5 * NANO_PER_USD - 1));

    /// What is proposed for a token of one's own.
    pub const TWO_USD: Self = Self(NonZeroU64::MIN.saturating_add(2 * NANO_PER_USD - 1));

    /// The largest that can be stored.
    const MAX: Self = Self(NonZeroU64::MIN.saturating_add(MAX_STORED_INTEGER - 1));

    /// The sum, at most what can be stored.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0.get())).min(Self::MAX)
    }

    /// So many times as much, at most what can be stored; not at all is once.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self(self.0.saturating_mul(NonZeroU64::new(times).unwrap_or(NonZeroU64::MIN))).min(Self::MAX)
    }

    /// In nano-USD.
    #[must_use]
    pub const fn nano_usd(self) -> NanoUsd {
        NanoUsd(self.0.get())
    }
}

impl FromStr for Amount {
    type Err = NotAnAmount;
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        NonZeroU64::new(text.parse::<NanoUsd>()?.0).map(Self).ok_or(NotAnAmount)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nano_usd().fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom("budget_usd is a positive amount written like \"5.00\", as a text"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, nano) in [("5", 5_000_000_000), ("5.00", 5_000_000_000), ("0.1", 100_000_000), ("0.000000001", 1)] {
            assert_eq!(text.parse(), Ok(NanoUsd(nano)), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_amount_is_refused() {
        for text in ["", ".", "5.", ".5", "-5", "+5", "5,00", "5e3", " 5", "5 ", "0.0000000001", "9007200", "١", "1_0"]
        {
            assert_eq!(text.parse::<NanoUsd>(), Err(NotAnAmount), "{text:?}");
        }
        assert_eq!("0.00".parse::<Amount>(), Err(NotAnAmount));
        assert_eq!("5.00".parse(), Ok(Amount::FIVE_USD));
        assert_eq!("2.00".parse(), Ok(Amount::TWO_USD));
    }

    #[test]
    fn sums_of_amounts_stop_at_what_can_be_stored() {
        let amount = |text: &str| text.parse::<Amount>().unwrap();
        assert_eq!((amount("1.5").plus(amount("2")), amount("1.5").times(3)), (amount("3.5"), amount("4.5")));
        assert_eq!(amount("9007199").plus(amount("9007199")).nano_usd(), NanoUsd::MAX);
        assert_eq!(amount("9007199").times(u64::MAX).nano_usd(), NanoUsd::MAX);
    }

    #[test]
    fn a_part_of_a_nano_usd_counts_as_a_whole_one() {
        assert_eq!(NanoUsd::from_pico_rounded_up(1), NanoUsd(1));
        assert_eq!(NanoUsd::from_pico_rounded_up(1000), NanoUsd(1));
        assert_eq!(NanoUsd::from_pico_rounded_up(u128::MAX), NanoUsd::MAX);
    }

    #[test]
    fn amounts_are_written_as_people_write_them() {
        for (nano, text) in [(5_000_000_000, "5.00"), (100_000_000, "0.10"), (125_000, "0.000125"), (1, "0.000000001")]
        {
            assert_eq!(NanoUsd(nano).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nano in 0..=MAX_STORED_INTEGER) {
            prop_assert_eq!(NanoUsd(nano).to_string().parse(), Ok(NanoUsd(nano)));
        }

        #[test]
        fn no_text_breaks_the_parser(text in ".{0,40}") {
            let _ = text.parse::<Amount>();
        }
    }
}
