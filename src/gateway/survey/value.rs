//! The values below the top of a body, and the keys before them.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Rules, STORED_ELSEWHERE, Survey, ToolNeeds, Weight};

/// Longest model id that is looked at, in bytes.
pub(super) const MAX_MODEL_BYTES: usize = 256;

/// A key, borrowed where the JSON has no escapes in it.
pub(super) struct Key<'de>(pub(super) Cow<'de, str>);

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
    /// Behind a key `ttl`: how long a cache is written for.
    Ttl,
    /// Behind a key `mode`: of reasoning.
    Mode,
    /// Behind one of [`Rules::deep_weights`].
    Weight(&'static str, Weight),
    /// Behind one of [`Rules::lists`]; with its name and reason.
    List(&'static str, &'static str),
    /// An entry of that, which has to be an object.
    Entry(&'static str, &'static str),
}

/// What a value says: `null`, `false`, an empty text and an empty list say nothing. An empty object does say something:
/// `"web_search_options": {}` is how web search is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Text,
    List,
    Other,
}

/// What the keys that tell what an object is say. Each may stand once: of two, one parser takes the first and another the last.
#[derive(Default)]
struct Told {
    id: Option<Said>,
    kind: Option<Said>,
    role: Option<Said>,
    model: Option<Said>,
}

impl Told {
    fn note(&mut self, key: &str, said: Said) -> Result<(), &'static str> {
        let (name, place) = match key {
            "id" => ("id", &mut self.id),
            "type" => ("type", &mut self.kind),
            "role" => ("role", &mut self.role),
            "model" => ("model", &mut self.model),
            _ => return Ok(()),
        };
        if place.replace(said).is_some() { Err(name) } else { Ok(()) }
    }

    /// It names something, and says neither what that is nor whose.
    fn is_a_bare_id(&self) -> bool {
        let says_text = |said: Option<Said>| said == Some(Said::Text);
        self.id.is_some_and(|said| said != Said::Nothing) && !says_text(self.kind) && !says_text(self.role)
    }
}

/// Any value below the top.
pub(super) struct Value<'a> {
    rules: &'a Rules,
    survey: &'a mut Survey,
    place: Place,
}

impl<'a> Value<'a> {
    pub(super) fn under(key: &str, rules: &'a Rules, survey: &'a mut Survey) -> Self {
        let place = match key {
            "tools" => Place::Tools,
            "model" => Place::Model,
            "type" => Place::Type,
            "ttl" => Place::Ttl,
            "mode" => Place::Mode,
            _ if rules.tool_keys.contains(&key) => Place::Tool,
            _ if rules.opaque.contains(&key) => Place::Opaque,
            _ => match rules.deep_weights.iter().find(|(name, _)| *name == key) {
                Some((name, weight)) => Place::Weight(name, *weight),
                None => Place::Plain,
            },
        };
        Self { rules, survey, place }
    }

    /// What a key that decides says: a number that is none here is one that nobody here knows.
    fn weigh(&mut self, number: Option<u64>, text: Option<&str>) {
        let Place::Weight(name, weight) = self.place else { return };
        match (weight, number, text) {
            (Weight::MaxOutput, Some(number), _) => self.survey.weights.note_number(weight, Some(number)),
            (Weight::Speed, _, Some(text)) => self.survey.weights.note_text(weight, Some(text.to_owned())),
            _ => self.survey.weights.note_unknown(name),
        }
    }

    /// The value of a key at the top that is a list of objects.
    pub(super) const fn in_list(
        (name, reason): (&'static str, &'static str),
        rules: &'a Rules,
        survey: &'a mut Survey,
    ) -> Self {
        Self { rules, survey, place: Place::List(name, reason) }
    }

    /// Anything but an object or list.
    fn scalar(mut self, said: Said) -> Said {
        if said != Said::Nothing {
            self.not_a_tool_that_is_known();
        }
        self.not_an_object();
        said
    }

    /// A text in a list of models could name one, whatever the list is documented to have.
    fn not_an_object(&mut self) {
        if let Place::Entry(name, reason) = self.place {
            self.survey.refuse(name, reason);
        }
    }

    /// What stands where a tool should and isn't an object could be anything to the provider.
    fn not_a_tool_that_is_known(&mut self) {
        if self.place == Place::Tool {
            self.survey.need(ToolNeeds::SERVER.capabilities);
            self.survey.weights.note_tool("unknown", None);
        }
    }

