//! `/grants`: what each app may do, what it used, and the way to take it back. One of them: [`super::grant`].

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::{
    body::Body,
    extract::RawQuery,
    http::{Response, StatusCode},
};
use url::form_urlencoded::Serializer;

use super::{
    format,
    frame::Frame,
    language::{Language, Moment, Text, filters},
    ports::{Ports, StoreError},
    session::SignedIn,
    state::AppState,
    trouble::Trouble,
    usage::GrantUsage,
};
use crate::domain::{
    grant::{Grant, Terms},
    grant_list::{GrantPosition, GrantQuery, GrantState},
    id::{ClientId, GrantId},
    ledger::Snapshot,
    oauth::{client::Client, redirect_uri::Destination},
    time::Timestamp,
};

/// Grants on a page; each that lives asks its ledger.
const PAGE: u32 = 25;
/// From so many on there is a way to choose among them.
const MANY: usize = 5;

#[derive(Template)]
#[template(path = "grants.html")]
struct GrantsPage {
    frame: Frame,
    just_revoked: bool,
    query: GrantQuery,
    is_choosable: bool,
    active: Vec<ActiveView>,
    ended: Vec<EndedView>,
    /// Where the first page is, unless this is it.
    first: Option<String>,
    /// Where the next page is.
    next: Option<String>,
}

/// A grant that an app can use.
struct ActiveView {
    id: String,
    app: String,
    host: Text,
    created: Moment,
    expires: Moment,
    last_used: LastUse,
    usage: GrantUsage,
    is_paused: bool,
    is_usage_known: bool,
}

/// When a grant was used last.
pub enum LastUse {
    /// Its ledger can't answer.
    Unknown,
    /// Not at all.
    Never,
    /// Then.
    At(Moment),
}

struct EndedView {
    id: String,
    app: String,
    sentences: Vec<String>,
    was_revoked: bool,
    at: Moment,
}

impl GrantsPage {
    fn is_empty(&self) -> bool {
        self.active.is_empty() && self.ended.is_empty()
    }

    /// The choices of state, each with its label and whether it is chosen.
    fn states(&self) -> [(&'static str, &'static str, bool); 4] {
        let choice = |value, label, state: Option<GrantState>| (value, label, self.query.state == state);
        [
            choice("", "All", None),
            choice("active", "Active", Some(GrantState::Active)),
            choice("paused", "Paused", Some(GrantState::Paused)),
            choice("ended", "Ended", Some(GrantState::Ended)),
        ]
    }
}

/// `GET /grants`.
///
/// # Errors
/// The database can't answer. A ledger that can't is shown as such and hides nothing else.
pub async fn list<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let now = state.now;
    let just_revoked = query.as_deref() == Some("revoked");
    let query = GrantQuery::parse(&query.unwrap_or_default());
    let mut grants = state.ports.page_of_grants(&visitor.user.id, &query, PAGE + 1, now).await?;
    let has_more = grants.len() > PAGE as usize;
    grants.truncate(PAGE as usize);
    let first = query.after.as_ref().map(|_| address(&query, None));
    let next = grants.last().filter(|_| has_more).map(|last| address(&query, Some(position(last, now))));
    let is_choosable = !query.is_everything() || grants.len() >= MANY;
    let (active, ended): (Vec<Grant>, Vec<Grant>) = grants.into_iter().partition(|grant| grant.is_active(now));
    let ids: Vec<GrantId> = active.iter().map(|grant| grant.id.clone()).collect();
    let snapshots = state.ports.read_ledgers(&ids).await;
    let clients = clients_of(&state, &active).await?;
    let views = active.iter().zip(&snapshots).map(|(grant, snapshot)| {
        ActiveView::new(grant, clients.get(&grant.client_id), snapshot, (now, frame.language))
    });
    let page = GrantsPage {
        frame: frame.clone(),
        just_revoked,
        is_choosable,
        active: views.collect(),
        ended: ended.iter().map(|grant| EndedView::new(grant, now, frame.language)).collect(),
        first,
        next,
        query,
    };
    Ok(frame.html(StatusCode::OK, &page))
}

