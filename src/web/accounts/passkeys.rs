//! `/settings/security/passkeys`: a person's passkeys are added, named and removed.
//!
//! A passkey is a way in that lasts, so whoever adds one proves first that it is them: with one that they have, and for the first one with
//! the link or the invitation that they came by a short while ago, or another link. The last one stays: a recovery code is for an
//! accident, not for every day.

use askama::Template;
use axum::{
    body::Body,
    extract::Path,
    http::{Response, StatusCode},
};

use super::{browser, options, party, security::SECURITY};
use crate::{
    domain::{
        audit::Event,
        id::PasskeyId,
        oauth::registration::{MAX_NAME_CHARS, parse_name},
        webauthn::{
            MAX_PASSKEYS,
            challenge::{self, Use},
            registration::Registration,
        },
    },
    web::{
        audit, confirm,
        frame::Frame,
        language::{Text, filters},
        page::{see_other, with_script},
        ports::{NewPasskey, Ports, Write},
        session::OwnForm,
        state::AppState,
        trouble::Trouble,
    },
};

#[derive(Template)]
#[template(path = "passkey_add.html")]
struct AddPage {
    frame: Frame,
    csrf: String,
    name: String,
    max_name_chars: usize,
}

/// `POST /settings/security/passkeys/add`: the page on which a passkey is made.
pub async fn ask<P: Ports>(state: AppState<P>, form: OwnForm) -> Response<Body> {
    let OwnForm { visitor, params, frame } = form;
    if !confirm::is_recent(&visitor, state.now) {
        return confirm::ask(&frame, &format!("{SECURITY}/passkeys/add"), &params);
    }
    let name = browser(&frame.agent, frame.language);
    let page = AddPage { csrf: visitor.csrf, name, max_name_chars: MAX_NAME_CHARS, frame: frame.clone() };
    with_script(frame.html(StatusCode::OK, &page))
}

/// `POST /settings/security/passkeys/options`.
///
/// # Errors
/// The store can't answer.
pub async fn creation_options<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    if !confirm::is_recent(&visitor, state.now) {
        let text = "Too much time has passed. Go back to the security page and begin again.";
        return Ok(options::not_now(StatusCode::FORBIDDEN, frame.language.t(text)));
    }
    if parse_name(params.field("name")).is_err() {
        return Ok(options::not_now(StatusCode::BAD_REQUEST, frame.language.t(WRONG_NAME)));
    }
    let theirs = state.ports.list_passkeys(&visitor.user.id).await?;
    if theirs.len() >= MAX_PASSKEYS as usize {
        let text = "You have as many passkeys as one person can have. Remove one first.";
        return Ok(options::not_now(StatusCode::CONFLICT, frame.language.t(text)));
    }
    let used_for = Use::Add(visitor.session.as_str());
    let challenge = challenge::issue(&state.config.cookie_key, used_for, state.ports.entropy16(), state.now);
    let theirs = theirs.iter().map(|passkey| &passkey.credential_id);
    Ok(options::creation(&party(&state.config), &challenge, &visitor.user.id, &visitor.user.name, theirs))
}

/// What a name has to be, for people and passkeys alike.
pub const WRONG_NAME: &str = "Give a name of at most 60 characters.";

/// `POST /settings/security/passkeys`: a passkey was made.
///
/// # Errors
/// A page: it is not what was asked for, or the store can't answer.
pub async fn add<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    // The challenge was given to somebody who had proven that it is them.
    let passkey = new_passkey(
        &state,
        params.field("credential"),
        params.field("name"),
        Use::Add(visitor.session.as_str()),
        (SECURITY, "Back to Security"),
    )
    .await?;
    if state.ports.insert_passkey(&visitor.user.id, &passkey, MAX_PASSKEYS, state.now).await? == Write::Lost {
        return Err(not_made("passkey: there already, or too many", (SECURITY, "Back to Security")));
    }
    let entry = audit::entry(&state, &visitor, Event::PasskeyAdded).subject(&passkey.name);
    Ok(audit::note(&state, &frame, entry, done("added")).await)
}

/// What a browser made, checked, its challenge used up.
///
/// # Errors
/// A page.
pub async fn new_passkey<P: Ports>(
    state: &AppState<P>,
    answer: &str,
    name: &str,
    used_for: Use<'_>,
    way_on: (&str, &'static str),
) -> Result<NewPasskey, Trouble> {
    let made =
        Registration::parse(answer, &party(&state.config)).map_err(|error| not_made(&error.to_string(), way_on))?;
    let genuine = challenge::verify(&state.config.cookie_key, used_for, &made.challenge, state.now)
        .map_err(|error| not_made(&error.to_string(), way_on))?;
    if state.ports.use_id(&genuine.id, genuine.expires_at).await? == Write::Lost {
        return Err(not_made("the challenge was used before", way_on));
    }
    let name = parse_name(name).map_err(|_| not_made("no name", way_on))?;
    let id = PasskeyId::from_entropy(state.ports.entropy16());
    Ok(NewPasskey { id, name, credential: made.credential })
}

/// The page that says that a passkey was not added.
pub fn not_made(detail: &str, (href, label): (&str, &'static str)) -> Trouble {
    let text = Text::new(
        "What your browser made can not be used here, is here already, or took more than five minutes. Nothing was changed. Try \
         again; if it fails again, make the passkey on a phone or with a password manager.",
    );
    Trouble::new(StatusCode::BAD_REQUEST, "The passkey was not added", text)
        .with_way_on(href, label)
        .with_detail(format!("passkey: {detail}"))
}

/// `POST /settings/security/passkeys/{passkey_id}/rename`.
///
/// # Errors
/// It is not theirs, or the store can't answer.
pub async fn rename<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    let id: PasskeyId = id.parse().map_err(|_| Trouble::not_found())?;
    let Ok(name) = parse_name(params.field("name")) else { return Ok(done("name")) };
    if state.ports.rename_passkey(&visitor.user.id, &id, &name).await? == Write::Lost {
        return Err(Trouble::not_found());
    }
    let entry = audit::entry(&state, &visitor, Event::PasskeyRenamed).subject(&name);
    Ok(audit::note(&state, &frame, entry, done("renamed")).await)
}

/// `POST /settings/security/passkeys/{passkey_id}/remove`.
///
/// # Errors
/// It is not theirs, or the store can't answer.
pub async fn remove<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    let id: PasskeyId = id.parse().map_err(|_| Trouble::not_found())?;
    let theirs = state.ports.list_passkeys(&visitor.user.id).await?;
    let passkey = theirs.into_iter().find(|passkey| passkey.id == id).ok_or_else(Trouble::not_found)?;
    if !confirm::is_recent(&visitor, state.now) {
        return Ok(confirm::ask(&frame, &format!("{SECURITY}/passkeys/{id}/remove"), &params));
    }
    if state.ports.remove_passkey(&visitor.user.id, &id).await? == Write::Lost {
        return Ok(done("last"));
    }
    let entry = audit::entry(&state, &visitor, Event::PasskeyRemoved).subject(&passkey.name);
    Ok(audit::note(&state, &frame, entry, done("removed")).await)
}

fn done(what: &str) -> Response<Body> {
    see_other(&format!("{SECURITY}?done={what}"))
}
