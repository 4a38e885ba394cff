//! Tokens that people make for themselves: for a script, a notebook, a tool on the command line.
//!
//! One is a grant without an app, whose client is [`ClientId::personal`](super::id::ClientId::personal), and an access token that lives as
//! long as the grant. So it is capped, metered and revoked like any grant. It can't be refreshed or exchanged: that takes a client that
//! proves who it is, and nobody can be this one.

use super::{
    change::{EndError, check_end},
    day::Day,
    grant::Terms,
    limits::Limits,
    oauth::registration::{MAX_NAME_CHARS, is_deceptive},
    permission::{Capability, ModelPattern, Permission, Provider},
    time::Timestamp,
};

/// Tokens that one person has at a time.
pub const MAX_ACTIVE: usize = 50;

const DAY_SECONDS: u64 = 86_400;
/// 1970-01-02 was one.
const FRIDAY: u64 = 1;
const DAYS_OF_A_WEEK: u64 = 7;

/// When a token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// So many seconds from now; one of [`End::AFTER_SECONDS`].
    After(u64),
    /// With the next Friday, in UTC; on a Friday with that.
    Friday,
    /// With this day, in UTC.
    With(Day),
}

/// Text that is no end on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOffered;

impl End {
    /// Lives on offer: an hour, a day, a week, 30 days, 90 days, a year.
    pub const AFTER_SECONDS: [u64; 6] = [3600, DAY_SECONDS, 604_800, 2_592_000, 7_776_000, 31_536_000];
    /// The name of [`End::Friday`] in a form.
    pub const FRIDAY: &str = "friday";
    /// The name of [`End::With`] in a form, beside which stands the day.
    pub const DAY: &str = "day";

    /// From a form: `choice` is a number of seconds or one of the names.
    ///
    /// # Errors
    /// [`NotOffered`], or a day that is none.
    pub fn parse(choice: &str, day: &str) -> Result<Self, NotOffered> {
        match choice {
            Self::FRIDAY => Ok(Self::Friday),
            Self::DAY => day.trim().parse().map(Self::With).map_err(|_| NotOffered),
            seconds => {
                let offered = Self::AFTER_SECONDS.into_iter().find(|offered| offered.to_string() == seconds);
                offered.map(Self::After).ok_or(NotOffered)
            }
        }
    }

    /// The moment, in whole seconds, as it stands in the token.
    ///
    /// # Errors
    /// [`EndError`]: it has passed, or is more than a year ahead.
    pub fn at(self, now: Timestamp) -> Result<Timestamp, EndError> {
        let now = Timestamp::from_seconds(now.seconds());
        check_end(
            match self {
                Self::After(seconds) => now.plus_seconds(seconds),
                Self::Friday => end_of_friday(now),
                Self::With(day) => day.end(),
            },
            now,
        )
    }
}

/// The end of this week's Friday, or of the next.
#[must_use]
pub const fn end_of_friday(now: Timestamp) -> Timestamp {
    let days_until = (FRIDAY + DAYS_OF_A_WEEK - now.day() % DAYS_OF_A_WEEK) % DAYS_OF_A_WEEK;
    Timestamp::from_seconds((now.day() + days_until + 1) * DAY_SECONDS)
}

/// What a provider's API can be used for.
#[must_use]
pub const fn capabilities_of(provider: Provider) -> &'static [Capability] {
    match provider {
        Provider::OpenAi => &Capability::ALL,
        Provider::Anthropic => &[Capability::Chat, Capability::ServerTools],
    }
}

/// What a person wants of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChoice {
    /// What it is called.
    pub name: String,
    /// One per provider that is ticked.
    pub permissions: Vec<Permission>,
    /// Over everything together.
    pub limits: Limits,
    /// Said on purpose: money needs no limit.
    pub no_money_limit: bool,
    /// When it ends.
    pub end: End,
}

