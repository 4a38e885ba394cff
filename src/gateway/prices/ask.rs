//! What a request asks for, as far as it decides what it can cost.

use super::Tier;

/// What a request asks for, as far as it decides what it can cost. [`Self::of_bytes`] assumes the dearest of everything; whoever
/// read the request says what is known better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Length of the body in bytes: a token is never shorter than a byte.
    pub input_bytes: u64,
    /// Anything but text is attached, or fetched from a URL: nobody knows how long that is.
    pub media: bool,
    /// What is written.
    pub answer: Answer,
    /// How many answers (`n`, `best_of`) or images; 0 counts as 1.
    pub choices: u64,
    /// The service tier.
    pub tier: AskedTier,
    /// For how long a cache may be written.
    pub cache: CacheTime,
    /// Anthropic's `speed: "fast"`.
    pub fast: bool,
    /// Where it is processed.
    pub region: Region,
    /// Tools that run at the provider.
    pub server_tools: Vec<ServerTool>,
    /// How often the model reads everything at most where tools run at the provider; `None`: once for each use, and once more.
    pub most_rounds: Option<u64>,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing that is billed: embeddings, moderations.
    Nothing,
    /// Text.
    Text {
        /// The caller's own maximum for each choice.
        max_tokens: Option<u64>,
    },
    /// Text, or speech in tokens.
    Spoken {
        /// The caller's own maximum for each choice.
        max_tokens: Option<u64>,
    },
    /// As many images as there are choices, with up to three previews each.
    Images,
    /// A text, read out.
    Speech,
    /// What is said in an audio file.
    Transcript,
}

/// The tier that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedTier {
    /// None, or `auto`: settings at the provider decide between flex, standard and priority.
    Unsaid,
    /// `default`.
    Standard,
    /// `flex`.
    Flex,
    /// `priority`.
    Priority,
    /// `ultrafast`, or one that is too new to know.
    Other,
}

impl AskedTier {
    /// The tiers that may serve the call. Whatever is asked for may be served as the standard one.
    pub(in super::super) const fn possible(self) -> &'static [Tier] {
        match self {
            Self::Unsaid => &[Tier::Standard, Tier::Flex, Tier::Priority],
            Self::Standard => &[Tier::Standard],
            Self::Flex => &[Tier::Standard, Tier::Flex],
            Self::Priority => &[Tier::Standard, Tier::Priority],
            Self::Other => &[Tier::Standard, Tier::Flex, Tier::Priority, Tier::Ultrafast],
        }
    }
}

/// For how long a cache may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheTime {
    /// Any time.
    Any,
    /// The usual time, nothing longer (Anthropic: no `ttl: "1h"`; OpenAI: no retention of 24 hours).
    Usual,
}

/// Where a call is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Not said: settings at the provider decide.
    Unsaid,
    /// Anywhere.
    Global,
    /// In one region (Anthropic's `inference_geo: "us"`, OpenAI's regional hosts).
    One,
}

/// A tool that runs at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTool {
    /// Which.
    pub kind: ToolKind,
    /// How often it runs at most.
    pub max_uses: Option<u64>,
}

/// Which tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// Searches the web; each search has a price.
    WebSearch,
    /// Anthropic's reading of a page, which costs the tokens that it brings and nothing else.
    WebFetch,
    /// Any other, by its name: has no price.
    Other(String),
}

impl ToolKind {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::WebSearch => "web_search",
            Self::WebFetch => "web_fetch",
            Self::Other(name) => name,
        }
    }
}

impl Ask {
    /// How often tools that run at the provider are used at most, as far as that is said.
    #[must_use]
    pub fn uses(&self) -> u64 {
        self.server_tools.iter().filter_map(|tool| tool.max_uses).fold(0, u64::saturating_add)
    }

    /// How often the model reads everything at most.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        if self.server_tools.is_empty() { 1 } else { self.most_rounds.unwrap_or(self.uses().saturating_add(1)) }
    }

    /// A request of so many bytes, of which nothing else is known.
    #[must_use]
    pub const fn of_bytes(input_bytes: u64) -> Self {
        Self {
            input_bytes,
            media: true,
            answer: Answer::Spoken { max_tokens: None },
            choices: 1,
            tier: AskedTier::Unsaid,
            cache: CacheTime::Any,
            fast: false,
            region: Region::Unsaid,
            server_tools: Vec::new(),
            most_rounds: None,
        }
    }
}
