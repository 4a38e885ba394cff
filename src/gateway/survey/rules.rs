//! What a dialect says about the fields of its bodies.

use super::value::Said;
use crate::domain::permission::Capability;

/// Why a reference is refused, as the end of a sentence.
pub(in super::super) const STORED_ELSEWHERE: &str =
    "it reaches data that is stored at the provider under the broker's key, which apps share";

/// The same of models.
pub(in super::super) const ROUTED: &str =
    "who answers behind the provider's address could choose a model of it that nobody allowed; name one in model";

/// Keys that decide at any depth.
const DECISIVE: [&str; 6] = ["max_uses", "mode", "model", "tools", "ttl", "type"];

/// A key, and the types that are known behind it.
pub(super) type Closed = (&'static str, &'static [&'static str]);

/// What to look for; each dialect has its own.
#[derive(Debug)]
pub(in super::super) struct Rules {
    /// Keys whose values are the caller's own data.
    pub(in super::super) opaque: &'static [&'static str],
    /// Keys that end in `_id` or `_ids` and name the caller's own things.
    pub(in super::super) own_ids: &'static [&'static str],
    /// Keys, at any depth, that point at stored data when their value is a text.
    pub(in super::super) text_references: &'static [&'static str],
    /// Values of `type`, at any depth, that do the same.
    pub(in super::super) reference_types: &'static [&'static str],
    /// Whether an object with an `id` and neither `type` nor `role` is one, too.
    pub(in super::super) bare_ids: bool,
    /// Keys, at the top, that this broker refuses; with the reason.
    pub(in super::super) refused: &'static [(&'static str, &'static str)],
    /// Keys, at the top, that are a list of objects or nothing; with the reason.
    pub(in super::super) lists: &'static [(&'static str, &'static str)],
    /// Keys, at the top, that need a capability of their own.
    pub(in super::super) noted: &'static [(&'static str, Capability)],
    /// Keys, at any depth, behind which one tool is defined; `tools` holds several and is known.
    pub(in super::super) tool_keys: &'static [&'static str],
    /// Keys, at the top, that decide what the call can cost; with what they say.
    pub(in super::super) weights: &'static [(&'static str, Weight)],
    /// Keys, at any depth below the top, that decide the same as those of the same name there: a model that may take over has its own.
    pub(in super::super) deep_weights: &'static [(&'static str, Weight)],
    /// All other keys, at the top, of which it is known that they cost nothing by themselves.
    pub(in super::super) weightless: &'static [&'static str],
    /// Keys, at any depth, behind which something else than text may be.
    pub(in super::super) media_keys: &'static [&'static str],
    /// Fields of a form that are files: text in their place could name one that is stored.
    pub(in super::super) files: &'static [&'static str],
    /// Keys, at any depth, behind which every `type` says what is done with the conversation, and those of which it is known that they
    /// cost nothing. What any other costs nobody here knows: it may read everything once more.
    pub(in super::super) closed: &'static [Closed],
    /// Values of `type`, at any depth outside of tools, that bring nothing but text. Any other may be media.
    pub(in super::super) text_types: &'static [&'static str],
    /// Of those: types whose text the provider may have kept, and the key that carries it where it is sent along. With an `id` alone
    /// it may be of any length.
    pub(in super::super) carried_by: &'static [(&'static str, &'static str)],
    /// What a tool of this `type` needs; a tool without one has the type `""`.
    pub(in super::super) tool_needs: fn(&str) -> ToolNeeds,
}

/// What a key at the top says about what the call can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Weight {
    /// The most tokens to write; a number.
    MaxOutput,
    /// How many answers; a number.
    Choices,
    /// How often tools run at the provider; a number.
    ToolUses,
    /// The service tier; a text.
    Tier,
    /// Anthropic's `speed`; a text.
    Speed,
    /// Where it is processed; a text.
    Region,
    /// The format of images; a text.
    Format,
    /// A text to read out, that may be billed by its characters.
    Characters,
    /// The answer may be spoken, whatever it says.
    Spoken,
    /// Options of the stream, whatever they say.
    StreamOptions,
}

/// What a tool needs beyond the endpoint's own capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct ToolNeeds {
    pub(in super::super) capabilities: &'static [Capability],
    /// Whether it runs a model of its own, which it then has to name.
    pub(in super::super) model: bool,
}

impl ToolNeeds {
    /// The caller runs it.
    pub(in super::super) const NOTHING: Self = Self { capabilities: &[], model: false };
    /// It runs at the provider.
    pub(in super::super) const SERVER: Self = Self { capabilities: &[Capability::ServerTools], model: false };
}

impl Rules {
    /// A key that one parser takes for one that decides and another doesn't.
    pub(super) fn is_decisive_in_another_case(&self, key: &str, at_the_top: bool) -> bool {
        let differs = |name: &str| key != name && key.eq_ignore_ascii_case(name);
        let deep = DECISIVE.iter().chain(self.tool_keys).chain(self.text_references).chain(self.media_keys);
        deep.copied().any(differs)
            || self.deep_weights.iter().any(|(name, _)| differs(name))
            || self.closed.iter().any(|(name, _)| differs(name))
            || at_the_top
                && (differs("stream")
                    || self.refused.iter().chain(self.lists).any(|(name, _)| differs(name))
                    || self.noted.iter().any(|(name, _)| differs(name))
                    || self.weights.iter().any(|(name, _)| differs(name)))
    }

    /// The entry of [`Self::closed`] of this key.
    pub(super) fn closed(&self, key: &str) -> Option<Closed> {
        self.closed.iter().find(|(name, _)| *name == key).copied()
    }

    /// Whether what it costs is known.
    pub(super) fn is_weighed(&self, key: &str) -> bool {
        self.weightless.contains(&key)
            || self.weights.iter().any(|(name, _)| *name == key)
            || self.noted.iter().any(|(name, _)| *name == key)
            || self.lists.iter().any(|(name, _)| *name == key)
    }

    /// Whether a field of this name, at the top, decides anything.
    pub(super) fn is_decisive(&self, name: &str) -> bool {
        ["model", "stream"].contains(&name)
            || self.refused.iter().chain(self.lists).any(|(known, _)| *known == name)
            || self.noted.iter().any(|(known, _)| *known == name)
            || self.weights.iter().any(|(known, _)| *known == name)
    }

    pub(super) fn is_reference(&self, key: &str, said: Said) -> bool {
        if self.text_references.contains(&key) {
            return said == Said::Text;
        }
        let ends_with = |suffix: &str| {
            let start = key.len().checked_sub(suffix.len());
            start.and_then(|start| key.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        said != Said::Nothing && (ends_with("_id") || ends_with("_ids")) && !self.own_ids.contains(&key)
    }
}
