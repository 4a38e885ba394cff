//! `POST /language`: the pages in another language, chosen by hand.

use axum::{body::Body, extract::Request, http::Response};

use super::{
    language::{LANGUAGE_COOKIE, Language},
    page::see_other,
    ports::Ports,
    session::{form_of_own_origin, set_cookie, with_cookie},
    state::AppState,
    trouble::Trouble,
};

/// A year.
const REMEMBERED_SECONDS: u64 = 31_536_000;
/// Longest address to return to; an app's request can be long.
const MAX_RETURN_BYTES: usize = 16 * 1024;

/// `POST /language` with `language` and `return_to`: a path and query of this broker.
///
/// # Errors
/// The form isn't ours.
pub async fn choose<P: Ports>(state: AppState<P>, request: Request) -> Result<Response<Body>, Trouble> {
    let params = form_of_own_origin(request, &state.config).await?;
    let there = Some(params.field("return_to")).filter(|there| is_own_path(there)).unwrap_or("/");
    let answer = see_other(there);
    Ok(match Language::from_tag(params.field("language")) {
        Some(language) => remembered(answer, language),
        None => answer,
    })
}

/// An answer that makes the browser remember a language.
#[must_use]
pub fn remembered(answer: Response<Body>, language: Language) -> Response<Body> {
    with_cookie(answer, set_cookie(LANGUAGE_COOKIE, language.tag(), REMEMBERED_SECONDS))
}

/// Whether it leads nowhere else, however a browser reads it (CWE-601).
#[must_use]
pub fn is_own_path(there: &str) -> bool {
    there.starts_with('/')
        && !there.starts_with("//")
        && there.len() <= MAX_RETURN_BYTES
        && there.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_returns_to_pages_of_this_broker_alone() {
        for path in ["/", "/grants?x=%20", "/authorize?client_id=a&state=b"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in
            ["", "grants", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nset-cookie: x", "/ü"]
        {
            assert!(!is_own_path(path), "{path}");
        }
    }
}
