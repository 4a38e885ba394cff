//! Prices of tokens: by what they are, the tier that serves the call, and whether its context is long.

use super::Tier;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    Input,
    Cached,
    Write,
    WriteLong,
    Output,
    AudioInput,
    AudioCached,
    AudioOutput,
    ImageInput,
    ImageCached,
    ImageOutput,
}

impl Rate {
    pub(super) const OF_TEXT_INPUT: [Self; 4] = [Self::Input, Self::Cached, Self::Write, Self::WriteLong];
    pub(super) const OF_MEDIA_INPUT: [Self; 4] =
        [Self::AudioInput, Self::AudioCached, Self::ImageInput, Self::ImageCached];
    pub(super) const OF_INPUT: [Self; 8] = [
        Self::Input,
        Self::Cached,
        Self::Write,
        Self::WriteLong,
        Self::AudioInput,
        Self::AudioCached,
        Self::ImageInput,
        Self::ImageCached,
    ];
    pub(super) const OF_OUTPUT: [Self; 3] = [Self::Output, Self::AudioOutput, Self::ImageOutput];

    /// By its name in the table.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "input" => Self::Input,
            "cached" => Self::Cached,
            "write" => Self::Write,
            "write_long" => Self::WriteLong,
            "output" => Self::Output,
            "audio_input" => Self::AudioInput,
            "audio_cached" => Self::AudioCached,
            "audio_output" => Self::AudioOutput,
            "image_input" => Self::ImageInput,
            "image_cached" => Self::ImageCached,
            "image_output" => Self::ImageOutput,
            _ => return None,
        })
    }

    /// What a token is billed as where it has no price of its own: nothing is off for being cached.
    const fn otherwise(self) -> Option<Self> {
        match self {
            Self::Input | Self::Output => None,
            Self::Cached | Self::Write | Self::AudioInput | Self::ImageInput => Some(Self::Input),
            Self::WriteLong => Some(Self::Write),
            Self::AudioCached => Some(Self::AudioInput),
            Self::ImageCached => Some(Self::ImageInput),
            Self::AudioOutput | Self::ImageOutput => Some(Self::Output),
        }
    }
}

/// A price that is known, in pico-USD per token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    rate: Rate,
    tier: Tier,
    long: bool,
    pico: u64,
}

/// The prices that are known; the others follow from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates(Vec<Known>);

impl Rates {
    pub(super) fn set(&mut self, rate: Rate, tier: Tier, long: bool, pico: u64) {
        self.0.push(Known { rate, tier, long, pico });
    }

    /// The price as it stands.
    pub(super) fn own(&self, rate: Rate, tier: Tier, long: bool) -> Option<u64> {
        let is_it = |known: &&Known| known.rate == rate && known.tier == tier && known.long == long;
        self.0.iter().find(is_it).map(|known| known.pico)
    }

    /// Whether there are prices for long contexts.
    pub(super) fn has_long(&self) -> bool {
        self.0.iter().any(|known| known.long)
    }

    /// Whether a price for any of these is known.
    pub(super) fn has_any(&self, rates: &[Rate]) -> bool {
        self.0.iter().any(|known| rates.contains(&known.rate))
    }

    /// Whether any of these costs something.
    pub(super) fn has_cost(&self, rates: &[Rate]) -> bool {
        self.0.iter().any(|known| known.pico > 0 && rates.contains(&known.rate))
    }

    /// In pico-USD per token. Without a price of its own: the dearest of the same thing in the standard tier or a shorter context,
    /// and of what it is billed as otherwise. A dear tier of which nothing is known costs what the dearest tier does. Nothing at all
    /// is known of a text that is written: then what is written otherwise.
    pub(super) fn price(&self, rate: Rate, tier: Tier, long: bool) -> u64 {
        if let Some(own) = self.own(rate, tier, long) {
            return own;
        }
        let known_tier = self.0.iter().any(|known| known.tier == tier);
        let dear = matches!(tier, Tier::Priority | Tier::Ultrafast);
        let takes_place = |known: &&Known| {
            (known.tier == tier || known.tier == Tier::Standard || dear && !known_tier) && (long || !known.long)
        };
        let dearest_of = |rate: Rate| {
            self.0.iter().filter(|known| known.rate == rate).filter(takes_place).map(|known| known.pico).max()
        };
        let otherwise = rate.otherwise().map(|rate| self.price(rate, tier, long));
        let found = dearest_of(rate).max(otherwise);
        let media = [Rate::AudioOutput, Rate::ImageOutput];
        found.or_else(|| media.into_iter().filter(|_| rate == Rate::Output).filter_map(dearest_of).max()).unwrap_or(0)
    }
}
