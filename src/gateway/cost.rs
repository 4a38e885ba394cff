//! From a request to the most that it can cost, and from an answer to what it did cost.

use std::borrow::Cow;

use super::{
    betas,
    prices::{Answer, Ask, AskedTier, CacheTime, Price, PriceBook, Region, ServerTool, ToolKind},
    survey::{MAX_SERVER_TOOLS, Survey, Weights},
    usage::{AnswerKind, Reading, Tier, Usage, Used},
};
use crate::domain::{
    ledger::{Bound, Cost, Ticket, Worst},
    money::NanoUsd,
    permission::{Capability, Provider},
};

/// How what a call used becomes what it cost: kept from the request until its answer has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meterage {
    /// At which provider.
    pub provider: Provider,
    /// What says in the answer what was used.
    pub answer: AnswerKind,
    /// Every model that the call may dispatch; the first is the one that it asks for.
    pub models: Vec<String>,
    /// The most that it can cost, if that is known.
    pub bound: Option<Bound>,
    /// Web searches that no answer counts: one for each answer of a chat that searches.
    pub searches: u64,
    /// Whether tools run at the provider: then what it reads isn't known before it is over.
    pub runs_tools: bool,
    /// How many characters are read out, if that is known.
    pub characters: Option<u64>,
    /// The service tier that was asked for.
    pub tier: AskedTier,
}

/// What the provider writes to the model about a tool that it knows by its `type`. Known of: 245 tokens (bash), 700 (text editor),
/// 735 and 499 more (computer).
const DESCRIPTION_TOKENS: u64 = 2_048;

/// What a provider names a tool, and what kind that is.
fn tool_kind(name: &str) -> ToolKind {
    if name.starts_with("web_search") {
        ToolKind::WebSearch
    } else if name.starts_with("web_fetch") {
        ToolKind::WebFetch
    } else {
        ToolKind::Other(name.to_owned())
    }
}

fn asked_tier(provider: Provider, tier: Option<&str>) -> AskedTier {
    match (provider, tier) {
        // Anthropic's tiers change when a call is served and not what it costs.
        (Provider::Anthropic, _) | (Provider::OpenAi, Some("default")) => AskedTier::Standard,
        (Provider::OpenAi, None | Some("auto")) => AskedTier::Unsaid,
        (Provider::OpenAi, Some("flex")) => AskedTier::Flex,
        (Provider::OpenAi, Some("priority")) => AskedTier::Priority,
        (Provider::OpenAi, Some(_)) => AskedTier::Other,
    }
}

fn region(provider: Provider, region: Option<&str>) -> Region {
    match (provider, region) {
        // A regional host is the operator's choice, with prices of its own to configure.
        (Provider::OpenAi, _) | (Provider::Anthropic, Some("global")) => Region::Global,
        (Provider::Anthropic, None) => Region::Unsaid,
        (Provider::Anthropic, Some(_)) => Region::One,
    }
}

fn server_tools(weights: &Weights, capabilities: &[Capability], searches: u64) -> Vec<ServerTool> {
    let mut tools: Vec<ServerTool> = weights
        .tools
        .iter()
        .map(|tool| ServerTool {
            kind: tool_kind(&tool.kind),
            // OpenAI limits all tools together, Anthropic each.
            max_uses: tool.max_uses.into_iter().chain(weights.tool_uses).min(),
        })
        .collect();
    if searches > 0 {
        tools.push(ServerTool { kind: ToolKind::WebSearch, max_uses: Some(searches) });
    } else if tools.is_empty() && capabilities.contains(&Capability::ServerTools) {
        tools.push(ServerTool { kind: ToolKind::Other("that was asked for".to_owned()), max_uses: None });
    }
    tools
}

