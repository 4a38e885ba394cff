//! Chat completions of OpenAI and of those who speak its language.
//!
//! A stream says its usage once, when asked with `stream_options.include_usage`: in a chunk of its own with `choices: []` before
//! `[DONE]`; every other chunk then has `usage: null`. Others put it on the last chunk that has content, on every chunk as a running
//! count, or under `x_groq`, and may leave `choices` out. The last one counts.

use super::{
    super::json::Json,
    Tier, Usage,
    reader::{End, Reader, Said},
    tokens::{
        Absurd, at, checked, count, count_if_any, count_needed, list, output_by_total, put_input_details,
        put_output_details, text, tier,
    },
};

#[derive(Debug, Default)]
pub(super) struct Chat {
    began: bool,
    model: Option<String>,
    tier: Option<Tier>,
    usage: Option<Usage>,
    /// It is one JSON object, or a choice of the stream has ended.
    has_ended: bool,
    /// The usage stands by itself behind that.
    is_final: bool,
    end: End,
}

fn usage_of(tokens: &Json) -> Result<Usage, Absurd> {
    let input_tokens = count_needed(tokens, "prompt_tokens")?;
    let completion = count_needed(tokens, "completion_tokens")?;
    let mut usage = Usage {
        input_tokens,
        output_tokens: output_by_total(input_tokens, completion, count_if_any(tokens, &["total_tokens"])?)?,
        // How DeepSeek says what was cached.
        cached_tokens: count(tokens, &["prompt_cache_hit_tokens"])?,
        ..Usage::default()
    };
    if let Some(details) = at(tokens, &["prompt_tokens_details"])? {
        put_input_details(details, &mut usage)?;
    }
    if let Some(details) = at(tokens, &["completion_tokens_details"])? {
        put_output_details(details, &mut usage)?;
    }
    checked(usage)
}

impl Reader for Chat {
    fn members(&self, is_stream: bool) -> &'static [&'static str] {
        let all = &["choices", "model", "service_tier", "usage", "x_groq", "error"];
        if is_stream { all } else { &["model", "service_tier", "usage", "x_groq", "error"] }
    }

    fn words(&self) -> &'static [&'static str] {
        // The first one names the model and the tier.
        if self.began { &["finish_reason", "usage", "error"] } else { &["model", "finish_reason", "usage", "error"] }
    }

    fn json(&mut self, answer: &Json) -> Result<(), Absurd> {
        self.has_ended = true;
        self.event(answer)?;
        self.is_final = self.usage.is_some();
        Ok(())
    }

    fn event(&mut self, chunk: &Json) -> Result<(), Absurd> {
        self.began = true;
        if at(chunk, &["error"])?.is_some() {
            self.end = End::Failed;
        }
        if let Some(model) = text(chunk, "model")? {
            self.model = Some(model.to_owned());
        }
        self.tier = tier(text(chunk, "service_tier")?).or(self.tier);
        for choice in list(chunk, "choices")? {
            self.has_ended |= text(choice, "finish_reason")?.is_some();
        }
        let Some(tokens) = at(chunk, &["usage"])?.or(at(chunk, &["x_groq", "usage"])?) else { return Ok(()) };
        self.usage = Some(usage_of(tokens)?);
        // Beside choices it may be a running count, and before a choice has ended it is one wherever it stands: only the end of the stream
        // makes those final.
        self.is_final = self.has_ended && list(chunk, "choices")?.is_empty();
        Ok(())
    }

    fn done(&mut self) {
        self.end = self.end.max(End::Proper);
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
