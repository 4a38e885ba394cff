//! The grant language: `authorization_details` (RFC 9396) of the types `ai_access` and `ai_limits`, and its short form, `scope`.
//!
//! Everything here reads what a stranger sent. What can't be enforced is refused, never ignored (RFC 9396 §5).

use core::{
    fmt,
    num::{NonZeroU32, NonZeroU64},
};
use std::collections::BTreeSet;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use super::{
    grant::Terms,
    limits::{Limits, MAX_STORED_INTEGER, Period},
    money::Amount,
    permission::{Capability, ModelPattern, Permission, Provider},
};

/// Largest `authorization_details` parameter, in bytes.
pub const MAX_DETAILS_BYTES: usize = 16 * 1024;
/// Most entries in one request.
pub const MAX_PERMISSIONS: usize = 16;
/// Most `models` in one entry.
pub const MAX_MODELS: usize = 64;

/// The `type` of an entry that names a provider.
pub const TYPE_ACCESS: &str = "ai_access";
/// The `type` of the entry that limits the whole grant.
pub const TYPE_LIMITS: &str = "ai_limits";

/// What an app asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Never empty.
    pub permissions: Vec<Permission>,
    /// Over the whole grant.
    #[serde(default)]
    pub limits: Limits,
}

/// Why `authorization_details` or `scope` can't be granted. The text is for the app's developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DetailsError {
    /// Longer than [`MAX_DETAILS_BYTES`].
    #[error("authorization_details is longer than {MAX_DETAILS_BYTES} bytes")]
    TooLong,
    /// Not a JSON array of objects.
    #[error("authorization_details must be a JSON array of objects with a type")]
    NotAnArray,
    /// The array is too long.
    #[error("at most {MAX_PERMISSIONS} entries can be asked for at once")]
    TooMany,
    /// A type that this broker doesn't define.
    #[error("entry {index}: unknown type {found:?}; use ai_access or ai_limits")]
    UnknownType {
        /// Position in the array, from 0.
        index: usize,
        /// The type as sent, shortened.
        found: String,
    },
    /// Fields that are missing, unknown or of the wrong type.
    #[error("entry {index}: {reason}")]
    Malformed {
        /// Position in the array, from 0.
        index: usize,
        /// What the parser says.
        reason: String,
    },
    /// `models` is missing or empty.
    #[error("entry {index}: models must name at least one model; [\"*\"] asks for all of them")]
    NoModels {
        /// Position in the array, from 0.
        index: usize,
    },
    /// `models` is too long.
    #[error("entry {index}: at most {MAX_MODELS} models can be named")]
    TooManyModels {
        /// Position in the array, from 0.
        index: usize,
    },
    /// `capabilities` is missing or empty.
    #[error("entry {index}: capabilities must name at least one capability")]
    NoCapabilities {
        /// Position in the array, from 0.
        index: usize,
    },
    /// Two `ai_limits` entries.
    #[error("ai_limits may appear once")]
    LimitsTwice,
    /// Nothing to grant.
    #[error("nothing was asked for: name at least one ai_access entry, or a scope such as openai:chat")]
    Nothing,
    /// A scope that isn't `provider:capability`.
    #[error("unknown scope {found:?}; a scope is provider:capability, such as openai:chat")]
    UnknownScope {
        /// The scope as sent, shortened.
        found: String,
    },
}

#[derive(Deserialize)]
struct Tag {
    r#type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessEntry {
    #[serde(rename = "type")]
    _type: String,
    provider: Provider,
    #[serde(default)]
    models: Vec<ModelPattern>,
    #[serde(default)]
    capabilities: BTreeSet<Capability>,
    #[serde(default, deserialize_with = "from_object")]
    limits: AskedLimits,
}

/// Limits by their names: a list of values, which serde takes for a struct too, says nothing that a person could check.
fn from_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AskedLimits, D::Error> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = AskedLimits;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AskedLimits, A::Error> {
            AskedLimits::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Object)
}

/// Limits as an app may write them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedLimits {
    #[serde(default)]
    budget_usd: Option<Amount>,
    #[serde(default)]
    budget_period: Option<Period>,
    #[serde(default)]
    tokens: Option<NonZeroU64>,
    #[serde(default)]
    requests: Option<NonZeroU64>,
    #[serde(default)]
    requests_per_minute: Option<NonZeroU32>,
    #[serde(default)]
    concurrency: Option<NonZeroU32>,
}