/// Why no such token is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It has no name.
    NoName,
    /// A name that is too long.
    LongName,
    /// A name that hides or turns text.
    DeceptiveName,
    /// No provider is ticked.
    NoProvider,
    /// What stands there is no name of a model.
    Models(Provider),
    /// Not a use that there is.
    NoCapabilities(Provider),
    /// Money is not limited, and nobody said that it shall not be.
    MoneyOpen,
    /// Not an end on offer, or no day.
    NotAnEnd,
    /// The end has passed.
    EndPassed,
    /// The end is more than a year ahead.
    EndTooLate,
}

impl From<EndError> for TokenError {
    fn from(error: EndError) -> Self {
        match error {
            EndError::Passed => Self::EndPassed,
            EndError::TooLate => Self::EndTooLate,
        }
    }
}

impl From<NotOffered> for TokenError {
    fn from(_: NotOffered) -> Self {
        Self::NotAnEnd
    }
}

/// Reads a name: plain text on one line, trimmed.
///
/// # Errors
/// [`TokenError`] about the name.
pub fn read_name(text: &str) -> Result<String, TokenError> {
    let name = text.trim();
    if name.is_empty() {
        return Err(TokenError::NoName);
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(TokenError::LongName);
    }
    if name.chars().any(is_deceptive) { Err(TokenError::DeceptiveName) } else { Ok(name.to_owned()) }
}

/// Reads the models of a provider: what is left empty doesn't count, and none at all is every one.
///
/// # Errors
/// [`TokenError::Models`].
pub fn read_models<'a>(
    provider: Provider,
    texts: impl Iterator<Item = &'a str>,
) -> Result<Vec<ModelPattern>, TokenError> {
    let mut models: Vec<ModelPattern> = Vec::new();
    for text in texts.map(str::trim).filter(|text| !text.is_empty()) {
        let model = text.parse().map_err(|_| TokenError::Models(provider))?;
        if !models.contains(&model) {
            models.push(model);
        }
    }
    Ok(if models.is_empty() { vec![ModelPattern::every_model()] } else { models })
}

