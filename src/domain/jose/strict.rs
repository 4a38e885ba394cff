//! JSON objects from strangers, in which no member stands twice.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a parser refuse a repeated name or take the last. Whoever else reads the same text may take the
//! first: what two readers understand differently is refused, at every depth.

use core::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::domain::time::Timestamp;

/// The members of an object.
pub type Members = Map<String, Value>;

/// The members of the object that `json` is; `None` when it is anything else, or when a name stands twice in it. Depth is limited to 128.
#[must_use]
pub fn object(json: &[u8]) -> Option<Members> {
    match serde_json::from_slice(json) {
        Ok(Strict(Value::Object(members))) => Some(members),
        _ => None,
    }
}

/// A moment as JWTs write it: seconds since the epoch, perhaps with a fraction, which is dropped (RFC 7519 §2, `NumericDate`).
#[must_use]
pub fn numeric_date(value: &Value) -> Option<Timestamp> {
    let Value::Number(number) = value else { return None };
    // Written out, because what holds for a float here must not depend on how it rounds.
    let text = number.to_string();
    let seconds = text.split_once('.').map_or(text.as_str(), |(seconds, _)| seconds);
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { seconds.parse().ok().map(Timestamp::from_seconds) } else { None }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Strict;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_str<E>(self, text: &str) -> Result<Strict, E> {
                Ok(Strict(text.into()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Strict, E> {
                Ok(Strict(number.into()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Strict, E> {
                Ok(Strict(number.into()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Strict, E> {
                Ok(Strict(number.into()))
            }
            fn visit_bool<E>(self, truth: bool) -> Result<Strict, E> {
                Ok(Strict(truth.into()))
            }
            fn visit_unit<E>(self) -> Result<Strict, E> {
                Ok(Strict(Value::Null))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
                let mut list = Vec::new();
                while let Some(Strict(value)) = seq.next_element()? {
                    list.push(value);
                }
                Ok(Strict(Value::Array(list)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
                let mut members = Members::new();
                while let Some((name, Strict(value))) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                }
                Ok(Strict(Value::Object(members)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_object_is_read_as_serde_json_reads_it() {
        let json = r#"{"a":[1,-2,1.5,null,true,"x",{"b":{}}]}"#;
        assert_eq!(object(json.as_bytes()).map(Value::Object), serde_json::from_str(json).ok());
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_at_every_depth_rfc_7515_4() {
        for json in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":[{"b":1,"b":2}]}"#, r#"{"a":1,"\u0061":2}"#]
        {
            assert_eq!(object(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        for json in ["", "[]", "1", "null", "\"{}\"", "{}{}", "{} x", "{\"a\":1,}", "\u{feff}{}"] {
            assert_eq!(object(json.as_bytes()), None, "{json}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
        assert_eq!(object(format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000)).as_bytes()), None);
    }

    #[test]
    fn a_numeric_date_is_seconds_and_loses_its_fraction_rfc_7519_2() {
        let date = |json: &str| numeric_date(&serde_json::from_str(json).unwrap());
        for (json, seconds) in
            [("0", 0), ("1562262616", 1_562_262_616), ("1562262616.999", 1_562_262_616), ("1e9", 1_000_000_000)]
        {
            assert_eq!(date(json), Some(Timestamp::from_seconds(seconds)), "{json}");
        }
        for json in ["-1", "-1.5", "1e300", "1e-9", "\"1562262616\"", "null", "[1]", "true"] {
            assert_eq!(date(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a1\\\\u]{0,60}") {
            let _ = object(&bytes);
            let _ = object(text.as_bytes());
        }
    }
}
