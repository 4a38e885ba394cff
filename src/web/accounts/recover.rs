//! `/recover`: a recovery code signs in, once, and leads on to a new passkey.
//!
//! A code finds its owner by itself, and nothing is counted against an owner: whoever tries codes is held up by address
//! ([`crate::web::rate_limit`]), and nobody can lock somebody else out.

use askama::Template;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Response, StatusCode},
};

use super::{
    security::SECURITY,
    welcome::{beginning, welcome},
};
use crate::{
    domain::recovery_code::RecoveryCode,
    web::{
        frame::Frame,
        language::filters,
        ports::{Ports, Write},
        session::form_of_own_origin,
        state::AppState,
        trouble::Trouble,
    },
};

#[derive(Template)]
#[template(path = "recover.html")]
struct RecoverPage {
    frame: Frame,
    is_wrong: bool,
}

/// `GET /recover`.
pub async fn show(frame: Frame) -> Response<Body> {
    page(&frame, StatusCode::OK)
}

fn page(frame: &Frame, status: StatusCode) -> Response<Body> {
    frame.html(status, &RecoverPage { frame: frame.clone(), is_wrong: status != StatusCode::OK })
}

/// `POST /recover`.
///
/// # Errors
/// The form isn't ours, or the store can't answer.
pub async fn recover<P: Ports>(
    state: AppState<P>,
    frame: Frame,
    headers: HeaderMap,
    request: Request,
) -> Result<Response<Body>, Trouble> {
    let params = form_of_own_origin(request, &state.config).await?;
    // What can't be a code is not worth a question to the store.
    let Ok(code) = params.field("code").parse::<RecoveryCode>() else {
        return Ok(page(&frame, StatusCode::BAD_REQUEST));
    };
    let begun = beginning(&state, &frame);
    let hash = code.hash(&state.config.cookie_key);
    if state.ports.sign_in_with_recovery_code(&hash, &begun.session, state.now).await? == Write::Lost {
        return Ok(page(&frame, StatusCode::BAD_REQUEST));
    }
    let there = format!("{SECURITY}?done=recovered");
    Ok(welcome(&state, &frame, &headers, &begun, Some(&there), "with a recovery code").await)
}
