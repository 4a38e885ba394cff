//! Which of a grant's calls somebody wants to see, and where among them they are.
//!
//! Calls are ordered by the time at which they were let through, and by their hold where that is the same. A page begins beside the call
//! at which another one ended ([`Position`]), so that it is found by an index however many calls there are, and none is shown twice or
//! left out because others were added meanwhile.

use core::{fmt, ops::RangeInclusive, str::FromStr};

use super::{day::Day, money::MAX_STORED_INTEGER, time::Timestamp};

/// How a call ended, by the provider's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// The provider said no, or failed.
    Refused,
    /// The provider never answered, or nobody knows.
    NoAnswer,
}

impl Outcome {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Answered, Self::Refused, Self::NoAnswer];

    /// In a query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "ok",
            Self::Refused => "refused",
            Self::NoAnswer => "none",
        }
    }

    /// The statuses that mean it.
    #[must_use]
    pub const fn statuses(self) -> RangeInclusive<u16> {
        match self {
            Self::NoAnswer => 0..=0,
            Self::Answered => 1..=399,
            Self::Refused => 400..=u16::MAX,
        }
    }

    /// What a status means.
    #[must_use]
    pub fn of(status: u16) -> Self {
        Self::ALL.into_iter().find(|outcome| outcome.statuses().contains(&status)).unwrap_or(Self::NoAnswer)
    }
}

/// Where a call stands among a grant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When it was let through.
    pub at: Timestamp,
    /// The number of its hold.
    pub hold: u64,
}

/// The text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position among calls")]
pub struct NotAPosition;

impl Position {
    /// Before every call.
    const FIRST: Self = Self { at: Timestamp::from_millis(0), hold: 0 };
    /// After every call.
    const LAST: Self = Self { at: Timestamp::from_millis(MAX_STORED_INTEGER), hold: MAX_STORED_INTEGER };

    /// The last place before a moment.
    const fn just_before(at: Timestamp) -> Self {
        Self { at: Timestamp::from_millis(at.millis().saturating_sub(1)), hold: MAX_STORED_INTEGER }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.millis(), self.hold)
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let number = |text: &str| -> Result<u64, NotAPosition> {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = if plain { text.parse().ok() } else { None };
            number.filter(|number| *number <= MAX_STORED_INTEGER).ok_or(NotAPosition)
        };
        let (at, hold) = text.split_once('.').ok_or(NotAPosition)?;
        Ok(Self { at: Timestamp::from_millis(number(at)?), hold: number(hold)? })
    }
}

/// Which calls. The default: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Of this model.
    pub model: Option<String>,
    /// That ended so.
    pub outcome: Option<Outcome>,
    /// From this day on.
    pub from: Option<Day>,
    /// Up to this day, which counts.
    pub to: Option<Day>,
}

impl CallFilter {
    /// Whether it lets every call through.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The statuses of the calls.
    #[must_use]
    pub fn statuses(&self) -> RangeInclusive<u16> {
        self.outcome.map_or(0..=u16::MAX, Outcome::statuses)
    }
}

/// Which of the calls, seen from a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The newest.
    #[default]
    Newest,
    /// The newest of those before it.
    Older(Position),
    /// The oldest of those after it.
    Newer(Position),
}

/// Which calls are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallQuery {
    /// Of which.
    pub filter: CallFilter,
    /// From where.
    pub side: Side,
    /// At most so many.
    pub limit: u32,
}

impl CallQuery {
    /// The positions between which the calls stand; neither is one of them.
    #[must_use]
    pub fn between(&self) -> (Position, Position) {
        let CallFilter { from, to, .. } = &self.filter;
        let first = from.map_or(Position::FIRST, |day| Position::just_before(day.begin()));
        let last = to.map_or(Position::LAST, |day| Position { at: day.end(), hold: 0 });
        match self.side {
            Side::Newest => (first, last),
            Side::Older(than) => (first, last.min(than)),
            Side::Newer(than) => (first.max(than), last),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn query(from: Option<&str>, to: Option<&str>, side: Side) -> CallQuery {
        let filter = CallFilter { from: from.map(day), to: to.map(day), ..CallFilter::default() };
        CallQuery { filter, side, limit: 50 }
    }

    fn is_between(query: &CallQuery, at: Timestamp, hold: u64) -> bool {
        let (after, before) = query.between();
        let position = Position { at, hold };
        after < position && position < before
    }

    #[test]
    fn every_status_has_one_outcome() {
        for (status, outcome) in [
            (0, Outcome::NoAnswer),
            (200, Outcome::Answered),
            (302, Outcome::Answered),
            (399, Outcome::Answered),
            (400, Outcome::Refused),
            (529, Outcome::Refused),
            (u16::MAX, Outcome::Refused),
        ] {
            assert_eq!(Outcome::of(status), outcome, "{status}");
            assert_eq!(Outcome::ALL.iter().filter(|one| one.statuses().contains(&status)).count(), 1, "{status}");
        }
    }

    #[test]
    fn both_days_count_to_their_last_millisecond() {
        let days = query(Some("2026-11-23"), Some("2026-11-24"), Side::Newest);
        let (begin, end) = (day("2026-11-23").begin(), day("2026-11-24").end());
        assert!(is_between(&days, begin, 0));
        assert!(!is_between(&days, Timestamp::from_millis(begin.millis() - 1), u64::from(u32::MAX)));
        assert!(is_between(&days, Timestamp::from_millis(end.millis() - 1), u64::from(u32::MAX)));
        assert!(!is_between(&days, end, 0));
    }

    #[test]
    fn a_page_ends_beside_its_position_and_within_the_days() {
        let at = day("2026-11-23").begin().plus_seconds(60);
        let here = Position { at, hold: 7 };
        let older = query(Some("2026-11-23"), None, Side::Older(here));
        assert!(is_between(&older, at, 6) && !is_between(&older, at, 7) && !is_between(&older, at, 8));
        assert!(!is_between(&older, Timestamp::from_seconds(1), 1));
        let newer = query(None, Some("2026-11-23"), Side::Newer(here));
        assert!(is_between(&newer, at, 8) && !is_between(&newer, at, 7) && !is_between(&newer, at, 6));
        assert!(!is_between(&newer, day("2026-11-24").begin(), 9));
    }

    #[test]
    fn a_position_beyond_the_days_shows_nothing_outside_of_them() {
        let beyond = Position { at: day("2026-11-25").begin(), hold: 1 };
        let older = query(None, Some("2026-11-23"), Side::Older(beyond));
        assert!(!is_between(&older, day("2026-11-24").begin(), 5));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in
            ["", ".", "1", "1.", ".1", "-1.1", "+1.1", "1.1.1", "1e3.1", "9007199254740992.1", "1.99999999999999999999"]
        {
            assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_position_is_read_as_it_is_written(at in 0..MAX_STORED_INTEGER, hold in 0..MAX_STORED_INTEGER) {
            let position = Position { at: Timestamp::from_millis(at), hold };
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn no_text_breaks_the_reading_of_a_position(text in ".{0,40}") {
            let _ = text.parse::<Position>();
        }
    }
}
