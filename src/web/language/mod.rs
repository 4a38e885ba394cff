//! The languages of the pages: English, in which the sources are written, and Korean.
//!
//! The English text is the key, as with gettext: a page is readable where it is written, and what has no translation is shown in English
//! (a test fails first). `{0}`, `{1}`, … stand for arguments. Templates say `{{ "Sign in"|t }}` ([`filters`]), Rust says
//! `language.t("Sign in")`. Translations lie in one table per area, beside each other in [`ko`].

pub mod filters;
mod ko;
mod moment;
#[cfg(test)]
mod tests;

use core::fmt::Display;

use askama::Values;
use axum::http::{HeaderMap, header};

pub use moment::Moment;

use super::headers::cookie;

/// The name under which the filters find the language.
const VALUE: &str = "language";
/// The language that a person chose by hand.
pub const LANGUAGE_COOKIE: &str = "__Host-aip-language";

/// A language that the pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Korean.
    Korean,
}

impl Language {
    /// Every one of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// Those to choose from.
    #[must_use]
    #[expect(clippy::unused_self, reason = "templates can name a value, and not this type")]
    pub const fn all(self) -> [Self; 2] {
        Self::ALL
    }

    /// BCP 47.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }

    /// Its name in itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Korean => "한국어",
        }
    }

    /// The one of this tag.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// What was chosen by hand, else what the browser likes best of those there are.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted =
            || headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).map(Self::accepted);
        cookie(headers, LANGUAGE_COOKIE).and_then(Self::from_tag).or_else(accepted).unwrap_or_default()
    }

    /// RFC 9110 §12.5.4; of equal weights the first counts, as browsers list them by liking.
    fn accepted(value: &str) -> Self {
        let mut best = (Self::default(), 0);
        for range in value.split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1000, thousandths);
            if let Some(language) = Self::from_tag(&primary)
                && weight > best.1
            {
                best = (language, weight);
            }
        }
        best.0
    }

    /// A text in this language. What has no translation stays as it is.
    #[must_use]
    pub fn t(self, key: &str) -> &str {
        match self {
            Self::English => key,
            Self::Korean => ko::find(key).unwrap_or(key),
        }
    }

    /// The same with `{0}`, `{1}`, … replaced.
    #[must_use]
    pub fn with(self, key: &str, arguments: &[&dyn Display]) -> String {
        fill(self.t(key), arguments, |out, argument| out.push_str(&argument.to_string()))
    }

    /// One text where `count` is one, else another; `{0}` is the count.
    #[must_use]
    pub fn count(self, count: u64, one: &str, many: &str) -> String {
        self.with(if count == 1 { one } else { many }, &[&super::format::thousands(count)])
    }
}

/// A weight such as `0.8`, in thousandths.
fn thousandths(text: &str) -> u32 {
    let (whole, places) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let places: String = places.chars().chain("000".chars()).take(3).collect();
    let whole: u32 = whole.parse().unwrap_or(0);
    places.parse::<u32>().map_or(0, |places| whole.min(1) * 1000 + places).min(1000)
}

/// Replaces `{0}`, `{1}`, …; a number without an argument stays.
fn fill(text: &str, arguments: &[&dyn Display], push: impl Fn(&mut String, &dyn Display)) -> String {
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let argument = after.split_once('}').and_then(|(number, after)| {
            let index: usize = number.parse().ok()?;
            Some((*arguments.get(index)?, after))
        });
        if let Some((argument, after)) = argument {
            push(&mut filled, argument);
            rest = after;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

impl Values for Language {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn core::any::Any> {
        (key == VALUE).then_some(self)
    }
}

/// A text that is not yet in any language: its key and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    key: String,
    arguments: Vec<Text>,
}

impl Text {
    /// A text without arguments.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), arguments: Vec::new() }
    }

    /// With one more argument: a name or a number, or a text of its own.
    #[must_use]
    pub fn with(mut self, argument: impl Into<Text>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// In this language.
    #[must_use]
    pub fn in_language(&self, language: Language) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(|argument| argument.in_language(language)).collect();
        let arguments: Vec<&dyn Display> = arguments.iter().map(|argument| argument as &dyn Display).collect();
        language.with(&self.key, &arguments)
    }
}

impl From<&str> for Text {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}

impl From<String> for Text {
    fn from(key: String) -> Self {
        Self::new(key)
    }
}
