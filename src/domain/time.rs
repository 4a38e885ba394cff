//! Points in time, as the runtime hands them in.

use core::fmt;

use serde::{Deserialize, Serialize};

const SECONDS_PER_DAY: u64 = 86_400;

/// Milliseconds since the Unix epoch.
///
/// Stored and sent as an integer; it stays under 2^53 for the next 285,000 years, so JavaScript doubles carry it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the epoch, as OAuth and D1 rows write it.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This moment, `seconds` later.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// This moment, `millis` later.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Days since the epoch, in UTC.
    #[must_use]
    pub const fn day(self) -> u64 {
        self.0 / (SECONDS_PER_DAY * 1000)
    }

    /// Months since the beginning of the year 0, in UTC.
    #[must_use]
    pub const fn month(self) -> u64 {
        let (year, month, _) = civil(self.day());
        year * 12 + month - 1
    }

    /// When the next day begins, in UTC.
    #[must_use]
    pub const fn next_day(self) -> Self {
        Self::from_seconds((self.day() + 1) * SECONDS_PER_DAY)
    }

    /// When the next month begins, in UTC.
    #[must_use]
    pub const fn next_month(self) -> Self {
        let mut day = self.day() + 1;
        while civil(day).2 != 1 {
            day += 1;
        }
        Self::from_seconds(day * SECONDS_PER_DAY)
    }

    /// Year, month (from 1) and day (from 1), in UTC.
    #[must_use]
    pub const fn date(self) -> (u64, u64, u64) {
        civil(self.day())
    }

    /// `2026-02-28T23:59:59Z` (RFC 3339).
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (year, month, day) = self.date();
        let of_day = self.seconds() % SECONDS_PER_DAY;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Seconds from `self` until `later`, rounded up; 0 when `later` has passed.
    #[must_use]
    pub const fn seconds_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0).div_ceil(1000)
    }
}

/// Year, month and day of a number of days since the epoch (Howard Hinnant's `civil_from_days`).
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl fmt::Display for Timestamp {
    /// Seconds since the epoch.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-28T23:59:59Z.
    const LAST_OF_FEBRUARY: Timestamp = Timestamp::from_seconds(1_772_323_199);

    #[test]
    fn a_day_and_a_month_end_at_midnight_in_utc() {
        let first_of_march = LAST_OF_FEBRUARY.plus_seconds(1);
        assert_eq!(LAST_OF_FEBRUARY.date(), (2026, 2, 28));
        assert_eq!(first_of_march.date(), (2026, 3, 1));
        assert_eq!(LAST_OF_FEBRUARY.next_day(), first_of_march);
        assert_eq!(LAST_OF_FEBRUARY.next_month(), first_of_march);
        assert_eq!(first_of_march.month(), LAST_OF_FEBRUARY.month() + 1);
    }

    #[test]
    fn a_moment_is_written_as_rfc_3339_wants_it() {
        assert_eq!(LAST_OF_FEBRUARY.rfc3339(), "2026-02-28T23:59:59Z");
        assert_eq!(Timestamp::default().rfc3339(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_year_ends_with_december() {
        // 2026-12-31T12:00:00Z.
        let last = Timestamp::from_seconds(1_798_718_400);
        assert_eq!(last.next_month().date(), (2027, 1, 1));
        assert_eq!(last.next_month().month(), last.month() + 1);
    }
}