/// What a request asks for. `body_bytes` is its length.
fn ask(meterage: &Meterage, found: &Survey, capabilities: &[Capability], body_bytes: usize) -> Ask {
    let weights = &found.weights;
    let max_tokens = weights.max_output;
    Ask {
        input_bytes: weights.described_tools.saturating_mul(DESCRIPTION_TOKENS).saturating_add(body_bytes as u64),
        media: weights.media,
        answer: match meterage.answer {
            AnswerKind::Chat if weights.spoken => Answer::Spoken { max_tokens },
            AnswerKind::Chat | AnswerKind::Responses | AnswerKind::Messages => Answer::Text { max_tokens },
            AnswerKind::Images => Answer::Images,
            AnswerKind::Speech => Answer::Speech,
            AnswerKind::Transcription => Answer::Transcript,
            AnswerKind::Embeddings | AnswerKind::Free => Answer::Nothing,
        },
        choices: weights.choices.unwrap_or(1),
        tier: asked_tier(meterage.provider, weights.tier.as_deref()),
        cache: match meterage.provider {
            Provider::Anthropic if !weights.long_cache => CacheTime::Usual,
            // OpenAI decides by itself how long it caches, unless it is told.
            Provider::Anthropic | Provider::OpenAi => CacheTime::Any,
        },
        fast: weights.speed.as_deref().is_some_and(|speed| speed != "standard"),
        region: region(meterage.provider, weights.region.as_deref()),
        server_tools: server_tools(weights, capabilities, meterage.searches),
    }
}

impl Meterage {
    /// The most that a call can cost; also notes it. Several models add up: an answer may begin with one and end with another.
    pub(super) fn weigh(
        &mut self,
        prices: &PriceBook,
        found: &Survey,
        capabilities: &[Capability],
        body_bytes: usize,
        betas: Option<&str>,
    ) -> Worst {
        if self.answer == AnswerKind::Free {
            return Worst::Free;
        }
        if let Some(beta) = betas.and_then(betas::widening) {
            let beta: String = beta.chars().take(60).collect();
            return Worst::Unknown(format!("with the beta {beta} the model reads or writes more than its price says"));
        }
        if let Some(field) = &found.weights.unknown {
            return Worst::Unknown(format!("what {field} costs is not known here"));
        }
        let searches = self.answer == AnswerKind::Chat
            && found.weights.tools.is_empty()
            && capabilities.contains(&Capability::ServerTools);
        self.searches = if searches { found.weights.choices.unwrap_or(1).max(1) } else { 0 };
        let ask = ask(self, found, capabilities, body_bytes);
        self.runs_tools = !ask.server_tools.is_empty();
        self.tier = ask.tier;
        if found.weights.too_many_tools {
            return Worst::TooManyTools(MAX_SERVER_TOOLS as u64);
        }
        let mut sum: Option<Bound> = None;
        for model in &self.models {
            let Some(price) = prices.find(self.provider, model) else {
                return Worst::Unknown(format!("{model} has no price here; the operator can add one"));
            };
            match price.bound(&ask) {
                Ok(bound) => sum = Some(sum.map_or_else(|| bound.clone(), |sum| both(&sum, &bound))),
                Err(reason) => return Worst::Unknown(format!("{model}: {reason}")),
            }
        }
        self.bound.clone_from(&sum);
        sum.map_or_else(|| Worst::Unknown("no model is named".to_owned()), Worst::Bound)
    }

    /// What the call cost, by what its answer said. `None`: its bound. `output_tokens` is the maximum that the broker set, if it set
    /// one.
    #[must_use]
    pub fn cost(
        &self,
        prices: &PriceBook,
        reading: &Reading,
        ticket: &Ticket,
        output_tokens: Option<u64>,
    ) -> Option<Cost> {
        if self.answer == AnswerKind::Free {
            return Some(Cost { nano_usd: NanoUsd::ZERO, tokens: 0, exact: true });
        }
        if self.answer == AnswerKind::Speech {
            return self.spoken(prices, reading, ticket.bounded);
        }
        match &reading.used {
            Used::Complete(usages) => self.exact(prices, usages, ticket.bounded),
            Used::Partial(usages) => self.at_most(prices, usages, output_tokens),
            Used::Missing => None,
        }
    }

