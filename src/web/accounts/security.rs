//! `GET /settings/security`: a person's passkeys, recovery codes and sessions.

use askama::Template;
use axum::{
    body::Body,
    extract::RawQuery,
    http::{Response, StatusCode},
};

use super::{
    browser,
    sessions::{MAX_SESSIONS, public_id},
};
use crate::{
    domain::{
        oauth::{params::Params, registration::MAX_NAME_CHARS},
        recovery_code::CODES,
        webauthn::MAX_PASSKEYS,
    },
    web::{
        frame::Frame,
        language::{Moment, filters},
        ports::Ports,
        session::SignedIn,
        state::AppState,
        trouble::Trouble,
    },
};

/// The page.
pub const SECURITY: &str = "/settings/security";

#[derive(Template)]
#[template(path = "security.html")]
struct SecurityPage {
    frame: Frame,
    csrf: String,
    /// What was done a moment ago.
    done: &'static str,
    passkeys: Vec<PasskeyView>,
    may_add: bool,
    max_name_chars: usize,
    unused_codes: u32,
    codes: usize,
    sessions: Vec<SessionView>,
}

struct PasskeyView {
    path: String,
    name: String,
    is_synced: bool,
    created: Moment,
    last_used: Option<Moment>,
}

struct SessionView {
    path: String,
    browser: String,
    address: String,
    created: Moment,
    last_seen: Moment,
    is_this: bool,
}

/// What `?done=` may say.
const DONE: [&str; 9] = ["added", "renamed", "removed", "last", "name", "ended", "others", "recovered", "welcome"];

/// `GET /settings/security`.
///
/// # Errors
/// The store can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let done = DONE.into_iter().find(|done| query.field("done") == *done).unwrap_or_default();
    let user = &visitor.user.id;
    let passkeys: Vec<PasskeyView> = state
        .ports
        .list_passkeys(user)
        .await?
        .into_iter()
        .map(|passkey| PasskeyView {
            path: format!("{SECURITY}/passkeys/{}", passkey.id),
            name: passkey.name,
            is_synced: passkey.backup_eligible,
            created: Moment::new(passkey.created_at, state.now),
            last_used: passkey.last_used_at.map(|at| Moment::new(at, state.now)),
        })
        .collect();
    let sessions = state.ports.list_sessions(user, MAX_SESSIONS, state.now).await?;
    let sessions = sessions
        .into_iter()
        .map(|row| SessionView {
            path: format!("{SECURITY}/sessions/{}/end", public_id(&state.config, &row.hash)),
            browser: browser(&row.agent, frame.language),
            is_this: row.hash == visitor.session,
            address: row.address,
            created: Moment::new(row.created_at, state.now),
            last_seen: Moment::new(row.last_seen_at, state.now),
        })
        .collect();
    let page = SecurityPage {
        csrf: visitor.csrf,
        done,
        may_add: passkeys.len() < MAX_PASSKEYS as usize,
        max_name_chars: MAX_NAME_CHARS,
        passkeys,
        unused_codes: state.ports.count_recovery_codes(user).await?,
        codes: CODES,
        sessions,
        frame: frame.clone(),
    };
    Ok(frame.html(StatusCode::OK, &page))
}
