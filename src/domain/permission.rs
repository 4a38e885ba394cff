//! A permission: one provider, its models, capabilities and limits.

use core::{fmt, str::FromStr};
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::limits::Limits;

/// Longest model id or pattern, in bytes.
pub const MAX_MODEL_BYTES: usize = 128;

/// A service that answers AI calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// OpenAI.
    OpenAi,
    /// Anthropic.
    Anthropic,
}

impl Provider {
    /// Every provider this broker speaks to.
    pub const ALL: [Self; 2] = [Self::OpenAi, Self::Anthropic];

    /// The name in `authorization_details`, scopes and paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// The name for people.
    #[must_use]
    pub const fn display_name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI",
            Self::Anthropic => "Anthropic",
        }
    }

    /// Path of the base URL that the provider's official SDK takes: OpenAI's includes `/v1`, Anthropic's SDK adds it itself.
    #[must_use]
    pub const fn base_path(self) -> &'static str {
        match self {
            Self::OpenAi => "/openai/v1",
            Self::Anthropic => "/anthropic",
        }
    }
}

/// The name is not one that the broker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown name")]
pub struct Unknown;

impl FromStr for Provider {
    type Err = Unknown;
    fn from_str(name: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name).ok_or(Unknown)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of call is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Chat, responses, messages.
    Chat,
    /// Embeddings.
    Embeddings,
    /// Image generation.
    Images,
    /// Speech and transcription.
    Audio,
    /// Moderation.
    Moderation,
    /// Tools that run at the provider and cost extra: web search, code execution and the like.
    ServerTools,
}

impl Capability {
    /// Every capability of the grant language.
    pub const ALL: [Self; 6] =
        [Self::Chat, Self::Embeddings, Self::Images, Self::Audio, Self::Moderation, Self::ServerTools];

    /// The name in `authorization_details` and scopes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::Moderation => "moderation",
            Self::ServerTools => "server_tools",
        }
    }
}

impl FromStr for Capability {
    type Err = Unknown;
    fn from_str(name: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == name).ok_or(Unknown)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An entry of `models`: an exact id, or a prefix that ends in `*`. `*` alone is every model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelPattern(String);

/// Text that can't be a [`ModelPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a models entry is 1 to {MAX_MODEL_BYTES} printable ASCII characters, with `*` at its end only")]
pub struct InvalidModelPattern;

impl ModelPattern {
    /// Whether this entry allows `model`. Case counts: providers' ids are case-sensitive.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => model.starts_with(prefix),
            None => self.0 == model,
        }
    }

    /// Whether every model that this entry allows is allowed by `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        match other.0.strip_suffix('*') {
            // Of a prefix of one's own the text begins with the other's just when all of its models do.
            Some(prefix) => self.0.starts_with(prefix),
            None => self == other,
        }
    }

    /// `*`.
    #[must_use]
    pub fn every_model() -> Self {
        Self("*".to_owned())
    }

    /// Whether it is `*`.
    #[must_use]
    pub fn is_every_model(&self) -> bool {
        self.0 == "*"
    }

    /// As it was asked for.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModelPattern {
    type Error = InvalidModelPattern;
    fn try_from(text: String) -> Result<Self, InvalidModelPattern> {
        let body = text.strip_suffix('*').unwrap_or(&text);
        let ok = !text.is_empty()
            && text.len() <= MAX_MODEL_BYTES
            && body.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
        if ok { Ok(Self(text)) } else { Err(InvalidModelPattern) }
    }
}

impl FromStr for ModelPattern {
    type Err = InvalidModelPattern;
    fn from_str(text: &str) -> Result<Self, InvalidModelPattern> {
        Self::try_from(text.to_owned())
    }
}

impl From<ModelPattern> for String {
    fn from(pattern: ModelPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The models that some entry of both lists allows: of two entries one lies within the other, or no model is in both.
#[must_use]
pub fn intersection(mine: &[ModelPattern], theirs: &[ModelPattern]) -> Vec<ModelPattern> {
    let mut both: Vec<ModelPattern> = Vec::new();
    for mine in mine {
        let within: Vec<&ModelPattern> = if theirs.iter().any(|theirs| mine.is_within(theirs)) {
            vec![mine]
        } else {
            theirs.iter().filter(|theirs| theirs.is_within(mine)).collect()
        };
        for pattern in within {
            if !both.contains(pattern) {
                both.push(pattern.clone());
            }
        }
    }
    both
}

/// One `authorization_details` entry of type `ai_access`. `models` and `capabilities` are never empty in a parsed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Whose models.
    pub provider: Provider,
    /// Which models, in the order asked for.
    pub models: Vec<ModelPattern>,
    /// Which kinds of call.
    pub capabilities: BTreeSet<Capability>,
    /// At most this much, counted for this permission alone.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

impl Permission {
    /// Whether `model` is one of [`Self::models`].
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| pattern.matches(model))
    }

