//! One pass over a request body that finds what decides about a call, and nothing else.
//!
//! The body itself is forwarded byte for byte; this only looks. It reads the JSON the way the providers do (unescaped keys, one
//! value per key) and refuses what two parsers could read differently: a key that matters and stands twice, or in another case, and
//! bytes that are no UTF-8. Whatever names a model, a tool or somebody's stored data is found at any depth; only subtrees that are
//! the caller's own data (schemas, metadata) are passed over. A key that names a thing by its id (`…_id`, `…_ids`) is taken for a
//! reference to stored data unless it is known to be the caller's own, so that the next one a provider thinks of is refused rather
//! than overlooked. Other new fields pass: what they mean nobody here can know.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::dialect::STORED_ELSEWHERE;
use crate::domain::permission::Capability;

/// Most models that one body may name.
const MAX_NAMED_MODELS: usize = 16;
/// Longest model id that is looked at, in bytes.
const MAX_MODEL_BYTES: usize = 256;
/// Keys that decide at any depth.
const DECISIVE: [&str; 3] = ["model", "tools", "type"];

/// What to look for; each dialect has its own.
#[derive(Debug)]
pub(super) struct Rules {
    /// Keys whose values are the caller's own data.
    pub(super) opaque: &'static [&'static str],
    /// Keys that end in `_id` or `_ids` and name the caller's own things.
    pub(super) own_ids: &'static [&'static str],
    /// Keys, at any depth, that point at stored data when their value is a text.
    pub(super) text_references: &'static [&'static str],
    /// Values of `type`, at any depth, that do the same.
    pub(super) reference_types: &'static [&'static str],
    /// Whether an object with an `id` and neither `type` nor `role` is one, too.
    pub(super) bare_ids: bool,
    /// Keys, at the top, that this broker refuses; with the reason.
    pub(super) refused: &'static [(&'static str, &'static str)],
    /// Keys, at the top, that are a list or nothing; with the reason.
    pub(super) lists: &'static [(&'static str, &'static str)],
    /// Keys, at the top, that need a capability of their own.
    pub(super) noted: &'static [(&'static str, Capability)],
    /// Keys, at any depth, behind which one tool is defined; `tools` holds several and is known.
    pub(super) tool_keys: &'static [&'static str],
    /// What a tool of this `type` needs; a tool without one has the type `""`.
    pub(super) tool_needs: fn(&str) -> ToolNeeds,
}

/// What a tool needs beyond the endpoint's own capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToolNeeds {
    pub(super) capabilities: &'static [Capability],
    /// Whether it runs a model of its own, which it then has to name.
    pub(super) model: bool,
}

impl ToolNeeds {
    /// The caller runs it.
    pub(super) const NOTHING: Self = Self { capabilities: &[], model: false };
    /// It runs at the provider.
    pub(super) const SERVER: Self = Self { capabilities: &[Capability::ServerTools], model: false };
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
    /// What its tools and fields need, each once.
    pub(super) capabilities: Vec<Capability>,
    /// The first field that can't be granted, and why.
    pub(super) refused: Option<(String, &'static str)>,
}

impl Survey {
    fn refuse(&mut self, field: &str, reason: &'static str) {
        self.refused.get_or_insert_with(|| (field.to_owned(), reason));
    }

    fn need(&mut self, capabilities: &[Capability]) {
        for capability in capabilities {
            if !self.capabilities.contains(capability) {
                self.capabilities.push(*capability);
            }
        }
    }
}

/// Reads a body.
///
/// # Errors
/// What is wrong with the JSON, for the caller: it is not an object, a key that matters stands twice or has the wrong type.
pub(super) fn survey(body: &[u8], rules: &Rules) -> Result<Survey, String> {
    // The parser doesn't look into texts that nobody asks for.
    let text = core::str::from_utf8(body).map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to()))?;
    let mut survey = Survey::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Top { rules, survey: &mut survey }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(survey)
}

