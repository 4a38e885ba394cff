//! What surrounds every hosted page: who is there, in which language they read, and where they are.

use askama::Template;
use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, Method, Response, StatusCode, header, request::Parts},
    response::{Html, IntoResponse},
};

use super::{choose_language::is_own_path, headers::address, language::Language, state::LogDetail, visitor::Visitor};

/// Most of a browser's name that is kept.
const MAX_AGENT_CHARS: usize = 200;

/// What surrounds a page. An extractor that never fails.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Who is signed in, if somebody is.
    pub visitor: Option<Visitor>,
    /// In which language they read.
    pub language: Language,
    /// Path and query of the page, where it can be asked for again.
    pub here: Option<String>,
    /// Where the request came from, as the platform says: an IP address, or nothing.
    pub address: String,
    /// What the browser calls itself; at most 200 characters.
    pub agent: String,
}

impl Frame {
    /// Of a request. Whether somebody is signed in is known once `session` has found out.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        let here = parts.uri.path_and_query().map(ToString::to_string);
        Self {
            visitor: parts.extensions.get::<Visitor>().cloned(),
            language: Language::of(&parts.headers),
            here: here.filter(|here| reads && is_own_path(here)),
            address: address(&parts.headers)
                .and_then(Result::ok)
                .map(|address| address.to_string())
                .unwrap_or_default(),
            agent: agent(&parts.headers),
        }
    }

    /// Around what a program did, which sees no page.
    #[must_use]
    pub fn of_program(headers: &HeaderMap) -> Self {
        let from = address(headers).and_then(Result::ok).map(|address| address.to_string());
        Self { address: from.unwrap_or_default(), agent: agent(headers), ..Self::default() }
    }

    /// A page in its frame.
    #[must_use]
    pub fn html(&self, status: StatusCode, page: &impl Template) -> Response<Body> {
        match page.render_with_values(&self.language) {
            Ok(text) => (status, Html(text)).into_response(),
            Err(error) => {
                // Writing to a string does not fail.
                let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
                response.extensions_mut().insert(LogDetail(error.to_string()));
                response
            }
        }
    }

    /// Whether the page is below `path`, for the navigation.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        let here = self.here.as_deref().unwrap_or_default();
        let here = here.split('?').next().unwrap_or_default();
        here == path || (path != "/" && here.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }
}

fn agent(headers: &HeaderMap) -> String {
    let value = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.chars().filter(|char| !char.is_control()).take(MAX_AGENT_CHARS).collect()
}

impl<S: Sync> FromRequestParts<S> for Frame {
    type Rejection = core::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}
