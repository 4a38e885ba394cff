//! What a provider says that a call used.
//!
//! A [`Meter`] reads an answer as it passes, whole or as a stream, in pieces cut anywhere, and says at the end what it used. One file
//! per kind of answer knows where the counts stand and what they mean; all of them end in [`Usage`]. What can't be believed counts as
//! not said: then the caller books a bound instead, and never too little.

mod audio;
mod chat;
mod embeddings;
mod images;
mod messages;
mod meter;
mod reader;
mod responses;
mod skim;
mod sse;
mod tokens;

#[cfg(test)]
mod tests;

pub use meter::{AnswerKind, Meter, Reading, Used};
pub use reader::End;

/// What a call used, in the words of no provider. Every count that is named "of" another is part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read: all of them, whether cached, written to a cache, spoken or seen.
    pub input_tokens: u64,
    /// Of the input: read from a cache.
    pub cached_tokens: u64,
    /// Of the input: written to a cache for the usual time (Anthropic: 5 minutes).
    pub cache_write_tokens: u64,
    /// Of the input: written to a cache for the longer time (Anthropic: 1 hour).
    pub cache_write_long_tokens: u64,
    /// Of the input: audio.
    pub input_audio_tokens: u64,
    /// Of the input: audio that was read from a cache; also in `cached_tokens`.
    pub cached_audio_tokens: u64,
    /// Of the input: images, where the provider prices them apart.
    pub input_image_tokens: u64,
    /// Of the input: images that were read from a cache; also in `cached_tokens`.
    pub cached_image_tokens: u64,
    /// Tokens written: all of them, hidden reasoning included.
    pub output_tokens: u64,
    /// Of the output: hidden reasoning.
    pub reasoning_tokens: u64,
    /// Of the output: audio.
    pub output_audio_tokens: u64,
    /// Of the output: images.
    pub output_image_tokens: u64,
    /// Web searches that the provider ran.
    pub web_searches: u64,
    /// Milliseconds of audio, where that is what is billed.
    pub audio_millis: u64,
    /// Characters, where that is what is billed.
    pub characters: u64,
    /// The tier that served the call, where the provider says so.
    pub tier: Option<Tier>,
    /// Anthropic's `speed: "fast"`.
    pub fast: bool,
    /// Anthropic's `inference_geo: "us"`.
    pub in_region: bool,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
}

/// A service tier that has prices of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// The usual one.
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// Fastest and dearest.
    Ultrafast,
}

impl Usage {
    /// What counts against a limit of tokens.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}
