//! Waits that providers ask for (`retry-after`, RFC 9110 §10.2.3), remembered so that nobody asks again too soon.
//!
//! Two rules, so that one app can neither throttle the key that all share nor be the reason that all stop:
//! - what a provider asks of one grant's calls of a model, those calls keep at once, for [`MOST_SECONDS`] at most;
//! - all calls of a provider stop only after it has answered [`GRANTS_OF_A_KEY`] grants with 429 within [`KEY_SECONDS`], for
//!   [`MOST_SECONDS_OF_A_KEY`] at most, after which as many have to be answered so again. An account without money
//!   (`insufficient_quota`) is no reason: waiting doesn't cure that.
//!
//! It is memory of one isolate: others find out by themselves. Nothing that limits money depends on it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::{id::GrantId, permission::Provider, time::Timestamp};

/// The longest wait of a grant that is heeded, in seconds.
pub const MOST_SECONDS: u64 = 60;
/// The longest time for which all calls of a provider stop, in seconds.
pub const MOST_SECONDS_OF_A_KEY: u64 = 5;
/// How many grants have to be answered with 429 before all calls of a provider stop.
pub const GRANTS_OF_A_KEY: usize = 3;
/// Within how many seconds.
pub const KEY_SECONDS: u64 = 10;

/// Waits that are remembered. The one that ends first makes room for another.
const MAX_WAITS: usize = 1024;
/// Names of models are compared by so many characters.
const MAX_MODEL_CHARS: usize = 100;

/// What an answer with an error says about another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Seconds, rounded up; `None`: it names none.
    seconds: Option<u64>,
    /// Whether it says that the key is used too often.
    is_of_key: bool,
}

impl Wait {
    /// Reads an answer; `None`: it asks nobody to wait. `header` gives a header's value. A date in `retry-after` isn't read: neither
    /// provider sends one.
    #[must_use]
    pub fn of<'a>(status: u16, header: impl Fn(&str) -> Option<&'a str>, body: Option<&str>) -> Option<Self> {
        if !matches!(status, 429 | 503 | 529) {
            return None;
        }
        let number = |name: &str| header(name).and_then(|text| text.trim().parse::<u64>().ok());
        let seconds = number("retry-after").or_else(|| number("retry-after-ms").map(|millis| millis.div_ceil(1000)));
        let is_of_key = status == 429 && !body.is_some_and(|body| body.contains("insufficient_quota"));
        (seconds.is_some_and(|seconds| seconds > 0) || is_of_key).then_some(Self { seconds, is_of_key })
    }
}

/// The waits that hold.
#[derive(Debug, Default)]
pub struct Throttle {
    grants: HashMap<(GrantId, Provider, String), Timestamp>,
    keys: BTreeMap<Provider, OfKey>,
}

/// What is known of the key of a provider.
#[derive(Debug, Default)]
struct OfKey {
    /// Grants that were answered with 429 lately, and when; the earliest first, each once.
    answered: VecDeque<(GrantId, Timestamp)>,
    stops_until: Timestamp,
}

impl Throttle {
    /// Seconds until a grant's call of a model should be made; `None`: now.
    #[must_use]
    pub fn seconds_left(&self, grant: &GrantId, provider: Provider, model: &str, now: Timestamp) -> Option<u64> {
        let of_grant = self.grants.get(&(grant.clone(), provider, shortened(model))).copied();
        let of_key = self.keys.get(&provider).map(|key| key.stops_until);
        let until = of_grant.into_iter().chain(of_key).max()?;
        let millis = until.millis().saturating_sub(now.millis());
        (millis > 0).then(|| millis.div_ceil(1000))
    }

    /// A grant's call of a model was answered so.
    pub fn note(&mut self, grant: &GrantId, provider: Provider, model: &str, wait: Wait, now: Timestamp) {
        if let Some(seconds) = wait.seconds.filter(|seconds| *seconds > 0) {
            self.make_room(now);
            let until = now.plus_seconds(seconds.min(MOST_SECONDS));
            self.grants.insert((grant.clone(), provider, shortened(model)), until);
        }
        if wait.is_of_key {
            let key = self.keys.entry(provider).or_default();
            key.answered.retain(|(other, at)| other != grant && at.plus_seconds(KEY_SECONDS) > now);
            key.answered.push_back((grant.clone(), now));
            if key.answered.len() >= GRANTS_OF_A_KEY {
                key.answered.clear();
                key.stops_until = now.plus_seconds(wait.seconds.unwrap_or(1).clamp(1, MOST_SECONDS_OF_A_KEY));
            }
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.grants.len() < MAX_WAITS {
            return;
        }
        self.grants.retain(|_, until| *until > now);
        if self.grants.len() >= MAX_WAITS
            && let Some(first) = self.grants.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone())
        {
            self.grants.remove(&first);
        }
    }
}

