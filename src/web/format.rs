//! Numbers, money and permissions as people read them.

use super::language::Language;
use crate::domain::{
    limits::Period,
    money::NanoUsd,
    oauth::registration::is_deceptive,
    permission::{Capability, ModelPattern, Permission},
};

/// Most models that a sentence names before it says "and n more".
pub const MAX_MODELS_IN_A_SENTENCE: usize = 6;

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

/// What a stranger wrote, as far as `most` characters, with nothing in it that hides or turns text.
#[must_use]
pub fn plain(text: &str, most: usize) -> String {
    let shown = text.chars().map(|char| if is_deceptive(char) { '\u{fffd}' } else { char });
    let mut plain: String = shown.clone().take(most).collect();
    if shown.count() > most {
        plain.push('…');
    }
    plain
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
pub fn period(period: Period, language: Language) -> &'static str {
    match (language, period) {
        (Language::English, Period::Total) => "in all",
        (Language::English, Period::Month) => "per month",
        (Language::English, Period::Day) => "per day",
        (Language::Korean, Period::Total) => "전체 기간",
        (Language::Korean, Period::Month) => "매달",
        (Language::Korean, Period::Day) => "매일",
    }
}

/// So much for a period: `5.00 USD per month`, `매달 5.00 USD`.
#[must_use]
pub fn per(amount: impl core::fmt::Display, of: Period, language: Language) -> String {
    match language {
        Language::English => format!("{amount} USD {}", period(of, language)),
        Language::Korean => format!("{} {amount} USD", period(of, language)),
    }
}

/// Used of a budget in the present period: `1.23 of 5.00 USD this month`, `이번 달 5.00 USD 중 1.23`.
#[must_use]
pub fn of_this_period(used: &str, budget: impl core::fmt::Display, period: Period, language: Language) -> String {
    match (language, period) {
        (Language::English, Period::Total) => format!("{used} of {budget} USD in all"),
        (Language::English, Period::Month) => format!("{used} of {budget} USD this month"),
        (Language::English, Period::Day) => format!("{used} of {budget} USD today"),
        (Language::Korean, Period::Total) => format!("전체 {budget} USD 중 {used}"),
        (Language::Korean, Period::Month) => format!("이번 달 {budget} USD 중 {used}"),
        (Language::Korean, Period::Day) => format!("오늘 {budget} USD 중 {used}"),
    }
}

/// A length of time that is offered.
#[must_use]
pub fn lifetime(seconds: u64, language: Language) -> String {
    let days = seconds / 86_400;
    match (language, seconds) {
        (Language::English, 3600) => "1 hour".to_owned(),
        (Language::English, 86_400) => "1 day".to_owned(),
        (Language::English, 31_536_000) => "1 year".to_owned(),
        (Language::English, _) => format!("{days} days"),
        (Language::Korean, 3600) => "1시간".to_owned(),
        (Language::Korean, 31_536_000) => "1년".to_owned(),
        (Language::Korean, _) => format!("{days}일"),
    }
}

/// What a capability lets an app do; follows "may". In Korean a noun.
const fn deed(capability: Capability, language: Language) -> &'static str {
    match (capability, language) {
        (Capability::Chat, Language::English) => "chat",
        (Capability::Embeddings, Language::English) => "create embeddings",
        (Capability::Images, Language::English) => "make images",
        (Capability::Audio, Language::English) => "use speech and transcription",
        (Capability::Moderation, Language::English) => "check content",
        (Capability::ServerTools, Language::English) => "run provider tools",
        (Capability::Chat, Language::Korean) => "대화",
        (Capability::Embeddings, Language::Korean) => "임베딩 생성",
        (Capability::Images, Language::Korean) => "이미지 생성",
        (Capability::Audio, Language::Korean) => "음성 변환",
        (Capability::Moderation, Language::Korean) => "콘텐츠 검사",
        (Capability::ServerTools, Language::Korean) => "제공자 도구 실행",
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
pub fn model(pattern: &ModelPattern, language: Language) -> String {
    if pattern.is_every_model() {
        return language.t("any model").to_owned();
    }
    match pattern.as_str().strip_suffix('*') {
        Some(prefix) => language.with("any {0}… model", &[&prefix]),
        None => pattern.to_string(),
    }
}

/// `a`, `a and b`, `a, b and c`; in Korean `a, b, c`.
#[must_use]
pub fn list(items: &[String], language: Language) -> String {
    match (language, items.split_last()) {
        (_, None) => String::new(),
        (_, Some((only, []))) => only.clone(),
        (Language::English, Some((last, others))) => format!("{} and {last}", others.join(", ")),
        (Language::Korean, Some(_)) => items.join(", "),
    }
}

/// A permission in a sentence: `Chat with gpt-5-mini and gpt-5.1 at OpenAI`.
#[must_use]
pub fn sentence(permission: &Permission, language: Language) -> String {
    let deeds: Vec<String> =
        permission.capabilities.iter().map(|capability| deed(*capability, language).to_owned()).collect();
    let mut models: Vec<String> = if permission.models.iter().any(ModelPattern::is_every_model) {
        vec![language.t("any model").to_owned()]
    } else {
        permission.models.iter().take(MAX_MODELS_IN_A_SENTENCE).map(|pattern| model(pattern, language)).collect()
    };
    if let Some(more) = permission.models.len().checked_sub(MAX_MODELS_IN_A_SENTENCE).filter(|more| *more > 0)
        && models.len() > 1
    {
        models.push(language.with("{0} more", &[&more]));
    }
    let (deeds, models) = (capitalised(&list(&deeds, language)), list(&models, language));
    language.with("{0} with {1} at {2}", &[&deeds, &models, &permission.provider.display_name()])
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
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"].map(str::to_owned));
    }

    #[test]
    fn what_strangers_write_is_short_and_turns_no_text() {
        assert_eq!(plain("Firefox", 7), "Firefox");
        assert_eq!(plain("evil\u{202e}txt\n", 20), "evil\u{fffd}txt\u{fffd}");
        assert_eq!(plain("abcdef", 3), "abc…");
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
        sentence(&Requested::from_authorization_details(json).unwrap().permissions[0], Language::English)
    }

    #[test]
    fn a_permission_is_said_in_words() {
        let json = r#"[{"type":"ai_access","provider":"openai","models":["gpt-5-mini","gpt-5.1*"],"capabilities":["chat","embeddings"]}]"#;
        assert_eq!(said(json), "Chat and create embeddings with gpt-5-mini and any gpt-5.1… model at OpenAI");
        let json = r#"[{"type":"ai_access","provider":"anthropic","models":["x","*"],"capabilities":["chat"]}]"#;
        assert_eq!(said(json), "Chat with any model at Anthropic");
    }

    #[test]
    fn korean_names_the_provider_first() {
        let json = r#"[{"type":"ai_access","provider":"openai","models":["gpt-5-mini","gpt-5.1*"],"capabilities":["chat","embeddings"]}]"#;
        let permission = &Requested::from_authorization_details(json).unwrap().permissions[0];
        let said = sentence(permission, Language::Korean);
        assert_eq!(said, "OpenAI에서 대화, 임베딩 생성 (모델: gpt-5-mini, gpt-5.1… 계열)");
    }

    #[test]
    fn a_long_list_of_models_is_counted() {
        let json = r#"[{"type":"ai_access","provider":"openai","models":["a","b","c","d","e","f","g","h"],"capabilities":["chat"]}]"#;
        assert_eq!(said(json), "Chat with a, b, c, d, e, f and 2 more at OpenAI");
    }
}
