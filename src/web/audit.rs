//! Notes what people did, once it happened.
//!
//! What happened is not undone because it couldn't be noted: then the log of the broker says so.

use axum::{body::Body, http::Response};

use super::{frame::Frame, ports::Ports, state::AppState, state::LogDetail, visitor::Visitor};
use crate::domain::{
    audit::{Actor, Entry, Event},
    grant::Grant,
};

/// Something that this person did to their own account.
#[must_use]
pub fn entry<P>(state: &AppState<P>, visitor: &Visitor, event: Event) -> Entry {
    Entry::new(event, visitor.user.id.clone(), state.now)
}

/// Notes it, with where it came from. The answer goes out in any case.
pub async fn note<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    entry: Entry,
    mut answer: Response<Body>,
) -> Response<Body> {
    let entry = Entry { address: frame.address.clone(), agent: frame.agent.clone(), ..entry };
    if let Err(error) = state.ports.record(&entry).await {
        answer.extensions_mut().insert(LogDetail(format!("audit {}: {}", entry.event.as_str(), error.0)));
    }
    answer
}

/// That a grant ended by another hand than that of whoever gave it; `why` is one of the texts that [`super::activity`] knows.
#[must_use]
pub fn ended<P>(state: &AppState<P>, grant: &Grant, actor: Actor, why: &'static str) -> Entry {
    let entry = Entry::new(Event::GrantRevoked, grant.user_id.clone(), state.now).by(actor);
    entry.grant(&grant.id).subject(&grant.client_name).detail(why)
}
