//! A day in UTC, as people choose it.

use core::{fmt, str::FromStr};

use super::time::Timestamp;

const SECONDS_PER_DAY: u64 = 86_400;

/// A day of the years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u64);

/// The text is not a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a day is written like 2026-11-24")]
pub struct NotADay;

impl Day {
    /// The day that a moment lies in.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.day())
    }

    /// Its first moment.
    #[must_use]
    pub const fn begin(self) -> Timestamp {
        Timestamp::from_seconds(self.0 * SECONDS_PER_DAY)
    }

    /// The first moment of the next day.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp::from_seconds((self.0 + 1) * SECONDS_PER_DAY)
    }
}

impl FromStr for Day {
    type Err = NotADay;

    /// As `<input type="date">` sends it, and nothing else (RFC 3339 §5.6 `full-date`).
    fn from_str(text: &str) -> Result<Self, NotADay> {
        let number = |text: &str, digits: usize| -> Result<u64, NotADay> {
            let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            if plain { text.parse().map_err(|_| NotADay) } else { Err(NotADay) }
        };
        let mut parts = text.split('-');
        let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotADay);
        };
        let date = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
        let day = days_from_civil(date).map(Self).ok_or(NotADay)?;
        // The 31st of a month that has none would be another day.
        if day.begin().date() == date { Ok(day) } else { Err(NotADay) }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.begin().date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days since the epoch (Howard Hinnant's `days_from_civil`), from 1970 on.
fn days_from_civil((year, month, day): (u64, u64, u64)) -> Option<u64> {
    let shifted_year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, of_era) = (shifted_year / 400, shifted_year % 400);
    let shifted_month = if month > 2 { month.checked_sub(3)? } else { month.checked_add(9)? };
    let of_year = (153 * shifted_month + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_and_ends_at_midnight_in_utc() {
        assert_eq!(day("1970-01-01").begin(), Timestamp::from_seconds(0));
        assert_eq!(day("2026-11-23").begin(), Timestamp::from_seconds(1_795_392_000));
        assert_eq!(day("2026-11-23").end(), day("2026-11-24").begin());
        assert_eq!(day("2026-12-31").end(), day("2027-01-01").begin());
    }

    #[test]
    fn a_leap_year_has_its_day() {
        assert_eq!(day("2028-02-28").end(), day("2028-02-29").begin());
        assert!("2027-02-29".parse::<Day>().is_err());
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["", "2026", "2026-11", "2026-11-24-1", "2026-13-01", "2026-00-10", "2026-11-00", "2026-11-31"]
            .into_iter()
            .chain([
                "1969-12-31",
                "0000-01-01",
                "26-11-24",
                "2026-1-2",
                "+026-11-24",
                "2026-11-24T00:00",
                " 2026-11-24",
            ])
        {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_day_is_read_as_it_is_written(number in 0_u64..2_932_897) {
            let day = Day(number);
            prop_assert_eq!(day.to_string().parse(), Ok(day));
        }

        #[test]
        fn no_text_makes_a_day_that_is_written_otherwise(text in "[0-9-]{0,12}|.{0,12}") {
            if let Ok(day) = text.parse::<Day>() {
                prop_assert_eq!(day.to_string(), text);
            }
        }
    }
}
