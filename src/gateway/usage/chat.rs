//! Chat completions of OpenAI and of those who speak its language.
//!
//! A stream says its usage once, when asked with `stream_options.include_usage`: in a chunk of its own with `choices: []` before
//! `[DONE]`; every other chunk then has `usage: null`. Others put it on the last chunk that has content, on every chunk as a running
//! count, or under `x_groq`, and may leave `choices` out. The last one counts.

use serde::{Deserialize, de::IgnoredAny};

use super::{
    Usage,
    meter::{End, Reader, Said},
    tokens::{Absurd, Count, InputDetails, OutputDetails, checked, count, mentions, output_by_total, tier},
};

#[derive(Debug, Default)]
pub(super) struct Chat {
    began: bool,
    model: Option<String>,
    tier: Option<super::Tier>,
    usage: Option<Usage>,
    /// The usage stands by itself.
    is_final: bool,
    end: End,
}

/// A chunk of a stream, or a whole answer without its choices.
#[derive(Deserialize)]
struct Chunk {
    model: Option<String>,
    service_tier: Option<String>,
    choices: Option<Vec<IgnoredAny>>,
    usage: Option<Tokens>,
    x_groq: Option<Groq>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Groq {
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
struct Tokens {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// How `DeepSeek` says what was cached.
    prompt_cache_hit_tokens: Option<Count>,
}

impl Tokens {
    fn usage(&self) -> Result<Usage, Absurd> {
        let mut usage = Usage {
            input_tokens: self.prompt_tokens.0,
            output_tokens: output_by_total(self.prompt_tokens, self.completion_tokens, self.total_tokens)?,
            cached_tokens: count(self.prompt_cache_hit_tokens),
            ..Usage::default()
        };
        if let Some(details) = &self.prompt_tokens_details {
            let elsewhere = usage.cached_tokens;
            details.put_into(&mut usage)?;
            usage.cached_tokens = details.cached_tokens.map_or(elsewhere, |cached| cached.0);
        }
        if let Some(details) = &self.completion_tokens_details {
            details.put_into(&mut usage);
        }
        Ok(usage)
    }
}

impl Chat {
    fn read(&mut self, json: &[u8]) -> Result<(), Absurd> {
        let chunk: Chunk = serde_json::from_slice(json)?;
        if chunk.error.is_some() {
            self.end = End::Failed;
        }
        self.model = chunk.model.or(self.model.take());
        self.tier = tier(chunk.service_tier.as_deref()).or(self.tier);
        let Some(tokens) = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage)) else { return Ok(()) };
        self.usage = Some(checked(tokens.usage()?)?);
        // Beside choices it may be a running count, which only the end of the stream makes final.
        self.is_final = chunk.choices.is_none_or(|choices| choices.is_empty());
        Ok(())
    }
}

impl Reader for Chat {
    fn members(&self) -> &'static [&'static str] {
        &["model", "service_tier", "usage", "x_groq", "error"]
    }

    fn json(&mut self, answer: &[u8]) -> Result<(), Absurd> {
        self.read(answer)
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Absurd> {
        if data.trim_ascii() == b"[DONE]" {
            self.end = self.end.max(End::Proper);
            return Ok(());
        }
        // The first one names the model and the tier.
        if core::mem::replace(&mut self.began, true) && !mentions(data, &["usage", "error"]) {
            return Ok(());
        }
        self.read(data)
    }

    fn said(&self) -> Said {
        let usage = self.usage.clone().map(|usage| Usage { model: self.model.clone(), tier: self.tier, ..usage });
        Said {
            usages: usage.into_iter().collect(),
            is_final: (self.is_final || self.end == End::Proper) && self.end != End::Failed,
            end: self.end,
        }
    }
}