impl AskedLimits {
    fn checked(&self, index: usize) -> Result<Limits, DetailsError> {
        if self.budget_period.is_some() && self.budget_usd.is_none() {
            let reason = "budget_period says nothing without budget_usd".to_owned();
            return Err(DetailsError::Malformed { index, reason });
        }
        for (name, number) in [("requests", self.requests), ("tokens", self.tokens)] {
            if number.is_some_and(|number| number.get() > MAX_STORED_INTEGER) {
                let reason = format!("{name} must be at most {MAX_STORED_INTEGER}");
                return Err(DetailsError::Malformed { index, reason });
            }
        }
        Ok(Limits {
            budget_usd: self.budget_usd,
            budget_period: self.budget_period.unwrap_or_default(),
            tokens: self.tokens,
            requests: self.requests,
            requests_per_minute: self.requests_per_minute,
            concurrency: self.concurrency,
        })
    }
}

/// Why the two parameters together ask for nothing that can be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestedError {
    /// Both at once: which one would count?
    #[error("send either authorization_details or scope, not both")]
    DetailsAndScope,
    /// RFC 9396 §5.
    #[error("{0}")]
    Details(DetailsError),
    /// RFC 6749 §3.3.
    #[error("{0}")]
    Scope(DetailsError),
}

impl Requested {
    /// What a client asks for that names nothing (RFC 6749 §3.3 lets a server choose): to chat, with any model, at these providers. A
    /// person takes away from that what they like, and money is limited unless they say otherwise.
    #[must_use]
    pub fn unspecified(providers: &[Provider]) -> Self {
        let every_model = ModelPattern::every_model();
        let chat = |provider: &Provider| Permission {
            provider: *provider,
            models: vec![every_model.clone()],
            capabilities: BTreeSet::from([Capability::Chat]),
            limits: Limits::NONE,
        };
        Self { permissions: providers.iter().map(chat).collect(), limits: Limits::NONE }
    }

    /// As [`Self::read`], or [`Self::unspecified`] where there is neither.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_or_unspecified(
        details: Option<&str>,
        scope: Option<&str>,
        providers: &[Provider],
    ) -> Result<Self, RequestedError> {
        if details.is_none() && scope.is_none() { Ok(Self::unspecified(providers)) } else { Self::read(details, scope) }
    }

    /// Reads `authorization_details` or `scope`, whichever is there.
    ///
    /// # Errors
    /// [`RequestedError`] says which of the two is wrong.
    pub fn read(details: Option<&str>, scope: Option<&str>) -> Result<Self, RequestedError> {
        match (details, scope) {
            (Some(_), Some(_)) => Err(RequestedError::DetailsAndScope),
            (Some(details), None) => Self::from_authorization_details(details).map_err(RequestedError::Details),
            (None, scope) => Self::from_scope(scope.unwrap_or("")).map_err(RequestedError::Scope),
        }
    }

    /// Reads the `authorization_details` parameter.
    ///
    /// # Errors
    /// [`DetailsError`] says which entry is wrong and what to change.
    pub fn from_authorization_details(json: &str) -> Result<Self, DetailsError> {
        if json.len() > MAX_DETAILS_BYTES {
            return Err(DetailsError::TooLong);
        }
        let entries: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| DetailsError::NotAnArray)?;
        if entries.len() > MAX_PERMISSIONS {
            return Err(DetailsError::TooMany);
        }
        let mut permissions = Vec::new();
        let mut limits = None;
        for (index, entry) in entries.into_iter().enumerate() {
            let tag: Tag = serde_json::from_str(entry.get()).map_err(|_| DetailsError::NotAnArray)?;
            match tag.r#type.as_str() {
                TYPE_ACCESS => permissions.push(access(index, entry.get())?),
                TYPE_LIMITS if limits.is_some() => return Err(DetailsError::LimitsTwice),
                TYPE_LIMITS => {
                    let mut entry: serde_json::Map<String, serde_json::Value> = parse(index, entry.get())?;
                    entry.remove("type");
                    let asked: AskedLimits =
                        serde_json::from_value(entry.into()).map_err(|error| malformed(index, &error))?;
                    limits = Some(asked.checked(index)?);
                }
                other => return Err(DetailsError::UnknownType { index, found: shorten(other) }),
            }
        }
        if permissions.is_empty() {
            return Err(DetailsError::Nothing);
        }
        Ok(Self { permissions, limits: limits.unwrap_or_default() })
    }

    /// Reads the `scope` parameter (RFC 6749 §3.3): space-separated `provider:capability`, each for every model of that provider.
    ///
    /// # Errors
    /// [`DetailsError::UnknownScope`], or [`DetailsError::Nothing`] for an empty one.
    pub fn from_scope(scope: &str) -> Result<Self, DetailsError> {
        if scope.len() > MAX_DETAILS_BYTES {
            return Err(DetailsError::TooLong);
        }
        let mut permissions: Vec<Permission> = Vec::new();
        for token in scope.split(' ').filter(|token| !token.is_empty()) {
            let unknown = || DetailsError::UnknownScope { found: shorten(token) };
            let (provider, capability) = token.split_once(':').ok_or_else(unknown)?;
            let provider: Provider = provider.parse().map_err(|_| unknown())?;
            let capability: Capability = capability.parse().map_err(|_| unknown())?;
            if let Some(permission) = permissions.iter_mut().find(|permission| permission.provider == provider) {
                permission.capabilities.insert(capability);
            } else {
                let every_model = ModelPattern::every_model();
                permissions.push(Permission {
                    provider,
                    models: vec![every_model],
                    capabilities: BTreeSet::from([capability]),
                    limits: Limits::NONE,
                });
            }
        }
        if permissions.is_empty() {
            return Err(DetailsError::Nothing);
        }
        Ok(Self { permissions, limits: Limits::NONE })
    }
}

