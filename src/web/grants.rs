//! `/grants`: what each app may do, what it used, and the way to take it back.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, RawQuery, State},
    http::{Response, StatusCode},
};

use super::{
    format::{self, Moment, thousands},
    page::{Trouble, html, see_other},
    ports::{Ports, StoreError},
    revoke::end_grant,
    session::{OwnForm, SignedIn},
    state::AppState,
    visitor::Visitor,
};
use crate::domain::{
    grant::Grant,
    id::{ClientId, GrantId},
    ledger::{ScopeUsage, Snapshot},
    limits::Limits,
    oauth::{client::Client, redirect_uri::Destination},
    permission::Permission,
    time::Timestamp,
};

/// Most grants on the page; each active one asks its ledger.
const MAX_GRANTS: u32 = 200;
/// Most ended grants that are still shown.
const MAX_ENDED: usize = 20;

#[derive(Template)]
#[template(path = "grants.html")]
struct GrantsPage {
    visitor: Option<Visitor>,
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
    permissions: Vec<PermissionView>,
    limits: Vec<Usage>,
    is_usage_known: bool,
}

enum LastUse {
    Unknown,
    Never,
    At(Moment),
}

struct PermissionView {
    sentence: String,
    usage: Vec<Usage>,
}

/// What was used of a limit; without a limit, what was used.
struct Usage {
    label: &'static str,
    used: String,
    /// `None`: there is no limit.
    allowed: Option<String>,
    /// Of the limit, in percent.
    percent: u64,
    /// Calls that run at this moment.
    in_flight: u64,
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
    SignedIn(visitor): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let now = state.now;
    let grants = state.ports.list_grants(&visitor.user.id, now, MAX_GRANTS).await?;
    let (active, ended): (Vec<Grant>, Vec<Grant>) = grants.into_iter().partition(|grant| grant.is_active(now));
    let ids: Vec<GrantId> = active.iter().map(|grant| grant.id.clone()).collect();
    let snapshots = state.ports.read_ledgers(&ids).await;
    let clients = clients_of(&state, &active).await?;
    let views = active
        .iter()
        .zip(&snapshots)
        .map(|(grant, snapshot)| ActiveView::new(grant, clients.get(&grant.client_id), snapshot, now));
    let page = GrantsPage {
        visitor: Some(visitor),
        just_revoked: query.as_deref() == Some("revoked"),
        active: views.collect(),
        ended: ended.iter().take(MAX_ENDED).map(|grant| EndedView::new(grant, now)).collect(),
    };
    Ok(html(StatusCode::OK, &page))
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

/// `POST /grants/{grant_id}/revoke`: when this answers, the app's next call is refused.
///
/// # Errors
/// No such grant of this person, or the ledger or database can't answer.
pub async fn revoke<P: Ports>(
    State(state): State<AppState<P>>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let id: GrantId = id.parse().map_err(|_| Trouble::not_found())?;
    let grant = state.ports.find_grant(&id).await?;
    grant.filter(|grant| grant.user_id == form.visitor.user.id).ok_or_else(Trouble::not_found)?;
    end_grant(&state, &id).await?;
    Ok(see_other("/grants?revoked"))
}

impl ActiveView {
    fn new(grant: &Grant, client: Option<&Client>, snapshot: &Result<Snapshot, StoreError>, now: Timestamp) -> Self {
        let snapshot = snapshot.as_ref().ok();
        let nothing = ScopeUsage::default();
        let overall = snapshot.map_or(nothing, |snapshot| snapshot.overall);
        let permissions = grant.terms.permissions.iter().enumerate().map(|(index, permission)| {
            let used = snapshot.and_then(|snapshot| snapshot.permissions.get(index).copied()).unwrap_or(nothing);
            PermissionView::new(permission, used)
        });
        Self {
            id: grant.id.to_string(),
            app: grant.client_name.clone(),
            host: client.map_or_else(|| "an app that is no longer registered".to_owned(), host),
            created: Moment::new(grant.created_at, now),
            expires: Moment::new(grant.terms.expires_at, now),
            last_used: match snapshot {
                None => LastUse::Unknown,
                Some(snapshot) => snapshot.last_used_at.map_or(LastUse::Never, |at| LastUse::At(Moment::new(at, now))),
            },
            permissions: permissions.collect(),
            limits: if grant.terms.limits.is_empty() { Vec::new() } else { usage(&grant.terms.limits, overall) },
            is_usage_known: snapshot.is_some(),
        }
    }
}

/// Where the app's answers go: the host of its first redirect URI.
fn host(client: &Client) -> String {
    match client.redirect_uris.first().and_then(|uri| Destination::of(uri.as_str())) {
        Some(Destination::Site(host)) => host,
        Some(Destination::InstalledApp(scheme)) => format!("an installed app ({scheme}:)"),
        Some(Destination::ThisDevice) | None => "a program on your own computer".to_owned(),
    }
}

impl PermissionView {
    fn new(permission: &Permission, used: ScopeUsage) -> Self {
        Self { sentence: format::sentence(permission), usage: usage(&permission.limits, used) }
    }
}

/// Requests always; what limits a moment only where there is such a limit.
fn usage(limits: &Limits, used: ScopeUsage) -> Vec<Usage> {
    let line = |label, used: u64, allowed: Option<u64>, in_flight| Usage {
        label,
        used: thousands(used),
        allowed: allowed.map(thousands),
        percent: allowed.map_or(0, |allowed| (used.saturating_mul(100) / allowed.max(1)).min(100)),
        in_flight,
    };
    let requests = limits.requests.map(core::num::NonZeroU64::get);
    let rate = limits.requests_per_minute.map(|rate| u64::from(rate.get()));
    let concurrency = limits.concurrency.map(|most| u64::from(most.get()));
    let mut lines = vec![line("Requests", used.requests_used, requests, used.in_flight)];
    lines.extend(rate.map(|rate| line("In the last minute", used.last_minute, Some(rate), 0)));
    lines.extend(concurrency.map(|most| line("At this moment", used.in_flight, Some(most), 0)));
    lines
}

impl EndedView {
    fn new(grant: &Grant, now: Timestamp) -> Self {
        let (how, at) = grant.revoked_at.map_or(("Expired", grant.terms.expires_at), |at| ("Revoked", at));
        Self {
            app: grant.client_name.clone(),
            sentences: grant.terms.permissions.iter().map(format::sentence).collect(),
            how,
            at: Moment::new(at, now),
        }
    }
}