    fn need_of_tool(&mut self, kind: &str, names_a_model: bool, max_uses: Option<u64>) {
        let needs = (self.rules.tool_needs)(kind);
        if needs != ToolNeeds::NOTHING {
            self.survey.weights.note_tool(kind, max_uses);
        } else if !["", "custom", "function", "namespace"].contains(&kind) {
            self.survey.weights.described_tools = self.survey.weights.described_tools.saturating_add(1);
        }
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

    fn visit_bool<E>(mut self, value: bool) -> Result<Said, E> {
        self.weigh(None, None);
        Ok(self.scalar(if value { Said::Other } else { Said::Nothing }))
    }

    fn visit_i64<E>(mut self, _: i64) -> Result<Said, E> {
        self.weigh(None, None);
        Ok(self.scalar(Said::Other))
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<Said, E> {
        self.weigh(Some(number), None);
        Ok(self.scalar(Said::Other))
    }

    fn visit_f64<E>(mut self, _: f64) -> Result<Said, E> {
        self.weigh(None, None);
        Ok(self.scalar(Said::Other))
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<Said, E> {
        self.weigh(None, Some(text));
        match self.place {
            Place::Model if !text.is_empty() => {
                if text.len() > MAX_MODEL_BYTES {
                    return Err(E::custom(format_args!("a model id has more than {MAX_MODEL_BYTES} bytes")));
                }
                self.survey.note_model(text);
            }
            Place::Type => {
                if self.rules.reference_types.contains(&text) {
                    self.survey.refuse(text, STORED_ELSEWHERE);
                }
                if text.starts_with("compact_") {
                    // The model reads everything once more, and writes what it makes of it.
                    self.survey.weights.note_tool(text, None);
                }
                self.survey.carrier =
                    self.rules.carried_by.iter().find(|(kind, _)| *kind == text).map(|(_, carrier)| *carrier);
                match self.survey.closed {
                    Some((_, known)) if known.contains(&text) => {}
                    Some((field, _)) => self.survey.weights.note_unknown(&format!("{text} in {field}")),
                    None if self.rules.text_types.contains(&text) => {}
                    None => self.survey.weights.media = true,
                }
            }
            Place::Ttl if text != "5m" => self.survey.weights.long_cache = true,
            Place::Mode if text == "pro" => self.survey.weights.note_tool("reasoning.mode pro", None),
            _ => {}
        }
        Ok(self.scalar(if text.is_empty() { Said::Nothing } else { Said::Text }))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Said, A::Error> {
        self.not_a_tool_that_is_known();
        self.not_an_object();
        self.weigh(None, None);
        let Self { rules, survey, place } = self;
        let place = match place {
            Place::Tools => Place::Tool,
            Place::List(name, reason) => Place::Entry(name, reason),
            _ => Place::Plain,
        };
        let mut said = Said::Nothing;
        while seq.next_element_seed(Value { rules, survey, place })?.is_some() {
            said = Said::List;
        }
        Ok(said)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Said, A::Error> {
        self.weigh(None, None);
        let mut tool_type: Option<Cow<'de, str>> = None;
        let mut max_uses: Option<Option<u64>> = None;
        let mut told = Told::default();
        let mut carrier = None;
        let mut carriers: Vec<&'static str> = Vec::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let key = key.0.as_ref();
            if self.rules.is_decisive_in_another_case(key, false) {
                return Err(A::Error::custom(format_args!("{key} is written in another case")));
            }
            let said = if self.place == Place::Tool && key == "type" {
                let text = map.next_value::<Option<Key<'de>>>()?.map_or(Cow::Borrowed(""), |text| text.0);
                let said = if text.is_empty() { Said::Nothing } else { Said::Text };
                tool_type = Some(text);
                said
            } else if self.place == Place::Tool && key == "max_uses" {
                if max_uses.replace(map.next_value()?).is_some() {
                    return Err(A::Error::duplicate_field("max_uses"));
                }
                Said::Other
            } else {
                let outer = self.survey.closed;
                self.survey.closed = self.rules.closed(key).or(outer);
                let said = map.next_value_seed(Value::under(key, self.rules, self.survey))?;
                self.survey.closed = outer;
                said
            };
            told.note(key, said).map_err(A::Error::duplicate_field)?;
            if key == "type" {
                carrier = self.survey.carrier.take();
            }
            carriers.extend(
                self.rules
                    .carried_by
                    .iter()
                    .map(|(_, carrier)| *carrier)
                    .filter(|name| *name == key && said == Said::Text),
            );
            if said != Said::Nothing && self.rules.media_keys.contains(&key) {
                self.survey.weights.media = true;
            }
            if self.rules.is_reference(key, said) {
                self.survey.refuse(key, STORED_ELSEWHERE);
            }
        }
        if told.id.is_some_and(|said| said != Said::Nothing)
            && carrier.is_some_and(|carrier| !carriers.contains(&carrier))
        {
            self.survey.weights.media = true;
        }
        if self.rules.bare_ids && told.is_a_bare_id() {
            self.survey.refuse("id", STORED_ELSEWHERE);
        }
        if self.place == Place::Tool {
            self.need_of_tool(tool_type.as_deref().unwrap_or(""), told.model == Some(Said::Text), max_uses.flatten());
        }
        Ok(Said::Other)
    }
}
