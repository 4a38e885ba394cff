//! Moments as people read them.

use super::Language;
use crate::domain::time::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, seen from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    at: Timestamp,
    now: Timestamp,
}

impl Moment {
    /// `at`, seen from `now`.
    #[must_use]
    pub const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// For machines: RFC 3339.
    #[must_use]
    pub fn machine(&self) -> String {
        let (year, month, day) = self.at.date();
        let (hour, minute, second) = self.time_of_day();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// For people: `30 Nov 2026, 14:05 UTC`; in Korean `2026년 11월 30일 14:05 UTC`.
    #[must_use]
    pub fn human(&self, language: Language) -> String {
        let (hour, minute, _) = self.time_of_day();
        let date = self.date(language);
        match language {
            Language::English => format!("{date}, {hour:02}:{minute:02} UTC"),
            Language::Korean => format!("{date} {hour:02}:{minute:02} UTC"),
        }
    }

    /// The day alone: `30 Nov 2026`; in Korean `2026년 11월 30일`.
    #[must_use]
    pub fn date(&self, language: Language) -> String {
        let (year, month, day) = self.at.date();
        match language {
            Language::English => {
                let index = usize::try_from(month).unwrap_or(0).saturating_sub(1);
                format!("{day} {} {year}", MONTHS.get(index).unwrap_or(&""))
            }
            Language::Korean => format!("{year}년 {month}월 {day}일"),
        }
    }

    /// From now: `in 6 days`, `3 minutes ago`; in Korean `6일 후`, `3분 전`.
    #[must_use]
    pub fn relative(&self, language: Language) -> String {
        let is_past = self.at <= self.now;
        let seconds = self.at.seconds().abs_diff(self.now.seconds());
        if seconds < 60 {
            return match (language, is_past) {
                (Language::English, true) => "just now",
                (Language::English, false) => "in less than a minute",
                (Language::Korean, true) => "방금",
                (Language::Korean, false) => "1분 안에",
            }
            .to_owned();
        }
        // To the nearest: what was allowed for a week a minute ago ends in 7 days.
        let (minutes, hours, days) = ((seconds + 30) / 60, (seconds + 1800) / 3600, (seconds + 43_200) / 86_400);
        let (count, [english, korean]) = match (minutes, hours) {
            (..60, _) => (minutes, ["minute", "분"]),
            (_, ..24) => (hours, ["hour", "시간"]),
            _ => (days, ["day", "일"]),
        };
        let plural = if count == 1 { "" } else { "s" };
        match (language, is_past) {
            (Language::English, true) => format!("{count} {english}{plural} ago"),
            (Language::English, false) => format!("in {count} {english}{plural}"),
            (Language::Korean, true) => format!("{count}{korean} 전"),
            (Language::Korean, false) => format!("{count}{korean} 후"),
        }
    }

    fn time_of_day(&self) -> (u64, u64, u64) {
        let seconds = self.at.seconds() % 86_400;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_478_400);

    #[test]
    fn a_moment_is_written_for_machines_and_people() {
        let moment = Moment::new(NOW.plus_seconds(7 * 86_400 + 60), NOW);
        assert_eq!(moment.machine(), "2026-12-01T00:01:00Z");
        assert_eq!(moment.human(Language::English), "1 Dec 2026, 00:01 UTC");
        assert_eq!(moment.human(Language::Korean), "2026년 12월 1일 00:01 UTC");
        assert_eq!(moment.relative(Language::English), "in 7 days");
        assert_eq!(moment.relative(Language::Korean), "7일 후");
        assert_eq!(Moment::new(Timestamp::from_seconds(951_782_400), NOW).machine(), "2000-02-29T00:00:00Z");
    }

    fn from_a_second(at: u64, now: u64) -> [String; 2] {
        let moment = Moment::new(Timestamp::from_seconds(at), Timestamp::from_seconds(now));
        Language::ALL.map(|language| moment.relative(language))
    }

    #[test]
    fn a_week_that_began_a_minute_ago_ends_in_seven_days() {
        assert_eq!(from_a_second(7 * 86_400 - 60, 0), ["in 7 days", "7일 후"]);
        assert_eq!(from_a_second(3_599, 0), ["in 1 hour", "1시간 후"]);
        assert_eq!(from_a_second(86_399, 0), ["in 1 day", "1일 후"]);
        assert_eq!(from_a_second(90, 0), ["in 2 minutes", "2분 후"]);
    }

    #[test]
    fn the_past_is_ago() {
        assert_eq!(from_a_second(9_999, 10_000), ["just now", "방금"]);
        assert_eq!(from_a_second(9_880, 10_000), ["2 minutes ago", "2분 전"]);
        assert_eq!(from_a_second(6_400, 10_000), ["1 hour ago", "1시간 전"]);
    }
}
