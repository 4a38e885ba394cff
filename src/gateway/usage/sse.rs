//! Server-sent events, read as they come: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.
//!
//! A stream may be cut at any byte: inside a character, between `\r` and `\n`, inside the byte order mark. What is held is never more
//! than one event, and of that never more than the limit.

/// Longest event that is read; an image in base64 is the longest there is.
const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Takes a stream apart into the data of its events. Names, ids and comments are passed over: what an event is, its data says.
#[derive(Debug)]
pub(super) struct Scanner {
    limit: usize,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data lines of the event that has not ended yet, joined by `\n`; `None` before the first.
    data: Option<Vec<u8>>,
    /// Nothing of the stream was read yet, so that a byte order mark may stand there.
    at_start: bool,
    /// The last byte was `\r`: a `\n` belongs to it.
    after_return: bool,
    /// The event is longer than the limit and its rest is passed over; whether the line has anything in it.
    skipping: Option<bool>,
    /// An event was passed over.
    lost: bool,
}

impl Scanner {
    pub(super) const fn new() -> Self {
        Self::with_limit(MAX_EVENT_BYTES)
    }

    const fn with_limit(limit: usize) -> Self {
        Self { limit, line: Vec::new(), data: None, at_start: true, after_return: false, skipping: None, lost: false }
    }

    /// Takes the next bytes and gives the data of each event that they complete, without the line break at its end.
    pub(super) fn feed(&mut self, mut bytes: &[u8], event: &mut dyn FnMut(&[u8])) {
        while let Some((first, behind_first)) = bytes.split_first() {
            if core::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = behind_first;
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.hold(part);
            let Some((line_break, rest)) = rest.split_first() else { return };
            self.after_return = *line_break == b'\r';
            self.end_line(event);
            bytes = rest;
        }
    }

    /// The stream is over. An event whose end is missing is given too: the official SDKs take it as well, and JSON that is cut
    /// short doesn't pass for whole. Says whether every event could be read.
    pub(super) fn finish(mut self, event: &mut dyn FnMut(&[u8])) -> bool {
        if !self.line.is_empty() {
            self.end_line(event);
        }
        self.end_event(event);
        !self.lost
    }

    fn hold(&mut self, part: &[u8]) {
        let held = self.line.len().saturating_add(self.data.as_ref().map_or(0, Vec::len));
        if let Some(in_line) = &mut self.skipping {
            *in_line |= !part.is_empty();
        } else if held.saturating_add(part.len()) > self.limit {
            self.skipping = Some(true);
            self.line = Vec::new();
            self.data = None;
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn end_line(&mut self, event: &mut dyn FnMut(&[u8])) {
        let mut held = core::mem::take(&mut self.line);
        let mut line = held.as_slice();
        if core::mem::take(&mut self.at_start) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        let is_blank = line.is_empty() && !self.skipping.as_mut().is_some_and(core::mem::take);
        if is_blank {
            self.end_event(event);
        } else if let Some(value) = data_of(line) {
            match &mut self.data {
                None => self.data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            }
        }
        held.clear();
        self.line = held;
    }

    fn end_event(&mut self, event: &mut dyn FnMut(&[u8])) {
        self.lost |= self.skipping.take().is_some();
        if let Some(data) = self.data.take() {
            event(&data);
        }
    }
}

/// The value of a line whose field is `data`.
pub(super) fn data_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest.split_first() {
        None => Some(rest),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events_of<'a>(mut scanner: Scanner, parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
        let mut events = Vec::new();
        let mut event = |data: &[u8]| events.push(String::from_utf8_lossy(data).into_owned());
        for part in parts {
            scanner.feed(part, &mut event);
        }
        let whole = scanner.finish(&mut event);
        (events, whole)
    }

    fn events(text: &str) -> Vec<String> {
        events_of(Scanner::new(), [text.as_bytes()]).0
    }

    #[test]
    fn an_event_ends_at_a_blank_line_whatever_ends_its_lines() {
        for text in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r"] {
            assert_eq!(events(text), ["a", "b"], "{text:?}");
        }
    }

    #[test]
    fn one_space_after_the_colon_is_not_data() {
        assert_eq!(events("data:a\n\ndata:  b\n\n"), ["a", " b"]);
    }

    #[test]
    fn several_data_lines_are_one_text() {
        assert_eq!(events("data: {\ndata: }\n\ndata\n\n"), ["{\n}", ""]);
    }

    #[test]
    fn comments_names_and_ids_are_passed_over() {
        assert_eq!(events(": ping\n\nevent: x\nid: 1\nretry: 5\ndatabase: y\ndata: a\n\n"), ["a"]);
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_first_line() {
        assert_eq!(events("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"]);
    }

    #[test]
    fn an_event_without_its_blank_line_is_given_at_the_end() {
        assert_eq!(events("data: a\n\ndata: b\n"), ["a", "b"]);
        assert_eq!(events("data: a\n\ndata: b"), ["a", "b"]);
    }

    #[test]
    fn an_event_above_the_limit_is_dropped_and_remembered() {
        for text in ["data: 0123456789\n\ndata: b\n\n", "data: 01234\ndata: 56789\n: x\n\ndata: b\n\n"] {
            let whole = events_of(Scanner::with_limit(12), [text.as_bytes()]);
            assert_eq!(whole, (vec!["b".to_owned()], false), "{text:?}");
        }
        assert_eq!(events_of(Scanner::with_limit(12), [&b"data: 012345\n\n"[..]]), (vec!["012345".to_owned()], true));
    }

    fn piece() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(vec![
            "data: ",
            "data:",
            "data",
            "\n",
            "\r\n",
            "\r",
            "é",
            "\u{feff}",
            ": x",
            "event: y",
            "{}",
            "0123456789",
        ])
    }

    proptest! {
        #[test]
        fn where_it_is_cut_makes_no_difference(pieces in proptest::collection::vec(piece(), 0..30), cuts in any::<u64>()) {
            let text = pieces.concat();
            let whole = events_of(Scanner::with_limit(20), [text.as_bytes()]);
            let single = events_of(Scanner::with_limit(20), text.as_bytes().chunks(1));
            prop_assert_eq!(&whole, &single);
            let size = usize::try_from(cuts % 7).unwrap() + 1;
            prop_assert_eq!(whole, events_of(Scanner::with_limit(20), text.as_bytes().chunks(size)));
        }
    }
}