impl Rules {
    /// A key that one parser takes for one that decides and another doesn't.
    fn is_decisive_in_another_case(&self, key: &str, at_the_top: bool) -> bool {
        let differs = |name: &str| key != name && key.eq_ignore_ascii_case(name);
        DECISIVE.iter().chain(self.tool_keys).chain(self.text_references).any(|name| differs(name))
            || at_the_top
                && (differs("stream")
                    || self.refused.iter().chain(self.lists).any(|(name, _)| differs(name))
                    || self.noted.iter().any(|(name, _)| differs(name)))
    }

    fn is_reference(&self, key: &str, said: Said) -> bool {
        if self.text_references.contains(&key) {
            return said == Said::Text;
        }
        let lower = key.to_ascii_lowercase();
        said != Said::Nothing && (lower.ends_with("_id") || lower.ends_with("_ids")) && !self.own_ids.contains(&key)
    }
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
        let Self { rules, survey } = self;
        let mut seen: Vec<&'static str> = Vec::new();
        let mut once = |name: &'static str| {
            if seen.contains(&name) {
                return Err(A::Error::duplicate_field(name));
            }
            seen.push(name);
            Ok(())
        };
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let key = key.0.as_ref();
            if rules.is_decisive_in_another_case(key, true) {
                return Err(A::Error::custom(format_args!("{key} is written in another case")));
            }
            match key {
                "model" => {
                    once("model")?;
                    survey.model = Some(map.next_value_seed(ModelId)?);
                }
                "stream" => {
                    once("stream")?;
                    survey.stream = map.next_value::<Option<bool>>()?.unwrap_or(false);
                }
                _ => {
                    let refused = rules.refused.iter().find(|(name, _)| *name == key);
                    let list = rules.lists.iter().find(|(name, _)| *name == key);
                    let noted = rules.noted.iter().find(|(name, _)| *name == key);
                    if let Some(name) = refused.or(list).map(|(name, _)| name).or(noted.map(|(name, _)| name)) {
                        once(name)?;
                    }
                    let said = map.next_value_seed(Value::under(key, rules, survey))?;
                    if said == Said::Nothing {
                        continue;
                    }
                    if let Some((name, reason)) = refused.or(list.filter(|_| said != Said::List)) {
                        survey.refuse(name, reason);
                    }
                    if let Some((_, capability)) = noted {
                        survey.need(&[*capability]);
                    }
                    if rules.is_reference(key, said) {
                        survey.refuse(key, STORED_ELSEWHERE);
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
    /// An entry of a `tools` list, or behind one of [`Rules::tool_keys`].
    Tool,
    /// Behind one of [`Rules::opaque`].
    Opaque,
    /// Behind a key `model`.
    Model,
    /// Behind a key `type`.
    Type,
}

/// What a value says: `null`, `false`, an empty text and an empty list say nothing. An empty object does say something:
/// `"web_search_options": {}` is how web search is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Text,
    List,
    Other,
}

/// Any value below the top.
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
            _ if rules.tool_keys.contains(&key) => Place::Tool,
            _ if rules.opaque.contains(&key) => Place::Opaque,
            _ => Place::Plain,
        };
        Self { rules, survey, place }
    }

    /// Anything but an object or list.
    fn scalar(mut self, said: Said) -> Said {
        if said != Said::Nothing {
            self.not_a_tool_that_is_known();
        }
        said
    }

    /// What stands where a tool should and isn't an object could be anything to the provider.
    fn not_a_tool_that_is_known(&mut self) {
        if self.place == Place::Tool {
            self.survey.need(ToolNeeds::SERVER.capabilities);
        }
    }

    fn need_of_tool(&mut self, kind: &str, names_a_model: bool) {
        let needs = (self.rules.tool_needs)(kind);
        self.survey.need(needs.capabilities);
        if needs.model && !names_a_model {
            self.survey.refuse("a tool without a model", "it runs a model of its own, so it has to name the model");
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Said;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Said, D::Error> {
        if self.place == Place::Opaque {
            deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Said::Other)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Said, E> {
        Ok(Said::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Said, E> {
        Ok(self.scalar(if value { Said::Other } else { Said::Nothing }))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Said, E> {
        Ok(self.scalar(Said::Other))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Said, E> {
        Ok(self.scalar(Said::Other))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Said, E> {
        Ok(self.scalar(Said::Other))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Said, E> {
        match self.place {
            Place::Model if !text.is_empty() => {
                let models = &mut self.survey.nested_models;
                if !models.iter().any(|known| known == text) {
                    if models.len() >= MAX_NAMED_MODELS || text.len() > MAX_MODEL_BYTES {
                        return Err(E::custom(format_args!(
                            "more than {MAX_NAMED_MODELS} models are named, or a very long one"
                        )));
                    }
                    models.push(text.to_owned());
                }
            }
            Place::Type if self.rules.reference_types.contains(&text) => self.survey.refuse(text, STORED_ELSEWHERE),
            _ => {}
        }
        Ok(self.scalar(if text.is_empty() { Said::Nothing } else { Said::Text }))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Said, A::Error> {
        self.not_a_tool_that_is_known();
        let Self { rules, survey, place } = self;
        let place = if place == Place::Tools { Place::Tool } else { Place::Plain };
        let mut said = Said::Nothing;
        while seq.next_element_seed(Value { rules, survey, place })?.is_some() {
            said = Said::List;
        }
        Ok(said)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Said, A::Error> {
        let mut tool_type: Option<Cow<'de, str>> = None;
        let (mut id, mut kind, mut role, mut model) = (false, false, false, false);
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let key = key.0.as_ref();
            if self.rules.is_decisive_in_another_case(key, false) {
                return Err(A::Error::custom(format_args!("{key} is written in another case")));
            }
            if self.place == Place::Tool && key == "type" {
                if tool_type.is_some() {
                    return Err(A::Error::duplicate_field("type"));
                }
                let text = map.next_value::<Option<Key<'de>>>()?.map_or(Cow::Borrowed(""), |text| text.0);
                kind |= !text.is_empty();
                tool_type = Some(text);
                continue;
            }
            let said = map.next_value_seed(Value::under(key, self.rules, self.survey))?;
            if self.rules.is_reference(key, said) {
                self.survey.refuse(key, STORED_ELSEWHERE);
            }
            match key {
                "id" => id |= said != Said::Nothing,
                "type" => kind |= said == Said::Text,
                "role" => role |= said == Said::Text,
                "model" => model |= said == Said::Text,
                _ => {}
            }
        }
        if self.rules.bare_ids && id && !kind && !role {
            self.survey.refuse("id", STORED_ELSEWHERE);
        }
        if self.place == Place::Tool {
            self.need_of_tool(tool_type.as_deref().unwrap_or(""), model);
        }
        Ok(Said::Other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        opaque: &["parameters"],
        own_ids: &["call_id"],
        text_references: &["container"],
        reference_types: &["item_reference"],
        bare_ids: true,
        refused: &[("background", "no")],
        lists: &[("fallbacks", "list them")],
        noted: &[("audio", Capability::Audio)],
        tool_keys: &["definition"],
        tool_needs,
    };

    fn tool_needs(kind: &str) -> ToolNeeds {
        match kind {
            "" | "function" => ToolNeeds::NOTHING,
            "image_generation" => ToolNeeds { model: true, ..ToolNeeds::SERVER },
            _ => ToolNeeds::SERVER,
        }
    }

    /// The field that is refused, if one is.
    fn refused(json: &str) -> Option<String> {
        found(json).refused.map(|(field, _)| field)
    }

    fn found(json: &str) -> Survey {
        survey(json.as_bytes(), &RULES).unwrap()
    }

    #[test]
    fn the_top_of_a_body_is_read() {
        let found = found(r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
        assert_eq!((found.model.as_deref(), found.stream), (Some("m"), true));
        assert!(found.nested_models.is_empty());
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
        let json = r#"{"tools":[{"type":"function","parameters":{"file_id":"a","model":"b","tools":[{"type":"x"}]}}]}"#;
        assert_eq!(found(json), Survey::default());
    }

    #[test]
    fn references_to_stored_data_are_found_at_any_depth() {
        assert_eq!(refused(r#"{"m":[{"content":[{"file":{"file_id":"f"}}]}]}"#).as_deref(), Some("file_id"));
        assert_eq!(refused(r#"{"input":[{"id":"i","type":"item_reference"}]}"#).as_deref(), Some("item_reference"));
        assert_eq!(refused(r#"{"m":[{"file_id":null}]}"#), None);
    }

    #[test]
    fn an_id_that_nobody_knows_is_a_reference() {
        for json in [
            r#"{"previous_response_id":"x"}"#,
            r#"{"a":{"not_known_yet_ids":["x"]}}"#,
            r#"{"a":[{"Tunnel_ID":"x"}]}"#,
            r#"{"a":[{"id":"msg_1"}]}"#,
            r#"{"a":[{"id":"msg_1","type":null}]}"#,
            r#"{"a":{"audio":{"id":"audio_1"}}}"#,
        ] {
            assert!(refused(json).is_some(), "{json}");
        }
    }

    #[test]
    fn the_callers_own_ids_are_not_references() {
        for json in [
            r#"{"a":[{"call_id":"c","type":"function_call"}]}"#,
            r#"{"a":[{"id":"c","type":"function"},{"id":"m","role":"user"}]}"#,
            r#"{"id":"x"}"#,
        ] {
            assert_eq!(refused(json), None, "{json}");
        }
    }

    #[test]
    fn a_container_by_name_is_a_reference_and_a_new_one_is_not() {
        assert_eq!(refused(r#"{"tools":[{"type":"x","container":"cntr_1"}]}"#).as_deref(), Some("container"));
        assert_eq!(refused(r#"{"tools":[{"type":"x","container":{"type":"auto"}}]}"#), None);
    }

    #[test]
    fn tools_are_found_wherever_they_stand() {
        for json in [
            r#"{"tools":[{"type":"web_search"}]}"#,
            r#"{"input":[{"tools":[{"type":"function"},{"type":"web_search"}]}]}"#,
            r#"{"m":[{"tool":{"type":"tool_definition","definition":{"type":"web_search"}}}]}"#,
            r#"{"tools":[5]}"#,
            r#"{"tools":["web_search"]}"#,
            r#"{"tools":[[{"type":"function"}]]}"#,
        ] {
            assert_eq!(found(json).capabilities, [Capability::ServerTools], "{json}");
        }
        assert_eq!(found(r#"{"tools":[{"name":"x"},{"type":null},{"type":"function"}]}"#).capabilities, []);
    }

    #[test]
    fn a_tool_that_runs_a_model_of_its_own_names_it() {
        assert!(refused(r#"{"tools":[{"type":"image_generation"}]}"#).is_some());
        let found = found(r#"{"tools":[{"type":"image_generation","model":"gpt-image-1"}]}"#);
        assert_eq!((found.refused, found.nested_models), (None, vec!["gpt-image-1".to_owned()]));
    }

    #[test]
    fn a_field_can_need_a_capability() {
        assert_eq!(found(r#"{"audio":{}}"#).capabilities, [Capability::Audio]);
        assert_eq!(found(r#"{"audio":null}"#).capabilities, []);
    }

    #[test]
    fn a_refused_key_counts_when_it_says_something() {
        assert_eq!(refused(r#"{"background":false}"#), None);
        assert_eq!(refused(r#"{"background":null}"#), None);
        assert_eq!(refused(r#"{"background":true}"#).as_deref(), Some("background"));
    }

    #[test]
    fn what_has_to_be_a_list_is_refused_as_anything_else() {
        assert_eq!(refused(r#"{"fallbacks":"default"}"#).as_deref(), Some("fallbacks"));
        assert_eq!(refused(r#"{"fallbacks":{}}"#).as_deref(), Some("fallbacks"));
        assert_eq!(refused(r#"{"fallbacks":[{"model":"x"}]}"#), None);
    }

    #[test]
    fn a_key_that_decides_in_another_case_is_refused() {
        for json in [
            r#"{"Model":"dear"}"#,
            r#"{"Stream":true}"#,
            r#"{"BACKGROUND":true}"#,
            r#"{"a":[{"Model":"dear"}]}"#,
            r#"{"a":{"Tools":[{"type":"web_search"}]}}"#,
            r#"{"tools":[{"Type":"web_search"}]}"#,
        ] {
            assert!(survey(json.as_bytes(), &RULES).unwrap_err().contains("another case"), "{json}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_refused_also_where_nobody_looks() {
        assert!(survey(b"{\"parameters\":\"\xc0\xa2\"}", &RULES).unwrap_err().contains("UTF-8"));
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
