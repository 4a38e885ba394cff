//! Resource indicators, [RFC 8707](https://www.rfc-editor.org/rfc/rfc8707): which part of the broker a token is for.
//!
//! A resource is the broker itself (its issuer) or the base URL of one provider, as `authorization_details` name it in a token
//! response. A token that names none is for all of it.

use serde::{Deserialize, Serialize};

use crate::domain::permission::Provider;

/// Resources that a token is for; none: the whole broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resources(Vec<String>);

/// RFC 8707 §2, `invalid_target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resource must be the issuer or the base URL of a provider, as the token response names it")]
pub struct InvalidTarget;

impl Resources {
    /// Reads `resource`, which may repeat. Each once, in the order sent; a slash at the end is nothing.
    ///
    /// # Errors
    /// [`InvalidTarget`]: one of them isn't a resource of this broker.
    pub fn read<'a>(values: impl Iterator<Item = &'a str>, issuer: &str) -> Result<Self, InvalidTarget> {
        let mut resources: Vec<String> = Vec::new();
        for value in values.filter(|value| !value.is_empty()) {
            let resource = value.strip_suffix('/').unwrap_or(value);
            let path = resource.strip_prefix(issuer).ok_or(InvalidTarget)?;
            if !path.is_empty() && !Provider::ALL.iter().any(|provider| provider.base_path() == path) {
                return Err(InvalidTarget);
            }
            if !resources.iter().any(|known| known == resource) {
                resources.push(resource.to_owned());
            }
        }
        Ok(Self(resources))
    }

    /// These, or of these only the ones that are asked for now (RFC 8707 §2.2).
    ///
    /// # Errors
    /// [`InvalidTarget`]: one was not agreed on.
    pub fn narrowed_to(&self, asked: Self, issuer: &str) -> Result<Self, InvalidTarget> {
        let agreed =
            |resource: &String| self.0.is_empty() || self.0.iter().any(|known| known == resource || known == issuer);
        if asked.0.is_empty() {
            return Ok(self.clone());
        }
        if asked.0.iter().all(agreed) { Ok(asked) } else { Err(InvalidTarget) }
    }

    /// The providers that they reach.
    #[must_use]
    pub fn providers(&self, issuer: &str) -> Vec<Provider> {
        let reaches = |provider: &Provider| {
            self.0.is_empty()
                || self.0.iter().any(|one| {
                    one.strip_prefix(issuer).is_some_and(|path| path.is_empty() || path == provider.base_path())
                })
        };
        Provider::ALL.into_iter().filter(reaches).collect()
    }

    /// Those of a token, from its `aud`.
    #[must_use]
    pub fn of_audience(audience: &[String], issuer: &str) -> Self {
        if audience.iter().any(|one| one == issuer) { Self::default() } else { Self(audience.to_vec()) }
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0.into_iter().filter(|one| !self.0.contains(one)).collect::<Vec<_>>());
        self
    }

    /// `aud` of a token (RFC 9068 §2.2).
    #[must_use]
    pub fn audience(&self, issuer: &str) -> Vec<String> {
        if self.0.is_empty() { vec![issuer.to_owned()] } else { self.0.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ISSUER: &str = "https://broker.example";
    const OPENAI: &str = "https://broker.example/openai/v1";

    fn read(values: &[&str]) -> Result<Resources, InvalidTarget> {
        Resources::read(values.iter().copied(), ISSUER)
    }

    #[test]
    fn the_issuer_and_the_base_urls_of_providers_are_resources() {
        assert_eq!(read(&[OPENAI, "https://broker.example/", OPENAI]).unwrap().0, [OPENAI, ISSUER]);
    }

    #[test]
    fn anything_else_is_an_invalid_target() {
        for value in
            ["https://other.example", "https://broker.example.evil.example", "https://broker.example/grants", "x", "//"]
        {
            assert_eq!(read(&[value]), Err(InvalidTarget), "{value}");
        }
    }

    #[test]
    fn a_resource_reaches_its_provider_and_the_broker_all_of_them() {
        assert_eq!(read(&[OPENAI]).unwrap().providers(ISSUER), [Provider::OpenAi]);
        assert_eq!(read(&[ISSUER]).unwrap().providers(ISSUER), Provider::ALL);
        assert_eq!(read(&[]).unwrap().providers(ISSUER), Provider::ALL);
    }

    #[test]
    fn none_is_the_whole_broker() {
        assert_eq!(read(&[]).unwrap().audience(ISSUER), [ISSUER]);
        assert_eq!(read(&[OPENAI]).unwrap().audience(ISSUER), [OPENAI]);
    }

    #[test]
    fn a_token_is_for_what_was_agreed_on_or_for_less() {
        let both = read(&[OPENAI, "https://broker.example/anthropic"]).unwrap();
        assert_eq!(both.narrowed_to(read(&[OPENAI]).unwrap(), ISSUER), read(&[OPENAI]));
        assert_eq!(both.narrowed_to(read(&[]).unwrap(), ISSUER), Ok(both.clone()));
        assert_eq!(read(&[OPENAI]).unwrap().narrowed_to(both, ISSUER), Err(InvalidTarget));
        assert_eq!(read(&[]).unwrap().narrowed_to(read(&[OPENAI]).unwrap(), ISSUER), read(&[OPENAI]));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,100}") {
            let _ = read(&[&text]);
        }
    }
}
