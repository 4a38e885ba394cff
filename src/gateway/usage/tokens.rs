//! The counts that answers are made of, and what makes them believable.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::domain::limits::MAX_STORED_INTEGER;

use super::{Tier, Usage};

/// What was read can't be what the provider meant: a count is negative, a fraction, a text, above 2^53, or part of less than itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absurd;

/// Unreadable where it should be readable is absurd too; the parser's words are of no use to anyone.
impl From<serde_json::Error> for Absurd {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// A count: a whole number that can be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count(pub(super) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let count = u64::deserialize(deserializer)?;
        if count > MAX_STORED_INTEGER { Err(D::Error::custom("too large")) } else { Ok(Self(count)) }
    }
}

/// A count that may be left out or null, which both mean none.
pub(super) fn count(count: Option<Count>) -> u64 {
    count.unwrap_or_default().0
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
pub(super) fn output_by_total(input: Count, output: Count, total: Option<Count>) -> Result<u64, Absurd> {
    let Some(total) = total else { return Ok(output.0) };
    let by_total = total.0.checked_sub(input.0).ok_or(Absurd)?;
    if by_total < output.0 { Err(Absurd) } else { Ok(by_total) }
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

/// How OpenAI counts tokens everywhere but in chat and embeddings.
#[derive(Debug, Deserialize)]
pub(super) struct InputOutput {
    pub(super) input_tokens: Count,
    pub(super) output_tokens: Count,
    total_tokens: Option<Count>,
    /// Transcriptions write it with `token`.
    #[serde(alias = "input_token_details")]
    input_tokens_details: Option<InputDetails>,
    #[serde(alias = "output_token_details")]
    output_tokens_details: Option<OutputDetails>,
    /// The image tool says it here.
    cached_tokens: Option<Count>,
    cached_tokens_details: Option<CachedDetails>,
    /// The author of an SVG says it here.
    reasoning_tokens: Option<Count>,
}

/// What the input is made of.
#[derive(Debug, Default, Deserialize)]
pub(super) struct InputDetails {
    pub(super) cached_tokens: Option<Count>,
    cached_tokens_details: Option<CachedDetails>,
    cache_write_tokens: Option<Count>,
    cache_write_tokens_details: Option<CacheWriteDetails>,
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
}

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
struct CachedDetails {
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
    cached_image_tokens: Option<Count>,
}

#[derive(Debug, Deserialize)]
struct CacheWriteDetails {
    ttl_12h_tokens: Option<Count>,
}

/// What the output is made of.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(super) struct OutputDetails {
    reasoning_tokens: Option<Count>,
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
}

impl InputDetails {
    /// Writes them into a usage.
    pub(super) fn put_into(&self, usage: &mut Usage) -> Result<(), Absurd> {
        usage.cached_tokens = count(self.cached_tokens);
        let written = count(self.cache_write_tokens);
        usage.cache_write_long_tokens =
            self.cache_write_tokens_details.as_ref().map_or(0, |details| count(details.ttl_12h_tokens));
        usage.cache_write_tokens = written.checked_sub(usage.cache_write_long_tokens).ok_or(Absurd)?;
        usage.input_audio_tokens = count(self.audio_tokens);
        usage.input_image_tokens = count(self.image_tokens);
        if let Some(cached) = &self.cached_tokens_details {
            cached.put_into(usage);
        }
        Ok(())
    }
}

impl CachedDetails {
    fn put_into(&self, usage: &mut Usage) {
        usage.cached_audio_tokens = count(self.audio_tokens);
        usage.cached_image_tokens = count(self.cached_image_tokens.or(self.image_tokens));
    }
}

impl OutputDetails {
    /// Writes them into a usage.
    pub(super) fn put_into(&self, usage: &mut Usage) {
        usage.reasoning_tokens = count(self.reasoning_tokens);
        usage.output_audio_tokens = count(self.audio_tokens);
        usage.output_image_tokens = count(self.image_tokens);
    }
}

impl InputOutput {
    /// As a usage whose parts fit.
    pub(super) fn usage(&self) -> Result<Usage, Absurd> {
        let mut usage = Usage {
            input_tokens: self.input_tokens.0,
            output_tokens: output_by_total(self.input_tokens, self.output_tokens, self.total_tokens)?,
            ..Usage::default()
        };
        if let Some(details) = &self.input_tokens_details {
            details.put_into(&mut usage)?;
        }
        if let Some(details) = &self.output_tokens_details {
            details.put_into(&mut usage);
        }
        if let Some(cached) = self.cached_tokens {
            usage.cached_tokens = cached.0;
        }
        if let Some(details) = &self.cached_tokens_details {
            details.put_into(&mut usage);
        }
        if let Some(reasoning) = self.reasoning_tokens {
            usage.reasoning_tokens = reasoning.0;
        }
        checked(usage)
    }

    /// Whether it says what the output is made of.
    pub(super) const fn has_output_details(&self) -> bool {
        self.output_tokens_details.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_whole_number_that_can_be_stored() {
        for (text, count) in [("0", 0), ("12", 12), ("9007199254740991", MAX_STORED_INTEGER)] {
            assert_eq!(serde_json::from_str::<Count>(text).unwrap(), Count(count));
        }
        for text in
            ["-1", "1.5", "1.0", "1e3", "\"1\"", "9007199254740992", "99999999999999999999", "true", "[1]", "{}"]
        {
            assert!(serde_json::from_str::<Count>(text).is_err(), "{text}");
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
        assert_eq!(output_by_total(Count(10), Count(5), None), Ok(5));
        assert_eq!(output_by_total(Count(10), Count(5), Some(Count(15))), Ok(5));
        assert_eq!(output_by_total(Count(10), Count(5), Some(Count(20))), Ok(10));
        assert_eq!(output_by_total(Count(10), Count(5), Some(Count(14))), Err(Absurd));
        assert_eq!(output_by_total(Count(10), Count(5), Some(Count(9))), Err(Absurd));
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