    /// Whether every call that this one allows is allowed by `other` alone, its limits left aside: the same provider, each entry of
    /// `models` within one of the other's, no capability more.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.models.iter().all(|mine| other.models.iter().any(|theirs| mine.is_within(theirs)))
            && self.capabilities.is_subset(&other.capabilities)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> ModelPattern {
        text.parse().unwrap()
    }

    fn permission(models: &[&str], capabilities: &[Capability]) -> Permission {
        Permission {
            provider: Provider::OpenAi,
            models: models.iter().map(|text| pattern(text)).collect(),
            capabilities: capabilities.iter().copied().collect(),
            limits: Limits::NONE,
        }
    }

    #[test]
    fn an_exact_id_matches_itself_alone() {
        assert!(pattern("gpt-5").matches("gpt-5"));
        assert!(!pattern("gpt-5").matches("gpt-5-pro"));
        assert!(!pattern("gpt-5").matches("GPT-5"));
    }

    #[test]
    fn a_prefix_matches_what_begins_with_it() {
        assert!(pattern("gpt-5.1*").matches("gpt-5.1-mini"));
        assert!(!pattern("gpt-5.1*").matches("gpt-5"));
    }

    #[test]
    fn a_star_inside_an_entry_is_refused() {
        for text in ["", "a*b", "**", "a b", "gpt\n*", "é"] {
            assert_eq!(text.parse::<ModelPattern>(), Err(InvalidModelPattern), "{text:?}");
        }
    }

    #[test]
    fn an_entry_is_within_itself_and_within_a_prefix_of_it() {
        for (mine, theirs) in
            [("gpt-5", "gpt-5"), ("gpt-5", "gpt-5*"), ("gpt-5.1*", "gpt-5*"), ("gpt-5*", "*"), ("*", "*")]
        {
            assert!(pattern(mine).is_within(&pattern(theirs)), "{mine} {theirs}");
        }
    }

    #[test]
    fn an_entry_is_not_within_a_narrower_one() {
        for (mine, theirs) in
            [("gpt-5*", "gpt-5"), ("gpt*", "gpt-5*"), ("*", "gpt-5*"), ("gpt-4", "gpt-5*"), ("GPT-5", "gpt-5")]
        {
            assert!(!pattern(mine).is_within(&pattern(theirs)), "{mine} {theirs}");
        }
    }

    #[test]
    fn a_permission_with_fewer_models_and_capabilities_is_within() {
        let theirs = permission(&["gpt-5*", "embed"], &[Capability::Chat, Capability::Embeddings]);
        assert!(permission(&["embed", "gpt-5-mini"], &[Capability::Chat]).is_within(&theirs));
        assert!(theirs.is_within(&theirs));
    }

    #[test]
    fn a_permission_with_one_model_more_is_not_within() {
        let theirs = permission(&["gpt-5*"], &[Capability::Chat]);
        assert!(!permission(&["gpt-5", "gpt-4"], &[Capability::Chat]).is_within(&theirs));
    }

    #[test]
    fn a_permission_with_one_capability_more_is_not_within() {
        let theirs = permission(&["gpt-5*"], &[Capability::Chat]);
        assert!(!permission(&["gpt-5"], &[Capability::Chat, Capability::ServerTools]).is_within(&theirs));
    }

    #[test]
    fn a_permission_at_another_provider_is_not_within() {
        let mine = permission(&["*"], &[Capability::Chat]);
        assert!(!mine.is_within(&Permission { provider: Provider::Anthropic, ..mine.clone() }));
    }

    proptest! {
        #[test]
        fn a_model_is_in_the_intersection_just_when_both_lists_allow_it(
            mine in prop::collection::vec("[ab]{0,3}\\*?", 0..4), theirs in prop::collection::vec("[ab]{0,3}\\*?", 0..4),
            models in prop::collection::vec("[ab]{0,5}", 40),
        ) {
            let parse = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect::<Vec<ModelPattern>>();
            let (mine, theirs) = (parse(&mine), parse(&theirs));
            let both = intersection(&mine, &theirs);
            let allows = |patterns: &[ModelPattern], model: &str| patterns.iter().any(|pattern| pattern.matches(model));
            for model in &models {
                prop_assert_eq!(allows(&both, model), allows(&mine, model) && allows(&theirs, model), "{}", model);
            }
        }

        #[test]
        fn whatever_an_entry_within_another_allows_the_other_allows(
            mine in "[ab]{0,3}\\*?", theirs in "[ab]{0,3}\\*?", models in prop::collection::vec("[ab]{0,5}", 40),
        ) {
            if let (Ok(mine), Ok(theirs)) = (mine.parse::<ModelPattern>(), theirs.parse::<ModelPattern>())
                && mine.is_within(&theirs)
            {
                for model in models.iter().filter(|model| mine.matches(model)) {
                    prop_assert!(theirs.matches(model), "{mine} {theirs} {model}");
                }
            }
        }
    }
}
