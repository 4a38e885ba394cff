//! Numbers, times and permissions as people read them.

use crate::domain::{
    limits::Period,
    money::NanoUsd,
    permission::{Capability, ModelPattern, Permission},
    time::Timestamp,
};

/// Most models that a sentence names before it says "and n more".
pub const MAX_MODELS_IN_A_SENTENCE: usize = 6;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in both forms of a `<time>` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For machines: RFC 3339.
    pub machine: String,
    /// For people: `30 Nov 2026, 14:05 UTC`.
    pub human: String,
    /// From now: `in 6 days`, `3 minutes ago`.
    pub relative: String,
}

impl Moment {
    /// `at`, seen from `now`.
    #[must_use]
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        let (year, month, day) = at.date();
        let of_day = at.seconds() % 86_400;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let name = usize::try_from(month).ok().and_then(|month| MONTHS.get(month.saturating_sub(1))).unwrap_or(&"");
        Self {
            machine: format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
            human: format!("{day} {name} {year}, {hour:02}:{minute:02} UTC"),
            relative: relative(at, now),
        }
    }
}

fn relative(at: Timestamp, now: Timestamp) -> String {
    let (past, seconds) =
        if at <= now { (true, now.seconds() - at.seconds()) } else { (false, at.seconds() - now.seconds()) };
    if seconds < 60 {
        return if past { "just now".to_owned() } else { "in less than a minute".to_owned() };
    }
    // To the nearest: what was allowed for a week a minute ago ends in 7 days.
    let (minutes, hours, days) = ((seconds + 30) / 60, (seconds + 1800) / 3600, (seconds + 43_200) / 86_400);
    let (count, unit) = match (minutes, hours) {
        (..60, _) => (minutes, "minute"),
        (_, ..24) => (hours, "hour"),
        _ => (days, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if past { format!("{count} {unit}{plural} ago") } else { format!("in {count} {unit}{plural}") }
}

/// `1000000` as `1,000,000`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Which way an amount is rounded that has more places than people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// What was spent: never shown as less.
    Up,
    /// What is left: never shown as more.
    Down,
}

/// Money without its currency: in cents, and below a cent with two digits that say something. What isn't nothing is never `0.00`. What
/// is left of less than a dollar has four places, or a little that was spent would look like a cent.
#[must_use]
pub fn usd(amount: NanoUsd, round: Round) -> String {
    const CENT: u64 = 10_000_000;
    const DOLLAR: u64 = 100 * CENT;
    let step = match (amount.0, round) {
        (..CENT, _) => 10_u64.pow(amount.0.checked_ilog10().unwrap_or(0).saturating_sub(1)),
        (..DOLLAR, Round::Down) => CENT / 100,
        _ => CENT,
    };
    let steps = match round {
        Round::Up => amount.0.div_ceil(step),
        Round::Down => amount.0 / step,
    };
    let text = NanoUsd(steps.saturating_mul(step)).to_string();
    match text.split_once('.') {
        Some((whole, places)) => format!("{}.{places}", whole.parse().map_or_else(|_| whole.to_owned(), thousands)),
        None => text,
    }
}

/// What a budget is for; follows an amount.
#[must_use]
pub const fn period(period: Period) -> &'static str {
    match period {
        Period::Total => "in all",
        Period::Month => "per month",
        Period::Day => "per day",
    }
}

/// The present one.
#[must_use]
pub const fn this_period(period: Period) -> &'static str {
    match period {
        Period::Total => "in all",
        Period::Month => "this month",
        Period::Day => "today",
    }
}

/// A length of time that the consent page offers.
#[must_use]
pub fn lifetime(seconds: u64) -> String {
    match seconds {
        3600 => "1 hour".to_owned(),
        86_400 => "1 day".to_owned(),
        31_536_000 => "1 year".to_owned(),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What a capability lets an app do; follows "may".
#[must_use]
pub const fn deed(capability: Capability) -> &'static str {
    match capability {
        Capability::Chat => "chat",
        Capability::Embeddings => "create embeddings",
        Capability::Images => "make images",
        Capability::Audio => "use speech and transcription",
        Capability::Moderation => "check content",
        Capability::ServerTools => "run provider tools",
    }
}

/// A capability as a label with what it means.
#[must_use]
pub const fn label(capability: Capability) -> &'static str {
    match capability {
        Capability::Chat => "Chat",
        Capability::Embeddings => "Embeddings",
        Capability::Images => "Images",
        Capability::Audio => "Speech and transcription",
        Capability::Moderation => "Content checks (moderation)",
        Capability::ServerTools => "Provider tools, such as web search (cost extra)",
    }
}