fn access(index: usize, json: &str) -> Result<Permission, DetailsError> {
    let entry: AccessEntry = parse(index, json)?;
    if entry.models.is_empty() {
        return Err(DetailsError::NoModels { index });
    }
    if entry.models.len() > MAX_MODELS {
        return Err(DetailsError::TooManyModels { index });
    }
    if entry.capabilities.is_empty() {
        return Err(DetailsError::NoCapabilities { index });
    }
    let mut models: Vec<ModelPattern> = Vec::with_capacity(entry.models.len());
    for model in entry.models {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    let limits = entry.limits.checked(index)?;
    Ok(Permission { provider: entry.provider, models, capabilities: entry.capabilities, limits })
}

fn parse<'de, T: Deserialize<'de>>(index: usize, json: &'de str) -> Result<T, DetailsError> {
    serde_json::from_str(json).map_err(|error| malformed(index, &error))
}

/// What the parser says, in words for somebody who doesn't know Rust.
fn malformed(index: usize, error: &serde_json::Error) -> DetailsError {
    let said = error.to_string();
    // The position is that within the entry, which is no help.
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason);
    let said =
        said.replace("a nonzero u64", "a whole number from 1 on").replace("a nonzero u32", "a whole number from 1 on");
    DetailsError::Malformed { index, reason: shorten(&said.replace("unknown variant", "unknown value")) }
}

/// What a stranger sent, short enough to say back.
fn shorten(text: &str) -> String {
    const MAX_ECHO_CHARS: usize = 120;
    text.chars().filter(|c| !c.is_control()).take(MAX_ECHO_CHARS).collect()
}

/// One entry of the token response's `authorization_details`: as granted (RFC 9396 §7), with the base URL for the provider's SDK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum GrantedDetail {
    /// A permission.
    #[serde(rename = "ai_access")]
    Access {
        /// What was granted.
        #[serde(flatten)]
        permission: Permission,
        /// Where the provider's official SDK is pointed to.
        base_url: String,
    },
    /// Limits over the whole grant.
    #[serde(rename = "ai_limits")]
    Limits {
        /// What was granted.
        #[serde(flatten)]
        limits: Limits,
    },
}

