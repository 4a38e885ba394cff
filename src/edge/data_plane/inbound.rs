//! What arrived, but for its body: see `body`.

use url::Url;
use web_sys::Request;

use super::head::Headers;
use crate::{domain::permission::Provider, edge::js, gateway::Method};

/// A call as it arrived.
#[derive(Debug)]
pub struct Inbound {
    /// The platform's request.
    pub raw: Request,
    /// From the path's first segment.
    pub provider: Provider,
    /// The method, as sent.
    pub method: String,
    /// Where it came to.
    pub origin: String,
    /// The whole path.
    pub path: String,
    /// The query without `?`.
    pub query: Option<String>,
    headers: Headers,
}

/// What a request says of itself, in one go.
#[derive(Debug)]
pub struct Facts {
    /// The method, as sent.
    pub method: String,
    /// Where it came to, unparsed.
    pub url: String,
    /// All of its headers.
    pub headers: Headers,
}

impl Facts {
    /// Asks the platform.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let mut text = js::facts(request);
        let head_end = text.match_indices('\n').nth(1).map_or(text.len(), |(at, _)| at);
        let headers = Headers::received(text.split_off(head_end));
        let (method, url) = text.split_once('\n').unwrap_or_default();
        Self { method: method.to_owned(), url: url.to_owned(), headers }
    }
}

/// The provider whose part of the data plane a path is in. `None`: the control plane's.
#[must_use]
pub fn provider_of(path: &str) -> Option<Provider> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    first.parse().ok()
}

impl Inbound {
    /// The call's parts.
    #[must_use]
    pub fn new(raw: Request, facts: Facts, url: &Url, provider: Provider) -> Self {
        Self {
            provider,
            method: facts.method,
            headers: facts.headers,
            origin: url.origin().ascii_serialization(),
            path: url.path().to_owned(),
            query: url.query().map(str::to_owned),
            raw,
        }
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// All of them, by names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter()
    }

    /// The provider's own path.
    #[must_use]
    pub fn provider_path(&self) -> &str {
        self.path.strip_prefix('/').and_then(|path| path.strip_prefix(self.provider.as_str())).unwrap_or("")
    }

    /// One of the methods that endpoints use.
    #[must_use]
    pub fn planned_method(&self) -> Option<Method> {
        match self.method.as_str() {
            "GET" => Some(Method::Get),
            "POST" => Some(Method::Post),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_names_the_provider() {
        assert_eq!(provider_of("/openai/v1/models"), Some(Provider::OpenAi));
        assert_eq!(provider_of("/anthropic"), Some(Provider::Anthropic));
        for path in ["/", "", "/openaix/v1", "/OPENAI/v1", "/grants", "//openai/v1", "/%6fpenai/v1"] {
            assert_eq!(provider_of(path), None, "{path}");
        }
    }
}
