//! The fields of limits, on the consent page and on a grant's own.
//!
//! | field | |
//! |---|---|
//! | `budget_usd`, `budget_period` | money, and what it is for; an empty amount is no limit |
//! | `no_budget` | over the whole grant alone: ticked where money shall have no limit |
//! | `tokens`, `requests`, `requests_per_minute`, `concurrency` | numbers; empty is no limit |
//!
//! Those of a permission have `p0.`, `p1.`, … before their names. Reading is strict: a number is digits and nothing else, and a limit
//! that stands twice is no limit at all but an error.

use core::num::{NonZeroU32, NonZeroU64};

use super::{format, language::Language};
use crate::domain::{
    limits::{Limits, MAX_STORED_INTEGER, Period},
    money::Amount,
    oauth::params::Params,
};

const NO_BUDGET: &str = "no_budget";

/// Why a field can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct FieldError {
    /// Its name.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field. The text is for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A limit that isn't a number.
    #[error("{0} must be a whole number from 1 on, written in digits, or empty for no limit")]
    NotANumber(&'static str),
    /// Not an amount of money.
    #[error(
        "money is written in US dollars like 5 or 2.50: with a point, without any other sign, and more than nothing"
    )]
    NotAnAmount,
    /// Not a period.
    #[error("money is limited in all, per month or per day")]
    NotAPeriod,
    /// Somebody may have meant either.
    #[error("an amount of money is written and \u{201c}No money limit\u{201d} is ticked; choose one of them")]
    AmountAndNoLimit,
    /// The form says something twice.
    #[error("{0} was sent twice; load the page again")]
    Twice(&'static str),
}

impl FieldError {
    /// For the person.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        self.problem.text(language)
    }
}

impl Problem {
    fn text(self, language: Language) -> String {
        match self {
            Self::NotANumber(what) => language.with(
                "{0} must be a whole number from 1 on, written in digits, or empty for no limit",
                &[&language.t(what)],
            ),
            Self::NotAnAmount => language
                .t("money is written in US dollars like 5 or 2.50: with a point, without any other sign, and more than nothing")
                .to_owned(),
            Self::NotAPeriod => language.t("money is limited in all, per month or per day").to_owned(),
            Self::AmountAndNoLimit => language
                .t("an amount of money is written and \u{201c}No money limit\u{201d} is ticked; choose one of them")
                .to_owned(),
            Self::Twice(what) => language.with("{0} was sent twice; load the page again", &[&language.t(what)]),
        }
    }

    const fn of(self, field: String) -> FieldError {
        FieldError { field, problem: self }
    }
}

/// Reads the limits of a permission.
///
/// # Errors
/// [`FieldError`].
pub fn read(params: &Params, prefix: &str) -> Result<Limits, FieldError> {
    let limits = read_numbers(params, prefix)?;
    let name = format!("{prefix}budget_usd");
    let text = one(params, &name, "the amount of money")?;
    if text.is_empty() {
        return Ok(limits);
    }
    let budget = amount(text).ok_or_else(|| Problem::NotAnAmount.of(name))?;
    Ok(Limits { budget_usd: Some(budget), budget_period: period(params, prefix)?, ..limits })
}

/// Reads the limits over the whole grant, and whether "No money limit" is ticked. `shown` is the amount that the page came with: left
/// as it was beside the tick, it is not meant.
///
/// # Errors
/// [`FieldError`].
pub fn read_overall(params: &Params, shown: Option<Amount>) -> Result<(Limits, bool), FieldError> {
    if !is_no_budget_ticked(params) {
        return Ok((read(params, "")?, false));
    }
    let limits = read_numbers(params, "")?;
    let text = one(params, "budget_usd", "the amount of money")?;
    if text.is_empty() || (shown.is_some() && amount(text) == shown) {
        return Ok((limits, true));
    }
    Err(Problem::AmountAndNoLimit.of("budget_usd".to_owned()))
}

fn is_no_budget_ticked(params: &Params) -> bool {
    !params.field(NO_BUDGET).is_empty()
}

