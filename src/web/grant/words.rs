//! A change in words: as it is noted, and as it is read in each language.
//!
//! It is noted in English, as `money: 5.00 USD in all → no limit; OpenAI, requests: 40 → 60`, and read part by part: what a part says
//! in another language is looked up, and what has none (numbers, names of providers) stays.

use core::num::{NonZeroU32, NonZeroU64};

use crate::{
    domain::{
        day::Day,
        grant::Terms,
        limits::{Limits, Period},
        time::Timestamp,
    },
    web::{
        format::{per, thousands},
        language::{Language, Moment},
    },
};

const NO_LIMIT: &str = "no limit";
const NEXT: &str = "; ";
const BECAME: &str = " \u{2192} ";

/// What is different, as it is noted. Empty: nothing that it has words for.
#[must_use]
pub fn difference(before: &Terms, after: &Terms) -> String {
    let mut parts = of_limits("", &before.limits, &after.limits);
    for (old, new) in before.permissions.iter().zip(&after.permissions) {
        let whose = format!("{}, ", old.provider.display_name());
        parts.extend(of_limits(&whose, &old.limits, &new.limits));
    }
    if before.expires_at != after.expires_at {
        parts.push(format!("end: {}{BECAME}{}", minute(before.expires_at), minute(after.expires_at)));
    }
    parts.join(NEXT)
}

fn of_limits(whose: &str, before: &Limits, after: &Limits) -> Vec<String> {
    let small = |limit: Option<NonZeroU32>| limit.map(|limit| u64::from(limit.get()));
    let number = |limit: Option<u64>| limit.map_or_else(|| NO_LIMIT.to_owned(), thousands);
    let money = |limits: &Limits| {
        let budget = limits.budget_usd;
        budget.map_or_else(|| NO_LIMIT.to_owned(), |budget| per(budget, limits.budget_period, Language::English))
    };
    let told = |limits: &Limits| {
        [
            ("money", money(limits)),
            ("tokens", number(limits.tokens.map(NonZeroU64::get))),
            ("requests", number(limits.requests.map(NonZeroU64::get))),
            ("requests per minute", number(small(limits.requests_per_minute))),
            ("calls at a time", number(small(limits.concurrency))),
        ]
    };
    let pairs = told(before).into_iter().zip(told(after));
    pairs
        .filter(|((_, old), (_, new))| old != new)
        .map(|((label, old), (_, new))| format!("{whose}{label}: {old}{BECAME}{new}"))
        .collect()
}

/// `2026-11-24 14:05 UTC`.
fn minute(at: Timestamp) -> String {
    let machine = Moment::new(at, at).machine();
    let time: String = machine.chars().skip("2026-11-24T".len()).take("14:05".len()).collect();
    format!("{} {time} UTC", Day::of(at))
}

/// What was noted, in a language. Whatever isn't such a note is given as it is.
#[must_use]
pub fn say(noted: &str, language: Language) -> String {
    let parts = noted.split(NEXT).map(|part| {
        let Some((label, values)) = part.split_once(": ") else { return part.to_owned() };
        let Some((before, after)) = values.split_once(BECAME) else { return part.to_owned() };
        let label = match label.rsplit_once(", ") {
            None => label_in(label, language).to_owned(),
            Some((whose, label)) => format!("{whose}, {}", label_in(label, language)),
        };
        format!("{label}: {}{BECAME}{}", value_in(before, language), value_in(after, language))
    });
    parts.collect::<Vec<_>>().join(NEXT)
}

fn label_in(label: &str, language: Language) -> &str {
    match label {
        "money" => language.t("money"),
        "tokens" => language.t("tokens"),
        "requests" => language.t("requests"),
        "requests per minute" => language.t("requests per minute"),
        "calls at a time" => language.t("calls at a time"),
        "end" => language.t("end"),
        other => other,
    }
}

fn value_in(value: &str, language: Language) -> String {
    if value == NO_LIMIT {
        return language.t("no limit").to_owned();
    }
    for period in Period::ALL {
        let suffix = per("", period, Language::English);
        if let Some(amount) = value.strip_suffix(&suffix) {
            return per(amount, period, language);
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::authorization_details::Requested;

    fn terms(details: &str, expires_at: u64) -> Terms {
        let asked = Requested::from_authorization_details(details).unwrap();
        let (permissions, limits) = (asked.permissions, asked.limits);
        let expires_at = Timestamp::from_seconds(expires_at);
        Terms { permissions, limits, expires_at, ..Terms::default() }
    }

    fn details(limits: &str, overall: &str) -> String {
        format!(
            r#"[{{"type":"ai_access","provider":"openai","models":["*"],"capabilities":["chat"],"limits":{limits}}},
                {{"type":"ai_limits"{overall}}}]"#
        )
    }

    #[test]
    fn a_change_is_noted_as_what_was_and_what_is() {
        let before = terms(&details(r#"{"requests":1000}"#, r#","budget_usd":"5""#), 1_795_392_000);
        let after =
            terms(&details(r#"{"concurrency":2}"#, r#","budget_usd":"7.5","budget_period":"month""#), 1_795_392_000);
        assert_eq!(
            difference(&before, &after),
            "money: 5.00 USD in all → 7.50 USD per month; OpenAI, requests: 1,000 → no limit; OpenAI, calls at a time: no limit → 2"
        );
        assert_eq!(difference(&before, &before), "");
        let later = Terms { expires_at: Timestamp::from_seconds(1_795_395_660), ..before.clone() };
        assert_eq!(difference(&before, &later), "end: 2026-11-23 00:00 UTC → 2026-11-23 01:01 UTC");
    }

    #[test]
    fn it_is_read_in_each_language() {
        let noted =
            "money: 5.00 USD in all → no limit; OpenAI, requests: 1,000 → no limit; end: 2026-11-23 00:00 UTC → x";
        assert_eq!(say(noted, Language::English), noted);
        let korean = say(noted, Language::Korean);
        assert!(korean.contains("전체 기간 5.00 USD → 제한 없음"), "{korean}");
        assert!(korean.contains("OpenAI, 요청"), "{korean}");
    }

    proptest! {
        #[test]
        fn whatever_else_was_noted_is_given_as_it_is(text in "[^→]{0,80}") {
            prop_assert_eq!(say(&text, Language::English), text.clone());
            prop_assert_eq!(say(&text, Language::Korean), text);
        }
    }
}
