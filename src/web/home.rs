//! `GET /`: what this is, for strangers; a signed-in person sees their [`super::dashboard`].

use askama::Template;
use axum::{
    body::Body,
    extract::RawQuery,
    http::{Response, StatusCode},
};

use super::{dashboard, frame::Frame, language::filters, ports::Ports, state::AppState, trouble::Trouble};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    frame: Frame,
    issuer: &'a str,
}

/// `GET /`.
///
/// # Errors
/// Somebody is signed in, and the database can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    frame: Frame,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    if let Some(visitor) = frame.visitor.clone() {
        return dashboard::show(&state, frame, &visitor, &query.unwrap_or_default()).await;
    }
    Ok(frame.html(StatusCode::OK, &HomePage { frame: frame.clone(), issuer: &state.config.issuer }))
}
