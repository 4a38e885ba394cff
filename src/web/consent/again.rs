//! The same request on a fresh page: it was open for too long, or it is somebody else's now. Nothing was decided by any of this.
//!
//! The way back from signing in names no request: which one it was stands in a cookie that the broker set when it took the form, so
//! that no link makes anybody find a form that somebody else filled in.

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode},
};
use url::Url;

use super::{Filled, Shown, admit, form, fresh, gone, may_still_ask};
use crate::{
    domain::{
        audit::Event,
        oauth::{
            client::Client,
            params::Params,
            pending_request::{Asked, MAX_FILLED_BYTES, PendingRequest},
            sign_in_link,
        },
        secret::{ConsentRequest, Secret},
    },
    web::{
        asking::Asking,
        audit,
        frame::Frame,
        headers::cookie,
        ports::{Ports, StoreError, Write},
        session::{SESSION_COOKIE, set_cookie, with_cookie},
        sign_in,
        sign_in_prompt::{Why, ask},
        state::AppState,
        trouble::Trouble,
        visitor::Visitor,
    },
};

/// The query of `/authorize` that leads back to a page.
pub const RESUME: &str = "resume";
const WAY_BACK: &str = "/authorize?resume";
/// Which page it was.
const CONSENT_COOKIE: &str = "__Host-aip-consent";

/// `GET /authorize?resume`: the page that the person had to sign in for.
///
/// # Errors
/// A page: there is none, it can't be shown again, or the store can't answer.
pub async fn resume<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    headers: &HeaderMap,
) -> Result<Response<Body>, Trouble> {
    let handle = cookie(headers, CONSENT_COOKIE).and_then(|text| Secret::<ConsentRequest>::parse(text).ok());
    let pending = match &handle {
        Some(handle) => state.ports.find_authorization_request(&handle.hash()).await?,
        None => None,
    };
    let Some(visitor) = &frame.visitor else {
        let asking = match &pending {
            Some(pending) => who_asks(state, pending).await?,
            None => None,
        };
        return Ok(sign_in::ask_for_app(&state.config, frame, WAY_BACK, asking.as_ref()));
    };
    let (handle, pending) = handle.zip(pending).ok_or_else(gone)?;
    let params = Params::parse(pending.filled.clone().unwrap_or_default().as_bytes());
    let response = ask_again(state, frame, (visitor, &handle), pending, &params, Shown::CameBack).await?;
    Ok(with_cookie(response, set_cookie(CONSENT_COOKIE, "", 0)))
}

/// Asks the same on a fresh page, if it may be asked again. The page before is closed: only one of them can be answered.
///
/// # Errors
/// A page: it may not, and what to do instead; or the store can't answer.
pub(super) async fn ask_again<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    (visitor, handle): (&Visitor, &Secret<ConsentRequest>),
    pending: PendingRequest,
    params: &Params,
    why: Shown,
) -> Result<Response<Body>, Trouble> {
    let client = state.ports.find_client(pending.asked.client_id()).await?;
    let client = client.filter(|client| may_still_ask(client, &pending.asked)).ok_or_else(gone)?;
    if !pending.may_be_asked_again(&visitor.session, visitor.since, state.now) {
        return Err(over(&client, &pending.asked));
    }
    let is_open = pending.is_open(state.now);
    let admitted = admit(state, frame.language, visitor, &client, pending.asked).await?;
    if is_open && state.ports.close_authorization_request(&handle.hash(), state.now).await? == Write::Lost {
        return Err(gone());
    }
    let foreign;
    let params = if why == Shown::TooLate {
        params
    } else {
        foreign = Params::parse(form::impersonal(params).as_bytes());
        &foreign
    };
    let is_filled = params.pairs().next().is_some();
    let filled = is_filled.then_some(Filled { params, error: None });
    let status = if why == Shown::CameBack { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    fresh(state, frame, visitor, &client, admitted, (status, why), filled).await
}

/// Nobody is signed in any more. What was filled in waits for whoever signs in.
///
/// # Errors
/// The store can't answer.
pub(super) async fn sign_in_first<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    handle: &Secret<ConsentRequest>,
    pending: &PendingRequest,
    params: &Params,
) -> Result<Response<Body>, Trouble> {
    if pending.decision.is_some() {
        return Ok(ask(&state.config, frame, StatusCode::UNAUTHORIZED, Why::SessionEnded));
    }
    let filled = form::impersonal(params);
    if filled.len() <= MAX_FILLED_BYTES {
        state.ports.keep_filled(&handle.hash(), &filled).await?;
    }
    let asking = who_asks(state, pending).await?;
    Ok(to_sign_in(state, frame, handle, StatusCode::UNAUTHORIZED, asking.as_ref()))
}

