//! One pass over a request body that finds what decides about a call, and nothing else.
//!
//! The body itself is forwarded byte for byte; this only looks. It reads the JSON the way the providers do (unescaped keys, one
//! value per key) and refuses what two parsers could read differently: a key that decides and stands twice, or in another case, and
//! bytes that are no UTF-8. Whatever names a model, a tool or somebody's stored data is found at any depth; only subtrees that are
//! the caller's own data (schemas, metadata) are passed over. A key that names a thing by its id (`…_id`, `…_ids`) is taken for a
//! reference to stored data unless it is known to be the caller's own, so that the next one a provider thinks of is refused rather
//! than overlooked. Other new fields pass: what they mean nobody here can know.

mod form;
mod rules;
#[cfg(test)]
mod tests;
mod value;
mod weights;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

pub(super) use form::survey_form;
use rules::Closed;
pub(super) use rules::{ROUTED, Rules, STORED_ELSEWHERE, ToolNeeds, Weight};
use value::{Key, MAX_MODEL_BYTES, Said, Value};
pub(super) use weights::{MAX_SERVER_TOOLS, Weights};

use crate::domain::permission::Capability;

/// Most models that one body may name below its top.
pub(super) const MAX_NAMED_MODELS: usize = 16;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// `model` at the top.
    pub(super) model: Option<String>,
    /// `model` anywhere below.
    pub(super) nested_models: Vec<String>,
    /// More than [`MAX_NAMED_MODELS`] of those.
    pub(super) too_many_models: bool,
    /// `stream` at the top.
    pub(super) stream: bool,
    /// What decides what it can cost.
    pub(super) weights: Weights,
    /// What its tools and fields need, each once.
    pub(super) capabilities: Vec<Capability>,
    /// The first field that can't be granted, and why.
    pub(super) refused: Option<(String, &'static str)>,
    /// What has to carry the text of the object whose `type` was read last; see [`Rules::carried_by`].
    carrier: Option<&'static str>,
    /// The entry of [`Rules::closed`] whose value is being read.
    closed: Option<Closed>,
}

impl Survey {
    fn refuse(&mut self, field: &str, reason: &'static str) {
        self.refused.get_or_insert_with(|| (field.to_owned(), reason));
    }

    /// A model that is named below the top.
    fn note_model(&mut self, model: &str) {
        if self.nested_models.iter().any(|known| known == model) {
            return;
        }
        if self.nested_models.len() >= MAX_NAMED_MODELS {
            self.too_many_models = true;
        } else {
            self.nested_models.push(model.to_owned());
        }
    }

    fn need(&mut self, capabilities: &[Capability]) {
        for capability in capabilities {
            if !self.capabilities.contains(capability) {
                self.capabilities.push(*capability);
            }
        }
    }

    /// An image that isn't a single raster takes more than an image's tokens: a model that writes it, or as many frames.
    fn weigh_format(&mut self) {
        let Some(format) = self.weights.format.as_deref() else { return };
        if ["", "png", "jpeg", "webp"].contains(&format) {
            return;
        }
        let tool = format!("output_format {format}");
        if format == "svg" && self.nested_models.is_empty() {
            self.refuse("output_format", "a model of its own writes an SVG, so `svg` has to name the model");
        }
        self.weights.note_tool(&tool, None);
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
    survey.weigh_format();
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
                    let weight = rules.weights.iter().find(|(name, _)| *name == key);
                    if let Some((name, _)) = weight {
                        once(name)?;
                    }
                    let weight = weight.map(|(_, weight)| *weight);
                    match weight {
                        Some(number @ (Weight::MaxOutput | Weight::Choices | Weight::ToolUses)) => {
                            survey.weights.note_number(number, map.next_value()?);
                            continue;
                        }
                        Some(
                            text
                            @ (Weight::Tier | Weight::Speed | Weight::Region | Weight::Format | Weight::Characters),
                        ) => {
                            survey.weights.note_text(text, map.next_value()?);
                            continue;
                        }
                        _ => {}
                    }
                    let refused = rules.refused.iter().find(|(name, _)| *name == key);
                    let list = rules.lists.iter().find(|(name, _)| *name == key);
                    let noted = rules.noted.iter().find(|(name, _)| *name == key);
                    if let Some(name) = refused.or(list).map(|(name, _)| name).or(noted.map(|(name, _)| name))
                        && weight.is_none()
                    {
                        once(name)?;
                    }
                    survey.closed = rules.closed(key);
                    let value = match list {
                        Some(list) => Value::in_list(*list, rules, survey),
                        None => Value::under(key, rules, survey),
                    };
                    let said = map.next_value_seed(value)?;
                    survey.closed = None;
                    // Also where they say nothing: the key stands there, and must not stand there twice.
                    survey.weights.stream_options |= weight == Some(Weight::StreamOptions);
                    if said == Said::Nothing {
                        continue;
                    }
                    if !rules.is_weighed(key) {
                        survey.weights.note_unknown(key);
                    }
                    if let Some((name, reason)) = refused.or(list.filter(|_| said != Said::List)) {
                        survey.refuse(name, reason);
                    }
                    survey.weights.spoken |= weight == Some(Weight::Spoken);
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