impl TokenChoice {
    /// The terms of its grant.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn terms(&self, now: Timestamp) -> Result<Terms, TokenError> {
        if self.permissions.is_empty() {
            return Err(TokenError::NoProvider);
        }
        if let Some(useless) = self.permissions.iter().find(|permission| permission.capabilities.is_empty()) {
            return Err(TokenError::NoCapabilities(useless.provider));
        }
        let limits_of_permissions = self.permissions.iter().map(|permission| &permission.limits);
        if Limits::leave_money_open(&self.limits, limits_of_permissions) && !self.no_money_limit {
            return Err(TokenError::MoneyOpen);
        }
        Ok(Terms {
            permissions: self.permissions.clone(),
            limits: self.limits,
            expires_at: self.end.at(now)?,
            ..Terms::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::money::Amount;

    /// Tuesday, 2026-11-24T21:00:00Z.
    const NOW: Timestamp = Timestamp::from_seconds(1_795_554_000);

    fn day(at: Timestamp) -> String {
        Day::of(at).to_string()
    }

    fn choice() -> TokenChoice {
        TokenChoice {
            name: "notebook".to_owned(),
            permissions: vec![Permission {
                provider: Provider::OpenAi,
                models: vec![ModelPattern::every_model()],
                capabilities: BTreeSet::from([Capability::Chat]),
                limits: Limits::NONE,
            }],
            limits: Limits { budget_usd: Some(Amount::TWO_USD), ..Limits::NONE },
            no_money_limit: false,
            end: End::Friday,
        }
    }

    #[test]
    fn friday_is_the_next_one_and_on_a_friday_that_very_day() {
        let last_moment =
            |days: u64| Timestamp::from_seconds(end_of_friday(NOW.plus_seconds(days * DAY_SECONDS)).seconds() - 1);
        assert_eq!(day(NOW), "2026-11-24");
        for days in 0..=3 {
            assert_eq!(day(last_moment(days)), "2026-11-27", "{days} days later");
        }
        assert_eq!(day(last_moment(4)), "2026-12-04", "on a Saturday");
    }

    #[test]
    fn a_day_is_the_last_of_the_token() {
        let end = End::parse("day", " 2026-11-24 ").unwrap().at(NOW).unwrap();
        assert_eq!((day(end), end.seconds() % DAY_SECONDS), ("2026-11-25".to_owned(), 0));
    }

    #[test]
    fn a_token_ends_in_the_future_and_within_a_year() {
        let end = |text: &str| End::parse("day", text).map_err(TokenError::from).and_then(|end| Ok(end.at(NOW)?));
        assert_eq!(end("2026-11-23"), Err(TokenError::EndPassed));
        assert_eq!(end("2027-11-24"), Err(TokenError::EndTooLate));
        assert!(end("2027-11-23").is_ok());
        for text in ["", "tomorrow", "2026-02-30", "2026-11-24T00:00"] {
            assert_eq!(end(text), Err(TokenError::NotAnEnd), "{text}");
        }
    }

    #[test]
    fn only_ends_on_offer_are_taken() {
        assert_eq!(End::parse("3600", ""), Ok(End::After(3600)));
        assert_eq!(End::parse("friday", "2026-11-24"), Ok(End::Friday));
        for text in ["", "3601", "03600", "+3600", "Friday", "0"] {
            assert_eq!(End::parse(text, ""), Err(NotOffered), "{text}");
        }
    }

    #[test]
    fn a_token_ends_in_a_whole_second() {
        let end = End::After(3600).at(Timestamp::from_millis(NOW.millis() + 999)).unwrap();
        assert_eq!(end, NOW.plus_seconds(3600));
    }

    #[test]
    fn a_name_is_plain_text_on_one_line() {
        assert_eq!(read_name("  my notebook "), Ok("my notebook".to_owned()));
        assert_eq!(read_name(" \t"), Err(TokenError::NoName));
        assert_eq!(read_name(&"x".repeat(61)), Err(TokenError::LongName));
        for name in ["a\nb", "evil\u{202e}txt", "a\u{200b}", "\u{3164}"] {
            assert_eq!(read_name(name), Err(TokenError::DeceptiveName), "{name:?}");
        }
    }

    #[test]
    fn no_model_is_every_model_and_each_counts_once() {
        let read = |texts: &[&str]| read_models(Provider::OpenAi, texts.iter().copied());
        assert_eq!(read(&["", " "]), Ok(vec![ModelPattern::every_model()]));
        let models = read(&["gpt-5-mini", "", "gpt-5.1*", " gpt-5-mini "]).unwrap();
        assert_eq!(models.iter().map(ModelPattern::as_str).collect::<Vec<_>>(), ["gpt-5-mini", "gpt-5.1*"]);
        assert_eq!(read(&["two words"]), Err(TokenError::Models(Provider::OpenAi)));
    }

    #[test]
    fn money_without_a_limit_has_to_be_said() {
        assert!(choice().terms(NOW).is_ok());
        let open = TokenChoice { limits: Limits::NONE, ..choice() };
        assert_eq!(open.terms(NOW), Err(TokenError::MoneyOpen));
        assert!(TokenChoice { no_money_limit: true, ..open }.terms(NOW).is_ok());
    }

    #[test]
    fn a_token_is_for_something() {
        assert_eq!(TokenChoice { permissions: Vec::new(), ..choice() }.terms(NOW), Err(TokenError::NoProvider));
        let mut useless = choice();
        useless.permissions[0].capabilities.clear();
        assert_eq!(useless.terms(NOW), Err(TokenError::NoCapabilities(Provider::OpenAi)));
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_the_end_lies_ahead_and_within_a_year(text in "[0-9a-z-]{0,12}", day in "[0-9]{4}-[0-9]{2}-[0-9]{2}") {
            if let Ok(end) = End::parse(&text, &day) && let Ok(at) = end.at(NOW) {
                prop_assert!(at > NOW && at <= NOW.plus_seconds(31_536_000));
            }
        }
    }
}