/// "Not you?": ends the session, and leads back to the request whoever signs in next.
///
/// # Errors
/// A page: nobody else could be asked; or the store can't answer. Then the session lives on.
pub(super) async fn switch<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    (visitor, handle): (&Visitor, &Secret<ConsentRequest>),
    pending: &PendingRequest,
) -> Result<Response<Body>, Trouble> {
    if !pending.may_be_asked_again(&visitor.session, visitor.since, state.now) {
        return Err(gone());
    }
    let asking = who_asks(state, pending).await?;
    state.ports.delete_session(&visitor.session).await?;
    let stranger = Frame { visitor: None, ..frame.clone() };
    let response = to_sign_in(state, &stranger, handle, StatusCode::OK, asking.as_ref());
    let response = with_cookie(response, set_cookie(SESSION_COOKIE, "", 0));
    Ok(audit::note(state, frame, audit::entry(state, visitor, Event::SignedOut), response).await)
}

fn to_sign_in<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    handle: &Secret<ConsentRequest>,
    status: StatusCode,
    asking: Option<&Asking>,
) -> Response<Body> {
    let mut response = sign_in::ask_for_app(&state.config, frame, WAY_BACK, asking);
    *response.status_mut() = status;
    with_cookie(response, set_cookie(CONSENT_COOKIE, handle.expose_secret(), sign_in_link::TTL_SECONDS))
}

/// Who asks, as long as they may.
async fn who_asks<P: Ports>(state: &AppState<P>, pending: &PendingRequest) -> Result<Option<Asking>, StoreError> {
    if pending.decision.is_some() {
        return Ok(None);
    }
    let client = state.ports.find_client(pending.asked.client_id()).await?;
    let client = client.filter(|client| may_still_ask(client, &pending.asked));
    Ok(client.map(|client| Asking::of_asked(&client, &pending.asked, &state.config.issuer)))
}

/// The app, or the device, has to ask anew.
fn over(client: &Client, asked: &Asked) -> Trouble {
    const HEADING: &str = "This request is no longer open";
    match asked {
        Asked::Device { user_code, .. } => Trouble::new(
            StatusCode::BAD_REQUEST,
            HEADING,
            "The page was open for more than ten minutes. Nothing was allowed. If your device still shows the code, enter it again.",
        )
        .with_way_on(format!("/device?user_code={user_code}"), "Enter the code again"),
        Asked::Redirect(_) => {
            let trouble = Trouble::new(
                StatusCode::BAD_REQUEST,
                HEADING,
                "The page was open for more than ten minutes, and the app's link works once. Nothing was allowed. Go back to the \
                 app and connect again.",
            );
            match client.home_page.as_deref().and_then(secure_address) {
                Some(address) => trouble.with_way_on(address, "Go to the home page that the app names"),
                None => trouble,
            }
        }
    }
}

/// An address that is nothing but that, whatever its developer wrote (CWE-79).
fn secure_address(text: &str) -> Option<String> {
    Url::parse(text).ok().filter(|url| url.scheme() == "https").map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_page_is_linked_only_where_it_is_a_secure_address() {
        assert_eq!(secure_address("https://app.example").as_deref(), Some("https://app.example/"));
        for text in
            ["javascript:alert(1)", "data:text/html,x", "http://app.example/", "//app.example", "app.example", ""]
        {
            assert_eq!(secure_address(text), None, "{text}");
        }
    }
}