    /// Speech. What is billed by its characters is known from the request: sound says nothing, and most events don't either.
    fn spoken(&self, prices: &PriceBook, reading: &Reading, bounded: bool) -> Option<Cost> {
        let price = self.models.first().and_then(|model| prices.find(self.provider, model));
        let mut usage = match &reading.used {
            Used::Complete(usages) => usages.first()?.clone(),
            // However much of it was sent, its text was read.
            Used::Partial(_) | Used::Missing => {
                price.filter(|price| price.is_by_characters_alone())?;
                Usage::default()
            }
        };
        if price.is_some_and(Price::is_by_characters) {
            usage.characters = self.characters?;
        }
        self.exact(prices, &[usage], bounded)
    }

    /// What the provider said, priced. Without prices only the tokens are known, which is all that a call without a bound can say.
    fn exact(&self, prices: &PriceBook, usages: &[Usage], bounded: bool) -> Option<Cost> {
        let mut cost = Cost { nano_usd: NanoUsd::ZERO, tokens: 0, exact: true };
        for (index, usage) in usages.iter().enumerate() {
            let mut usage = Cow::Borrowed(usage);
            if index == 0 && usage.web_searches < self.searches {
                usage.to_mut().web_searches = self.searches;
            }
            let price = self.price_of(prices, &usage, index == 0);
            if price.is_none() && bounded {
                return None;
            }
            cost.nano_usd = cost.nano_usd.plus(price.unwrap_or_default());
            cost.tokens = cost.tokens.saturating_add(usage.tokens());
        }
        Some(cost)
    }

    /// The first usage is of one of the models that the call may dispatch: the one that it names, or else the dearest. Further ones
    /// are of whatever model they name.
    fn price_of(&self, prices: &PriceBook, usage: &Usage, first: bool) -> Option<NanoUsd> {
        let named = usage.model.as_deref();
        // A length that has no price is not free.
        let covers = |price: &&Price| usage.audio_millis == 0 || price.is_by_length();
        let cost = |model: &str| {
            prices.find(self.provider, model).filter(covers).map(|price| self.cost_in_tiers(price, usage))
        };
        match named {
            Some(named) if !first || self.models.iter().any(|model| model == named) => cost(named),
            _ => self.models.iter().map(|model| cost(model)).collect::<Option<Vec<_>>>()?.into_iter().max(),
        }
    }

    /// In the tier that the answer says. Where it doesn't: in the dearest that may have served the call.
    fn cost_in_tiers(&self, price: &Price, usage: &Usage) -> NanoUsd {
        if usage.tier.is_some() || self.provider != Provider::OpenAi {
            return price.cost(usage);
        }
        let in_tier = |tier: &Tier| price.cost(&Usage { tier: Some(*tier), ..usage.clone() });
        self.tier.possible().iter().map(in_tier).max().unwrap_or_else(|| price.cost(usage))
    }

    /// An answer broke off after it had said what was read: that, and all that could be written.
    fn at_most(&self, prices: &PriceBook, usages: &[Usage], output_tokens: Option<u64>) -> Option<Cost> {
        if self.answer != AnswerKind::Messages || self.runs_tools {
            return None;
        }
        let (bound, [usage], [model]) = (self.bound.as_ref()?, usages, self.models.as_slice()) else { return None };
        let price: &Price = prices.find(self.provider, model)?;
        let read = Usage {
            output_tokens: 0,
            reasoning_tokens: 0,
            output_audio_tokens: 0,
            output_image_tokens: 0,
            ..usage.clone()
        };
        let written = Bound {
            input_nano_usd: price.cost(&read),
            input_tokens: usage.input_tokens,
            output_tokens: output_tokens.unwrap_or(bound.output_tokens),
            ..bound.clone()
        };
        Some(Cost { nano_usd: written.nano_usd(), tokens: written.tokens(), exact: false })
    }
}

fn both(one: &Bound, other: &Bound) -> Bound {
    Bound {
        input_nano_usd: one.input_nano_usd.plus(other.input_nano_usd),
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        output_pico_usd: one.output_pico_usd.max(other.output_pico_usd),
        output_tokens: one.output_tokens.max(other.output_tokens),
        choices: one.choices.saturating_add(other.choices),
        least_output_tokens: one.least_output_tokens.min(other.least_output_tokens),
    }
}

#[cfg(test)]
mod tests;