/// Reads everything but money.
///
/// # Errors
/// [`FieldError`].
pub fn read_numbers(params: &Params, prefix: &str) -> Result<Limits, FieldError> {
    Ok(Limits {
        tokens: number(params, prefix, "tokens", "tokens")?,
        requests: number(params, prefix, "requests", "requests")?,
        requests_per_minute: number(params, prefix, "requests_per_minute", "requests per minute")?,
        concurrency: number(params, prefix, "concurrency", "calls at a time")?,
        ..Limits::NONE
    })
}

/// As people write it, blanks around it and a dollar sign before it included. A comma may be a point or nothing: that is refused.
pub fn amount(text: &str) -> Option<Amount> {
    text.strip_prefix('$').map_or(text, str::trim_start).parse().ok()
}

fn period(params: &Params, prefix: &str) -> Result<Period, FieldError> {
    let name = format!("{prefix}budget_period");
    let text = one(params, &name, "the period of the money")?;
    let period = Period::ALL.into_iter().find(|period| period.as_str() == text);
    period.ok_or_else(|| Problem::NotAPeriod.of(name))
}

fn number<T: TryFrom<NonZeroU64>>(
    params: &Params,
    prefix: &str,
    name: &str,
    label: &'static str,
) -> Result<Option<T>, FieldError> {
    let name = format!("{prefix}{name}");
    let text = one(params, &name, label)?;
    if text.is_empty() {
        return Ok(None);
    }
    let number = digits(text).and_then(NonZeroU64::new).and_then(|number| T::try_from(number).ok());
    number.map(Some).ok_or_else(|| Problem::NotANumber(label).of(name))
}

/// The value of a field that stands once, without the blanks around it.
fn one<'a>(params: &'a Params, name: &str, label: &'static str) -> Result<&'a str, FieldError> {
    if params.all(name).nth(1).is_some() {
        return Err(Problem::Twice(label).of(name.to_owned()));
    }
    Ok(params.field(name).trim())
}

/// Digits, and nothing that a parser might make a number of: no sign, no exponent, no space.
pub fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok().filter(|number| *number <= MAX_STORED_INTEGER) } else { None }
}

/// A form that came back, to be shown as it was filled in.
#[derive(Clone, Copy, Debug)]
pub struct Posted<'a> {
    /// Its fields.
    pub params: &'a Params,
    /// The one that is wrong, if it is known which.
    pub wrong: Option<&'a str>,
}

/// Limits to edit.
#[derive(Debug)]
pub struct LimitsView {
    /// Money.
    pub money: MoneyView,
    /// Everything else.
    pub numbers: Vec<NumberView>,
}

/// Money to edit.
#[derive(Debug)]
pub struct MoneyView {
    /// Before the names of the fields.
    pub prefix: String,
    /// What stands in the field.
    pub amount: String,
    /// What it may be for.
    pub periods: Vec<PeriodView>,
    /// What the app asked for, which is the most that can be granted.
    pub most: Option<String>,
    /// Whether that is less, because the operator allows no more.
    pub is_lowered: bool,
    /// Whether "No money limit" is ticked. `None`: it isn't on offer.
    pub none: Option<bool>,
    /// Whether money is open without it.
    pub is_needed: bool,
    /// Whether the field is wrong.
    pub is_wrong: bool,
}

/// A period to choose.
#[derive(Debug)]
pub struct PeriodView {
    /// What is sent.
    pub value: &'static str,
    /// What is read.
    pub label: &'static str,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// A number to edit.
#[derive(Debug)]
pub struct NumberView {
    /// The field.
    pub name: String,
    /// What is read.
    pub label: &'static str,
    /// What stands in it.
    pub value: String,
    /// What the app asked for, which is the most that can be granted.
    pub most: Option<u64>,
    /// Whether there is, or was asked for, such a limit.
    pub is_set: bool,
    /// Whether the field is wrong.
    pub is_wrong: bool,
}

impl LimitsView {
    /// What an app asks for, which can be made tighter. `proposed`: money, where it asks for none.
    #[must_use]
    pub fn asked(
        prefix: &str,
        asked: &Limits,
        proposed: Option<Amount>,
        posted: Option<Posted<'_>>,
        language: Language,
    ) -> Self {
        let shown = Limits { budget_usd: asked.budget_usd.or(proposed), ..*asked };
        let mut view = Self::current(prefix, &shown, posted, language);
        for (number, most) in view.numbers.iter_mut().zip(numbers_of(asked)) {
            number.most = most;
        }
        view.money.most = asked.budget_usd.map(|budget| format::per(budget, asked.budget_period, language));
        if asked.budget_usd.is_some() {
            view.money.periods.retain(|period| {
                Period::ALL.iter().any(|known| known.as_str() == period.value && *known >= asked.budget_period)
            });
        }
        view.money.is_needed = proposed.is_some();
        view.money.none = proposed.map(|_| posted.is_some_and(|form| is_no_budget_ticked(form.params)));
        view
    }