fn shortened(model: &str) -> String {
    model.chars().take(MAX_MODEL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);
    const OPENAI: Provider = Provider::OpenAi;

    fn grant(number: usize) -> GrantId {
        format!("grant_{number}").parse().unwrap()
    }

    fn wait(status: u16, headers: &[(&str, &'static str)], body: Option<&str>) -> Option<Wait> {
        Wait::of(status, |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value), body)
    }

    fn asks(seconds: u64) -> Wait {
        Wait { seconds: Some(seconds), is_of_key: true }
    }

    #[test]
    fn what_a_provider_says_is_read_from_either_header() {
        assert_eq!(wait(429, &[("retry-after", "7")], None).unwrap().seconds, Some(7));
        assert_eq!(wait(529, &[("retry-after", " 7 ")], None), Some(Wait { seconds: Some(7), is_of_key: false }));
        assert_eq!(wait(503, &[("retry-after-ms", "1200")], None).unwrap().seconds, Some(2));
        for (status, headers) in
            [(503, &[][..]), (500, &[("retry-after", "7")][..]), (503, &[("retry-after", "0")][..])]
        {
            assert_eq!(wait(status, headers, None), None, "{status} {headers:?}");
        }
        assert_eq!(wait(429, &[("retry-after", "soon")], None), Some(Wait { seconds: None, is_of_key: true }));
    }

    #[test]
    fn a_grant_waits_with_that_model_and_no_other_does() {
        let mut throttle = Throttle::default();
        throttle.note(&grant(1), OPENAI, "gpt-5", asks(30), NOW);
        let left = |grant: &GrantId, provider, model, seconds| {
            throttle.seconds_left(grant, provider, model, NOW.plus_seconds(seconds))
        };
        assert_eq!(left(&grant(1), OPENAI, "gpt-5", 0), Some(30));
        assert_eq!(left(&grant(1), OPENAI, "gpt-5", 29), Some(1));
        assert_eq!(left(&grant(1), OPENAI, "gpt-5", 30), None);
        assert_eq!(left(&grant(1), OPENAI, "gpt-5-mini", 0), None);
        assert_eq!(left(&grant(1), Provider::Anthropic, "gpt-5", 0), None);
        assert_eq!(left(&grant(2), OPENAI, "gpt-5", 0), None);
    }

    #[test]
    fn nobody_waits_longer_than_a_minute() {
        let mut throttle = Throttle::default();
        throttle.note(&grant(1), OPENAI, "m", asks(86_400), NOW);
        assert_eq!(throttle.seconds_left(&grant(1), OPENAI, "m", NOW), Some(MOST_SECONDS));
    }

    #[test]
    fn a_grant_alone_never_stops_the_key() {
        let mut throttle = Throttle::default();
        for second in 0..100_u32 {
            let (number, second) = (second as usize % 2, u64::from(second));
            throttle.note(&grant(number), OPENAI, "m", asks(60), NOW.plus_seconds(second));
            assert_eq!(throttle.seconds_left(&grant(9), OPENAI, "m", NOW.plus_seconds(second)), None);
        }
    }

    #[test]
    fn three_grants_within_ten_seconds_stop_the_key_for_five_at_most() {
        let mut throttle = Throttle::default();
        for (number, second) in [(1, 0), (2, 5), (3, 10)] {
            throttle.note(&grant(number), OPENAI, "m", asks(60), NOW.plus_seconds(second));
        }
        let later = |seconds| NOW.plus_seconds(seconds);
        assert_eq!(throttle.seconds_left(&grant(9), OPENAI, "m", later(10)), None, "the first was ten seconds ago");
        throttle.note(&grant(4), OPENAI, "m", asks(60), later(11));
        assert_eq!(throttle.seconds_left(&grant(9), OPENAI, "m", later(11)), Some(MOST_SECONDS_OF_A_KEY));
        assert_eq!(throttle.seconds_left(&grant(9), Provider::Anthropic, "m", later(11)), None);
        throttle.note(&grant(5), OPENAI, "m", asks(60), later(12));
        assert_eq!(throttle.seconds_left(&grant(9), OPENAI, "m", later(16)), None, "one more 429 doesn't prolong it");
    }

    #[test]
    fn an_account_without_money_never_stops_the_key() {
        let body = r#"{"error":{"code":"insufficient_quota"}}"#;
        assert_eq!(wait(429, &[], Some(body)), None);
        let asked = wait(429, &[("retry-after", "9")], Some(body)).unwrap();
        let mut throttle = Throttle::default();
        for number in 0..10 {
            throttle.note(&grant(number), OPENAI, "m", asked, NOW);
        }
        assert_eq!(throttle.seconds_left(&grant(99), OPENAI, "m", NOW), None);
        assert_eq!(throttle.seconds_left(&grant(1), OPENAI, "m", NOW), Some(9));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_wait_that_ends_first_goes_first() {
        let mut throttle = Throttle::default();
        throttle.note(&grant(0), OPENAI, "m", Wait { seconds: Some(1), is_of_key: false }, NOW);
        for number in 1..=MAX_WAITS {
            throttle.note(&grant(number), OPENAI, "m", Wait { seconds: Some(50), is_of_key: false }, NOW);
        }
        assert_eq!(throttle.grants.len(), MAX_WAITS);
        assert_eq!(throttle.seconds_left(&grant(0), OPENAI, "m", NOW), None);
        throttle.note(&grant(0), OPENAI, "m", asks(1), NOW.plus_seconds(50));
        assert_eq!(throttle.grants.len(), 1);
    }
}
