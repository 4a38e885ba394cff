//! `GET /`: what this is, for strangers; a signed-in person goes on to their grants.

use askama::Template;
use axum::{body::Body, extract::State, http::Response, http::StatusCode};

use super::{frame::Frame, language::filters, page::see_other, ports::Ports, state::AppState};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    frame: Frame,
    issuer: &'a str,
}

/// `GET /`.
pub async fn show<P: Ports>(State(state): State<AppState<P>>, frame: Frame) -> Response<Body> {
    if frame.visitor.is_some() {
        return see_other("/grants");
    }
    frame.html(StatusCode::OK, &HomePage { frame: frame.clone(), issuer: &state.config.issuer })
}
