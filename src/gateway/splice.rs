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

/// Where a value stands in an object.
enum Place {
    /// Its bytes.
    At(Range<usize>),
    /// The key is missing; where the first member begins, and whether there is any.
    Missing { first: usize, is_empty: bool },
}

/// The body of a streamed chat that asks for its usage; `None` when it does already.
///
/// Sets `stream_options.include_usage` to true, whether the options are missing, null, or say otherwise.
///
/// # Errors
/// [`NotSettable`]; then the provider's answer would say no usage, or nobody knows which.
pub fn with_usage_asked_for(body: &[u8]) -> Result<Option<Vec<u8>>, NotSettable> {
    let options = match place(body, "stream_options")? {
        missing @ Place::Missing { .. } => {
            return Ok(Some(set(body, &missing, "stream_options", br#"{"include_usage":true}"#)));
        }
        Place::At(options) => options,
    };
    let text = body.get(options.clone()).ok_or(NotSettable)?;
    if text == b"null" {
        return Ok(Some(set(body, &Place::At(options), "stream_options", br#"{"include_usage":true}"#)));
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
    Ok(Some(set(body, &include, "include_usage", b"true")))
}

/// The body with an integer at its top, such as `max_completion_tokens`; `None` when there is a value already that isn't null.
///
/// # Errors
/// [`NotSettable`]
pub fn with_integer(body: &[u8], name: &str, value: u64) -> Result<Option<Vec<u8>>, NotSettable> {
    let place = place(body, name)?;
    if let Place::At(present) = &place
        && body.get(present.clone()) != Some(b"null")
    {
        return Ok(None);
    }
    Ok(Some(set(body, &place, name, value.to_string().as_bytes())))
}

/// The body with one more member, where it is known that it has members and none of this name.
#[must_use]
pub fn with_another(body: &[u8], name: &str, value: &str) -> Vec<u8> {
    let first = body.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace.saturating_add(1));
    set(body, &Place::Missing { first, is_empty: false }, name, value.as_bytes())
}

/// `name` is one of ours: it needs no escapes.
fn set(body: &[u8], place: &Place, name: &str, value: &[u8]) -> Vec<u8> {
    let (at, key, rest) = match place {
        Place::At(old) => (old.start, String::new(), old.end),
        Place::Missing { first, .. } => (*first, format!("\"{name}\":"), *first),
    };
    let comma: &[u8] = if matches!(place, Place::Missing { is_empty: false, .. }) { b"," } else { b"" };
    let before = body.get(..at).unwrap_or_default();
    let behind = body.get(rest..).unwrap_or_default();
    [before, key.as_bytes(), value, comma, behind].concat()
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

    fn asked(body: &str) -> Result<Option<String>, NotSettable> {
        with_usage_asked_for(body.as_bytes()).map(|body| body.map(|body| String::from_utf8(body).unwrap()))
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
        assert_eq!(with_usage_asked_for(b"{\"a\":\"\xFF\"}"), Err(NotSettable));
    }

    #[test]
    fn an_integer_is_set_where_there_is_none() {
        let set = |body: &str| with_integer(body.as_bytes(), "max_output_tokens", 7);
        assert_eq!(set(r#"{"model":"m"}"#), Ok(Some(br#"{"max_output_tokens":7,"model":"m"}"#.to_vec())));
        assert_eq!(set("{}"), Ok(Some(br#"{"max_output_tokens":7}"#.to_vec())));
        assert_eq!(set(r#"{"max_output_tokens":null}"#), Ok(Some(br#"{"max_output_tokens":7}"#.to_vec())));
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
            let text = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
            let mut expected = body.clone();
            expected["stream_options"]["include_usage"] = Value::Bool(true);
            let asked = with_usage_asked_for(&text).unwrap().unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&asked).unwrap(), expected);

            let mut expected = body;
            expected["max_completion_tokens"] = 4096.into();
            let set = with_integer(&text, "max_completion_tokens", 4096).unwrap().unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&set).unwrap(), expected);
        }

        #[test]
        fn no_body_makes_it_panic(body in "[{}\\[\\]\":,a1 ]{0,40}") {
            let _ = with_usage_asked_for(body.as_bytes());
            let _ = with_integer(body.as_bytes(), "a", 1);
        }
    }
}