    /// Says whether the operator made it less than what the app asked for.
    #[must_use]
    pub fn left_of(mut self, as_asked: &Limits, left: &Limits) -> Self {
        self.money.is_lowered = left.budget_usd != as_asked.budget_usd;
        self
    }

    /// What holds, which can be made anything.
    #[must_use]
    pub fn current(prefix: &str, limits: &Limits, posted: Option<Posted<'_>>, language: Language) -> Self {
        let named = |name: &str| format!("{prefix}{name}");
        let is_wrong = |name: &str| posted.is_some_and(|form| form.wrong == Some(name));
        let value = |name: &str, fresh: Option<String>| match posted {
            Some(form) => form.params.field(name).to_owned(),
            None => fresh.unwrap_or_default(),
        };
        let period = value(&named("budget_period"), Some(limits.budget_period.as_str().to_owned()));
        let labels = [
            ("tokens", language.t("Tokens in total")),
            ("requests", language.t("Requests in total")),
            ("requests_per_minute", language.t("Requests per minute")),
            ("concurrency", language.t("Calls at a time")),
        ];
        Self {
            money: MoneyView {
                prefix: prefix.to_owned(),
                amount: value(&named("budget_usd"), limits.budget_usd.map(|budget| budget.to_string())),
                periods: Period::ALL
                    .into_iter()
                    .map(|known| PeriodView {
                        value: known.as_str(),
                        label: format::period(known, language),
                        chosen: known.as_str() == period,
                    })
                    .collect(),
                most: None,
                is_lowered: false,
                none: None,
                is_needed: false,
                is_wrong: is_wrong(&named("budget_usd")) || is_wrong(&named("budget_period")),
            },
            numbers: labels
                .into_iter()
                .zip(numbers_of(limits))
                .map(|((name, label), number)| {
                    let name = named(name);
                    let value = value(&name, number.map(|number| number.to_string()));
                    let is_set = number.is_some() || !value.is_empty();
                    NumberView { is_wrong: is_wrong(&name), name, label, value, most: None, is_set }
                })
                .collect(),
        }
    }

    /// The same over a whole grant, where "No money limit" is on offer; ticked when money is open.
    #[must_use]
    pub fn with_no_money_limit(mut self, is_open: bool, posted: Option<Posted<'_>>) -> Self {
        self.money.is_needed = is_open;
        self.money.none = Some(posted.map_or(is_open, |form| is_no_budget_ticked(form.params)));
        self
    }

    /// Whether some limit but money is set.
    #[must_use]
    pub fn has_set(&self) -> bool {
        self.numbers.iter().any(|number| number.is_set)
    }

    /// Whether some limit is not set, and so tucked away.
    #[must_use]
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub fn has_unset(&self, with_money: &bool) -> bool {
        (*with_money && !self.money.is_set()) || self.numbers.iter().any(|number| !number.is_set)
    }

    /// The form as it is sent when nobody has touched it.
    #[cfg(test)]
    #[must_use]
    pub fn as_sent(&self) -> String {
        let MoneyView { prefix, amount, periods, .. } = &self.money;
        let period = periods.iter().find(|period| period.chosen).map_or("", |period| period.value);
        let mut fields = vec![format!("{prefix}budget_usd={amount}"), format!("{prefix}budget_period={period}")];
        fields.extend(self.numbers.iter().map(|number| format!("{}={}", number.name, number.value)));
        fields.join("&")
    }
}

impl MoneyView {
    /// Whether it says something as it stands, or should: else it is tucked away.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.is_needed || self.none == Some(true) || self.is_wrong || self.is_set()
    }

