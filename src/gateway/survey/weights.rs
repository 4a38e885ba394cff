//! What in a body decides what the call can cost.

use super::{super::shown, Weight};

/// What was found; what was not leaves the dearest open.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own that a body may say")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Weights {
    /// The most tokens to write, in each answer; of several names for it the largest number.
    pub(in super::super) max_output: Option<u64>,
    /// How many answers.
    pub(in super::super) choices: Option<u64>,
    /// How often tools run at the provider, all together.
    pub(in super::super) tool_uses: Option<u64>,
    /// The service tier.
    pub(in super::super) tier: Option<String>,
    /// The speed.
    pub(in super::super) speed: Option<String>,
    /// Where it is processed.
    pub(in super::super) region: Option<String>,
    /// The format of images.
    pub(in super::super) format: Option<String>,
    /// How many characters are read out.
    pub(in super::super) characters: Option<u64>,
    /// Something that isn't known to be text is attached.
    pub(in super::super) media: bool,
    /// A cache is written for longer than five minutes.
    pub(in super::super) long_cache: bool,
    /// The answer may be spoken.
    pub(in super::super) spoken: bool,
    /// Options of the stream are named.
    pub(in super::super) stream_options: bool,
    /// Tools that the caller runs and that the provider describes to the model.
    pub(in super::super) described_tools: u64,
    /// Tools that run at the provider, at most [`MAX_SERVER_TOOLS`].
    pub(in super::super) tools: Vec<Tool>,
    /// More than [`MAX_SERVER_TOOLS`] tools run at the provider.
    pub(in super::super) too_many_tools: bool,
    /// The first key at the top of which nobody here knows what it costs.
    pub(in super::super) unknown: Option<String>,
}

/// A tool that runs at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Tool {
    /// Its `type`.
    pub(in super::super) kind: String,
    /// How often it runs at most, if the body says so.
    pub(in super::super) max_uses: Option<u64>,
}

/// Most tools that run at the provider and are looked at; a call with more can't be bounded. As many as OpenAI takes in one request, of
/// any kind. The caller's own tools, of which agents bring hundreds, are read like any other text and don't count.
pub(in super::super) const MAX_SERVER_TOOLS: usize = 128;

impl Weights {
    pub(super) fn note_number(&mut self, weight: Weight, number: Option<u64>) {
        let place = match weight {
            Weight::MaxOutput => &mut self.max_output,
            Weight::Choices => &mut self.choices,
            Weight::ToolUses => &mut self.tool_uses,
            Weight::Tier
            | Weight::Speed
            | Weight::Region
            | Weight::Format
            | Weight::Characters
            | Weight::Spoken
            | Weight::StreamOptions => return,
        };
        *place = number.max(*place);
    }

    pub(super) fn note_text(&mut self, weight: Weight, text: Option<String>) {
        match weight {
            Weight::Tier => self.tier = text,
            // Of several, the one that isn't the usual.
            Weight::Speed => {
                if self.speed.as_deref().is_none_or(|speed| speed == "standard") {
                    self.speed = text.or(self.speed.take());
                }
            }
            Weight::Region => self.region = text,
            Weight::Format => self.format = text,
            // Nobody says what a character is: of what programs call one, the code unit of UTF-16 counts most of them.
            Weight::Characters => self.characters = text.map(|text| text.encode_utf16().count() as u64),
            Weight::MaxOutput | Weight::Choices | Weight::ToolUses | Weight::Spoken | Weight::StreamOptions => {}
        }
    }

    pub(super) fn note_unknown(&mut self, key: &str) {
        self.unknown.get_or_insert_with(|| shown(key));
    }

    pub(super) fn note_tool(&mut self, kind: &str, max_uses: Option<u64>) {
        if self.tools.len() >= MAX_SERVER_TOOLS {
            self.too_many_tools = true;
        } else {
            self.tools.push(Tool { kind: kind.to_owned(), max_uses });
        }
    }
}
