//! From a request to the most that it can cost, and from an answer to what it did cost.

use std::borrow::Cow;

use super::{
    dialect,
    prices::{Answer, Ask, AskedTier, CacheTime, Price, PriceBook, Region, ServerTool, ToolKind},
    shown,
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
    /// The most that the provider can believably say was used.
    pub most: Most,
}

/// The most that one answer can believably say, so that a count above the bound is told from one that can't be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// How often each model reads what it is sent.
    pub rounds: u64,
    /// Whether there may be pictures in that.
    pub media: bool,
    /// How often the web is searched.
    pub searches: u64,
}

/// What the provider writes to the model about a tool that it knows by its `type`. Known of: 245 tokens (bash), 700 (text editor),
/// 735 and 499 more (computer).
const DESCRIPTION_TOKENS: u64 = 2_048;

/// What a provider names a tool, and what kind that is.
fn tool_kind(provider: Provider, name: &str) -> ToolKind {
    (dialect(provider).server_tool)(name).unwrap_or_else(|| ToolKind::Other(shown(name)))
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

fn region(prices: &PriceBook, provider: Provider, region: Option<&str>) -> Region {
    match (provider, region) {
        _ if prices.is_in_one_region(provider) => Region::One,
        (Provider::OpenAi, _) | (Provider::Anthropic, Some("global")) => Region::Global,
        (Provider::Anthropic, None) => Region::Unsaid,
        (Provider::Anthropic, Some(_)) => Region::One,
    }
}

fn server_tools(meterage: &Meterage, weights: &Weights, capabilities: &[Capability]) -> Vec<ServerTool> {
    let searches = meterage.searches;
    let mut tools: Vec<ServerTool> = weights
        .tools
        .iter()
        .map(|tool| ServerTool {
            kind: tool_kind(meterage.provider, &tool.kind),
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
fn ask(prices: &PriceBook, meterage: &Meterage, found: &Survey, capabilities: &[Capability], body_bytes: usize) -> Ask {
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
        region: region(prices, meterage.provider, weights.region.as_deref()),
        server_tools: server_tools(meterage, weights, capabilities),
        most_rounds: dialect(meterage.provider).most_rounds,
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
    ) -> Worst {
        if self.answer == AnswerKind::Free {
            return Worst::Free;
        }
        if let Some(field) = &found.weights.unknown {
            return Worst::Unknown(format!("what {field} costs is not known here"));
        }
        let searches = self.answer == AnswerKind::Chat
            && found.weights.tools.is_empty()
            && capabilities.contains(&Capability::ServerTools);
        self.searches = if searches { found.weights.choices.unwrap_or(1).max(1) } else { 0 };
        let ask = ask(prices, self, found, capabilities, body_bytes);
        self.runs_tools = !ask.server_tools.is_empty();
        self.most = Most { rounds: ask.rounds(), media: ask.media, searches: ask.uses() };
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
            return self.spoken(prices, reading, ticket);
        }
        match &reading.used {
            Used::Complete(usages) => self.exact(prices, usages, ticket),
            Used::Partial(usages) => self.at_most(prices, usages, output_tokens),
            Used::Missing => None,
        }
    }

    /// Speech. What is billed by its characters is known from the request: sound says nothing, and most events don't either.
    fn spoken(&self, prices: &PriceBook, reading: &Reading, ticket: &Ticket) -> Option<Cost> {
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
        self.exact(prices, &[usage], ticket)
    }

    /// What the provider said, priced. Without prices only the tokens are known, which is all that a call without a bound can say.
    ///
    /// `None` where it is more than the bound and can't be believed either: then the bound is what was agreed with the cap.
    fn exact(&self, prices: &PriceBook, usages: &[Usage], ticket: &Ticket) -> Option<Cost> {
        let mut cost = Cost { nano_usd: NanoUsd::ZERO, tokens: 0, exact: true };
        for (index, usage) in usages.iter().enumerate() {
            let mut usage = Cow::Borrowed(usage);
            if index == 0 && usage.web_searches < self.searches {
                usage.to_mut().web_searches = self.searches;
            }
            if prices.is_in_one_region(self.provider) && !usage.in_region {
                usage.to_mut().in_region = true;
            }
            let price = self.price_of(prices, &usage, index == 0);
            if price.is_none() && ticket.bounded {
                return None;
            }
            cost.nano_usd = cost.nano_usd.plus(price.unwrap_or_default());
            cost.tokens = cost.tokens.saturating_add(usage.tokens());
        }
        let is_above = cost.nano_usd > ticket.amounts.nano_usd || cost.tokens > ticket.amounts.tokens;
        let is_believed = || usages.iter().all(|usage| self.is_plausible(prices, usage));
        (!ticket.bounded || !is_above || is_believed()).then_some(cost)
    }

    /// Whether any of the models that may have answered can have used so much: it reads no more at once than its window, and writes no more
    /// than its maximum, or the call's.
    fn is_plausible(&self, prices: &PriceBook, usage: &Usage) -> bool {
        let named = usage.model.as_deref();
        let models = self.models.iter().map(String::as_str).chain(named);
        let known = models.filter_map(|model| prices.find(self.provider, model));
        let (read, written) = known.fold((0, 0), |(read, written), price| {
            (read.max(price.most_read(self.most.media).unwrap_or(0)), written.max(price.max_output().unwrap_or(0)))
        });
        let bound = self.bound.as_ref();
        let written = written.max(bound.map_or(0, |bound| bound.output_tokens));
        let choices = bound.map_or(1, |bound| bound.choices).max(1);
        usage.input_tokens <= read.saturating_mul(self.most.rounds.max(1))
            && usage.output_tokens <= written.saturating_mul(choices)
            && usage.web_searches <= self.most.searches.max(self.searches)
            && usage.audio_millis == 0
    }

    /// The first usage is of the model that it names, if the table knows that one, or of one that the call may dispatch: the dearer
    /// counts. A name that the provider points at another model may have been dearer, and may be again. Further ones are of whatever
    /// model they name.
    fn price_of(&self, prices: &PriceBook, usage: &Usage, first: bool) -> Option<NanoUsd> {
        // A length that has no price is not free.
        let covers = |price: &&Price| usage.audio_millis == 0 || price.is_by_length();
        let cost = |model: &str| {
            prices.find(self.provider, model).filter(covers).map(|price| self.cost_in_tiers(price, usage))
        };
        let named = usage.model.as_deref();
        match named {
            Some(named) if !first || self.models.iter().any(|model| model == named) => cost(named),
            _ => {
                let asked = self.models.iter().map(|model| cost(model)).collect::<Option<Vec<_>>>()?.into_iter().max();
                asked.max(named.and_then(cost))
            }
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
            in_region: usage.in_region || prices.is_in_one_region(self.provider),
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
