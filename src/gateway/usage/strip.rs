//! Taking the usage that only the broker asked for out of a chat's stream.
//!
//! Clients that did not ask for it may trip over a chunk without choices. So that one event is left out, and every other byte passes
//! as it came. An event passes as soon as its last line has: half an event is of no use to any client. Kept simple, so that the same
//! can be written in other languages: split into events, look for an empty `choices`, then parse to be sure.

use super::{
    super::json::Json,
    meter::kept_of,
    sse::data_of,
    tokens::{Absurd, at},
};

/// Longest event that may be the one; it has no content. Longer ones pass as they come.
const MAX_USAGE_EVENT_BYTES: usize = 64 * 1024;

/// Filters a stream.
#[derive(Debug, Default)]
pub struct UsageStripper {
    /// The event that has not ended yet, as it came. Empty when it is too long.
    held: Vec<u8>,
    /// Where its last line begins, in `held`.
    line: usize,
    state: State,
    /// The last byte was `\r`, and whether a `\n` that belongs to it passes.
    after_return: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Holding,
    /// The event is too long and passes as it comes; whether its last line has anything in it.
    Passing { in_line: bool },
}

impl UsageStripper {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and gives those that can pass.
    #[must_use]
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passing = Vec::with_capacity(bytes.len().saturating_add(self.held.len()));
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            self.part(part, &mut passing);
        }
        passing
    }

    /// The stream is over: what is left passes, unless it is the one without its end.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        if is_usage_alone(&self.held) { Vec::new() } else { self.held }
    }

    /// A part of a line, or a whole one with its break.
    fn part(&mut self, part: &[u8], passing: &mut Vec<u8>) {
        // Between `\r` and `\n` there is no line.
        if let Some(passes) = self.after_return.take()
            && part == b"\n"
        {
            match (passes, self.held.is_empty()) {
                (false, _) => {}
                (true, true) => passing.extend_from_slice(part),
                // It belongs to a line within an event.
                (true, false) => {
                    self.held.extend_from_slice(part);
                    self.line = self.held.len();
                }
            }
            return;
        }
        let line_break = part.last().copied().filter(|byte| matches!(byte, b'\n' | b'\r'));
        let is_blank = line_break.is_some() && part.len() == 1 && self.is_at_line_start();
        let mut passes = true;
        match &mut self.state {
            State::Passing { in_line } => {
                passing.extend_from_slice(part);
                *in_line = line_break.is_none();
                if is_blank {
                    self.state = State::Holding;
                }
            }
            State::Holding => {
                self.held.extend_from_slice(part);
                if is_blank {
                    passes = !is_usage_alone(&self.held);
                    if passes {
                        passing.append(&mut self.held);
                    }
                    self.held.clear();
                    self.line = 0;
                } else if self.held.len() > MAX_USAGE_EVENT_BYTES {
                    passing.append(&mut self.held);
                    self.line = 0;
                    self.state = State::Passing { in_line: line_break.is_none() };
                } else if line_break.is_some() {
                    self.line = self.held.len();
                }
            }
        }
        if line_break == Some(b'\r') {
            self.after_return = Some(passes);
        }
    }

    const fn is_at_line_start(&self) -> bool {
        match self.state {
            State::Holding => self.line == self.held.len(),
            State::Passing { in_line } => !in_line,
        }
    }
}

/// Whether an event has a usage, and no choices.
fn is_usage_alone(event: &[u8]) -> bool {
    if !has_empty_choices(event) {
        return false;
    }
    let event = event.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(event);
    let lines = event.split(|byte| matches!(byte, b'\n' | b'\r'));
    let data: Vec<&[u8]> = lines.filter_map(data_of).collect();
    is_chunk_of_usage(&data.join(&b'\n')).unwrap_or(false)
}

fn is_chunk_of_usage(data: &[u8]) -> Result<bool, Absurd> {
    // Results of a moderation that the client asked for may come in a chunk without choices too.
    let chunk = kept_of(data, &["choices", "usage", "moderation", "error"])?;
    let is_empty = matches!(at(&chunk, &["choices"])?, Some(Json::List(choices)) if choices.is_empty());
    let has_usage = matches!(at(&chunk, &["usage"])?, Some(Json::Object(_)));
    Ok(is_empty && has_usage && at(&chunk, &["moderation"])?.is_none() && at(&chunk, &["error"])?.is_none())
}

