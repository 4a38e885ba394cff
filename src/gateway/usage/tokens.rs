//! The counts that answers are made of, and what makes them believable.

use super::{super::json::Json, Tier, Usage};
use crate::domain::limits::MAX_STORED_INTEGER;

/// What was read can't be what the provider meant: a count is negative, a fraction, a text, above 2^53, or part of less than itself;
/// a key that counts stands twice, or something else stands where an object should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absurd;

/// Unreadable where it should be readable is absurd too; the parser's words are of no use to anyone.
impl From<serde_json::Error> for Absurd {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// What stands at the end of a path of keys; `None` where something on the way is missing or null.
pub(super) fn at<'a>(json: &'a Json, path: &[&str]) -> Result<Option<&'a Json>, Absurd> {
    let mut place = json;
    for key in path {
        let Json::Object(members) = place else { return Err(Absurd) };
        let mut found = members.iter().filter(|(name, _)| name == key);
        match (found.next(), found.next()) {
            (None | Some((_, Json::Null)), None) => return Ok(None),
            (Some((_, value)), None) => place = value,
            _ => return Err(Absurd),
        }
    }
    Ok(Some(place))
}

/// A count, which is a whole number that can be stored.
pub(super) fn count_if_any(json: &Json, path: &[&str]) -> Result<Option<u64>, Absurd> {
    match at(json, path)? {
        None => Ok(None),
        Some(Json::Integer(count)) if *count <= MAX_STORED_INTEGER => Ok(Some(*count)),
        Some(_) => Err(Absurd),
    }
}

/// A count that may be left out, which means none.
pub(super) fn count(json: &Json, path: &[&str]) -> Result<u64, Absurd> {
    Ok(count_if_any(json, path)?.unwrap_or(0))
}

/// A count that must be there.
pub(super) fn count_needed(json: &Json, key: &str) -> Result<u64, Absurd> {
    count_if_any(json, &[key])?.ok_or(Absurd)
}

/// A text.
pub(super) fn text<'a>(json: &'a Json, key: &str) -> Result<Option<&'a str>, Absurd> {
    match at(json, &[key])? {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Absurd),
    }
}

/// A list, empty where there is none.
pub(super) fn list<'a>(json: &'a Json, key: &str) -> Result<&'a [Json], Absurd> {
    match at(json, &[key])? {
        None => Ok(&[]),
        Some(Json::List(list)) => Ok(list),
        Some(_) => Err(Absurd),
    }
}

/// The usage, if its parts fit into their wholes.
pub(super) fn checked(usage: Usage) -> Result<Usage, Absurd> {
    let fits = |parts: &[u64], whole: u64| parts.iter().fold(0_u64, |sum, part| sum.saturating_add(*part)) <= whole;
    let is_sound =
        fits(&[usage.cached_tokens, usage.cache_write_tokens, usage.cache_write_long_tokens], usage.input_tokens)
            && fits(&[usage.input_audio_tokens, usage.input_image_tokens], usage.input_tokens)
            && fits(&[usage.cached_audio_tokens, usage.cached_image_tokens], usage.cached_tokens)
            && fits(&[usage.cached_audio_tokens], usage.input_audio_tokens)
            && fits(&[usage.cached_image_tokens], usage.input_image_tokens)
            && fits(&[usage.reasoning_tokens], usage.output_tokens)
            && fits(&[usage.output_audio_tokens, usage.output_image_tokens], usage.output_tokens)
            && usage.tokens() <= MAX_STORED_INTEGER;
    if is_sound { Ok(usage) } else { Err(Absurd) }
}

/// What the total says beyond input and output was billed as output: some providers leave reasoning out of it.
pub(super) fn output_by_total(input: u64, output: u64, total: Option<u64>) -> Result<u64, Absurd> {
    let Some(total) = total else { return Ok(output) };
    let by_total = total.checked_sub(input).ok_or(Absurd)?;
    if by_total < output { Err(Absurd) } else { Ok(by_total) }
}

/// A tier by its name in an answer. One without prices of its own (`scale`, `batch`) is none: its price is not above the usual one.
pub(super) fn tier(name: Option<&str>) -> Option<Tier> {
    match name? {
        "default" | "standard" => Some(Tier::Standard),
        "flex" => Some(Tier::Flex),
        "priority" | "fast" => Some(Tier::Priority),
        "ultrafast" => Some(Tier::Ultrafast),
        _ => None,
    }
}

/// Whether a JSON text has one of these words as a key or a whole text. Cheap, so that most events need no parser: what stands
/// between two quotes can't be part of a longer text, because quotes in a text have a `\` before them. A key whose value is `null`
/// says nothing and is passed over.
pub(super) fn mentions(json: &[u8], words: &[&str]) -> bool {
    let mut parts = json.split(|byte| *byte == b'"').peekable();
    while let Some(part) = parts.next() {
        if words.iter().any(|word| word.as_bytes() == part) {
            let is_null = parts.peek().is_some_and(|next| next.starts_with(b":null"));
            if !is_null {
                return true;
            }
        }
    }
    false
}

