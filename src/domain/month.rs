//! A month in UTC, as people choose it.

use core::{fmt, str::FromStr};

use super::time::Timestamp;

const SECONDS_PER_DAY: u64 = 86_400;
const FIRST: u64 = 1970 * 12;
const LAST: u64 = 9999 * 12 + 11;

/// A month of the years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(u64);

/// The text is not a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a month is written like 2026-11")]
pub struct NotAMonth;

impl Month {
    /// The month that a moment lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.month().clamp(FIRST, LAST))
    }

    /// The one of this number, as [`Self::number`] counts.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        (FIRST..=LAST).contains(&number).then_some(Self(number))
    }

    /// Months since the beginning of the year 0, as [`Timestamp::month`] counts them.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Year, and month from 1.
    #[must_use]
    pub const fn date(self) -> (u64, u64) {
        (self.0 / 12, self.0 % 12 + 1)
    }

    /// Its first day, in days since the epoch.
    #[must_use]
    pub const fn first_day(self) -> u64 {
        first_day(self.0)
    }

    /// How many days it has.
    #[must_use]
    pub const fn days(self) -> u64 {
        first_day(self.0 + 1) - first_day(self.0)
    }

    /// Its first moment.
    #[must_use]
    pub const fn begin(self) -> Timestamp {
        Timestamp::from_seconds(self.first_day() * SECONDS_PER_DAY)
    }
}

/// The first day of a month, in days since the epoch (Howard Hinnant's `days_from_civil`), from 1970 on.
const fn first_day(month: u64) -> u64 {
    // Years that begin with March: the day that may be missing is their last.
    let (year, of_year) = ((month - 2) / 12, (month - 2) % 12);
    let day_of_year = (153 * of_year + 2) / 5;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

impl FromStr for Month {
    type Err = NotAMonth;

    /// Four digits, a hyphen, two digits, and nothing else.
    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let number = |text: &str, digits: usize| -> Result<u64, NotAMonth> {
            let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            if plain { text.parse().map_err(|_| NotAMonth) } else { Err(NotAMonth) }
        };
        let (year, month) = text.split_once('-').ok_or(NotAMonth)?;
        let (year, month) = (number(year, 4)?, number(month, 2)?);
        let index = month.checked_sub(1).filter(|index| *index < 12).ok_or(NotAMonth)?;
        Self::from_number(year * 12 + index).ok_or(NotAMonth)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = self.date();
        write!(f, "{year:04}-{month:02}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_begins_at_midnight_in_utc() {
        assert_eq!(month("1970-01").begin(), Timestamp::from_seconds(0));
        assert_eq!(month("2026-11").begin(), Timestamp::from_seconds(1_793_491_200));
    }

    #[test]
    fn a_month_has_its_days() {
        let days = ["2026-01", "2026-02", "2028-02", "2100-02", "2000-02", "2026-04"].map(|text| month(text).days());
        assert_eq!(days, [31, 28, 29, 28, 29, 30]);
    }

    #[test]
    fn what_is_not_a_month_is_refused() {
        for text in
            ["", "2026", "2026-00", "2026-13", "2026-1", "26-01", "1969-12", "+026-01", "2026-01-01", "2026-0１"]
        {
            assert_eq!(text.parse::<Month>(), Err(NotAMonth), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_month_is_read_as_it_is_written(number in FIRST..=LAST) {
            let month = Month::from_number(number).unwrap();
            prop_assert_eq!(month.to_string().parse(), Ok(month));
        }

        #[test]
        fn every_moment_of_a_month_lies_in_it_and_the_next_one_does_not(number in FIRST..LAST, second in 0..31 * SECONDS_PER_DAY) {
            let month = Month::from_number(number).unwrap();
            let second = second % (month.days() * SECONDS_PER_DAY);
            prop_assert_eq!(Month::of(month.begin().plus_seconds(second)), month);
            prop_assert_eq!(Month::of(month.begin().plus_seconds(month.days() * SECONDS_PER_DAY)).number(), number + 1);
            prop_assert_eq!(month.first_day(), month.begin().day());
        }

        #[test]
        fn no_text_makes_it_fail(text in ".*") {
            let _ = text.parse::<Month>();
        }
    }
}