/// Whether `"choices":[]` stands there, with or without blanks in it.
fn has_empty_choices(event: &[u8]) -> bool {
    let mut parts = event.split(|byte| *byte == b'"').peekable();
    while let Some(part) = parts.next() {
        let mut behind = parts.peek().copied().unwrap_or_default().iter().filter(|byte| !byte.is_ascii_whitespace());
        if part == b"choices"
            && [behind.next(), behind.next(), behind.next()] == [Some(&b':'), Some(&b'['), Some(&b']')]
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USAGE: &str = r#"data: {"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;

    fn strip<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut stripper = UsageStripper::new();
        let mut passed: Vec<u8> = parts.into_iter().flat_map(|part| stripper.feed(part)).collect();
        passed.extend(stripper.finish());
        String::from_utf8(passed).unwrap()
    }

    fn whole(text: &str) -> String {
        strip([text.as_bytes()])
    }

    #[test]
    fn the_usage_alone_is_left_out() {
        for end in ["\n\n", "\r\n\r\n", "\r\r", "\n\r\n"] {
            let rest =
                |usage: &str| format!("data: {{\"choices\":[{{}}],\"usage\":null}}{end}{usage}data: [DONE]{end}");
            assert_eq!(whole(&rest(&format!("{USAGE}{end}"))), rest(""), "{end:?}");
        }
        let spaced = r#"data: {"choices" : [ ], "usage" : {"prompt_tokens": 1}}"#;
        assert_eq!(whole(&format!("{spaced}\n\ndata: [DONE]\n\n")), "data: [DONE]\n\n");
        assert_eq!(whole(&format!("\u{feff}event: x\nid: 1\n{USAGE}\n\n: ping\n\n")), ": ping\n\n");
        assert_eq!(whole("data: {\"choices\":[],\ndata: \"usage\":{}}\n\n"), "");
    }

    #[test]
    fn without_its_end_it_is_left_out_too() {
        assert_eq!(whole(&format!("data: a\n\n{USAGE}")), "data: a\n\n");
    }

    #[test]
    fn everything_else_passes_as_it_came() {
        for text in [
            "data: {\"choices\":[],\"usage\":null}\n\n",
            "data: {\"choices\":[],\"usage\":{\"a\":1},\"moderation\":{}}\n\n",
            "data: {\"choices\":[],\"usage\":{},\"error\":{}}\n\n",
            "data: {\"choices\":[{}],\"usage\":{\"a\":1}}\n\n",
            "data: {\"usage\":{\"a\":1}}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"choices\\\":[],\\\"usage\\\":{}\"}}],\"usage\":{}}\n\n",
            "data: {\"choices\":[],\"usage\":{}\n\n",
            "\n\n\r\n: x\r\rdata\n\n\n",
            "data: unfinished",
        ] {
            assert_eq!(whole(text), text);
        }
    }

    #[test]
    fn an_event_passes_with_its_last_byte_and_a_long_one_as_it_comes() {
        let mut stripper = UsageStripper::new();
        assert_eq!(stripper.feed(b"data: a\n"), b"");
        assert_eq!(stripper.feed(b"\n"), b"data: a\n\n");
        assert_eq!(stripper.feed(b"data: b\r\n\r"), b"data: b\r\n\r");
        assert_eq!(stripper.feed(b"\n"), b"\n");
        let long = [b"data: ".as_slice(), &vec![b'x'; MAX_USAGE_EVENT_BYTES]].concat();
        assert_eq!(stripper.feed(&long), long);
        assert_eq!(stripper.feed(b"y\n"), b"y\n");
        assert_eq!(stripper.feed(b"\n"), b"\n");
        assert_eq!(stripper.feed(USAGE.as_bytes()), b"");
        assert_eq!(stripper.feed(b"\n\n"), b"");
        assert_eq!(stripper.finish(), b"");
    }

    /// Events, and for each whether it is the one.
    fn event() -> impl Strategy<Value = (&'static str, bool)> {
        proptest::sample::select(vec![
            (USAGE, true),
            (": ping", false),
            ("data: {\"choices\":[{\"delta\":{\"content\":\"é\"}}],\"usage\":null}", false),
            ("event: x\ndata: 1", false),
            ("data: [DONE]", false),
            ("", false),
        ])
    }

    proptest! {
        #[test]
        fn where_it_is_cut_makes_no_difference_and_only_that_event_is_missing(
            events in proptest::collection::vec(event(), 0..8),
            end in proptest::sample::select(vec!["\n", "\r\n", "\r"]),
            size in 1_usize..40,
        ) {
            let text = |all: bool| -> String {
                let wanted = events.iter().filter(|(_, is_usage)| all || !is_usage);
                wanted.flat_map(|(event, _)| [event, "\n\n"]).collect::<String>().replace('\n', end)
            };
            prop_assert_eq!(whole(&text(true)), text(false));
            prop_assert_eq!(strip(text(true).as_bytes().chunks(size)), text(false));
        }

        #[test]
        fn no_bytes_make_it_panic_and_no_cut_a_difference(text in "[\r\n:ad ]{0,40}", size in 1_usize..5) {
            prop_assert_eq!(whole(&text), strip(text.as_bytes().chunks(size)));
            prop_assert_eq!(whole(&text), text);
        }
    }
}
