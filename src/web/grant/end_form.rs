//! When a grant ends, to be chosen anew.
//!
//! | field | |
//! |---|---|
//! | `end` | `keep`, one of the lengths of time that a consent page offers, in seconds from now, or `date` |
//! | `end_date` | a day; the grant ends with it, in UTC |
//! | `ends_at` | the end that the page showed, in milliseconds |

use crate::{
    domain::{
        change::{EndError, check_end, latest_end},
        consent::LIFETIMES_SECONDS,
        day::Day,
        grant::Grant,
        oauth::params::Params,
        time::Timestamp,
    },
    web::{
        format::lifetime,
        language::{Language, Moment},
        limits_form::{Posted, digits},
    },
};

const KEEP: &str = "keep";
const DATE: &str = "date";

/// The end to choose.
pub struct EndForm {
    pub ends_at: u64,
    pub choices: Vec<EndChoice>,
    /// What stands in the field for a day.
    pub date: String,
    /// The days that can be chosen.
    pub first: String,
    pub last: String,
    pub is_wrong: bool,
}

/// One of several ends.
pub struct EndChoice {
    pub value: String,
    pub label: String,
    pub chosen: bool,
}

/// Why a chosen end can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndFormError {
    #[error("the form does not fit this grant; load the page again")]
    DoesNotFit,
    #[error("choose a length of time or a day, not both")]
    Both,
    #[error("a day is written like 2026-11-24")]
    NotADay,
    #[error("a token can not end later than it says itself")]
    TokenEndsBefore,
    #[error(transparent)]
    End(#[from] EndError),
}

impl EndFormError {
    /// For the person.
    pub fn text(self, language: Language) -> &'static str {
        match self {
            Self::DoesNotFit => language.t("the form does not fit this grant; load the page again"),
            Self::Both => language.t("choose a length of time or a day, not both"),
            Self::NotADay => language.t("choose the day on which it ends, written like 2026-11-24"),
            Self::TokenEndsBefore => {
                language.t("a token can not end later than it says itself; for that, make another")
            }
            Self::End(EndError::Passed) => language.t("that time has passed; to end the grant now, revoke it"),
            Self::End(EndError::TooLate) => language.t("a grant lasts a year from now at most"),
        }
    }
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenEnd {
    /// The end that was shown.
    pub shown: Timestamp,
    /// The new one. `None`: as it is.
    pub at: Option<Timestamp>,
}

/// The latest end that can be chosen. A token of a person's own ends when it says itself, whatever its grant says: it only ends sooner.
#[must_use]
pub fn latest(grant: &Grant, ends: Timestamp, now: Timestamp) -> Timestamp {
    if grant.is_personal() { ends.min(latest_end(now)) } else { latest_end(now) }
}

/// Reads what was chosen. `latest`: [`latest`].
///
/// # Errors
/// [`EndFormError`].
pub fn read(params: &Params, latest: Timestamp, now: Timestamp) -> Result<ChosenEnd, EndFormError> {
    let field = |name: &'static str| params.get(name).map_err(|_| EndFormError::DoesNotFit);
    let shown = field("ends_at")?.and_then(digits).ok_or(EndFormError::DoesNotFit)?;
    let date = field("end_date")?;
    let at = match (field("end")?.ok_or(EndFormError::DoesNotFit)?, date) {
        // Who fills in a day means it.
        (KEEP | DATE, Some(date)) => {
            let day: Day = date.parse().map_err(|_| EndFormError::NotADay)?;
            // The last day that is offered lasts until its hour.
            let end = if day == Day::of(latest) { latest } else { day.end() };
            Some(check_end(end, now)?)
        }
        (DATE, None) => return Err(EndFormError::NotADay),
        (KEEP, None) => None,
        (_, Some(_)) => return Err(EndFormError::Both),
        (seconds, None) => {
            let offered = digits(seconds).filter(|seconds| LIFETIMES_SECONDS.contains(seconds));
            let seconds = offered.ok_or(EndFormError::DoesNotFit)?;
            Some(check_end(Timestamp::from_seconds(now.seconds()).plus_seconds(seconds), now)?)
        }
    };
    if at.is_some_and(|at| at > latest) {
        return Err(EndFormError::TokenEndsBefore);
    }
    Ok(ChosenEnd { shown: Timestamp::from_millis(shown), at })
}

