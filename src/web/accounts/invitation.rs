//! `/invitation`: whoever holds an invitation becomes a user with it: under a name, with a passkey.
//!
//! Opening the link uses nothing up; making the passkey does.

use askama::Template;
use axum::{
    body::Body,
    extract::{RawQuery, Request},
    http::{HeaderMap, Response, StatusCode},
};

use super::{
    browser, options, party,
    passkeys::{WRONG_NAME, new_passkey, not_made},
    security::SECURITY,
    welcome::{beginning, welcome},
};
use crate::{
    domain::{
        audit::{Entry, Event},
        oauth::{
            params::Params,
            registration::{MAX_NAME_CHARS, parse_name},
        },
        secret::{Invitation, Secret},
        webauthn::challenge::{self, Use},
    },
    web::{
        audit,
        frame::Frame,
        language::{Moment, Text, filters},
        page::with_script,
        ports::{InvitationRow, Ports, Role, StoreError, Write},
        session::form_of_own_origin,
        state::AppState,
        trouble::Trouble,
    },
};

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage<'a> {
    frame: Frame,
    token: &'a str,
    invited_by: &'a str,
    host: &'a str,
    name: &'a str,
    is_operator: bool,
    expires: Moment,
    max_name_chars: usize,
}

/// The open invitation behind a token.
async fn open<P: Ports>(
    state: &AppState<P>,
    token: &str,
) -> Result<Option<(Secret<Invitation>, InvitationRow)>, StoreError> {
    let Ok(secret) = Secret::<Invitation>::parse(token) else { return Ok(None) };
    let row = state.ports.find_invitation(&secret.hash()).await?;
    Ok(row.filter(|row| row.is_open(state.now)).map(|row| (secret, row)))
}

fn over() -> Trouble {
    let text = Text::new("It was used, taken back, has expired, or is damaged. Ask whoever invited you for a new one.");
    Trouble::new(StatusCode::NOT_FOUND, "This invitation is not open", text).with_way_on("/sign-in", "Ways to sign in")
}

/// `GET /invitation?token=…`.
///
/// # Errors
/// It isn't open, or the store can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    frame: Frame,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let (secret, row) = open(&state, query.field("token")).await?.ok_or_else(over)?;
    let page = InvitationPage {
        frame: frame.clone(),
        token: secret.expose_secret(),
        invited_by: &row.invited_by,
        host: party(&state.config).id,
        name: &row.user.name,
        is_operator: row.user.role == Role::Operator,
        expires: Moment::new(row.expires_at, state.now),
        max_name_chars: MAX_NAME_CHARS,
    };
    Ok(with_script(frame.html(StatusCode::OK, &page)))
}

/// `POST /invitation/options`.
///
/// # Errors
/// The form isn't ours, or the store can't answer.
pub async fn creation_options<P: Ports>(
    state: AppState<P>,
    frame: Frame,
    request: Request,
) -> Result<Response<Body>, Trouble> {
    let params = form_of_own_origin(request, &state.config).await?;
    let Some((secret, row)) = open(&state, params.field("token")).await? else {
        let text = "This invitation is not open any more.";
        return Ok(options::not_now(StatusCode::NOT_FOUND, frame.language.t(text)));
    };
    let Ok(name) = parse_name(params.field("name")) else {
        return Ok(options::not_now(StatusCode::BAD_REQUEST, frame.language.t(WRONG_NAME)));
    };
    let token = secret.hash();
    let used_for = Use::Invitation(token.as_str());
    let challenge = challenge::issue(&state.config.cookie_key, used_for, state.ports.entropy16(), state.now);
    Ok(options::creation(&party(&state.config), &challenge, &row.user.id, &name, core::iter::empty()))
}

/// `POST /invitation`: the passkey was made.
///
/// # Errors
/// A page: it isn't open, the passkey is not what was asked for, the form isn't ours, or the store can't answer.
pub async fn accept<P: Ports>(
    state: AppState<P>,
    frame: Frame,
    headers: HeaderMap,
    request: Request,
) -> Result<Response<Body>, Trouble> {
    let params = form_of_own_origin(request, &state.config).await?;
    let (secret, row) = open(&state, params.field("token")).await?.ok_or_else(over)?;
    let token = secret.hash();
    let way_on = ("/sign-in", "Ways to sign in");
    let name = parse_name(params.field("name")).map_err(|_| not_made("no name", way_on))?;
    let device = browser(&frame.agent, frame.language);
    let used_for = Use::Invitation(token.as_str());
    let passkey = new_passkey(&state, params.field("credential"), &device, used_for, way_on).await?;
    let begun = beginning(&state, &frame);
    let accepted = state.ports.accept_invitation(&token, &name, &passkey, &begun.session, state.now).await?;
    if accepted == Write::Lost {
        return Err(over());
    }
    let there = format!("{SECURITY}?done=welcome");
    let answer = welcome(&state, &frame, &headers, &begun, Some(&there), "by invitation").await;
    let entry = Entry::new(Event::InvitationAccepted, row.user.id, state.now).subject(&name).detail(&row.invited_by);
    Ok(audit::note(&state, &frame, entry, answer).await)
}
