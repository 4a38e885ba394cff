//! One pass over a request body that finds what decides about a call, and nothing else.
//!
//! The body itself is forwarded byte for byte; this only looks. It reads the JSON the way the providers do (unescaped keys, one
//! value per key) and refuses what two parsers could read differently: a key that matters and stands twice. Whatever names a model
//! or somebody's stored data is found at any depth, so that a field that a provider adds later is refused rather than overlooked;
//! only subtrees that are the caller's own data (schemas, metadata) are passed over.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Most models that one body may name.
const MAX_NAMED_MODELS: usize = 16;
/// Longest model id that is looked at, in bytes.
const MAX_MODEL_BYTES: usize = 256;

/// What to look for; each dialect has its own.
#[derive(Debug)]
pub(super) struct Rules {
    /// Keys whose values are the caller's own data.
    pub(super) opaque: &'static [&'static str],
    /// Keys, at any depth, whose values point at data that is stored at the provider.
    pub(super) references: &'static [&'static str],
    /// Values of `type`, at any depth, that do the same.
    pub(super) reference_types: &'static [&'static str],
    /// Keys, at the top, that this broker refuses; with the reason.
    pub(super) refused: &'static [(&'static str, &'static str)],
    /// Keys, at the top, that need a capability of their own.
    pub(super) noted: &'static [&'static str],
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// `model` at the top.
    pub(super) model: Option<String>,
    /// `model` anywhere below.
    pub(super) nested_models: Vec<String>,
    /// `stream` at the top.
    pub(super) stream: bool,
    /// `type` of every entry of every `tools`; an entry without one is `""`.
    pub(super) tools: Vec<String>,
    /// Those of [`Rules::noted`] that are there.
    pub(super) noted: Vec<&'static str>,
    /// The first of [`Rules::references`] or [`Rules::reference_types`] that is there.
    pub(super) reference: Option<String>,
    /// The first of [`Rules::refused`] that is there.
    pub(super) refused: Option<(&'static str, &'static str)>,
}

/// Reads a body.
///
/// # Errors
/// What is wrong with the JSON, for the caller: it is not an object, a key that matters stands twice or has the wrong type.
pub(super) fn survey(body: &[u8], rules: &Rules) -> Result<Survey, String> {
    let mut survey = Survey::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    Top { rules, survey: &mut survey }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(survey)
}

