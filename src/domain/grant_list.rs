//! Which of a user's grants are listed: chosen by name and state, a page at a time.
//!
//! A page begins behind a grant, not at a number: so the database finds it by an index however far it is, and none is skipped or shown
//! twice when others come and go.

use core::{fmt, str::FromStr};

use super::{id::GrantId, oauth::params::Params, time::Timestamp};

/// Longest part of a name that is searched for, in characters.
pub const MAX_SEARCH_CHARS: usize = 100;

/// How a grant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// The app can call.
    Active,
    /// The user has paused it.
    Paused,
    /// It was revoked, or its time is over.
    Ended,
}

impl GrantState {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Ended];

    /// As it stands in an address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// Where a grant stands in the list: those that live come first, and then the newer ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantPosition {
    /// Whether it has ended.
    pub is_ended: bool,
    /// When it was allowed.
    pub created_at: Timestamp,
    /// Which one it is, of several of one second.
    pub id: GrantId,
}

/// The text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position in the list of grants")]
pub struct NotAPosition;

impl fmt::Display for GrantPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = if self.is_ended { "ended" } else { "live" };
        write!(f, "{group}.{}.{}", self.created_at.seconds(), self.id)
    }
}

impl FromStr for GrantPosition {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let mut parts = text.splitn(3, '.');
        let (Some(group), Some(seconds), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotAPosition);
        };
        let is_ended = match group {
            "live" => false,
            "ended" => true,
            _ => return Err(NotAPosition),
        };
        let is_number = !seconds.is_empty() && seconds.len() <= 10 && seconds.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = seconds.parse().ok().filter(|_| is_number).ok_or(NotAPosition)?;
        let id = id.parse().map_err(|_| NotAPosition)?;
        Ok(Self { is_ended, created_at: Timestamp::from_seconds(seconds), id })
    }
}

/// What is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantQuery {
    /// Only those that are like this.
    pub state: Option<GrantState>,
    /// Only those of apps with this in their name.
    pub search: String,
    /// Only those behind this one.
    pub after: Option<GrantPosition>,
}

impl GrantQuery {
    /// From the query of an address. What can't be understood counts as not said: an old bookmark shows the list.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let params = Params::parse(query.as_bytes());
        let state = GrantState::ALL.into_iter().find(|state| state.as_str() == params.field("state"));
        let search: String = params.field("search").trim().chars().filter(|char| !char.is_control()).collect();
        let after: Option<GrantPosition> = params.field("after").parse().ok();
        let is_there = |position: &GrantPosition| match state {
            None => true,
            Some(state) => position.is_ended == (state == GrantState::Ended),
        };
        Self { state, search: search.chars().take(MAX_SEARCH_CHARS).collect(), after: after.filter(is_there) }
    }

    /// Whether everything is listed, from the beginning.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(is_ended: bool) -> GrantPosition {
        GrantPosition { is_ended, created_at: Timestamp::from_seconds(1_795_392_000), id: "grant_a.b".parse().unwrap() }
    }

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for is_ended in [false, true] {
            assert_eq!(position(is_ended).to_string().parse(), Ok(position(is_ended)));
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in
            ["", "live", "live.1", "live..x", "dead.1.x", "live.-1.x", "live.+1.x", "live.99999999999.x", "live.1.x y"]
        {
            assert_eq!(text.parse::<GrantPosition>(), Err(NotAPosition), "{text}");
        }
    }

    #[test]
    fn what_is_asked_for_is_found_out_and_the_rest_counts_for_nothing() {
        let query = GrantQuery::parse("state=paused&search=+No%C3%BCs%0A&after=live.1.g");
        assert_eq!((query.state, query.search.as_str()), (Some(GrantState::Paused), "Noüs"));
        assert_eq!(query.after.unwrap().id.as_str(), "g");
        assert_eq!(GrantQuery::parse("state=dead&after=x&revoked"), GrantQuery::default());
    }

    #[test]
    fn a_position_among_those_that_are_not_listed_is_none() {
        assert_eq!(GrantQuery::parse("state=ended&after=live.1.g").after, None);
        assert_eq!(GrantQuery::parse("state=active&after=ended.1.g").after, None);
        assert!(GrantQuery::parse("after=ended.1.g").after.is_some());
    }

    #[test]
    fn a_long_search_is_cut() {
        let query = GrantQuery::parse(&format!("search={}", "%EA%B0%80".repeat(500)));
        assert_eq!(query.search.chars().count(), MAX_SEARCH_CHARS);
    }

    proptest! {
        #[test]
        fn no_query_makes_it_fail_and_every_position_is_written_as_it_was_read(query in ".*", text in "[a-z]{0,6}[.]?[0-9]{0,11}[.]?[!-~]{0,9}") {
            let _ = GrantQuery::parse(&query);
            if let Ok(position) = text.parse::<GrantPosition>() {
                prop_assert_eq!(position.to_string().parse(), Ok(position));
            }
        }
    }
}
