//! `POST /settings/security/recovery-codes`: ten new codes, shown this once; those from before are worth nothing any more.

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};

use super::security::SECURITY;
use crate::{
    domain::{
        audit::Event,
        recovery_code::{CODES, RecoveryCode, RecoveryCodeHash},
    },
    web::{
        audit, confirm, frame::Frame, language::filters, ports::Ports, session::OwnForm, state::AppState,
        trouble::Trouble,
    },
};

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct CodesPage {
    frame: Frame,
    codes: Vec<String>,
    /// Where one is used.
    where_to: String,
}

/// Makes them.
///
/// # Errors
/// The store can't answer.
pub async fn make<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    if !confirm::is_recent(&visitor, state.now) {
        return Ok(confirm::ask(&frame, &format!("{SECURITY}/recovery-codes"), &params));
    }
    let codes: Vec<RecoveryCode> = (0..CODES).map(|_| RecoveryCode::from_entropy(state.ports.entropy32())).collect();
    let hashes: Vec<RecoveryCodeHash> = codes.iter().map(|code| code.hash(&state.config.cookie_key)).collect();
    state.ports.replace_recovery_codes(&visitor.user.id, &hashes, state.now).await?;
    let page = CodesPage {
        frame: frame.clone(),
        codes: codes.iter().map(RecoveryCode::expose_secret).collect(),
        where_to: format!("{}/recover", state.config.issuer),
    };
    let entry = audit::entry(&state, &visitor, Event::RecoveryCodesMade);
    Ok(audit::note(&state, &frame, entry, frame.html(StatusCode::CREATED, &page)).await)
}