    /// Whether there is, or was asked for, such a limit.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.most.is_some() || !self.amount.is_empty()
    }
}

/// In the order of the fields.
fn numbers_of(limits: &Limits) -> [Option<u64>; 4] {
    let small = |limit: Option<NonZeroU32>| limit.map(|limit| u64::from(limit.get()));
    [
        limits.tokens.map(NonZeroU64::get),
        limits.requests.map(NonZeroU64::get),
        small(limits.requests_per_minute),
        small(limits.concurrency),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(body: &str) -> Result<Limits, Problem> {
        read(&Params::parse(body.as_bytes()), "").map_err(|error| error.problem)
    }

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        for value in
            ["0", "-1", "%2B1", "1.5", "1e1", "ten", "1+1", "0x1", "9007199254740993", "99999999999999999999999"]
        {
            assert_eq!(limits(&format!("requests={value}")), Err(Problem::NotANumber("requests")), "{value}");
        }
        let answer = limits("concurrency=4294967296");
        assert_eq!(answer, Err(Problem::NotANumber("calls at a time")), "more than the type holds");
    }

    #[test]
    fn money_is_read_as_people_write_it() {
        for (text, written) in [("5", "5.00"), ("+5.5+", "5.50"), ("%245", "5.00"), ("$+0.001", "0.001")] {
            let read = limits(&format!("budget_usd={text}&budget_period=month")).unwrap();
            assert_eq!(read.budget_usd.map(|budget| budget.to_string()).as_deref(), Some(written), "{text}");
            assert_eq!(read.budget_period, Period::Month);
        }
    }

    #[test]
    fn what_could_be_another_amount_is_refused() {
        for text in
            ["0", "0.00", "5,00", "1,000", "-5", "5e3", "5USD", "five", "$", "$$5", "5.", "0.0000000001", "99999999"]
        {
            assert_eq!(limits(&format!("budget_usd={text}&budget_period=total")), Err(Problem::NotAnAmount), "{text}");
        }
        for period in ["", "week", "TOTAL"] {
            assert_eq!(limits(&format!("budget_usd=5&budget_period={period}")), Err(Problem::NotAPeriod), "{period}");
        }
    }

    #[test]
    fn a_period_without_money_says_nothing() {
        assert_eq!(limits("budget_usd=&budget_period=day&requests=+"), Ok(Limits::NONE));
    }

    #[test]
    fn a_limit_that_stands_twice_is_refused() {
        assert_eq!(limits("requests=1&requests=1"), Err(Problem::Twice("requests")));
        let answer = limits("budget_usd=1&budget_usd=1&budget_period=day");
        assert_eq!(answer, Err(Problem::Twice("the amount of money")));
    }

    #[test]
    fn an_amount_that_was_written_beside_the_tick_for_none_is_an_error() {
        let overall = |body: &str| {
            read_overall(&Params::parse(body.as_bytes()), Some(Amount::FIVE_USD)).map_err(|error| error.problem)
        };
        assert_eq!(overall("no_budget=on&budget_usd=7&budget_period=total"), Err(Problem::AmountAndNoLimit));
        assert_eq!(overall("no_budget=on&budget_usd=5&budget_period=total"), Ok((Limits::NONE, true)));
        assert_eq!(overall("no_budget=on"), Ok((Limits::NONE, true)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(amount in ".{0,24}", period in ".{0,8}", number in ".{0,24}") {
            let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let body = format!("budget_usd={}&budget_period={}&tokens={}", encode(&amount), encode(&period), encode(&number));
            let _ = limits(&body);
        }

        #[test]
        fn what_the_page_shows_is_read_back(nano in 1_u64..10_000_000_000, period in 0_usize..3, tokens in prop::option::of(1_u64..)) {
            let budget_usd = crate::domain::money::NanoUsd(nano).to_string().parse().ok();
            let tokens = tokens.filter(|tokens| *tokens <= MAX_STORED_INTEGER).and_then(NonZeroU64::new);
            let shown = Limits { budget_usd, budget_period: Period::ALL[period], tokens, ..Limits::NONE };
            prop_assert_eq!(limits(&LimitsView::current("", &shown, None, Language::English).as_sent()), Ok(shown));
        }
    }
}