/// The whole body: must be an object.
struct Top<'a> {
    rules: &'a Rules,
    survey: &'a mut Survey,
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: Vec<&'static str> = Vec::new();
        let (mut model_seen, mut stream_seen) = (false, false);
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let key = key.0.as_ref();
            match key {
                "model" if std::mem::replace(&mut model_seen, true) => return Err(A::Error::duplicate_field("model")),
                "model" => self.survey.model = Some(map.next_value_seed(ModelId)?),
                "stream" if std::mem::replace(&mut stream_seen, true) => {
                    return Err(A::Error::duplicate_field("stream"));
                }
                "stream" => self.survey.stream = map.next_value::<Option<bool>>()?.unwrap_or(false),
                _ => {
                    let refused = self.rules.refused.iter().find(|(name, _)| *name == key).copied();
                    let noted = self.rules.noted.iter().find(|name| **name == key).copied();
                    if let Some(name) = refused.map(|(name, _)| name).or(noted) {
                        if seen.contains(&name) {
                            return Err(A::Error::duplicate_field(name));
                        }
                        seen.push(name);
                    }
                    let present = map.next_value_seed(Value::under(key, self.rules, self.survey))?;
                    if present {
                        self.survey.refused = self.survey.refused.or(refused);
                        self.survey.noted.extend(noted);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A key, borrowed where the JSON has no escapes in it.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// A model id.
struct ModelId;

impl<'de> DeserializeSeed<'de> for ModelId {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ModelId {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a model id of at most {MAX_MODEL_BYTES} bytes")
    }
    fn visit_str<E: serde::de::Error>(self, model: &str) -> Result<String, E> {
        if model.is_empty() || model.len() > MAX_MODEL_BYTES {
            return Err(E::invalid_value(serde::de::Unexpected::Other("a string of another length"), &self));
        }
        Ok(model.to_owned())
    }
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Anywhere.
    Plain,
    /// Behind a key `tools`.
    Tools,
    /// An entry of a `tools` list.
    Tool,
    /// Behind one of [`Rules::opaque`].
    Opaque,
    /// Behind a key `model`.
    Model,
    /// Behind a key `type`.
    Type,
}

/// Any value below the top. Its result: whether it says something: `null`, `false`, an empty text and an empty list don't. An empty
/// object does: `"web_search_options": {}` is how web search is switched on.
struct Value<'a> {
    rules: &'a Rules,
    survey: &'a mut Survey,
    place: Place,
}

impl<'a> Value<'a> {
    fn under(key: &str, rules: &'a Rules, survey: &'a mut Survey) -> Self {
        let place = match key {
            "tools" => Place::Tools,
            "model" => Place::Model,
            "type" => Place::Type,
            _ if rules.opaque.contains(&key) => Place::Opaque,
            _ => Place::Plain,
        };
        Self { rules, survey, place }
    }

    fn note_reference(&mut self, name: &str) {
        if self.survey.reference.is_none() {
            self.survey.reference = Some(name.to_owned());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if self.place == Place::Opaque {
            deserializer.deserialize_ignored_any(serde::de::IgnoredAny).map(|_| true)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<bool, E> {
        match self.place {
            Place::Model if !text.is_empty() => {
                if self.survey.nested_models.len() >= MAX_NAMED_MODELS || text.len() > MAX_MODEL_BYTES {
                    return Err(E::custom(format_args!(
                        "more than {MAX_NAMED_MODELS} models are named, or a very long one"
                    )));
                }
                if !self.survey.nested_models.iter().any(|known| known == text) {
                    self.survey.nested_models.push(text.to_owned());
                }
            }
            Place::Type if self.rules.reference_types.contains(&text) => self.note_reference(text),
            _ => {}
        }
        Ok(!text.is_empty())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let Self { rules, survey, place } = self;
        let place = if place == Place::Tools { Place::Tool } else { Place::Plain };
        let mut any = false;
        loop {
            let tools_before = survey.tools.len();
            let Some(present) = seq.next_element_seed(Value { rules, survey, place })? else { return Ok(any) };
            any |= present;
            // An entry of `tools` that isn't an object is a tool of no known kind.
            if place == Place::Tool && survey.tools.len() == tools_before {
                survey.tools.push("?".to_owned());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        let mut tool_type: Option<String> = None;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let key = key.0.as_ref();
            if self.place == Place::Tool && key == "type" {
                if tool_type.is_some() {
                    return Err(A::Error::duplicate_field("type"));
                }
                tool_type = Some(map.next_value::<Option<String>>()?.unwrap_or_default());
                continue;
            }
            let present = map.next_value_seed(Value::under(key, self.rules, self.survey))?;
            if present && self.rules.references.contains(&key) {
                self.note_reference(key);
            }
        }
        if self.place == Place::Tool {
            self.survey.tools.push(tool_type.unwrap_or_default());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        opaque: &["parameters"],
        references: &["file_id"],
        reference_types: &["item_reference"],
        refused: &[("background", "no")],
        noted: &["audio"],
    };

    fn found(json: &str) -> Survey {
        survey(json.as_bytes(), &RULES).unwrap()
    }

    #[test]
    fn the_top_of_a_body_is_read() {
        let found = found(r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
        assert_eq!((found.model.as_deref(), found.stream), (Some("m"), true));
        assert_eq!(found.nested_models, Vec::<String>::new());
    }

    #[test]
    fn a_key_that_matters_may_not_stand_twice() {
        for json in [
            r#"{"model":"cheap","model":"dear"}"#,
            r#"{"model":"cheap","mod\u0065l":"dear"}"#,
            r#"{"stream":true,"stream":false}"#,
            r#"{"background":false,"background":true}"#,
            r#"{"tools":[{"type":"function","type":"web_search"}]}"#,
        ] {
            assert!(survey(json.as_bytes(), &RULES).unwrap_err().contains("duplicate"), "{json}");
        }
    }

    #[test]
    fn a_model_is_found_at_any_depth() {
        assert_eq!(found(r#"{"model":"m","fallbacks":[{"model":"x"},{"a":{"model":"y"}}]}"#).nested_models, ["x", "y"]);
    }

    #[test]
    fn the_callers_own_data_is_passed_over() {
        let found = found(r#"{"tools":[{"type":"function","parameters":{"properties":{"file_id":"a","model":"b"}}}]}"#);
        assert_eq!((found.reference, found.nested_models.len()), (None, 0));
        assert_eq!(found.tools, ["function"]);
    }

    #[test]
    fn references_to_stored_data_are_found_at_any_depth() {
        assert_eq!(found(r#"{"m":[{"content":[{"file":{"file_id":"f"}}]}]}"#).reference.as_deref(), Some("file_id"));
        assert_eq!(
            found(r#"{"input":[{"id":"i","type":"item_reference"}]}"#).reference.as_deref(),
            Some("item_reference")
        );
        assert_eq!(found(r#"{"m":[{"file_id":null}]}"#).reference, None);
    }

    #[test]
    fn tools_are_found_wherever_they_stand() {
        let found = found(r#"{"tools":[{"name":"x"}, 5],"input":[{"tools":[{"type":"web_search"}]}]}"#);
        assert_eq!(found.tools, ["", "?", "web_search"]);
    }

    #[test]
    fn a_refused_key_counts_when_it_says_something() {
        assert_eq!(found(r#"{"background":false}"#).refused, None);
        assert_eq!(found(r#"{"background":null}"#).refused, None);
        assert_eq!(found(r#"{"background":true}"#).refused, Some(("background", "no")));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for json in ["", "[]", "null", "\"x\"", "{", "{}{}", "{\"model\":1}", "{\"model\":null}", "{\"model\":\"\"}"] {
            assert!(survey(json.as_bytes(), &RULES).is_err(), "{json}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(survey(deep.as_bytes(), &RULES).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = survey(&bytes, &RULES);
        }

        #[test]
        fn every_text_behind_a_model_is_seen(model in "[a-z0-9.-]{1,40}", depth in 0..20_usize) {
            let json = format!("{{\"a\":{}{{\"model\":\"{model}\"}}{}}}", "[".repeat(depth), "]".repeat(depth));
            prop_assert_eq!(found(&json).nested_models, [model]);
        }
    }
}
