//! Setting one value in a request's JSON and leaving every other byte as it came.
//!
//! A body is not written anew: that would change how numbers look, the order of keys, and what providers cache by. The only new
//! bytes are the value itself and, where its key is missing, the key.

use core::{fmt, ops::Range};
use std::borrow::Cow;

use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The value can't be set: the body is no JSON object, the key stands twice, or what stands there is no value of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not one JSON object in which the value could be set")]
pub struct NotSettable;

/// New bytes for a body, and the old ones in whose place they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    old: Range<usize>,
    new: Vec<u8>,
}

impl Splice {
    /// Changes the body that it was made for, in its place.
    pub fn carry_out(self, body: &mut Vec<u8>) {
        // Bytes that aren't there would be those of another body.
        if body.get(self.old.clone()).is_some() {
            body.splice(self.old, self.new);
        }
    }
}

/// Where a value stands in an object.
enum Place {
    /// Its bytes.
    At(Range<usize>),
    /// The key is missing; where the first member begins, and whether there is any.
    Missing { first: usize, is_empty: bool },
}

/// What makes a streamed chat ask for its usage; `None` when it does already.
///
/// Sets `stream_options.include_usage` to true, whether the options are missing, null, or say otherwise.
///
/// # Errors
/// [`NotSettable`]; then the provider's answer would say no usage, or nobody knows which.
pub fn asking_for_usage(body: &[u8]) -> Result<Option<Splice>, NotSettable> {
    let options = match place(body, "stream_options")? {
        missing @ Place::Missing { .. } => {
            return Ok(Some(set(&missing, "stream_options", br#"{"include_usage":true}"#)));
        }
        Place::At(options) => options,
    };
    let text = body.get(options.clone()).ok_or(NotSettable)?;
    if text == b"null" {
        return Ok(Some(set(&Place::At(options), "stream_options", br#"{"include_usage":true}"#)));
    }
    let mut include = place(text, "include_usage")?;
    if let Place::At(value) = &include {
        match text.get(value.clone()) {
            Some(b"true") => return Ok(None),
            Some(b"false" | b"null") => {}
            _ => return Err(NotSettable),
        }
    }
    // From its place in the options to its place in the body.
    match &mut include {
        Place::At(value) => {
            value.start = value.start.saturating_add(options.start);
            value.end = value.end.saturating_add(options.start);
        }
        Place::Missing { first, .. } => *first = first.saturating_add(options.start),
    }
    Ok(Some(set(&include, "include_usage", b"true")))
}

/// What sets an integer at the top of a body, such as `max_completion_tokens`; `None` when there is a value already that isn't null.
///
/// # Errors
/// [`NotSettable`]
pub fn integer(body: &[u8], name: &str, value: u64) -> Result<Option<Splice>, NotSettable> {
    let place = place(body, name)?;
    if let Place::At(present) = &place
        && body.get(present.clone()) != Some(b"null")
    {
        return Ok(None);
    }
    Ok(Some(set(&place, name, value.to_string().as_bytes())))
}

/// What gives a body one more member, where it is known that it has members and none of this name.
#[must_use]
pub fn another(body: &[u8], name: &str, value: &str) -> Splice {
    let first = body.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace.saturating_add(1));
    set(&Place::Missing { first, is_empty: false }, name, value.as_bytes())
}

/// `name` is one of ours: it needs no escapes.
fn set(place: &Place, name: &str, value: &[u8]) -> Splice {
    let (old, key) = match place {
        Place::At(old) => (old.clone(), String::new()),
        Place::Missing { first, .. } => (*first..*first, format!("\"{name}\":")),
    };
    let comma: &[u8] = if matches!(place, Place::Missing { is_empty: false, .. }) { b"," } else { b"" };
    Splice { old, new: [key.as_bytes(), value, comma].concat() }
}

/// Where the value of this key stands in the object that `json` is.
fn place(json: &[u8], name: &str) -> Result<Place, NotSettable> {
    let text = core::str::from_utf8(json).map_err(|_| NotSettable)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Find { name }).map_err(|_| NotSettable)?;
    deserializer.end().map_err(|_| NotSettable)?;
    let (value, is_empty) = found;
    if let Some(value) = value {
        // It was borrowed from `text`.
        let start = value.as_ptr().addr().checked_sub(text.as_ptr().addr()).ok_or(NotSettable)?;
        return Ok(Place::At(start..start.saturating_add(value.len())));
    }
    let brace = text.find('{').ok_or(NotSettable)?;
    Ok(Place::Missing { first: brace.saturating_add(1), is_empty })
}

/// Finds the text of a member's value, and whether there is no member at all.
struct Find<'a> {
    name: &'a str,
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = (Option<&'de str>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut is_empty) = (None, true);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            is_empty = false;
            let value = map.next_value::<&'de RawValue>()?;
            if key == self.name && found.replace(value.get()).is_some() {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok((found, is_empty))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn done(body: &str, splice: Splice) -> String {
        // As the data plane has it: with room for what is set.
        let mut changed = Vec::with_capacity(body.len() + crate::gateway::MAX_EDIT_BYTES);
        changed.extend_from_slice(body.as_bytes());
        let at = changed.as_ptr();
        splice.carry_out(&mut changed);
        assert_eq!(changed.as_ptr(), at, "the body is changed where it lies");
        String::from_utf8(changed).unwrap()
    }

    fn asked(body: &str) -> Result<Option<String>, NotSettable> {
        asking_for_usage(body.as_bytes()).map(|splice| splice.map(|splice| done(body, splice)))
    }

    #[test]
    fn usage_is_asked_for_and_no_other_byte_is_changed() {
        for (body, expected) in [
            (r#" {"model":"m","n":1.0}"#, r#" {"stream_options":{"include_usage":true},"model":"m","n":1.0}"#),
            ("{ }", r#"{"stream_options":{"include_usage":true} }"#),
            (r#"{"a":1,"stream_options": null ,"b":2}"#, r#"{"a":1,"stream_options": {"include_usage":true} ,"b":2}"#),
            (r#"{"stream_options":{}}"#, r#"{"stream_options":{"include_usage":true}}"#),
            (
                r#"{"stream_options": { "include_obfuscation":false}}"#,
                r#"{"stream_options": {"include_usage":true, "include_obfuscation":false}}"#,
            ),
            (r#"{"stream_options":{"include_usage": false }}"#, r#"{"stream_options":{"include_usage": true }}"#),
            (r#"{"stream_options":{"include_usage":null}}"#, r#"{"stream_options":{"include_usage":true}}"#),
            (
                r#"{"x":"{\"stream_options\":1}","stream\u005foptions":{}}"#,
                r#"{"x":"{\"stream_options\":1}","stream\u005foptions":{"include_usage":true}}"#,
            ),
        ] {
            assert_eq!(asked(body), Ok(Some(expected.to_owned())), "{body}");
        }
    }

    #[test]
    fn a_body_that_asks_already_is_left_alone() {
        assert_eq!(asked(r#"{"stream_options":{"include_usage":true}}"#), Ok(None));
    }

    #[test]
    fn what_could_be_read_two_ways_is_not_set() {
        for body in [
            "",
            "[]",
            r#"{"a":1"#,
            "{} {}",
            r#"{"stream_options":{},"stream_options":{}}"#,
            r#"{"stream_options":{"include_usage":false,"include_usage":true}}"#,
            r#"{"stream_options":[]}"#,
            r#"{"stream_options":"x"}"#,
            r#"{"stream_options":{"include_usage":1}}"#,
        ] {
            assert_eq!(asked(body), Err(NotSettable), "{body}");
        }
        assert_eq!(asking_for_usage(b"{\"a\":\"\xFF\"}"), Err(NotSettable));
    }

    #[test]
    fn an_integer_is_set_where_there_is_none() {
        let set = |body: &str| {
            integer(body.as_bytes(), "max_output_tokens", 7).map(|splice| splice.map(|splice| done(body, splice)))
        };
        assert_eq!(set(r#"{"model":"m"}"#), Ok(Some(r#"{"max_output_tokens":7,"model":"m"}"#.to_owned())));
        assert_eq!(set("{}"), Ok(Some(r#"{"max_output_tokens":7}"#.to_owned())));
        assert_eq!(set(r#"{"max_output_tokens":null}"#), Ok(Some(r#"{"max_output_tokens":7}"#.to_owned())));
        assert_eq!(set(r#"{"max_output_tokens":9}"#), Ok(None));
        assert_eq!(set(r#"{"max_output_tokens":9,"max_output_tokens":8}"#), Err(NotSettable));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}é\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("[a-z\"_]{0,6}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn options() -> impl Strategy<Value = Option<Value>> {
        proptest::sample::select(vec![
            None,
            Some(Value::Null),
            Some(json!({})),
            Some(json!({ "include_obfuscation": false })),
            Some(json!({ "include_usage": false })),
            Some(json!({ "a": [1], "include_usage": null })),
        ])
    }

    proptest! {
        #[test]
        fn a_body_parses_to_the_same_but_for_that_one_value(
            members in proptest::collection::hash_map("[a-z\"\\\\é_]{0,8}", value(), 0..6),
            options in options(),
            pretty: bool,
        ) {
            let mut body = Value::Object(members.into_iter().collect());
            if let Some(options) = &options {
                body["stream_options"] = options.clone();
            }
            let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
            let mut expected = body.clone();
            expected["stream_options"]["include_usage"] = Value::Bool(true);
            let asked = asked(&text).unwrap().unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&asked).unwrap(), expected);

            let mut expected = body;
            expected["max_completion_tokens"] = 4096.into();
            let set = integer(text.as_bytes(), "max_completion_tokens", 4096).unwrap().unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&done(&text, set)).unwrap(), expected);
        }

        #[test]
        fn no_body_makes_it_panic(body in "[{}\\[\\]\":,a1 ]{0,40}") {
            let _ = asking_for_usage(body.as_bytes());
            let _ = integer(body.as_bytes(), "a", 1);
        }
    }
}
