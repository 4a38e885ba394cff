//! Anthropic's messages.
//!
//! `input_tokens` leaves out what was read from a cache or written to one; [`Usage::input_tokens`] has all three. A stream says the
//! input in `message_start`, then cumulative counts in one `message_delta` or more, where any of them may be repeated, null or left
//! out; gateways send nought first and the count later, or the other way round. So the largest of each counts.
//!
//! `usage.iterations` breaks it down. Compactions and advisors are not in the counts above them and are billed beside them; other
//! models of a fallback are billed at their own price.

use serde::{Deserialize, de::IgnoredAny};

use super::{
    Tier, Usage,
    meter::{End, Reader, Said},
    tokens::{Absurd, Count, count, mentions},
};

#[derive(Debug, Default)]
pub(super) struct Messages {
    model: Option<String>,
    tokens: Tokens,
    began: bool,
    /// The message has ended, and said its usage then.
    is_final: bool,
    /// It used a container, whose time is billed and not said.
    is_more: bool,
    end: End,
}

/// A whole message, or an event.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<Message>,
    delta: Option<Delta>,
    usage: Option<Tokens>,
    model: Option<String>,
    container: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message {
    model: Option<String>,
    usage: Option<Tokens>,
}

/// What a `message_delta` changes. Other deltas have other members.
#[derive(Deserialize)]
struct Delta {
    stop_reason: Option<IgnoredAny>,
    container: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
struct Tokens {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
    service_tier: Option<String>,
    speed: Option<String>,
    inference_geo: Option<String>,
    iterations: Option<Vec<Iteration>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<Count>,
    ephemeral_1h_input_tokens: Option<Count>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<Count>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct ServerTools {
    web_search_requests: Option<Count>,
}

/// One call of a model within the call.
#[derive(Clone, Debug, Deserialize)]
struct Iteration {
    #[serde(rename = "type")]
    kind: Option<String>,
    model: Option<String>,
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_creation: Option<CacheCreation>,
}

impl Iteration {
    fn tokens(self) -> Tokens {
        Tokens {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cache_read_input_tokens: self.cache_read_input_tokens,
            cache_creation_input_tokens: self.cache_creation_input_tokens,
            cache_creation: self.cache_creation,
            ..Tokens::default()
        }
    }

    /// Its counts are in those above it. Compactions and advisors are not; what is too new to know is taken to be not.
    fn is_counted_above(&self) -> bool {
        matches!(self.kind.as_deref(), Some("message" | "fallback_message"))
    }
}

impl Tokens {
    /// The largest of each count, the latest of everything else.
    fn merge(&mut self, later: Self) {
        let Self { cache_creation, output_tokens_details, server_tool_use, .. } = later;
        let cached = self.cache_creation.unwrap_or_default();
        let cached_later = cache_creation.unwrap_or_default();
        *self = Self {
            input_tokens: self.input_tokens.max(later.input_tokens),
            output_tokens: self.output_tokens.max(later.output_tokens),
            cache_read_input_tokens: self.cache_read_input_tokens.max(later.cache_read_input_tokens),
            cache_creation_input_tokens: self.cache_creation_input_tokens.max(later.cache_creation_input_tokens),
            cache_creation: Some(CacheCreation {
                ephemeral_5m_input_tokens: cached.ephemeral_5m_input_tokens.max(cached_later.ephemeral_5m_input_tokens),
                ephemeral_1h_input_tokens: cached.ephemeral_1h_input_tokens.max(cached_later.ephemeral_1h_input_tokens),
            }),
            output_tokens_details: Some(OutputDetails {
                thinking_tokens: self
                    .output_tokens_details
                    .and_then(|details| details.thinking_tokens)
                    .max(output_tokens_details.and_then(|details| details.thinking_tokens)),
            }),
            server_tool_use: Some(ServerTools {
                web_search_requests: self
                    .server_tool_use
                    .and_then(|tools| tools.web_search_requests)
                    .max(server_tool_use.and_then(|tools| tools.web_search_requests)),
            }),
            service_tier: later.service_tier.or(self.service_tier.take()),
            speed: later.speed.or(self.speed.take()),
            inference_geo: later.inference_geo.or(self.inference_geo.take()),
            iterations: later.iterations.or(self.iterations.take()),
        };
    }

