//! The most that a call can cost.

use super::{Answer, Ask, CacheTime, Price, Rate, Region, ToolKind, dearest, product};
use crate::domain::{ledger::Bound, limits::MAX_STORED_INTEGER, money::NanoUsd};

/// Tokens that the provider adds to what was sent: system prompts of tools (a few hundred tokens each), marks around messages.
const ADDED_TOKENS: u64 = 2_048;
/// An answer is never cut below this because of money: what is shorter is of no use.
const LEAST_OUTPUT_TOKENS: u64 = 1_024;

/// Nobody knows what a call could cost at most, so it can't be made under a limit of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbounded {
    /// Media or server tools can fill the model's context, and its size is not known.
    #[error("how much the model reads at most is not known; the operator can add \"window\" to its price")]
    Window,
    /// The caller named no maximum, and the model's is not known.
    #[error(
        "how much the model writes at most is not known; name a maximum, or the operator can add \"max_output\" to its price"
    )]
    MaxOutput,
    /// A server tool without a price.
    #[error("what the tool {0} costs is not known")]
    Tool(String),
    /// A server tool that may run any number of times.
    #[error("how often the tool {0} runs is not limited; name a maximum")]
    ToolUses(String),
    /// Fast mode without a price.
    #[error("what fast mode costs with this model is not known; the operator can add \"fast_percent\" to its price")]
    Fast,
    /// Audio that is billed by its length, which its size doesn't tell: silence compresses to nearly nothing.
    #[error("how long the audio is can't be told before the call")]
    Duration,
}

impl Price {
    /// The most that a call can cost: at least [`Price::cost`] of whatever the provider can bill for it.
    ///
    /// # Errors
    /// [`Unbounded`] where nobody knows.
    pub fn bound(&self, ask: &Ask) -> Result<Bound, Unbounded> {
        if ask.answer == Answer::Transcript && self.audio_second.is_some() {
            return Err(Unbounded::Duration);
        }
        if ask.fast && self.fast_percent.is_none() {
            return Err(Unbounded::Fast);
        }
        let tools = self.server_tools(ask)?;
        let rounds = ask.rounds();
        let input_tokens = self.input_tokens(ask, rounds)?;
        let (output_tokens, least_output_tokens) = self.output_tokens(ask)?;

        let per_token = |rates: &[Rate]| {
            let tiers = ask.tier.possible().iter();
            let long = self.is_long(input_tokens);
            let dearest = |tier, long| dearest(rates, &|rate| u128::from(self.rates.price(rate, tier, long)));
            let most = tiers.map(|tier| dearest(*tier, false).max(if long { dearest(*tier, true) } else { 0 })).max();
            most.unwrap_or(0)
        };
        let in_region = ask.region != Region::Global;
        let input = u128::from(input_tokens).saturating_mul(per_token(&input_rates(ask)));
        let input = self.multiplied(input, ask.fast, in_region);
        let output = self.multiplied(per_token(output_rates(ask)), ask.fast, in_region);
        let characters = product(ask.input_bytes, self.character.unwrap_or(0));
        Ok(Bound {
            input_nano_usd: NanoUsd::from_pico_rounded_up(input.saturating_add(tools).saturating_add(characters)),
            input_tokens,
            output_pico_usd: u64::try_from(output).unwrap_or(u64::MAX).min(MAX_STORED_INTEGER),
            output_tokens,
            // After each use of a tool the model writes again, and nobody says whether the maximum is one for all of that.
            choices: ask.choices.max(1).saturating_mul(rounds),
            least_output_tokens,
        })
    }

    /// What server tools cost at most, in pico-USD.
    fn server_tools(&self, ask: &Ask) -> Result<u128, Unbounded> {
        let mut pico = 0_u128;
        for tool in &ask.server_tools {
            let price = match tool.kind {
                ToolKind::WebSearch => self.search,
                ToolKind::WebFetch => Some(0),
                ToolKind::Other(_) => None,
            };
            let price = price.ok_or_else(|| Unbounded::Tool(tool.kind.name().to_owned()))?;
            let most = tool.max_uses.ok_or_else(|| Unbounded::ToolUses(tool.kind.name().to_owned()))?;
            pico = pico.saturating_add(product(most, price));
        }
        Ok(pico)
    }

    /// Most tokens read. After each use of a server tool the context is read again, with what the tool brought.
    fn input_tokens(&self, ask: &Ask, rounds: u64) -> Result<u64, Unbounded> {
        if !self.rates.has_any(&Rate::OF_INPUT) {
            // Billed by something else.
            return Ok(0);
        }
        let text = ask.input_bytes.saturating_add(ADDED_TOKENS);
        // Where reading is free, as with moderations, no window is needed for media.
        let free = !self.rates.has_cost(&Rate::OF_INPUT);
        if (!ask.media || free) && ask.server_tools.is_empty() {
            return Ok(self.window.map_or(text, |window| text.min(window)));
        }
        let most_read = self.most_read(ask.media).ok_or(Unbounded::Window)?;
        Ok(most_read.saturating_mul(rounds).min(MAX_STORED_INTEGER))
    }

    /// Most tokens written in one choice, and down to where a maximum may be set where the caller named none.
    ///
    /// The caller's maximum counts even where it is above the model's: the provider refuses such a call, and if the model's has
    /// grown since the table was made, what the caller named still holds.
    fn output_tokens(&self, ask: &Ask) -> Result<(u64, Option<u64>), Unbounded> {
        match ask.answer {
            Answer::Nothing => Ok((0, None)),
            Answer::Text { max_tokens: Some(max) } | Answer::Spoken { max_tokens: Some(max) } => {
                Ok((max.min(MAX_STORED_INTEGER), None))
            }
            Answer::Text { max_tokens: None } | Answer::Spoken { max_tokens: None } => {
                let max = self.max_output.ok_or(Unbounded::MaxOutput)?;
                Ok((max, Some(max.min(LEAST_OUTPUT_TOKENS))))
            }
            // Billed by the character.
            Answer::Speech if self.character.is_some() => Ok((0, None)),
            Answer::Images | Answer::Speech | Answer::Transcript => {
                Ok((self.max_output.ok_or(Unbounded::MaxOutput)?, None))
            }
        }
    }
}

/// What the tokens that are read can be.
fn input_rates(ask: &Ask) -> Vec<Rate> {
    let text = Rate::OF_TEXT_INPUT.into_iter().filter(|rate| *rate != Rate::WriteLong || ask.cache == CacheTime::Any);
    text.chain(Rate::OF_MEDIA_INPUT.into_iter().filter(|_| ask.media)).collect()
}

/// What the tokens that are written can be.
const fn output_rates(ask: &Ask) -> &'static [Rate] {
    match ask.answer {
        Answer::Nothing => &[],
        Answer::Text { .. } | Answer::Transcript => &[Rate::Output],
        Answer::Spoken { .. } | Answer::Speech => &[Rate::Output, Rate::AudioOutput],
        Answer::Images => &[Rate::Output, Rate::ImageOutput],
    }
}
