//! One pass over a JSON answer of any size that keeps only some members of its top.
//!
//! Embeddings and images make answers of many megabytes of which the usage is a hundred bytes. So the answer is not held: it is
//! skimmed as it comes, and what is kept is a small JSON object with the wanted members, ready for an ordinary parser. The rest is
//! followed just closely enough to know where it ends, not checked.

/// Longest text within a kept member; longer ones are kept as empty, nobody asks for them.
const MAX_TEXT_BYTES: usize = 1024;
/// Most that is kept.
const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;
/// Longest key that is looked at.
const MAX_KEY_BYTES: usize = 64;

/// Skims an answer.
#[derive(Debug)]
pub(super) struct Skimmer {
    wanted: &'static [&'static str],
    place: Place,
    /// Open objects and lists.
    depth: usize,
    text: Text,
    key: Vec<u8>,
    /// The member that is being read is kept.
    keeping: bool,
    /// An object without its end: `{"usage":…,"model":…`.
    kept: Vec<u8>,
    /// How much of it are whole members.
    whole: usize,
}

/// What was kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skimmed {
    /// A JSON object with the wanted members in their order, twice if they stand twice.
    pub(super) json: Vec<u8>,
    /// The answer was an object, and has ended.
    pub(super) ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Key,
    Value,
    After,
    /// It is no object, or what should be kept is too long.
    Unreadable,
}

/// Whether a text is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    /// What was kept before it and its opening quote, to which what is kept is cut back when it gets long.
    Inside {
        start: usize,
        escaped: bool,
    },
}

impl Skimmer {
    pub(super) fn new(wanted: &'static [&'static str]) -> Self {
        Self {
            wanted,
            place: Place::Before,
            depth: 0,
            text: Text::Outside,
            key: Vec::new(),
            keeping: false,
            kept: b"{".to_vec(),
            whole: 1,
        }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            if matches!(self.place, Place::After | Place::Unreadable) {
                return;
            }
            match self.text {
                Text::Outside => {
                    self.outside(*byte);
                    bytes = rest;
                }
                Text::Inside { start, escaped: true } => {
                    self.keep(&[*byte]);
                    self.text = Text::Inside { start, escaped: false };
                    bytes = rest;
                }
                Text::Inside { start, escaped: false } => {
                    let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(bytes.len());
                    let (plain, rest) = bytes.split_at(end);
                    self.keep(plain);
                    if self.kept.len().saturating_sub(start) > MAX_TEXT_BYTES {
                        self.kept.truncate(start);
                    }
                    bytes = rest;
                    if let Some((byte, rest)) = rest.split_first() {
                        self.keep(&[*byte]);
                        self.text = match byte {
                            b'"' => Text::Outside,
                            _ => Text::Inside { start, escaped: true },
                        };
                        bytes = rest;
                    }
                }
            }
        }
    }

    /// The answer is over. `None` when it was no object.
    pub(super) fn finish(mut self) -> Option<Skimmed> {
        if matches!(self.place, Place::Unreadable | Place::Before) {
            return None;
        }
        self.kept.truncate(self.whole);
        self.kept.push(b'}');
        Some(Skimmed { json: self.kept, ended: self.place == Place::After })
    }

    fn outside(&mut self, byte: u8) {
        match (self.place, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r') => {}
            (Place::Before, b'{') => (self.place, self.depth) = (Place::Key, 1),
            (Place::Before, _) => self.place = Place::Unreadable,
            (Place::Key, b'"') => {
                self.key.clear();
                self.text = Text::Inside { start: self.kept.len(), escaped: false };
            }
            (Place::Key, b':') => {
                self.place = Place::Value;
                self.keeping = self.wanted.iter().any(|name| name.as_bytes() == self.key.as_slice());
                if self.keeping {
                    let key = core::mem::take(&mut self.key);
                    self.keep(if self.whole > 1 { b",\"" } else { b"\"" });
                    self.keep(&key);
                    self.keep(b"\":");
                }
            }
            (Place::Key, b'}') => self.place = Place::After,
            (Place::Value, b',' | b'}') if self.depth == 1 => {
                if core::mem::take(&mut self.keeping) {
                    self.whole = self.kept.len();
                }
                self.place = if byte == b',' { Place::Key } else { Place::After };
            }
            (Place::Value, _) => {
                match byte {
                    b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                self.keep(&[byte]);
                if byte == b'"' {
                    self.text = Text::Inside { start: self.kept.len(), escaped: false };
                }
                if self.depth == 0 {
                    self.place = Place::Unreadable;
                }
            }
            (Place::Key | Place::After | Place::Unreadable, _) => {}
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.place == Place::Key {
            // A key that is longer is none of the wanted ones, however it goes on; nor is one with an escape in it.
            let bytes = bytes.strip_suffix(b"\"").unwrap_or(bytes);
            self.key.extend(bytes.iter().take(MAX_KEY_BYTES.saturating_sub(self.key.len())));
        } else if self.keeping {
            self.kept.extend_from_slice(bytes);
            if self.kept.len() > MAX_KEPT_BYTES {
                self.place = Place::Unreadable;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skim<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Option<(String, bool)> {
        let mut skimmer = Skimmer::new(&["usage", "model"]);
        for part in parts {
            skimmer.feed(part);
        }
        skimmer.finish().map(|skimmed| (String::from_utf8_lossy(&skimmed.json).into_owned(), skimmed.ended))
    }

    fn whole(text: &str) -> Option<(String, bool)> {
        skim([text.as_bytes()])
    }

    #[test]
    fn wanted_members_are_kept_and_nothing_else() {
        let text = r#" { "id":"x", "model" : "m", "data":[{"usage":1},"}\"]{"], "usage" : {"a": [1, 2], "b":null} } "#;
        assert_eq!(whole(text), Some((r#"{"model":"m","usage":{"a":[1,2],"b":null}}"#.to_owned(), true)));
    }

    #[test]
    fn a_member_that_stands_twice_is_kept_twice() {
        assert_eq!(whole(r#"{"usage":1,"usage":2}"#), Some((r#"{"usage":1,"usage":2}"#.to_owned(), true)));
    }

    #[test]
    fn an_answer_that_is_cut_short_keeps_what_was_whole() {
        assert_eq!(whole(r#"{"model":"m","usage":{"a":1"#), Some((r#"{"model":"m"}"#.to_owned(), false)));
        assert_eq!(whole(r#"{"usage":12"#), Some(("{}".to_owned(), false)));
    }

    #[test]
    fn a_long_text_is_kept_as_empty() {
        let text = format!(r#"{{"usage":{{"a":"{}\\","b":1}}}}"#, "x\\u00e9".repeat(1000));
        let (kept, ended) = whole(&text).unwrap();
        assert!(kept.len() < 2 * MAX_TEXT_BYTES, "{}", kept.len());
        assert!(ended);
        assert!(serde_json::from_str::<serde_json::Value>(&kept).is_ok_and(|kept| kept["usage"]["b"] == 1), "{kept}");
    }

    #[test]
    fn what_is_no_object_is_not_read() {
        for text in ["", "[]", "1", "x", "\"usage\"", r#"{"usage":1]"#] {
            assert_eq!(whole(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_no_cut_a_difference(text in r#"[{}\[\]":,\\ a1u\r\né]{0,60}|\{"usage":[^}]{0,20}\}?"#) {
            prop_assert_eq!(whole(&text), skim(text.as_bytes().chunks(1)));
            prop_assert_eq!(whole(&text), skim(text.as_bytes().chunks(3)));
        }
    }
}
