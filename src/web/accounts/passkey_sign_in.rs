//! `/sign-in/passkey`: a passkey alone signs in. Nobody types a name.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Response},
};

use super::{
    options,
    owner::{Refused, may_be_copied, owner},
    party,
    welcome::{beginning, welcome},
};
use crate::{
    domain::{
        secret::{PasskeyBrowser, Secret},
        webauthn::challenge::{self, CHALLENGE_TTL_SECONDS, Use},
    },
    web::{
        frame::Frame,
        headers::cookie,
        ports::{Ports, Write},
        session::{form_of_own_origin, set_cookie, with_cookie},
        state::AppState,
        trouble::Trouble,
    },
};

/// The browser that a challenge was given to.
pub const PASSKEY_COOKIE: &str = "__Host-aip-passkey";

fn this_browser(headers: &HeaderMap) -> Option<Secret<PasskeyBrowser>> {
    cookie(headers, PASSKEY_COOKIE).and_then(|text| Secret::parse(text).ok())
}

/// `POST /sign-in/passkey/options`: a challenge, for this browser alone. Stores nothing.
///
/// # Errors
/// The form isn't ours.
pub async fn options<P: Ports>(
    state: AppState<P>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response<Body>, Trouble> {
    form_of_own_origin(request, &state.config).await?;
    // One that was given to this browser stays: the challenge of another tab is good still.
    let browser = this_browser(&headers).unwrap_or_else(|| Secret::from_entropy(&state.ports.entropy32()));
    let used_for = browser.hash();
    let used_for = Use::SignIn(used_for.as_str());
    let challenge = challenge::issue(&state.config.cookie_key, used_for, state.ports.entropy16(), state.now);
    let answer = options::request(&party(&state.config), &challenge, core::iter::empty());
    Ok(with_cookie(answer, set_cookie(PASSKEY_COOKIE, browser.expose_secret(), CHALLENGE_TTL_SECONDS)))
}

/// `POST /sign-in/passkey`.
///
/// # Errors
/// A page: it isn't a passkey of somebody's here, the form isn't ours, or the store can't answer.
pub async fn sign_in<P: Ports>(
    state: AppState<P>,
    frame: Frame,
    headers: HeaderMap,
    request: Request,
) -> Result<Response<Body>, Trouble> {
    let params = form_of_own_origin(request, &state.config).await?;
    let Some(browser) = this_browser(&headers) else {
        return Err(Refused::Not("passkey: no cookie of a browser that was asked".to_owned()).into());
    };
    let browser = browser.hash();
    let used_for = Use::SignIn(browser.as_str());
    let signed = match owner(&state.ports, &state.config, params.field("credential"), used_for, state.now).await {
        Ok(signed) => signed,
        Err(Refused::MayBeCopied(passkey)) => return Ok(may_be_copied(&state, &frame, passkey).await),
        Err(refused) => return Err(refused.into()),
    };
    let begun = beginning(&state, &frame);
    if state.ports.sign_in_with_passkey(&signed.used(), &begun.session, state.now).await? == Write::Lost {
        return Err(Refused::Not("passkey: changed meanwhile".to_owned()).into());
    }
    Ok(welcome(&state, &frame, &headers, &begun, None, "with a passkey").await)
}
