//! Whether it is still the same person: asked again before what is risky, such as raising a cap or removing a passkey.
//!
//! A handler that wants to be sure says `if !confirm::is_recent(&visitor, now) { return confirm::ask(&frame, path, &params) }`. The page
//! that it answers with carries the form that was interrupted; once the person has proven who they are, the form is sent again, and
//! nothing was lost. It proves nothing to the handler by itself: the session does, which says when its person was confirmed last.

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};

use super::{
    accounts::{
        options,
        owner::{Refused, may_be_copied, owner},
    },
    choose_language::is_own_path,
    consent,
    frame::Frame,
    language::{Text, filters},
    page::{script_policy_with_form_action, with_script},
    ports::{Ports, Write},
    session::OwnForm,
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    oauth::{params::Params, sign_in_link},
    recovery_code::RecoveryCode,
    time::Timestamp,
    webauthn::{
        RelyingParty,
        challenge::{self, Use},
    },
};

/// So long a person is believed after they proved that it is them.
pub const CONFIRMED_SECONDS: u64 = 600;

/// What stands before the names of the interrupted form's fields.
const KEPT: &str = "kept.";
/// Fields that are not the person's: each form has its own.
const NOT_KEPT: [&str; 2] = ["csrf", "credential"];

/// Whether they proved it a short while ago.
#[must_use]
pub const fn is_recent(visitor: &Visitor, now: Timestamp) -> bool {
    now.seconds() < visitor.confirmed_at.seconds() + CONFIRMED_SECONDS
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame,
    csrf: &'a str,
    has_passkey: bool,
    is_operator: bool,
    /// Where the form goes that was interrupted.
    action: &'a str,
    /// Its fields.
    kept: &'a [(String, String)],
    is_wrong: bool,
    /// Why it is asked, where that isn't plain.
    why: Option<Text>,
}

#[derive(Template)]
#[template(path = "confirmed.html")]
struct ConfirmedPage<'a> {
    frame: Frame,
    csrf: &'a str,
    action: &'a str,
    fields: &'a [(String, String)],
}

/// The page that asks. `action` is the path of the form that was interrupted, `params` are its fields.
#[must_use]
pub fn ask(frame: &Frame, action: &str, params: &Params) -> Response<Body> {
    ask_since(frame, action, params, None)
}

/// The same, with the reason.
#[must_use]
pub fn ask_since(frame: &Frame, action: &str, params: &Params, why: Option<Text>) -> Response<Body> {
    let kept: Vec<(String, String)> = params
        .pairs()
        .filter(|(name, _)| !NOT_KEPT.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    page(frame, StatusCode::OK, action, &kept, why)
}

fn page(
    frame: &Frame,
    status: StatusCode,
    action: &str,
    kept: &[(String, String)],
    why: Option<Text>,
) -> Response<Body> {
    let visitor = frame.visitor.as_ref();
    let page = ConfirmPage {
        // It can't be asked for again: it lives in a form.
        frame: Frame { here: None, ..frame.clone() },
        csrf: visitor.map_or("", |visitor| &visitor.csrf),
        has_passkey: visitor.is_some_and(|visitor| visitor.has_passkey),
        is_operator: visitor.is_some_and(Visitor::is_operator),
        action,
        kept,
        is_wrong: status != StatusCode::OK,
        why,
    };
    with_script(frame.html(status, &page))
}

/// `POST /confirm/options`: a challenge for this session, for the person's own passkeys.
///
/// # Errors
/// The store can't answer.
pub async fn request_options<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let theirs = state.ports.list_passkeys(&form.visitor.user.id).await?;
    let used_for = Use::Confirm(form.visitor.session.as_str());
    let challenge = challenge::issue(&state.config.cookie_key, used_for, state.ports.entropy16(), state.now);
    let party = RelyingParty::new(&state.config.issuer);
    Ok(options::request(&party, &challenge, theirs.iter().map(|passkey| &passkey.credential_id)))
}

/// `POST /confirm`: a passkey, a recovery code, or a one-time link, and the form that was interrupted.
///
/// # Errors
/// A page: what should prove it doesn't, or the store can't answer.
pub async fn confirm<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    let action = params.field("action");
    if !is_own_path(action) {
        return Err(Trouble::not_found());
    }
    let kept: Vec<(String, String)> = params
        .pairs()
        .filter_map(|(name, value)| Some((name.strip_prefix(KEPT)?.to_owned(), value.to_owned())))
        .collect();
    let proven = match params.field("credential") {
        "" => by_text(&state, &visitor, params.field("code")).await?,
        credential => match by_passkey(&state, &visitor, credential).await {
            Ok(write) => write,
            Err(Refused::MayBeCopied(passkey)) => return Ok(may_be_copied(&state, &frame, passkey).await),
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(Refused::Not(_)) => Write::Lost,
        },
    };
    if proven == Write::Lost {
        return Ok(page(&frame, StatusCode::BAD_REQUEST, action, &kept, None));
    }
    let page =
        ConfirmedPage { frame: Frame { here: None, ..frame.clone() }, csrf: &visitor.csrf, action, fields: &kept };
    let mut response = with_script(frame.html(StatusCode::OK, &page));
    // Chromium holds `form-action` against the redirect that follows the form, too.
    if let Some(source) = consent::leads_to(&state, &visitor, action, &kept).await?
        && let Some(policy) = script_policy_with_form_action(&source)
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

async fn by_passkey<P: Ports>(state: &AppState<P>, visitor: &Visitor, credential: &str) -> Result<Write, Refused> {
    let used_for = Use::Confirm(visitor.session.as_str());
    let signed = owner(&state.ports, &state.config, credential, used_for, state.now).await?;
    if signed.passkey.user != visitor.user.id {
        return Ok(Write::Lost);
    }
    Ok(state.ports.confirm_with_passkey(&signed.used(), &visitor.session, state.now).await?)
}

/// What a person can type or paste: a recovery code of theirs, or the operator's one-time link.
async fn by_text<P: Ports>(state: &AppState<P>, visitor: &Visitor, text: &str) -> Result<Write, Trouble> {
    let text = text.trim();
    let (session, user) = (&visitor.session, &visitor.user.id);
    if let Some((_, token)) =
        text.split_once("token=").or_else(|| text.strip_prefix(sign_in_link::PREFIX).map(|_| ("", text)))
    {
        let Ok(nonce) = sign_in_link::verify(&state.config.sign_in_key, token, state.now) else {
            return Ok(Write::Lost);
        };
        return Ok(state.ports.confirm_with_link(&nonce, session, user, state.now).await?);
    }
    let Ok(code) = text.parse::<RecoveryCode>() else { return Ok(Write::Lost) };
    let hash = code.hash(&state.config.cookie_key);
    Ok(state.ports.confirm_with_recovery_code(&hash, session, user, state.now).await?)
}
