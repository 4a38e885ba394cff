//! Anthropic's messages.
//!
//! `input_tokens` leaves out what was read from a cache or written to one; [`Usage::input_tokens`] has all three. A stream says the
//! input in `message_start`, then cumulative counts in one `message_delta` or more, where any of them may be repeated, null or left
//! out; gateways send nought first and the count later, or the other way round. So the largest of each counts.
//!
//! `usage.iterations` breaks it down. Compactions and advisors are not in the counts above them and are billed beside them; other
//! models of a fallback are billed at their own price.

use super::{
    super::json::Json,
    Tier, Usage,
    reader::{End, Reader, Said},
    tokens::{Absurd, at, count_if_any, list, text},
};

#[derive(Debug, Default)]
pub(super) struct Messages {
    model: Option<String>,
    tokens: Tokens,
    terms: Terms,
    iterations: Vec<Iteration>,
    /// The input was said, and the message has ended and said its output then.
    is_final: bool,
    /// It used a container, whose time is billed and not said.
    is_more: bool,
    end: End,
}

/// What decides about the price of all of it.
#[derive(Clone, Copy, Debug, Default)]
struct Terms {
    tier: Option<Tier>,
    fast: bool,
    in_region: bool,
}

/// The counts as they are said; `None` for those that were not.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    input: Option<u64>,
    output: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    written_short: Option<u64>,
    written_long: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
}

/// One call of a model within the call.
#[derive(Debug)]
struct Iteration {
    /// Its counts are in those of the message.
    is_counted_above: bool,
    usage: Usage,
}

impl Tokens {
    fn of(usage: &Json) -> Result<Self, Absurd> {
        Ok(Self {
            input: count_if_any(usage, &["input_tokens"])?,
            output: count_if_any(usage, &["output_tokens"])?,
            read: count_if_any(usage, &["cache_read_input_tokens"])?,
            written: count_if_any(usage, &["cache_creation_input_tokens"])?,
            written_short: count_if_any(usage, &["cache_creation", "ephemeral_5m_input_tokens"])?,
            written_long: count_if_any(usage, &["cache_creation", "ephemeral_1h_input_tokens"])?,
            thinking: count_if_any(usage, &["output_tokens_details", "thinking_tokens"])?,
            searches: count_if_any(usage, &["server_tool_use", "web_search_requests"])?,
        })
    }

    /// The larger of each.
    fn max(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            read: self.read.max(other.read),
            written: self.written.max(other.written),
            written_short: self.written_short.max(other.written_short),
            written_long: self.written_long.max(other.written_long),
            thinking: self.thinking.max(other.thinking),
            searches: self.searches.max(other.searches),
        }
    }

    fn usage(self) -> Result<Usage, Absurd> {
        let [read, short, long] = [self.read, self.written_short, self.written_long].map(Option::unwrap_or_default);
        let by_time = short.checked_add(long).ok_or(Absurd)?;
        // Where only the parts are told, they are the whole.
        let written = self.written.unwrap_or(by_time);
        // What is not told apart was written for the usual time, unless some was for longer: then nobody knows, and it is billed so.
        let rest = written.checked_sub(by_time).ok_or(Absurd)?;
        let (rest_short, rest_long) = if long == 0 { (rest, 0) } else { (0, rest) };
        let input = [read, written].into_iter().try_fold(self.input.unwrap_or_default(), u64::checked_add);
        Ok(Usage {
            input_tokens: input.ok_or(Absurd)?,
            cached_tokens: read,
            cache_write_tokens: short.checked_add(rest_short).ok_or(Absurd)?,
            cache_write_long_tokens: long.checked_add(rest_long).ok_or(Absurd)?,
            output_tokens: self.output.unwrap_or_default(),
            reasoning_tokens: self.thinking.unwrap_or_default(),
            web_searches: self.searches.unwrap_or_default(),
            ..Usage::default()
        })
    }
}

impl Iteration {
    fn of(json: &Json) -> Result<Self, Absurd> {
        // Compactions and advisors are not counted above; what is too new to know is taken to be not.
        let is_counted_above = matches!(text(json, "type")?, Some("message" | "fallback_message"));
        let model = text(json, "model")?.map(str::to_owned);
        Ok(Self { is_counted_above, usage: Usage { model, ..Tokens::of(json)?.usage()? } })
    }
}

/// Takes the tokens of a part out of the whole.
const fn take_out(whole: &mut Usage, part: &Usage) {
    whole.input_tokens = whole.input_tokens.saturating_sub(part.input_tokens);
    whole.cached_tokens = whole.cached_tokens.saturating_sub(part.cached_tokens);
    whole.cache_write_tokens = whole.cache_write_tokens.saturating_sub(part.cache_write_tokens);
    whole.cache_write_long_tokens = whole.cache_write_long_tokens.saturating_sub(part.cache_write_long_tokens);
    whole.output_tokens = whole.output_tokens.saturating_sub(part.output_tokens);
    if whole.reasoning_tokens > whole.output_tokens {
        whole.reasoning_tokens = whole.output_tokens;
    }
}

