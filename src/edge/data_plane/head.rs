//! Headers as they go over to `calls.mjs` and come from there: one text, a name and its value in turns, a line each.

/// Headers. `Debug` shows none of them: a provider's key may be among them.
#[derive(Clone, Default)]
pub struct Headers(String);

impl core::fmt::Debug for Headers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Headers").finish_non_exhaustive()
    }
}

impl Headers {
    /// As they come, each after a line break.
    #[must_use]
    pub const fn received(text: String) -> Self {
        Self(text)
    }

    /// As they go.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// Names, in lower case, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut lines = self.0.split('\n').skip(1);
        core::iter::from_fn(move || lines.next().zip(lines.next()))
    }

    /// The value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Adds a header, or replaces it. `name` is in lower case. What would break its line is no header and stays out.
    pub fn set(&mut self, name: &str, value: &str) {
        if name.contains('\n') || value.contains('\n') {
            return;
        }
        for part in [name, value] {
            self.0.push('\n');
            self.0.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_take_turns() {
        let headers = Headers::received("\na\n1\nb\n\nc\n3".to_owned());
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("c", "3")]);
        assert_eq!((headers.get("b"), headers.get("1"), headers.get("d")), (Some(""), None, None));
        assert_eq!(Headers::default().iter().count(), 0);
    }

    #[test]
    fn no_value_makes_a_header_of_its_own() {
        let mut headers = Headers::default();
        headers.set("a", "1\nauthorization\nBearer x");
        headers.set("a\nb", "1");
        assert_eq!(headers.as_text(), "");
        headers.set("a", "1");
        assert_eq!(headers.as_text(), "\na\n1");
    }

    #[test]
    fn debug_output_shows_no_header() {
        let mut headers = Headers::default();
        headers.set("authorization", "Bearer sk-real");
        assert!(!format!("{headers:?}").contains("sk-real"));
    }
}
