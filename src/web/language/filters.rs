//! What templates say in the language of the page.
//!
//! | filter | |
//! |---|---|
//! | `"…"\|t`, `t1(a)`, `t2(a, b)` | a text, escaped as always |
//! | `"…"\|h`, `h1(a)`, `h2(a, b)` | a text with markup of its own; the arguments are escaped |
//! | `text\|say` | a [`Text`] |
//! | `moment\|human`, `moment\|relative` | a [`Moment`] |

#![expect(
    clippy::inline_always,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "askama's macro makes them so, and wants a `Result`"
)]

use core::fmt::Display;

use askama::{
    Result, Values,
    filters::{Escaper, Html, Safe},
};

use super::{Language, Moment, Text, VALUE, fill};

fn language(values: &dyn Values) -> Language {
    askama::get_value::<Language>(values, VALUE).copied().unwrap_or_default()
}

fn markup(values: &dyn Values, key: &str, arguments: &[&dyn Display]) -> Safe<String> {
    Safe(fill(language(values).t(key), arguments, |out, argument| {
        // Writing to a string does not fail.
        let _ = Html.write_escaped_str(out, &argument.to_string());
    }))
}

/// A text.
#[askama::filter_fn]
pub fn t<K: AsRef<str>>(key: K, values: &dyn Values) -> Result<String> {
    Ok(language(values).t(key.as_ref()).to_owned())
}

/// A text with one argument.
#[askama::filter_fn]
pub fn t1<K: AsRef<str>, A: Display>(key: K, values: &dyn Values, a: A) -> Result<String> {
    Ok(language(values).with(key.as_ref(), &[&a]))
}

/// A text with two arguments.
#[askama::filter_fn]
pub fn t2<K: AsRef<str>, A: Display, B: Display>(key: K, values: &dyn Values, a: A, b: B) -> Result<String> {
    Ok(language(values).with(key.as_ref(), &[&a, &b]))
}

/// A text with markup.
#[askama::filter_fn]
pub fn h<K: AsRef<str>>(key: K, values: &dyn Values) -> Result<Safe<String>> {
    Ok(markup(values, key.as_ref(), &[]))
}

/// A text with markup and one argument.
#[askama::filter_fn]
pub fn h1<K: AsRef<str>, A: Display>(key: K, values: &dyn Values, a: A) -> Result<Safe<String>> {
    Ok(markup(values, key.as_ref(), &[&a]))
}

/// A text with markup and two arguments.
#[askama::filter_fn]
pub fn h2<K: AsRef<str>, A: Display, B: Display>(key: K, values: &dyn Values, a: A, b: B) -> Result<Safe<String>> {
    Ok(markup(values, key.as_ref(), &[&a, &b]))
}

/// A [`Text`].
#[askama::filter_fn]
pub fn say(text: &Text, values: &dyn Values) -> Result<String> {
    Ok(text.in_language(language(values)))
}

/// `30 Nov 2026, 14:05 UTC`.
#[askama::filter_fn]
pub fn human(moment: &Moment, values: &dyn Values) -> Result<String> {
    Ok(moment.human(language(values)))
}

/// `in 6 days`, `3 minutes ago`.
#[askama::filter_fn]
pub fn relative(moment: &Moment, values: &dyn Values) -> Result<String> {
    Ok(moment.relative(language(values)))
}
