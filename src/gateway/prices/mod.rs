//! What models cost.
//!
//! A [`PriceBook`] knows the prices of the built-in table and those that the operator sets; a [`Price`] says what a call has cost
//! ([`Price::cost`]) and what it can cost at most ([`Price::bound`]). For every call: what it cost is never more than its bound.
//!
//! Prices are whole pico-USD per unit, products are `u128`, and a call is rounded up once, to a nano-USD. Where a price is not
//! known, the dearest that is known takes its place; nothing is guessed cheaper. `docs/prices.md` has the format.

mod ask;
mod book;
mod bound;

mod parse;
mod rates;
#[cfg(test)]
mod tests;

pub use ask::{Answer, Ask, AskedTier, CacheTime, Region, ServerTool, ToolKind};
pub use book::PriceBook;
pub use bound::Unbounded;
pub use parse::{PriceError, Problem};

use rates::{Rate, Rates};

use super::usage::{Tier, Usage};
use crate::domain::money::NanoUsd;

/// Fast mode of a model whose factor for it is not known, in percent: the dearest that there was.
const UNKNOWN_FAST_PERCENT: u64 = 600;
/// The same for pictures, in percent: the largest that OpenAI publishes for models that cut pictures into patches, as all since 2025 do.
const UNKNOWN_IMAGE_PERCENT: u64 = 246;
/// A web search with a model whose price for it is not known, in pico-USD: the dearest of the table.
const UNKNOWN_SEARCH_PICO_USD: u64 = 25_000_000_000;
const MILLIS_PER_SECOND: u128 = 1_000;
const PERCENT: u128 = 100;

/// What one model costs. Amounts are pico-USD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    rates: Rates,
    /// Calls that read more tokens than this are billed at the prices of long contexts, as a whole.
    long_above: Option<u64>,
    /// Most tokens read.
    window: Option<u64>,
    /// Most tokens written in one choice; for a model of images in one image.
    max_output: Option<u64>,
    /// A second of audio.
    audio_second: Option<u64>,
    /// A character.
    character: Option<u64>,
    /// A web search, of the dearest size.
    search: Option<u64>,
    /// What tokens cost where they are processed in one region, in percent of the usual.
    region_percent: Option<u64>,
    /// What tokens cost in fast mode, in percent of the usual.
    fast_percent: Option<u64>,
    /// Tokens of a picture that are billed, and counted in the answer, in percent of those that the model reads.
    image_percent: Option<u64>,
}

impl Price {
    /// Most tokens that the model reads in one call, where known.
    #[must_use]
    pub const fn window(&self) -> Option<u64> {
        self.window
    }

    /// Most tokens that the model writes in one choice (of images: in one image), where known.
    #[must_use]
    pub const fn max_output(&self) -> Option<u64> {
        self.max_output
    }

    /// Most tokens that are billed for what the model reads once, with pictures in it or without, where known.
    #[must_use]
    pub fn most_read(&self, media: bool) -> Option<u64> {
        let percent = if media { self.image_percent.unwrap_or(UNKNOWN_IMAGE_PERCENT).max(100) } else { 100 };
        Some(self.window?.saturating_mul(percent).div_ceil(100))
    }

    /// Whether the text of speech has a price by its characters.
    #[must_use]
    pub const fn is_by_characters(&self) -> bool {
        self.character.is_some()
    }

    /// Whether the length of audio has a price.
    #[must_use]
    pub const fn is_by_length(&self) -> bool {
        self.audio_second.is_some()
    }

    /// Whether its characters are all that is billed of speech.
    #[must_use]
    pub fn is_by_characters_alone(&self) -> bool {
        self.is_by_characters() && !self.rates.has_cost(&Rate::OF_INPUT) && !self.rates.has_cost(&Rate::OF_OUTPUT)
    }

    /// Whether it is that of a model which answers in text: not one of embeddings, moderations, images, speech or transcription. What is
    /// billed tells; only speech that is billed by its tokens has a price of text too, but no context that is known.
    #[must_use]
    pub fn is_of_chat(&self) -> bool {
        let has = |rate| self.rates.has_any(&[rate]);
        let is_speech = has(Rate::AudioOutput) && self.window.is_none();
        has(Rate::Input)
            && has(Rate::Output)
            && !has(Rate::ImageOutput)
            && !is_speech
            && !self.is_by_length()
            && !self.is_by_characters()
            && self.max_output != Some(0)
    }

