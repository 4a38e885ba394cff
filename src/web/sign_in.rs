//! `/sign-in` and `/sign-out`: the page with the ways to sign in, and one of them, the operator's one-time link.
//!
//! Opening the link shows a page and uses nothing up, because previews and scanners open links too; the button on it does. Whoever
//! came from an app finds the way back to its request in a cookie: the link is opened from a terminal or a mail, in a new tab.

use askama::Template;
use axum::{
    body::Body,
    extract::{RawQuery, Request},
    http::{HeaderMap, HeaderValue, Response, StatusCode},
    response::IntoResponse,
};

use super::{
    accounts::welcome::{beginning, welcome},
    asking::Asking,
    audit,
    frame::Frame,
    headers::cookie,
    language::{Text, filters},
    page::see_other,
    ports::{NewSignIn, Ports, Write},
    session::{self, OwnForm, SESSION_COOKIE, set_cookie, with_cookie},
    sign_in_prompt::{Why, prompt, prompt_for_app, prompt_for_device},
    state::{AppState, Config},
    trouble::Trouble,
};
use crate::domain::{
    audit::Event,
    encoding::{base64url, from_base64url},
    id::UserId,
    oauth::{
        params::Params,
        sign_in_link::{self, SignInLinkError},
    },
};

/// The way back to an app's request.
pub const RETURN_COOKIE: &str = "__Host-aip-return";
/// As long as a sign-in link lives.
const RETURN_SECONDS: u64 = sign_in_link::TTL_SECONDS;
/// Browsers keep cookies of 4 KiB. A longer request waits in its own tab.
const MAX_RETURN_BYTES: usize = 3 * 1024;
/// The only places to return to: an app's request, a device's code. Everything else begins on `/grants`.
const RETURNABLE: [&str; 2] = ["/authorize?", DEVICE_CODE];
const DEVICE: &str = "/device";
const DEVICE_CODE: &str = "/device?user_code=";
/// Where everything begins that nobody sent.
pub const HOME: &str = "/grants";

#[derive(Template)]
#[template(path = "sign_in_link.html")]
struct LinkPage<'a> {
    frame: Frame,
    token: &'a str,
}

/// The page that says how to sign in, for somebody whom an app sent; `target` is its request, path and query, to come back to. Whoever
/// is signed in already reads that the app wants it anew.
#[must_use]
pub fn ask_for_app(config: &Config, frame: &Frame, target: &str, asking: Option<&Asking>) -> Response<Body> {
    with_cookie(prompt_for_app(config, frame, target, asking), cookie_to(target))
}

/// The same for somebody who has to enter the code of a device at `target`.
#[must_use]
pub fn ask_for_device(config: &Config, frame: &Frame, target: &str) -> Response<Body> {
    with_cookie(prompt_for_device(config, frame, target), cookie_to(target))
}

/// The way back, where it fits.
fn cookie_to(target: &str) -> Option<HeaderValue> {
    let fits = target.len() <= MAX_RETURN_BYTES;
    fits.then(|| set_cookie(RETURN_COOKIE, &base64url(target.as_bytes()), RETURN_SECONDS)).flatten()
}

/// `GET /sign-in`, with or without the token of a link.
pub async fn show<P: Ports>(state: AppState<P>, frame: Frame, RawQuery(query): RawQuery) -> Response<Body> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let token = params.field("token");
    if token.is_empty() {
        return prompt(&state.config, &frame, StatusCode::OK, Why::Visit);
    }
    match sign_in_link::verify(&state.config.sign_in_key, token, state.now) {
        Ok(_) => frame.html(StatusCode::OK, &LinkPage { frame: frame.clone(), token }),
        Err(error) => refused(error).into_response(),
    }
}

/// `POST /sign-in`: uses the link up.
///
/// # Errors
/// A page: the link is damaged, expired or used, the form isn't ours, or the store can't answer.
pub async fn sign_in<P: Ports>(
    state: AppState<P>,
    frame: Frame,
    headers: HeaderMap,
    request: Request,
) -> Result<Response<Body>, Trouble> {
    let params = session::form_of_own_origin(request, &state.config).await?;
    let nonce_hash =
        sign_in_link::verify(&state.config.sign_in_key, params.field("token"), state.now).map_err(refused)?;
    let begun = beginning(&state, &frame);
    let new = NewSignIn {
        nonce_hash,
        candidate: UserId::from_entropy(state.ports.entropy16()),
        session: begun.session.clone(),
    };
    if state.ports.sign_in(&new, state.now).await? == Write::Lost {
        return Err(link_trouble(Text::new("This sign-in link was used already; each works once.")));
    }
    Ok(welcome(&state, &frame, &headers, &begun, None, "with a one-time link").await)
}

/// `POST /sign-out`.
///
/// # Errors
/// A page, when the store can't answer: then the session lives on.
pub async fn sign_out<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    state.ports.delete_session(&form.visitor.session).await?;
    let answer = with_cookie(see_other("/"), set_cookie(SESSION_COOKIE, "", 0));
    let entry = audit::entry(&state, &form.visitor, Event::SignedOut);
    Ok(audit::note(&state, &form.frame, entry, answer).await)
}

fn refused(error: SignInLinkError) -> Trouble {
    link_trouble(match error {
        SignInLinkError::Invalid => Text::new("This sign-in link is damaged, or was made for another broker."),
        SignInLinkError::Expired => Text::new("This sign-in link has expired; each works for ten minutes."),
    })
}

fn link_trouble(text: Text) -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, "This link does not sign in", text)
        .with_way_on("/sign-in", "How to get a new one")
}

/// The app's request that was interrupted. Whatever else the cookie says counts for nothing (CWE-601).
#[must_use]
pub fn way_back(headers: &HeaderMap) -> Option<String> {
    let decoded = from_base64url(cookie(headers, RETURN_COOKIE)?)?;
    let target = String::from_utf8(decoded).ok()?;
    is_returnable(&target).then_some(target)
}

fn is_returnable(target: &str) -> bool {
    (target == DEVICE || RETURNABLE.iter().any(|start| target.starts_with(start)))
        && target.len() <= MAX_RETURN_BYTES
        && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", format!("{RETURN_COOKIE}={value}").parse().unwrap());
        way_back(&headers)
    }

    #[test]
    fn an_apps_request_and_a_devices_code_are_returned_to() {
        for target in ["/authorize?client_id=a&state=%20", "/device", "/device?user_code=WDJB-MJHT"] {
            assert_eq!(returns(&base64url(target.as_bytes())).as_deref(), Some(target));
        }
    }

    #[test]
    fn nothing_else_is_returned_to() {
        for target in [
            "//evil.example/authorize?",
            "https://evil.example/authorize?",
            "/authorize",
            "/authorized?x",
            "/authorize?\r\nset-cookie: a=b",
            "/authorize?\\evil.example",
            "/sign-out",
            "/devices",
            "/device?done=allowed",
            "/device/evil",
            "",
        ] {
            assert_eq!(returns(&base64url(target.as_bytes())), None, "{target:?}");
        }
    }
}
