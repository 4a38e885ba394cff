//! `/grants/{grant_id}/history`: who changed what about a grant, when, and from where.

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, RawQuery},
    http::{Response, StatusCode},
};

use super::{own_grant, unreadable, words};
use crate::{
    domain::{
        audit::{Actor, Entry, Event},
        id::GrantId,
        oauth::params::Params,
        time::Timestamp,
    },
    web::{
        frame::Frame,
        language::{Language, Moment, filters},
        limits_form::digits,
        ports::{Ports, StoreError},
        session::SignedIn,
        state::AppState,
        trouble::Trouble,
    },
};

/// Entries on a page.
const PAGE: u32 = 50;
/// Entries on the page of the grant.
const LATEST: u32 = 5;

#[derive(Template)]
#[template(path = "grant_history.html")]
struct HistoryPage {
    frame: Frame,
    id: String,
    app: String,
    changes: Vec<ChangeView>,
    newest: Option<String>,
    older: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct ChangeView {
    pub at: Moment,
    /// A key of a text.
    pub what: &'static str,
    /// As it was noted.
    pub detail: String,
    pub actor: Actor,
    /// Where it came from; empty where nobody knows.
    pub address: String,
    pub agent: String,
}

impl ChangeView {
    fn new(entry: Entry, now: Timestamp) -> Self {
        Self {
            at: Moment::new(entry.at, now),
            what: what(entry.event),
            detail: entry.detail,
            actor: entry.actor,
            address: entry.address,
            agent: entry.agent,
        }
    }

    /// What changed, in the language of the page.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub fn said(&self, language: &Language) -> String {
        words::say(&self.detail, *language)
    }

    /// The language in which that is: what has no other words stays as it was noted.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub fn tag(&self, language: &Language) -> &'static str {
        if words::say(&self.detail, *language) == self.detail { Language::English.tag() } else { language.tag() }
    }

    /// Who did it: a key of a text.
    pub const fn who(&self) -> &'static str {
        match self.actor {
            Actor::Person => "You",
            Actor::App => "The app",
            Actor::Broker => "The broker",
        }
    }
}

/// Keys of texts.
fn what(event: Event) -> &'static str {
    match event {
        Event::GrantAllowed => "Allowed",
        Event::LimitsChanged => "Limits changed",
        Event::GrantPaused => "Paused",
        Event::GrantResumed => "Resumed",
        Event::GrantExtended => "Given another end",
        Event::GrantRevoked => "Revoked",
        Event::DelegationRevoked => "A narrower token was ended",
        _ => "Changed",
    }
}

/// The latest, for the page of the grant.
pub async fn latest<P: Ports>(state: &AppState<P>, id: &GrantId) -> Result<Vec<ChangeView>, StoreError> {
    let entries = state.ports.list_history(id, None, LATEST).await?;
    Ok(entries.into_iter().map(|(_, entry)| ChangeView::new(entry, state.now)).collect())
}

/// `GET /grants/{grant_id}/history`; `?before=` a number: older ones.
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
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let before = match params.get("before") {
        Ok(None) => None,
        Ok(Some(text)) => Some(digits(text).ok_or_else(|| unreadable(&grant.id))?),
        Err(_) => return Err(unreadable(&grant.id)),
    };
    let mut entries = state.ports.list_history(&grant.id, before, PAGE + 1).await?;
    let has_more = entries.len() > PAGE as usize;
    entries.truncate(PAGE as usize);
    let path = format!("/grants/{}/history", grant.id);
    let page = HistoryPage {
        id: grant.id.to_string(),
        app: grant.client_name.clone(),
        older: entries.last().filter(|_| has_more).map(|(number, _)| format!("{path}?before={number}")),
        newest: before.map(|_| path),
        changes: entries.into_iter().map(|(_, entry)| ChangeView::new(entry, state.now)).collect(),
        frame: frame.clone(),
    };
    Ok(frame.html(StatusCode::OK, &page))
}
