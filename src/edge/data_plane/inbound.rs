//! What arrived: its parts and its body.

use js_sys::{ArrayBuffer, Reflect, Uint8Array};
use url::Url;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Request};

use super::head::Headers;
use crate::{
    domain::permission::Provider,
    edge::js,
    gateway::{Failure, MAX_BODY_BYTES, Method},
};

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

/// A body: where the platform has it, to forward it untouched, and where the plan can read it.
#[derive(Debug)]
pub struct Body {
    /// To forward.
    pub raw: Uint8Array,
    /// To look at.
    pub bytes: Vec<u8>,
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

    /// Reads the body; never more than [`MAX_BODY_BYTES`] of it.
    ///
    /// # Errors
    /// [`Failure::BodyTooLarge`], or [`Failure::InvalidRequest`] when it breaks off.
    pub async fn body(&self) -> Result<Option<Body>, Failure> {
        if self.planned_method() != Some(Method::Post) {
            return Ok(None);
        }
        let declared = self.header("content-length").and_then(|length| length.parse::<u64>().ok());
        let raw = match declared {
            Some(length) if length > MAX_BODY_BYTES as u64 => return Err(Failure::BodyTooLarge),
            Some(_) => self.read_declared().await,
            None if self.raw.body().is_none() => return Ok(None),
            None => self.read_undeclared().await?,
        };
        let raw = raw.ok_or_else(|| Failure::InvalidRequest("the body breaks off".to_owned()))?;
        let bytes = raw.to_vec();
        if bytes.len() > MAX_BODY_BYTES { Err(Failure::BodyTooLarge) } else { Ok(Some(Body { raw, bytes })) }
    }

    async fn read_declared(&self) -> Option<Uint8Array> {
        let buffer = JsFuture::from(self.raw.array_buffer().ok()?).await.ok()?;
        Some(Uint8Array::new(buffer.dyn_ref::<ArrayBuffer>()?))
    }

    /// A body whose length nobody said: piece by piece, so that an endless one ends here.
    async fn read_undeclared(&self) -> Result<Option<Uint8Array>, Failure> {
        let Some(stream) = self.raw.body() else { return Ok(None) };
        let Ok(reader) = stream.get_reader().dyn_into::<ReadableStreamDefaultReader>() else { return Ok(None) };
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let Ok(piece) = JsFuture::from(reader.read()).await else { return Ok(None) };
            let part = |name: &str| Reflect::get(&piece, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
            if part("done").is_truthy() {
                return Ok(Some(Uint8Array::from(bytes.as_slice())));
            }
            let Ok(piece) = part("value").dyn_into::<Uint8Array>() else { return Ok(None) };
            if bytes.len() + piece.length() as usize > MAX_BODY_BYTES {
                // The rest is not wanted; whether the client hears of it does not matter.
                let _ = reader.cancel();
                return Err(Failure::BodyTooLarge);
            }
            bytes.extend_from_slice(&piece.to_vec());
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