/// Writes what the input is made of into a usage.
pub(super) fn put_input_details(details: &Json, usage: &mut Usage) -> Result<(), Absurd> {
    usage.cached_tokens = count_if_any(details, &["cached_tokens"])?.unwrap_or(usage.cached_tokens);
    let written = count(details, &["cache_write_tokens"])?;
    usage.cache_write_long_tokens = count(details, &["cache_write_tokens_details", "ttl_12h_tokens"])?;
    usage.cache_write_tokens = written.checked_sub(usage.cache_write_long_tokens).ok_or(Absurd)?;
    usage.input_audio_tokens = count(details, &["audio_tokens"])?;
    usage.input_image_tokens = count(details, &["image_tokens"])?;
    usage.cached_audio_tokens = count(details, &["cached_tokens_details", "audio_tokens"])?;
    usage.cached_image_tokens = count(details, &["cached_tokens_details", "image_tokens"])?;
    Ok(())
}

/// Writes what the output is made of into a usage.
pub(super) fn put_output_details(details: &Json, usage: &mut Usage) -> Result<(), Absurd> {
    usage.reasoning_tokens = count(details, &["reasoning_tokens"])?;
    usage.output_audio_tokens = count(details, &["audio_tokens"])?;
    usage.output_image_tokens = count(details, &["image_tokens"])?;
    Ok(())
}

/// What OpenAI says everywhere but in chat and embeddings, as a usage whose parts fit.
pub(super) fn input_output(tokens: &Json) -> Result<Usage, Absurd> {
    let (input_tokens, output_tokens) = (count_needed(tokens, "input_tokens")?, count_needed(tokens, "output_tokens")?);
    let total = count_if_any(tokens, &["total_tokens"])?;
    let output_tokens = output_by_total(input_tokens, output_tokens, total)?;
    let mut usage = Usage { input_tokens, output_tokens, ..Usage::default() };
    // Transcriptions write it with `token`.
    for name in ["input_tokens_details", "input_token_details"] {
        if let Some(details) = at(tokens, &[name])? {
            put_input_details(details, &mut usage)?;
        }
    }
    if let Some(details) = at(tokens, &["output_tokens_details"])? {
        put_output_details(details, &mut usage)?;
    }
    // The image tool says it here, and the author of an SVG.
    for (place, key) in [
        (&mut usage.cached_tokens, &["cached_tokens"][..]),
        (&mut usage.cached_image_tokens, &["cached_tokens_details", "cached_image_tokens"]),
        (&mut usage.reasoning_tokens, &["reasoning_tokens"]),
    ] {
        *place = count_if_any(tokens, key)?.unwrap_or(*place);
    }
    checked(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_whole_number_that_can_be_stored() {
        let read = |text: &str| {
            count_if_any(&serde_json::from_str(&format!(r#"{{"a":{{"b":{text}}}}}"#)).unwrap(), &["a", "b"])
        };
        for (text, count) in
            [("0", Some(0)), ("12", Some(12)), ("9007199254740991", Some(MAX_STORED_INTEGER)), ("null", None)]
        {
            assert_eq!(read(text), Ok(count));
        }
        for text in
            ["-1", "1.5", "1.0", "1e3", "\"1\"", "9007199254740992", "99999999999999999999", "true", "[1]", "{}"]
        {
            assert_eq!(read(text), Err(Absurd), "{text}");
        }
    }

    #[test]
    fn a_path_ends_where_something_is_missing_and_breaks_where_it_is_no_object_or_stands_twice() {
        let read = |text: &str| count_if_any(&serde_json::from_str(text).unwrap(), &["a", "b"]);
        for text in ["{}", r#"{"a":null}"#, r#"{"a":{}}"#] {
            assert_eq!(read(text), Ok(None), "{text}");
        }
        for text in ["[]", "null", r#"{"a":1}"#, r#"{"a":{"b":1,"b":1}}"#, r#"{"a":null,"a":null}"#] {
            assert_eq!(read(text), Err(Absurd), "{text}");
        }
    }

    #[test]
    fn a_part_above_its_whole_is_absurd() {
        let whole = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
        assert!(checked(whole.clone()).is_ok());
        for usage in [
            Usage { cached_tokens: 11, ..whole.clone() },
            Usage { cached_tokens: 6, cache_write_tokens: 3, cache_write_long_tokens: 2, ..whole.clone() },
            Usage { input_audio_tokens: 11, ..whole.clone() },
            Usage { cached_audio_tokens: 1, ..whole.clone() },
            Usage { reasoning_tokens: 6, ..whole.clone() },
            Usage { output_audio_tokens: 3, output_image_tokens: 3, ..whole.clone() },
            Usage { input_tokens: MAX_STORED_INTEGER, ..whole },
        ] {
            assert_eq!(checked(usage.clone()), Err(Absurd), "{usage:?}");
        }
    }

    #[test]
    fn what_the_total_has_beyond_its_parts_is_output() {
        assert_eq!(output_by_total(10, 5, None), Ok(5));
        assert_eq!(output_by_total(10, 5, Some(15)), Ok(5));
        assert_eq!(output_by_total(10, 5, Some(20)), Ok(10));
        assert_eq!(output_by_total(10, 5, Some(14)), Err(Absurd));
        assert_eq!(output_by_total(10, 5, Some(9)), Err(Absurd));
    }

    #[test]
    fn a_word_is_mentioned_as_a_key_or_a_whole_text_that_is_not_null() {
        for json in [r#"{"usage":{}}"#, r#"{"a":"usage"}"#, r#"{"usage": null}"#, r#"{"usage":null,"x":{"usage":1}}"#] {
            assert!(mentions(json.as_bytes(), &["usage"]), "{json}");
        }
        for json in [r#"{"usage":null}"#, r#"{"a":"the usage"}"#, r#"{"a":"\"usage\""}"#, ""] {
            assert!(!mentions(json.as_bytes(), &["usage"]), "{json}");
        }
    }
}
