//! Files for spreadsheets: RFC 4180.
//!
//! Programs for tables take what begins with `=`, `+`, `-`, `@`, one of these as wide as a letter of Korean, or a control character for a
//! formula (CWE-1236), and much in a file is whatever a stranger wrote: those get an apostrophe before them.

/// A record (§2), with its line break.
#[must_use]
pub fn record(fields: &[&str]) -> String {
    let fields: Vec<String> = fields.iter().map(|text| field(text)).collect();
    format!("{}\r\n", fields.join(","))
}

/// A field that no program takes for a formula, or for more than one field.
fn field(text: &str) -> String {
    let looks_like_a_formula = text.starts_with(|first: char| {
        matches!(first, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') || first.is_control()
    });
    if !looks_like_a_formula && !text.contains([',', '"', '\r', '\n']) {
        return text.to_owned();
    }
    let guard = if looks_like_a_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_begins_like_a_formula_gets_an_apostrophe() {
        for text in ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\u{ff1d}1", "\u{ff0b}1", "\u{ff0d}1", "\u{ff20}x"] {
            assert!(field(text).starts_with("\"'"), "{text:?}");
        }
        assert_eq!([field("gpt-5"), field(""), field("a=b")], ["gpt-5", "", "a=b"]);
    }

    #[test]
    fn a_field_with_a_comma_a_quote_or_a_break_is_quoted() {
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(field("a\r\nb"), "\"a\r\nb\"");
        assert_eq!(record(&["=a,b", "c"]), "\"'=a,b\",c\r\n");
    }

    /// RFC 4180 §2, for one record.
    fn read(record: &str) -> Vec<String> {
        let mut fields = vec![String::new()];
        let (mut is_quoted, mut chars) = (false, record.strip_suffix("\r\n").unwrap().chars().peekable());
        while let Some(char) = chars.next() {
            match (char, is_quoted) {
                ('"', true) if chars.peek() == Some(&'"') => fields.last_mut().unwrap().push(chars.next().unwrap()),
                ('"', _) => is_quoted = !is_quoted,
                (',', false) => fields.push(String::new()),
                (other, _) => fields.last_mut().unwrap().push(other),
            }
        }
        fields
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written_but_for_the_apostrophes(fields in prop::collection::vec("\\PC{0,12}|[=+@\u{ff1d}\u{ff20},\"\r\n\t-]{0,6}", 1..5)) {
            let texts: Vec<&str> = fields.iter().map(String::as_str).collect();
            let back = read(&record(&texts));
            prop_assert_eq!(back.len(), fields.len());
            for (back, field) in back.iter().zip(&fields) {
                let guarded = format!("'{field}");
                prop_assert!(back == field || *back == guarded);
                let is_formula =
                    back.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
                prop_assert!(!is_formula);
            }
        }
    }
}
