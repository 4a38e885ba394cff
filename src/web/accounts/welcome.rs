//! What every way of signing in ends with: a session of its own, and the one that this browser had before is ended (CWE-384).

use axum::{
    body::Body,
    http::{HeaderMap, Response},
};

use super::passkey_sign_in::PASSKEY_COOKIE;
use crate::{
    domain::{
        audit::{Entry, Event},
        secret::{Secret, Session},
    },
    web::{
        audit,
        frame::Frame,
        page::see_other,
        ports::{NewSession, Ports},
        session::{self, SESSION_COOKIE, SESSION_SECONDS, set_cookie, with_cookie},
        sign_in::{HOME, RETURN_COOKIE, way_back},
        state::{AppState, LogDetail},
    },
};

/// A session that is about to begin, and the secret that its browser will hold.
#[derive(Debug)]
pub struct Beginning {
    secret: Secret<Session>,
    /// What the store is given.
    pub session: NewSession,
}

/// A fresh session, for whoever is at this browser.
#[must_use]
pub fn beginning<P: Ports>(state: &AppState<P>, frame: &Frame) -> Beginning {
    let secret = Secret::from_entropy(&state.ports.entropy32());
    let session = NewSession {
        hash: secret.hash(),
        expires_at: session::first_end(state.now),
        address: frame.address.clone(),
        agent: frame.agent.clone(),
    };
    Beginning { secret, session }
}

/// Lets somebody in whose session was stored. They go on to `there`, else back to the app that sent them, else home. `how` is for the
/// audit log.
pub async fn welcome<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    headers: &HeaderMap,
    begun: &Beginning,
    there: Option<&str>,
    how: &str,
) -> Response<Body> {
    let target = there.map(str::to_owned).or_else(|| way_back(headers));
    let mut response = see_other(target.as_deref().unwrap_or(HOME));
    // What signed them in is used up: from here on nothing may keep them out. A former session that stays ends by itself.
    if let Some(former) = &frame.visitor
        && let Err(error) = state.ports.delete_session(&former.session).await
    {
        response.extensions_mut().insert(LogDetail(error.0));
    }
    let response = with_cookie(response, set_cookie(SESSION_COOKIE, begun.secret.expose_secret(), SESSION_SECONDS));
    let response = with_cookie(response, set_cookie(PASSKEY_COOKIE, "", 0));
    // Whoever was sent elsewhere first still finds the way back to the app.
    let response = if there.is_some() { response } else { with_cookie(response, set_cookie(RETURN_COOKIE, "", 0)) };
    match state.ports.find_session(&begun.session.hash, state.now).await {
        Ok(Some(who)) => {
            let entry = Entry::new(Event::SignedIn, who.user.id, state.now).detail(how);
            audit::note(state, frame, entry, response).await
        }
        Ok(None) | Err(_) => response,
    }
}
