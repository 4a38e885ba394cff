//! `/settings/security/sessions`: a person ends their sessions elsewhere.

use axum::{body::Body, extract::Path, http::Response};

use super::{browser, security::SECURITY};
use crate::{
    domain::{
        audit::Event,
        encoding::base64url,
        secret::{SecretHash, Session},
    },
    web::{
        audit,
        page::see_other,
        ports::Ports,
        session::{OwnForm, SESSION_COOKIE, set_cookie, with_cookie},
        state::{AppState, Config},
        trouble::Trouble,
    },
};

/// Most sessions on the page. More are ended all at once.
pub const MAX_SESSIONS: u32 = 100;

const PURPOSE: &str = "session on its person's page v1";

/// A session's name on its person's page. It is looked for among their own sessions, so it says nothing about anybody else's.
#[must_use]
pub fn public_id(config: &Config, session: &SecretHash<Session>) -> String {
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = config.cookie_key.mac(PURPOSE, session.as_str());
    base64url(&id)
}

/// `POST /settings/security/sessions/{session_id}/end`.
///
/// # Errors
/// There is no such session of theirs, or the store can't answer.
pub async fn end<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, frame, .. } = form;
    let theirs = state.ports.list_sessions(&visitor.user.id, MAX_SESSIONS, state.now).await?;
    let session =
        theirs.into_iter().find(|row| public_id(&state.config, &row.hash) == id).ok_or_else(Trouble::not_found)?;
    state.ports.delete_session(&session.hash).await?;
    let answer = if session.hash == visitor.session {
        with_cookie(see_other("/"), set_cookie(SESSION_COOKIE, "", 0))
    } else {
        see_other(&format!("{SECURITY}?done=ended"))
    };
    let name = browser(&session.agent, frame.language);
    let entry = audit::entry(&state, &visitor, Event::SessionEnded).subject(&name).detail(&session.address);
    Ok(audit::note(&state, &frame, entry, answer).await)
}

/// `POST /settings/security/sessions/end-others`.
///
/// # Errors
/// The store can't answer.
pub async fn end_others<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, frame, .. } = form;
    let ended = state.ports.delete_other_sessions(&visitor.user.id, &visitor.session).await?;
    let entry = audit::entry(&state, &visitor, Event::OtherSessionsEnded).detail(&ended.to_string());
    Ok(audit::note(&state, &frame, entry, see_other(&format!("{SECURITY}?done=others"))).await)
}