    /// What a call has cost, rounded up once.
    ///
    /// Every token is billed once. Where counts contradict each other (more of a kind than in all), all tokens are billed at the
    /// dearest price of any kind.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let tier = usage.tier.unwrap_or(Tier::Standard);
        let input = Input::of(usage);
        let long = self.is_long(input.tokens);
        let price = |rate| u128::from(self.rates.price(rate, tier, long));
        let tokens = input.cost(&price).saturating_add(output_cost(usage, &price));
        let tokens = self.multiplied(tokens, usage.fast, usage.in_region);
        let search = self.search.unwrap_or(UNKNOWN_SEARCH_PICO_USD);
        let audio = product(usage.audio_millis, self.audio_second.unwrap_or(0)).div_ceil(MILLIS_PER_SECOND);
        let others =
            [product(usage.web_searches, search), audio, product(usage.characters, self.character.unwrap_or(0))];
        NanoUsd::from_pico_rounded_up(others.into_iter().fold(tokens, u128::saturating_add))
    }

    /// Whether a call that reads so many tokens is billed at the prices of long contexts.
    fn is_long(&self, input_tokens: u64) -> bool {
        self.long_above.is_some_and(|above| input_tokens > above)
    }

    /// What tokens cost in fast mode and in one region, in pico-USD. A model without a price for a region has none: it is offered
    /// in no other way.
    fn multiplied(&self, pico: u128, fast: bool, in_region: bool) -> u128 {
        let fast = if fast { self.fast_percent.unwrap_or(UNKNOWN_FAST_PERCENT) } else { 100 };
        let region = if in_region { self.region_percent.unwrap_or(100) } else { 100 };
        // One division, so that it is rounded up once.
        pico.saturating_mul(u128::from(fast)).saturating_mul(u128::from(region)).div_ceil(PERCENT * PERCENT)
    }
}

fn product(count: u64, price: u64) -> u128 {
    u128::from(count).saturating_mul(u128::from(price))
}

/// What was read, each token in one kind.
struct Input {
    tokens: u64,
    kinds: Option<[(Rate, u64); 8]>,
}

impl Input {
    fn of(usage: &Usage) -> Self {
        let kinds = Self::kinds(usage);
        let parts = [usage.cached_tokens, usage.cache_write_tokens, usage.cache_write_long_tokens];
        let parts = parts.into_iter().fold(0, u64::saturating_add);
        let parts = parts.max(usage.input_audio_tokens.saturating_add(usage.input_image_tokens));
        // Counts that contradict each other may have come from a provider that counts the cached apart.
        Self { tokens: if kinds.is_some() { usage.input_tokens } else { usage.input_tokens.max(parts) }, kinds }
    }

    /// `None`: they contradict each other.
    fn kinds(usage: &Usage) -> Option<[(Rate, u64); 8]> {
        let audio = usage.input_audio_tokens.checked_sub(usage.cached_audio_tokens)?;
        let image = usage.input_image_tokens.checked_sub(usage.cached_image_tokens)?;
        let cached =
            usage.cached_tokens.checked_sub(usage.cached_audio_tokens)?.checked_sub(usage.cached_image_tokens)?;
        let written = [usage.cache_write_tokens, usage.cache_write_long_tokens];
        let rest = [usage.cached_tokens, audio, image].into_iter().chain(written);
        let rest = rest.into_iter().try_fold(usage.input_tokens, u64::checked_sub)?;
        Some([
            (Rate::Input, rest),
            (Rate::Cached, cached),
            (Rate::Write, usage.cache_write_tokens),
            (Rate::WriteLong, usage.cache_write_long_tokens),
            (Rate::AudioInput, audio),
            (Rate::AudioCached, usage.cached_audio_tokens),
            (Rate::ImageInput, image),
            (Rate::ImageCached, usage.cached_image_tokens),
        ])
    }

    fn cost(&self, price: &dyn Fn(Rate) -> u128) -> u128 {
        match &self.kinds {
            Some(kinds) => sum(kinds, price),
            None => u128::from(self.tokens).saturating_mul(dearest(&Rate::OF_INPUT, price)),
        }
    }
}

fn output_cost(usage: &Usage, price: &dyn Fn(Rate) -> u128) -> u128 {
    let media = usage.output_audio_tokens.saturating_add(usage.output_image_tokens);
    match usage.output_tokens.checked_sub(media) {
        Some(text) => sum(
            &[
                (Rate::Output, text),
                (Rate::AudioOutput, usage.output_audio_tokens),
                (Rate::ImageOutput, usage.output_image_tokens),
            ],
            price,
        ),
        None => u128::from(media).saturating_mul(dearest(&Rate::OF_OUTPUT, price)),
    }
}

fn sum(kinds: &[(Rate, u64)], price: &dyn Fn(Rate) -> u128) -> u128 {
    kinds.iter().map(|(rate, count)| u128::from(*count).saturating_mul(price(*rate))).fold(0, u128::saturating_add)
}

fn dearest(rates: &[Rate], price: &dyn Fn(Rate) -> u128) -> u128 {
    rates.iter().map(|rate| price(*rate)).max().unwrap_or(0)
}
