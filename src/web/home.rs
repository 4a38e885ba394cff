//! `GET /`: what this is, for strangers; a signed-in person goes on to their grants.

use askama::Template;
use axum::{body::Body, extract::State, http::Response, http::StatusCode};

use super::{
    page::{html, see_other},
    ports::Ports,
    state::AppState,
    visitor::{Guest, Visitor},
};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    visitor: Option<Visitor>,
    issuer: &'a str,
}

/// `GET /`.
pub async fn show<P: Ports>(State(state): State<AppState<P>>, Guest(visitor): Guest) -> Response<Body> {
    if visitor.is_some() {
        return see_other("/grants");
    }
    html(StatusCode::OK, &HomePage { visitor, issuer: &state.config.issuer })
}