impl Messages {
    /// Notes what a message or an event says of its usage: of counts the largest, of everything else the latest.
    fn note(&mut self, json: &Json) -> Result<(), Absurd> {
        if let Some(model) = text(json, "model")? {
            self.model = Some(model.to_owned());
        }
        let Some(usage) = at(json, &["usage"])? else { return Ok(()) };
        self.tokens = self.tokens.max(Tokens::of(usage)?);
        if let Some(tier) = text(usage, "service_tier")? {
            // Priority is capacity that was bought before, not a dearer price of a call; batches are cheaper. Neither is a tier here.
            self.terms.tier = (tier == "standard").then_some(Tier::Standard);
        }
        if let Some(speed) = text(usage, "speed")? {
            self.terms.fast = speed == "fast";
        }
        if let Some(geo) = text(usage, "inference_geo")? {
            // One that is too new to know is one region too.
            self.terms.in_region = !["global", "not_available", ""].contains(&geo);
        }
        let iterations = list(usage, "iterations")?;
        if !iterations.is_empty() {
            self.iterations = iterations.iter().map(Iteration::of).collect::<Result<_, _>>()?;
        }
        self.usages().map(drop)
    }

    /// The message's usage, then what is billed beside it.
    fn usages(&self) -> Result<Vec<Usage>, Absurd> {
        let mut main = self.tokens.usage()?;
        let (counted, apart): (Vec<_>, Vec<_>) = self.iterations.iter().partition(|one| one.is_counted_above);
        let sum = |of: fn(&Usage) -> u64| counted.iter().map(|one| of(&one.usage)).fold(0, u64::saturating_add);
        let is_breakdown =
            (sum(|one| one.input_tokens), sum(|one| one.output_tokens)) == (main.input_tokens, main.output_tokens);
        let is_other = |one: &&&Iteration| one.usage.model.is_some() && one.usage.model != self.model;
        let hops: Vec<&Iteration> = counted.iter().filter(is_other).copied().collect();
        if is_breakdown {
            // What other models used is taken out of the whole. Where it doesn't add up, the whole may leave them out, and they count
            // beside it.
            for hop in &hops {
                take_out(&mut main, &hop.usage);
            }
        }
        let beside = hops.into_iter().chain(apart).map(|one| one.usage.clone());
        let Terms { tier, fast, in_region } = self.terms;
        let all = core::iter::once(main).chain(beside).map(|usage| Usage {
            tier,
            fast,
            in_region,
            model: usage.model.or_else(|| self.model.clone()),
            ..usage
        });
        Ok(all.collect())
    }
}

impl Reader for Messages {
    fn members(&self, is_stream: bool) -> &'static [&'static str] {
        if is_stream { &["type", "message", "delta", "usage"] } else { &["type", "model", "usage", "container"] }
    }

    fn words(&self) -> &'static [&'static str] {
        &["message_start", "message_delta", "message_stop", "error"]
    }

    fn json(&mut self, answer: &Json) -> Result<(), Absurd> {
        if text(answer, "type")? == Some("error") {
            self.end = End::Failed;
        }
        self.is_more = at(answer, &["container"])?.is_some();
        self.note(answer)?;
        match (self.tokens.input, self.tokens.output) {
            (None, None) => Ok(()),
            (Some(_), Some(_)) => {
                self.is_final = true;
                Ok(())
            }
            _ => Err(Absurd),
        }
    }

    fn event(&mut self, event: &Json) -> Result<(), Absurd> {
        match text(event, "type")? {
            Some("message_start") => self.note(at(event, &["message"])?.ok_or(Absurd)?)?,
            Some("message_delta") => {
                self.note(event)?;
                let says_output = count_if_any(event, &["usage", "output_tokens"])?.is_some();
                self.is_final |= says_output && at(event, &["delta", "stop_reason"])?.is_some();
                self.is_more |= at(event, &["delta", "container"])?.is_some();
            }
            Some("message_stop") => self.end = self.end.max(End::Proper),
            Some("error") => self.end = End::Failed,
            _ => {}
        }
        Ok(())
    }

    fn said(&self) -> Said {
        let Tokens { input, output, .. } = self.tokens;
        let is_said = input.is_some() || output.is_some();
        let usages = if is_said { self.usages().unwrap_or_default() } else { Vec::new() };
        Said { is_final: self.is_final && !self.is_more && input.is_some(), usages, end: self.end }
    }
}