impl EndForm {
    /// What can be chosen, and what stands in the form.
    pub fn new(
        ends: Timestamp,
        (latest, now): (Timestamp, Timestamp),
        posted: Option<Posted<'_>>,
        language: Language,
    ) -> Self {
        let posted = posted.filter(|form| form.params.all("ends_at").next().is_some());
        let value = |name: &'static str| posted.map_or("", |form| form.params.field(name));
        let chosen = value("end");
        let keep = language.with("As it is: {0}", &[&Moment::new(ends, now).date(language)]);
        let from_now = LIFETIMES_SECONDS
            .into_iter()
            .filter(|seconds| Timestamp::from_seconds(now.seconds()).plus_seconds(*seconds) <= latest)
            .map(|seconds| (seconds.to_string(), language.with("{0} from now", &[&lifetime(seconds, language)])));
        let all = [(KEEP.to_owned(), keep)]
            .into_iter()
            .chain(from_now)
            .chain([(DATE.to_owned(), language.t("With the day chosen below").to_owned())]);
        let choices = all.map(|(value, label)| EndChoice { chosen: value == chosen, value, label }).collect();
        Self {
            ends_at: ends.millis(),
            choices,
            date: value("end_date").to_owned(),
            first: Day::of(now).to_string(),
            last: Day::of(latest).to_string(),
            is_wrong: posted.is_some_and(|form| form.wrong == Some("end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-23T12:00:00.5Z.
    const NOW: Timestamp = Timestamp::from_millis(1_795_435_200_500);

    fn chosen(body: &str) -> Result<Option<Timestamp>, EndFormError> {
        read(&Params::parse(format!("ends_at=5&{body}").as_bytes()), latest_end(NOW), NOW).map(|chosen| {
            assert_eq!(chosen.shown, Timestamp::from_millis(5));
            chosen.at
        })
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_length_of_time_counts_from_now() {
        assert_eq!(chosen("end=3600&end_date="), Ok(Some(Timestamp::from_seconds(1_795_438_800))));
        assert_eq!(chosen("end=31536000"), Ok(Some(Timestamp::from_seconds(1_795_435_200 + 31_536_000))));
    }

    #[test]
    fn a_day_is_the_last_on_which_calls_are_let_through() {
        assert_eq!(chosen("end=date&end_date=2026-11-24"), Ok(Some(day("2026-11-24").end())));
        assert_eq!(chosen("end=date&end_date=2026-11-23"), Ok(Some(day("2026-11-23").end())), "today");
        assert_eq!(
            chosen("end=keep&end_date=2026-11-24"),
            Ok(Some(day("2026-11-24").end())),
            "who fills it in means it"
        );
    }

    #[test]
    fn a_year_from_now_is_the_latest() {
        assert_eq!(chosen("end=date&end_date=2027-11-23"), Ok(Some(latest_end(NOW))));
        assert_eq!(chosen("end=date&end_date=2027-11-24"), Err(EndError::TooLate.into()));
        assert_eq!(chosen("end=date&end_date=9999-12-31"), Err(EndError::TooLate.into()));
    }

    #[test]
    fn what_has_a_latest_end_of_its_own_is_offered_no_later_one() {
        let latest = NOW.plus_seconds(86_400);
        let read = |body: &str| read(&Params::parse(format!("ends_at=5&{body}").as_bytes()), latest, NOW);
        assert_eq!(read("end=86400").map(|chosen| chosen.at), Ok(Some(Timestamp::from_seconds(1_795_521_600))));
        assert_eq!(read("end=date&end_date=2026-11-24").map(|chosen| chosen.at), Ok(Some(latest)), "its last day");
        for later in ["end=604800", "end=date&end_date=2026-11-25"] {
            assert_eq!(read(later), Err(EndFormError::TokenEndsBefore), "{later}");
        }
        let form = EndForm::new(latest, (latest, NOW), None, Language::English);
        let offered: Vec<&str> = form.choices.iter().map(|choice| choice.value.as_str()).collect();
        assert_eq!((offered, form.last.as_str()), (vec![KEEP, "3600", "86400", DATE], "2026-11-24"));
    }

    #[test]
    fn yesterday_is_refused() {
        assert_eq!(chosen("end=date&end_date=2026-11-22"), Err(EndError::Passed.into()));
    }

    #[test]
    fn nothing_chosen_changes_nothing() {
        assert_eq!(chosen("end=keep&end_date="), Ok(None));
    }

    #[test]
    fn what_the_page_does_not_offer_is_refused() {
        for body in ["end=60", "end=", "", "end=-3600", "end=3600&end=3600", "end=31536001"] {
            assert_eq!(chosen(body), Err(EndFormError::DoesNotFit), "{body}");
        }
        assert_eq!(chosen("end=3600&end_date=2026-11-24"), Err(EndFormError::Both));
        assert_eq!(chosen("end=date&end_date="), Err(EndFormError::NotADay));
        assert_eq!(chosen("end=date&end_date=tomorrow"), Err(EndFormError::NotADay));
        assert_eq!(
            read(&Params::parse(b"end=3600"), latest_end(NOW), NOW),
            Err(EndFormError::DoesNotFit),
            "the end that was shown"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_sent_no_end_lies_in_the_past_or_beyond_a_year(end in ".{0,12}", date in "[0-9-]{0,11}") {
            let body = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("end", &end).append_pair("end_date", &date).finish();
            if let Ok(Some(at)) = chosen(&body) {
                prop_assert!(NOW < at && at <= latest_end(NOW));
            }
        }
    }
}
