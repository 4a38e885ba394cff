//! `/grants/{grant_id}`: one grant, what it used call by call, and everything that its owner can do about it.
//!
//! | file | |
//! |---|---|
//! | `page` | what is shown of a grant |
//! | `change` | other limits, another end, a pause; the ledger first, then the row |
//! | `query` | which calls are asked for, and the links that ask for others |
//! | `calls` | every call: filtered, page by page |
//! | `export` | the same calls as a file |
//! | `live` | what is read again while the page is open |
//! | `delegations` | narrower tokens that the app gave to others |
//! | `history` | who changed what about the grant |
//!
//! What is shown is what the ledger enforces. The grant is its owner's, and so is the money: limits can be raised above what the app
//! asked for. A grant that isn't there and one that is somebody else's get the same answer, at every address.

mod calls;
mod change;
mod delegations;
mod end_form;
mod export;
mod history;
mod live;
mod page;
mod query;
mod words;

use axum::{
    body::Body,
    extract::{Path, RawQuery},
    http::{Response, StatusCode},
};

pub use change::{end, pause, resume, save};
pub use delegations::{revoke_delegation, short};
pub use export::{csv, json};
pub use history::show as history;
pub use live::show as live;

use super::{
    audit,
    ending::end_grant,
    page::{see_other, with_script},
    ports::Ports,
    session::{OwnForm, SignedIn},
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{audit::Event, grant::Grant, id::GrantId, ledger::Snapshot};
use page::{GrantPage, read};
use query::Asked;

/// `GET /grants/{grant_id}`.
///
/// # Errors
/// No such grant of this person, a query that can't be read, or the database can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &visitor, &id).await?;
    let query = query.unwrap_or_default();
    let asked = Asked::read(&query).map_err(|_| unreadable(&grant.id))?;
    let found = read(&state, &grant).await;
    let calls = calls::read(&state, &grant.id, &asked, found.requests_used(), frame.language).await;
    let mut page = GrantPage::new(frame.clone(), &grant, &found, None, state.now).with_calls(calls);
    page.notice = match query.as_str() {
        "saved" => Some("Saved. It holds from the next call on."),
        "paused" => Some("Paused. Every call is refused until you resume it."),
        "resumed" if grant.is_personal() => Some("Resumed. The token can be used again."),
        "resumed" => Some("Resumed. The app can call again."),
        "ended" if grant.is_personal() => Some("Saved. It holds from the next call on."),
        "ended" => Some(
            "Saved. Tokens that the app has now end when they would have anyway; the next ones follow the new end.",
        ),
        "delegation" => Some("Ended. Its next call is refused, and so is every call of what was narrowed from it."),
        _ => None,
    };
    Ok(with_script(frame.html(StatusCode::OK, &page)))
}

/// `POST /grants/{grant_id}/revoke`: when this answers, the app's next call is refused.
///
/// # Errors
/// No such grant of this person, or the ledger or database can't answer.
pub async fn revoke<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &form.visitor, &id).await?;
    end_grant(&state, &grant.id).await?;
    let entry = audit::entry(&state, &form.visitor, Event::GrantRevoked).grant(&grant.id).subject(&grant.client_name);
    Ok(audit::note(
        &state,
        &form.frame,
        entry,
        see_other(if grant.is_personal() { "/tokens?revoked" } else { "/grants?revoked" }),
    )
    .await)
}

/// One answer for a grant that isn't there and one that is somebody else's.
async fn own_grant<P: Ports>(state: &AppState<P>, visitor: &Visitor, id: &str) -> Result<Grant, Trouble> {
    let id: GrantId = id.parse().map_err(|_| Trouble::not_found())?;
    let grant = state.ports.find_grant(&id).await?;
    grant.filter(|grant| grant.user_id == visitor.user.id).ok_or_else(Trouble::not_found)
}

pub async fn read_ledger<P: Ports>(state: &AppState<P>, id: &GrantId) -> Result<Snapshot, String> {
    let answer = state.ports.read_ledgers(core::slice::from_ref(id)).await.pop();
    answer.ok_or_else(|| "no answer".to_owned())?.map_err(|error| error.0)
}

/// A query that no link or form of ours makes.
fn unreadable(id: &GrantId) -> Trouble {
    let text = "The address asks for calls in a way that can not be read. A day is written like 2026-11-24.";
    Trouble::new(StatusCode::BAD_REQUEST, "Which calls?", text).with_way_on(format!("/grants/{id}"), "Show all calls")
}
