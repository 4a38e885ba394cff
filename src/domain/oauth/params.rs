//! Form and query parameters as OAuth reads them (RFC 6749 §3.1 and §3.2): a repeated parameter is an error, an empty one is absent.

use url::form_urlencoded;
use zeroize::Zeroizing;

/// Parameters of one request. `Debug` shows names alone: values hold codes, tokens and secrets.
pub struct Params(Vec<(String, Zeroizing<String>)>);

/// The parameter appears more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated(pub &'static str);

impl Params {
    /// Reads `application/x-www-form-urlencoded`. Every text is one; bytes that aren't UTF-8 become U+FFFD and match nothing.
    #[must_use]
    pub fn parse(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded);
        Self(pairs.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect())
    }

    /// The value of `name`; `None` when it is absent or empty.
    ///
    /// # Errors
    /// [`Repeated`], even when the values agree.
    pub fn get(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() { Err(Repeated(name)) } else { Ok(first.filter(|value| !value.is_empty())) }
    }

    /// The value of a field of our own forms, where empty and absent are the same and the last one counts for nothing more.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.as_str())
    }

    /// Every name and value, in the order in which they came.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every value of a field that may repeat, such as checkboxes.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl core::fmt::Debug for Params {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_is_an_error() {
        let params = Params::parse(b"a=1&b=2&a=1");
        assert_eq!(params.get("a"), Err(Repeated("a")));
        assert_eq!(params.get("b"), Ok(Some("2")));
    }

    #[test]
    fn an_empty_parameter_is_absent() {
        assert_eq!(Params::parse(b"a=&b").get("a"), Ok(None));
        assert_eq!(Params::parse(b"a=&b").get("b"), Ok(None));
    }

    #[test]
    fn debug_output_hides_values() {
        assert_eq!(format!("{:?}", Params::parse(b"code=secret")), "[\"code\"]");
    }
}