impl GrantedDetail {
    /// The `authorization_details` of a grant, for a broker at `issuer` (an origin without a trailing slash).
    #[must_use]
    pub fn list(terms: &Terms, issuer: &str) -> Vec<Self> {
        let mut details: Vec<Self> = terms
            .permissions
            .iter()
            .map(|permission| Self::Access {
                permission: permission.clone(),
                base_url: format!("{issuer}{}", permission.provider.base_path()),
            })
            .collect();
        if !terms.limits.is_empty() {
            details.push(Self::Limits { limits: terms.limits });
        }
        details
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::money::NanoUsd;

    const ASKED: &str = r#"[{"type":"ai_access","provider":"openai","models":["gpt-5-mini","gpt-5.1*"],
        "capabilities":["chat","embeddings"],"limits":{"requests":1000,"requests_per_minute":60,"concurrency":8}},
        {"type":"ai_limits","requests":500}]"#;

    #[test]
    fn nothing_in_particular_is_a_chat_with_any_model() {
        let asked = Requested::read_or_unspecified(None, None, &Provider::ALL).unwrap();
        assert_eq!(asked, Requested::from_scope("openai:chat anthropic:chat").unwrap());
        assert!(Requested::read_or_unspecified(Some("[]"), None, &Provider::ALL).is_err());
    }

    #[test]
    fn entries_are_read_as_asked() {
        let asked = Requested::from_authorization_details(ASKED).unwrap();
        assert_eq!(asked.permissions.len(), 1);
        assert_eq!(asked.permissions[0].models.len(), 2);
        assert_eq!(asked.permissions[0].limits.concurrency.map(NonZeroU32::get), Some(8));
        assert_eq!(asked.limits.requests.map(NonZeroU64::get), Some(500));
    }

    fn refused(json: &str) -> DetailsError {
        Requested::from_authorization_details(json).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let entry = |more: &str| {
            format!(r#"[{{"type":"ai_access","provider":"openai","models":["m"],"capabilities":["chat"],{more}}}]"#)
        };
        let said = |json: &str| refused(json).to_string();
        assert_eq!(
            said(&entry(r#""limits":{"requests":0}"#)),
            "entry 0: invalid value: integer `0`, expected a whole number from 1 on"
        );
        let google = r#"[{"type":"ai_access","provider":"google","models":["m"],"capabilities":["chat"]}]"#;
        assert_eq!(said(google), "entry 0: unknown value `google`, expected `openai` or `anthropic`");
        assert!(!said(&entry(r#""admin":true"#)).contains("line"));
    }

    #[test]
    fn an_unknown_type_is_refused() {
        assert_eq!(refused(r#"[{"type":"payment"}]"#), DetailsError::UnknownType { index: 0, found: "payment".into() });
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let json = ASKED.replace("\"provider\"", "\"colour\":1,\"provider\"");
        assert!(matches!(refused(&json), DetailsError::Malformed { index: 0, .. }));
    }

    #[test]
    fn an_unknown_field_of_ai_limits_is_refused() {
        let json = ASKED.replace("\"requests\":500", "\"requests\":500,\"colour\":1");
        assert!(matches!(refused(&json), DetailsError::Malformed { index: 1, .. }));
    }

    #[test]
    fn a_budget_is_an_amount_as_text_and_has_a_period() {
        let with = |limits: &str| Requested::from_authorization_details(&ASKED.replace("\"requests\":500", limits));
        let limits = with(r#""budget_usd":"5.00","budget_period":"month","tokens":2000"#).unwrap().limits;
        assert_eq!(limits.budget_usd.map(Amount::nano_usd), Some(NanoUsd(5_000_000_000)));
        assert_eq!((limits.budget_period, limits.tokens.map(NonZeroU64::get)), (Period::Month, Some(2000)));
        for malformed in [
            r#""budget_usd":5"#,
            r#""budget_usd":"-5""#,
            r#""budget_usd":"0""#,
            r#""budget_usd":"5.00","budget_period":"week""#,
            r#""budget_period":"day""#,
            r#""tokens":0"#,
            r#""tokens":9007199254740992"#,
        ] {
            assert!(matches!(with(malformed), Err(DetailsError::Malformed { index: 1, .. })), "{malformed}");
        }
    }

    #[test]
    fn empty_models_are_refused() {
        let json = ASKED.replace("[\"gpt-5-mini\",\"gpt-5.1*\"]", "[]");
        assert_eq!(refused(&json), DetailsError::NoModels { index: 0 });
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        let json = ASKED.replace("\"requests\":1000", "\"requests\":0");
        assert!(matches!(refused(&json), DetailsError::Malformed { index: 0, .. }));
    }

    #[test]
    fn limits_without_their_names_are_refused() {
        for limits in ["[]", r#"["5.00",null,null,7,null,null]"#] {
            let json = format!(
                r#"[{{"type":"ai_access","provider":"openai","models":["*"],"capabilities":["chat"],"limits":{limits}}}]"#
            );
            assert!(matches!(refused(&json), DetailsError::Malformed { index: 0, .. }), "{limits}");
        }
    }

    #[test]
    fn limits_alone_ask_for_nothing() {
        assert_eq!(refused(r#"[{"type":"ai_limits","requests":5}]"#), DetailsError::Nothing);
    }

    #[test]
    fn a_scope_asks_for_every_model_of_its_provider() {
        let asked = Requested::from_scope("openai:chat anthropic:chat openai:embeddings").unwrap();
        assert_eq!(asked.permissions.len(), 2);
        assert!(asked.permissions[0].models[0].is_every_model());
        assert_eq!(asked.permissions[0].capabilities.len(), 2);
    }

    #[test]
    fn an_unknown_scope_is_refused() {
        for scope in ["openai", "openai:everything", "mistral:chat", "openid"] {
            assert!(matches!(Requested::from_scope(scope), Err(DetailsError::UnknownScope { .. })), "{scope}");
        }
    }

    #[test]
    fn granted_details_carry_the_base_url() {
        let asked = Requested::from_authorization_details(ASKED).unwrap();
        let terms = Terms {
            permissions: asked.permissions,
            limits: asked.limits,
            expires_at: crate::domain::time::Timestamp::from_seconds(1),
            ..Terms::default()
        };
        let json = serde_json::to_value(GrantedDetail::list(&terms, "https://b.example")).unwrap();
        assert_eq!(json[0]["type"], "ai_access");
        assert_eq!(json[0]["base_url"], "https://b.example/openai/v1");
        assert_eq!(json[1], serde_json::json!({"type": "ai_limits", "requests": 500}));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,200}") {
            let _ = Requested::from_authorization_details(&text);
            let _ = Requested::from_scope(&text);
        }
    }
}