    /// The counts alone.
    fn usage(&self) -> Result<Usage, Absurd> {
        let read = count(self.cache_read_input_tokens);
        let split = self.cache_creation.unwrap_or_default();
        let (short, long) = (count(split.ephemeral_5m_input_tokens), count(split.ephemeral_1h_input_tokens));
        let by_time = short.checked_add(long).ok_or(Absurd)?;
        // Where only the parts are told, they are the whole.
        let written = self.cache_creation_input_tokens.map_or(by_time, |written| written.0);
        // What is not told apart was written for the usual time, unless some was for longer: then nobody knows, and it is billed so.
        let rest = written.checked_sub(by_time).ok_or(Absurd)?;
        let (rest_short, rest_long) = if long == 0 { (rest, 0) } else { (0, rest) };
        let input = count(self.input_tokens).checked_add(read).and_then(|input| input.checked_add(written));
        Ok(Usage {
            input_tokens: input.ok_or(Absurd)?,
            cached_tokens: read,
            cache_write_tokens: short.checked_add(rest_short).ok_or(Absurd)?,
            cache_write_long_tokens: long.checked_add(rest_long).ok_or(Absurd)?,
            output_tokens: count(self.output_tokens),
            reasoning_tokens: count(self.output_tokens_details.and_then(|details| details.thinking_tokens)),
            web_searches: count(self.server_tool_use.and_then(|tools| tools.web_search_requests)),
            ..Usage::default()
        })
    }
}

/// Adds the tokens up. What is no token is left alone.
fn add(sum: &mut Usage, more: &Usage) -> Result<(), Absurd> {
    let one = |sum: &mut u64, more: u64| sum.checked_add(more).map(|total| *sum = total).ok_or(Absurd);
    one(&mut sum.input_tokens, more.input_tokens)?;
    one(&mut sum.cached_tokens, more.cached_tokens)?;
    one(&mut sum.cache_write_tokens, more.cache_write_tokens)?;
    one(&mut sum.cache_write_long_tokens, more.cache_write_long_tokens)?;
    one(&mut sum.output_tokens, more.output_tokens)
}

impl Messages {
    fn note(&mut self, model: Option<String>, tokens: Option<Tokens>) {
        self.model = model.or(self.model.take());
        if let Some(tokens) = tokens {
            self.began = true;
            self.tokens.merge(tokens);
        }
    }

    /// The message's usage, then what is billed beside it.
    fn usages(&self) -> Result<Vec<Usage>, Absurd> {
        let mut main = self.tokens.usage()?;
        let mut apart: Vec<Usage> = Vec::new();
        let mut hops: Vec<Usage> = Vec::new();
        let mut sum = Usage::default();
        for iteration in self.tokens.iterations.iter().flatten() {
            let is_counted_above = iteration.is_counted_above();
            let model = iteration.model.clone().or_else(|| self.model.clone());
            let usage = Usage { model, ..iteration.clone().tokens().usage()? };
            if !is_counted_above {
                apart.push(usage);
                continue;
            }
            add(&mut sum, &usage)?;
            if usage.model != self.model {
                hops.push(usage);
            }
        }
        // Where the breakdown adds up, what other models used is taken out of the whole. Where it doesn't, the whole may leave them
        // out, and they count beside it.
        let is_breakdown = sum.input_tokens == main.input_tokens && sum.output_tokens == main.output_tokens;
        for hop in &hops {
            if is_breakdown {
                let one = |whole: &mut u64, part: u64| *whole = whole.saturating_sub(part);
                one(&mut main.input_tokens, hop.input_tokens);
                one(&mut main.cached_tokens, hop.cached_tokens);
                one(&mut main.cache_write_tokens, hop.cache_write_tokens);
                one(&mut main.cache_write_long_tokens, hop.cache_write_long_tokens);
                one(&mut main.output_tokens, hop.output_tokens);
                main.reasoning_tokens = main.reasoning_tokens.min(main.output_tokens);
            }
        }
        main.model.clone_from(&self.model);
        // Priority is capacity that was bought before, not a dearer price of a call; batches are cheaper. Neither is a tier here.
        let is_standard = self.tokens.service_tier.as_deref() == Some("standard");
        let tier = is_standard.then_some(Tier::Standard);
        let fast = self.tokens.speed.as_deref() == Some("fast");
        let in_region = self.tokens.inference_geo.as_deref() == Some("us");
        let all = core::iter::once(main).chain(hops).chain(apart);
        Ok(all.map(|usage| Usage { tier, fast, in_region, ..usage }).collect())
    }
}

impl Reader for Messages {
    fn members(&self) -> &'static [&'static str] {
        &["model", "usage", "container", "type"]
    }

    fn json(&mut self, answer: &[u8]) -> Result<(), Absurd> {
        let event: Event = serde_json::from_slice(answer)?;
        if event.kind.as_deref() == Some("error") {
            self.end = End::Failed;
        }
        self.is_more = event.container.is_some();
        if event.usage.as_ref().is_some_and(|usage| usage.input_tokens.is_none() || usage.output_tokens.is_none()) {
            return Err(Absurd);
        }
        self.is_final = true;
        self.note(event.model, event.usage);
        self.usages().map(drop)
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Absurd> {
        if !mentions(data, &["message_start", "message_delta", "message_stop", "error"]) {
            return Ok(());
        }
        let event: Event = serde_json::from_slice(data)?;
        match event.kind.as_deref() {
            Some("message_start") => {
                let message = event.message.ok_or(Absurd)?;
                self.note(message.model, message.usage);
            }
            Some("message_delta") => {
                let (stops, container) = event
                    .delta
                    .map_or((false, false), |delta| (delta.stop_reason.is_some(), delta.container.is_some()));
                self.is_more |= container;
                let says_output = event.usage.as_ref().is_some_and(|usage| usage.output_tokens.is_some());
                self.is_final |= stops && says_output;
                self.note(None, event.usage);
            }
            Some("message_stop") => self.end = self.end.max(End::Proper),
            Some("error") => self.end = End::Failed,
            _ => return Ok(()),
        }
        self.usages().map(drop)
    }

    fn said(&self) -> Said {
        let usages = if self.began { self.usages().unwrap_or_default() } else { Vec::new() };
        Said { is_final: self.is_final && !self.is_more && self.tokens.input_tokens.is_some(), usages, end: self.end }
    }
}
