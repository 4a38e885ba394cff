//! `/grants`: what each app may do, what it used, and the way to take it back. One of them: [`super::grant`].

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{Response, StatusCode},
};

use super::{
    format,
    frame::Frame,
    language::{Language, Moment, filters},
    ports::{Ports, StoreError},
    session::SignedIn,
    state::AppState,
    trouble::Trouble,
    usage::GrantUsage,
};
use crate::domain::{
    grant::{Grant, Terms},
    id::{ClientId, GrantId},
    ledger::Snapshot,
    oauth::{client::Client, redirect_uri::Destination},
    time::Timestamp,
};

/// Most grants on the page; each active one asks its ledger.
const MAX_GRANTS: u32 = 200;
/// Most ended grants that are still shown.
const MAX_ENDED: usize = 20;

#[derive(Template)]
#[template(path = "grants.html")]
struct GrantsPage {
    frame: Frame,
    just_revoked: bool,
    active: Vec<ActiveView>,
    ended: Vec<EndedView>,
}

/// A grant that an app can use.
struct ActiveView {
    id: String,
    app: String,
    host: String,
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
    app: String,
    sentences: Vec<String>,
    how: &'static str,
    at: Moment,
}

/// `GET /grants`.
///
/// # Errors
/// The database can't answer. A ledger that can't is shown as such and hides nothing else.
pub async fn list<P: Ports>(
    State(state): State<AppState<P>>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let now = state.now;
    let grants = state.ports.list_grants(&visitor.user.id, now, MAX_GRANTS).await?;
    let (active, ended): (Vec<Grant>, Vec<Grant>) = grants.into_iter().partition(|grant| grant.is_active(now));
    let ids: Vec<GrantId> = active.iter().map(|grant| grant.id.clone()).collect();
    let snapshots = state.ports.read_ledgers(&ids).await;
    let clients = clients_of(&state, &active).await?;
    let views = active.iter().zip(&snapshots).map(|(grant, snapshot)| {
        ActiveView::new(grant, clients.get(&grant.client_id), snapshot, (now, frame.language))
    });
    let page = GrantsPage {
        frame: frame.clone(),
        just_revoked: query.as_deref() == Some("revoked"),
        active: views.collect(),
        ended: ended.iter().take(MAX_ENDED).map(|grant| EndedView::new(grant, now, frame.language)).collect(),
    };
    Ok(frame.html(StatusCode::OK, &page))
}

/// The apps of these grants that are still registered; each is asked for once.
async fn clients_of<P: Ports>(state: &AppState<P>, grants: &[Grant]) -> Result<BTreeMap<ClientId, Client>, StoreError> {
    let ids: BTreeSet<&ClientId> = grants.iter().map(|grant| &grant.client_id).collect();
    let mut clients = BTreeMap::new();
    for id in ids {
        if let Some(client) = state.ports.find_client(id).await? {
            clients.insert(id.clone(), client);
        }
    }
    Ok(clients)
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
            host: host_of(client),
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
pub fn host_of(client: Option<&Client>) -> String {
    let Some(client) = client else { return "an app that is no longer registered".to_owned() };
    match client.redirect_uris.first().and_then(|uri| Destination::of(uri.as_str())) {
        Some(Destination::Site(host)) => host,
        Some(Destination::InstalledApp(scheme)) => format!("an installed app ({scheme}:)"),
        Some(Destination::ThisDevice) | None => "a program on your own computer".to_owned(),
    }
}

impl EndedView {
    fn new(grant: &Grant, now: Timestamp, language: Language) -> Self {
        let (how, at) = grant.revoked_at.map_or(("Expired", grant.terms.expires_at), |at| ("Revoked", at));
        Self {
            app: grant.client_name.clone(),
            sentences: grant
                .terms
                .permissions
                .iter()
                .map(|permission| format::sentence(permission, language))
                .collect(),
            how,
            at: Moment::new(at, now),
        }
    }
}