fn position(grant: &Grant, now: Timestamp) -> GrantPosition {
    GrantPosition { is_ended: !grant.is_active(now), created_at: grant.created_at, id: grant.id.clone() }
}

/// The address of what comes behind this position, with the same choice.
fn address(query: &GrantQuery, after: Option<GrantPosition>) -> String {
    let mut pairs = Serializer::new(String::new());
    if let Some(state) = query.state {
        pairs.append_pair("state", state.as_str());
    }
    if !query.search.is_empty() {
        pairs.append_pair("search", &query.search);
    }
    if let Some(after) = after {
        pairs.append_pair("after", &after.to_string());
    }
    match pairs.finish() {
        none if none.is_empty() => "/grants".to_owned(),
        pairs => format!("/grants?{pairs}"),
    }
}

/// The apps of these grants that are still registered, asked for in one go.
async fn clients_of<P: Ports>(state: &AppState<P>, grants: &[Grant]) -> Result<BTreeMap<ClientId, Client>, StoreError> {
    let ids: BTreeSet<&ClientId> = grants.iter().map(|grant| &grant.client_id).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let clients = state.ports.find_clients(&ids.into_iter().collect::<Vec<_>>()).await?;
    Ok(clients.into_iter().map(|client| (client.id.clone(), client)).collect())
}

impl ActiveView {
    fn new(
        grant: &Grant,
        client: Option<&Client>,
        snapshot: &Result<Snapshot, StoreError>,
        (now, language): (Timestamp, Language),
    ) -> Self {
        let snapshot = snapshot.as_ref().ok();
        let terms = terms_of(grant, snapshot);
        let used = snapshot.cloned().unwrap_or_default();
        Self {
            id: grant.id.to_string(),
            app: grant.client_name.clone(),
            host: place_of(client),
            created: Moment::new(grant.created_at, now),
            expires: Moment::new(terms.expires_at, now),
            last_used: LastUse::of(snapshot, now),
            usage: GrantUsage::new(terms, &used, now, language),
            is_paused: terms.paused,
            is_usage_known: snapshot.is_some(),
        }
    }
}

/// What is enforced: what the ledger says, or, before it was ever used, the row.
pub fn terms_of<'a>(grant: &'a Grant, snapshot: Option<&'a Snapshot>) -> &'a Terms {
    snapshot.and_then(|snapshot| snapshot.terms.as_ref()).unwrap_or(&grant.terms)
}

impl LastUse {
    /// As the ledger says, if it does.
    pub fn of(snapshot: Option<&Snapshot>, now: Timestamp) -> Self {
        match snapshot {
            None => Self::Unknown,
            Some(snapshot) => snapshot.last_used_at.map_or(Self::Never, |at| Self::At(Moment::new(at, now))),
        }
    }
}

/// Where the app's answers go: the host of its first redirect URI.
pub fn place_of(client: Option<&Client>) -> Text {
    let Some(client) = client else { return Text::new("an app that is no longer registered") };
    match client.redirect_uris.first().and_then(|uri| Destination::of(uri.as_str())) {
        Some(Destination::Site(host)) => Text::from(host),
        Some(Destination::InstalledApp(scheme)) => Text::new("an installed app ({0}:)").with(scheme),
        Some(Destination::ThisDevice) | None => Text::new("a program on your own computer"),
    }
}

impl EndedView {
    fn new(grant: &Grant, now: Timestamp, language: Language) -> Self {
        let sentences = grant.terms.permissions.iter().map(|permission| format::sentence(permission, language));
        Self {
            id: grant.id.to_string(),
            app: grant.client_name.clone(),
            sentences: sentences.collect(),
            was_revoked: grant.revoked_at.is_some(),
            at: Moment::new(grant.revoked_at.unwrap_or(grant.terms.expires_at), now),
        }
    }
}
