//! `/grants/{grant_id}/live`: what may have changed while the page is open, as the parts of the page that a script puts in place.
//!
//! The script asks again every two seconds and says which answer it has: as long as nothing has changed it gets a 304.

use askama::Template;
use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use sha2::{Digest, Sha256};

use super::{
    calls::{self, CallsView},
    own_grant,
    page::{Live, StateView},
    read_ledger,
};
use crate::{
    domain::encoding::base64url,
    web::{
        frame::Frame,
        grants::LastUse,
        language::filters,
        ports::Ports,
        session::SignedIn,
        state::{AppState, LogDetail},
        trouble::Trouble,
    },
};

#[derive(Template)]
#[template(path = "grant_live.html")]
struct LivePage<'a> {
    frame: &'a Frame,
    live: Live,
    calls: Option<CallsView>,
}

/// `GET /grants/{grant_id}/live`.
///
/// # Errors
/// No such grant of this person, or the database can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    SignedIn { visitor, frame }: SignedIn,
    headers: HeaderMap,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &visitor, &id).await?;
    let snapshot = read_ledger(&state, &grant.id).await.ok();
    let page = LivePage {
        live: Live::new(&grant, snapshot.as_ref(), state.now, frame.language),
        calls: calls::read_newest(&state, &grant.id, frame.language).await.ok(),
        frame: &frame,
    };
    let html = match page.render_with_values(&frame.language) {
        Ok(html) => html,
        Err(error) => {
            let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
            response.extensions_mut().insert(LogDetail(error.to_string()));
            return Ok(response);
        }
    };
    Ok(unless_known(html, &headers))
}

/// The text, or 304 where the browser has just this one (RFC 9110 §13.1.2).
fn unless_known(html: String, headers: &HeaderMap) -> Response<Body> {
    let tag = format!("\"{}\"", base64url(&Sha256::digest(html.as_bytes())));
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| {
        known.to_str().unwrap_or_default().split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
    });
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { axum::response::Html(html).into_response() };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(known: &str) -> Response<Body> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(known).unwrap());
        unless_known("<p>1</p>".to_owned(), &headers)
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let first = unless_known("<p>1</p>".to_owned(), &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            let again = asked(&known);
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.headers()[header::ETAG].to_str().unwrap(), tag);
        }
        for other in ["\"x\"", "", "*x", tag.trim_start_matches('"')] {
            assert_eq!(asked(other).status(), StatusCode::OK, "{other}");
        }
    }
}