/// A `models` entry in words.
#[must_use]
pub fn model(pattern: &ModelPattern) -> String {
    if pattern.is_every_model() {
        return "any model".to_owned();
    }
    match pattern.as_str().strip_suffix('*') {
        Some(prefix) => format!("any {prefix}… model"),
        None => pattern.to_string(),
    }
}

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list(items: &[String]) -> String {
    match items.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// A permission in a sentence: `Chat with gpt-5-mini and gpt-5.1 at OpenAI`.
#[must_use]
pub fn sentence(permission: &Permission) -> String {
    let deeds: Vec<String> = permission.capabilities.iter().map(|capability| deed(*capability).to_owned()).collect();
    let mut models: Vec<String> = if permission.models.iter().any(ModelPattern::is_every_model) {
        vec!["any model".to_owned()]
    } else {
        permission.models.iter().take(MAX_MODELS_IN_A_SENTENCE).map(model).collect()
    };
    if let Some(more) = permission.models.len().checked_sub(MAX_MODELS_IN_A_SENTENCE).filter(|more| *more > 0)
        && models.len() > 1
    {
        models.push(format!("{more} more"));
    }
    let deeds = capitalised(&list(&deeds));
    format!("{deeds} with {} at {}", list(&models), permission.provider.display_name())
}

/// What stands at the money of one of `count` permissions.
#[must_use]
pub fn money_label(sentence: &str, count: usize) -> String {
    if count == 1 { "It may spend at most".to_owned() } else { format!("{sentence}: at most") }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authorization_details::Requested;

    #[test]
    fn a_moment_is_written_for_machines_and_people() {
        let now = Timestamp::from_seconds(1_795_478_400);
        let moment = Moment::new(now.plus_seconds(7 * 86_400 + 60), now);
        assert_eq!(moment.machine, "2026-12-01T00:01:00Z");
        assert_eq!(moment.human, "1 Dec 2026, 00:01 UTC");
        assert_eq!(moment.relative, "in 7 days");
        assert_eq!(Moment::new(Timestamp::from_seconds(951_782_400), now).machine, "2000-02-29T00:00:00Z");
    }

    #[test]
    fn a_week_that_began_a_minute_ago_ends_in_seven_days() {
        let end = |seconds| relative(Timestamp::from_seconds(seconds), Timestamp::from_seconds(0));
        assert_eq!(end(7 * 86_400 - 60), "in 7 days");
        assert_eq!(end(3_599), "in 1 hour");
        assert_eq!(end(86_399), "in 1 day");
        assert_eq!(end(90), "in 2 minutes");
    }

    #[test]
    fn the_past_is_ago() {
        let now = Timestamp::from_seconds(10_000);
        assert_eq!(relative(Timestamp::from_seconds(9_999), now), "just now");
        assert_eq!(relative(Timestamp::from_seconds(9_880), now), "2 minutes ago");
        assert_eq!(relative(Timestamp::from_seconds(6_400), now), "1 hour ago");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"].map(str::to_owned));
    }

    #[test]
    fn money_is_shown_in_cents_and_never_as_less_than_was_spent() {
        let shown = |nano: u64| [usd(NanoUsd(nano), Round::Up), usd(NanoUsd(nano), Round::Down)];
        assert_eq!(shown(0), ["0.00", "0.00"]);
        assert_eq!(shown(1_230_000_000), ["1.23", "1.23"]);
        assert_eq!(shown(1_230_000_001), ["1.24", "1.23"]);
        assert_eq!(shown(1_234_500_000_000), ["1,234.50", "1,234.50"]);
        assert_eq!(shown(19_960_000), ["0.02", "0.0199"]);
        assert_eq!(shown(1_234_567), ["0.0013", "0.0012"]);
        assert_eq!(shown(9_999_999), ["0.01", "0.0099"]);
        assert_eq!(shown(1), ["0.000000001", "0.000000001"]);
    }

    fn said(json: &str) -> String {
        sentence(&Requested::from_authorization_details(json).unwrap().permissions[0])
    }

    #[test]
    fn a_permission_is_said_in_words() {
        let json = r#"[{"type":"ai_access","provider":"openai","models":["gpt-5-mini","gpt-5.1*"],"capabilities":["chat","embeddings"]}]"#;
        assert_eq!(said(json), "Chat and create embeddings with gpt-5-mini and any gpt-5.1… model at OpenAI");
        let json = r#"[{"type":"ai_access","provider":"anthropic","models":["x","*"],"capabilities":["chat"]}]"#;
        assert_eq!(said(json), "Chat with any model at Anthropic");
    }

    #[test]
    fn a_long_list_of_models_is_counted() {
        let json = r#"[{"type":"ai_access","provider":"openai","models":["a","b","c","d","e","f","g","h"],"capabilities":["chat"]}]"#;
        assert_eq!(said(json), "Chat with a, b, c, d, e, f and 2 more at OpenAI");
    }
}
