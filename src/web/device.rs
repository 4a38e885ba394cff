//! `GET, POST /device` (RFC 8628 §3.3): where a person enters the code that a device shows. What it asks for is shown by
//! [`super::consent`].
//!
//! A link that carries the code fills the field in and does no more: the person has to see where the code comes from (§3.3.1), and is
//! told that a code which somebody sent is a trap (§5.4). A wrong code and one that is over look the same, and few can be tried (§5.1).

use askama::Template;
use axum::{
    body::Body,
    extract::RawQuery,
    http::{Response, StatusCode, header},
};

use super::{
    consent,
    frame::Frame,
    language::filters,
    ports::{Entered, Ports},
    session::OwnForm,
    sign_in,
    state::AppState,
    trouble::Trouble,
};
use crate::domain::oauth::{
    device::{GUESS_WINDOW_SECONDS, UserCode},
    params::Params,
    pending_request::Asked,
};

/// Longest text that is put back into the field.
const MAX_SHOWN_CHARS: usize = 32;

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'a> {
    frame: Frame,
    /// What stands in the field.
    code: &'a str,
    is_wrong: bool,
}

#[derive(Template)]
#[template(path = "device_done.html")]
struct DonePage {
    frame: Frame,
    allowed: bool,
}

/// `GET /device`.
pub async fn show<P: Ports>(state: AppState<P>, frame: Frame, RawQuery(query): RawQuery) -> Response<Body> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    if let done @ ("allowed" | "denied") = params.field("done") {
        return frame.html(StatusCode::OK, &DonePage { frame: frame.clone(), allowed: done == "allowed" });
    }
    let code = params.field("user_code").parse::<UserCode>().ok().map(|code| code.to_string());
    if frame.visitor.is_some() {
        return frame.html(
            StatusCode::OK,
            &DevicePage { frame: frame.clone(), code: code.as_deref().unwrap_or_default(), is_wrong: false },
        );
    }
    let query = code.map(|code| format!("?user_code={code}")).unwrap_or_default();
    sign_in::ask_for_device(&state.config, &frame, &format!("/device{query}"))
}

/// `POST /device`.
///
/// # Errors
/// A page: the form isn't ours, too many wrong codes were entered, or the store can't answer.
pub async fn enter<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    let typed = params.field("user_code");
    // What can't be a code is not worth a question to the store.
    let Ok(code) = typed.parse::<UserCode>() else { return Ok(wrong(&frame, typed)) };
    let row = match state.ports.enter_user_code(&visitor.user.id, &code, state.now).await? {
        Entered::Open(row) => row,
        Entered::Wrong => return Ok(wrong(&frame, &code.to_string())),
        Entered::TooMany => return Ok(too_many()),
    };
    let Some(client) = state.ports.find_client(row.client_id()).await? else {
        return Ok(wrong(&frame, &code.to_string()));
    };
    let asked = Asked::Device { device_code: row.hash, user_code: row.user_code, request: Box::new(row.request) };
    let admitted = consent::admit(&state, frame.language, &visitor, &client, asked).await?;
    consent::show(&state, &frame, &visitor, &client, admitted).await
}

fn wrong(frame: &Frame, typed: &str) -> Response<Body> {
    let code: String = typed.chars().take(MAX_SHOWN_CHARS).collect();
    frame.html(StatusCode::BAD_REQUEST, &DevicePage { frame: frame.clone(), code: &code, is_wrong: true })
}

fn too_many() -> Response<Body> {
    use axum::response::IntoResponse;

    let trouble = Trouble::new(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many wrong codes",
        "You have entered too many codes that are not good. Wait ten minutes, have your device show a new code, and enter that.",
    );
    let mut response = trouble.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, GUESS_WINDOW_SECONDS.into());
    response
}
