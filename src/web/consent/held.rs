//! What the app has already, and what of it ends when it gets something new.

use std::collections::BTreeSet;

use crate::{
    domain::{
        audit::{Entry, Event},
        authorization_details::Requested,
        grant::Grant,
        id::{ClientId, GrantId, UserId},
        ledger::Snapshot,
        oauth::{params::Params, pending_request::Asked},
        permission::Provider,
        time::Timestamp,
    },
    web::{
        audit,
        ending::end_grant,
        format,
        grants::terms_of,
        language::{Language, Moment},
        ports::{Ports, StoreError},
        state::AppState,
        usage::GrantUsage,
        visitor::Visitor,
    },
};

/// Most grants of one app that its consent page lists. Each asks its ledger.
const MAX_HELD: u32 = 10;
/// Most among which those are looked for that its form names: newer ones have come since it was shown, the one that it makes among them.
const MAX_LOOKED_AT: u32 = 100;

/// A grant that the app has.
#[derive(Debug)]
pub struct HeldView {
    /// Its name.
    pub id: String,
    /// What it allows, a sentence for each provider.
    pub sentences: Vec<String>,
    /// What it has spent: `0.42 of 5.00 USD in all`. `None`: its ledger can't say.
    pub spent: Option<String>,
    /// When it ends by itself: `in 6 days`.
    pub ends: String,
    /// Whether it ends when the new one begins.
    pub replaced: bool,
}

/// What the app has of this person.
///
/// # Errors
/// The database can't answer. A ledger that can't is shown as such.
pub async fn list<P: Ports>(
    state: &AppState<P>,
    user: &UserId,
    client: &ClientId,
    asked: &Asked,
    (language, filled): (Language, Option<&Params>),
) -> Result<Vec<HeldView>, StoreError> {
    let grants = active(state, user, client, MAX_HELD).await?;
    if grants.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<GrantId> = grants.iter().map(|grant| grant.id.clone()).collect();
    let snapshots = state.ports.read_ledgers(&ids).await;
    let seen = |(grant, snapshot): (&Grant, &Result<Snapshot, StoreError>)| {
        let replaced = match filled {
            Some(params) => params.all("replace").any(|id| id == grant.id.as_str()),
            None => is_in_its_place(asked, grant),
        };
        HeldView::new(grant, snapshot.as_ref().ok(), replaced, (state.now, language))
    };
    Ok(grants.iter().zip(&snapshots).map(seen).collect())
}

async fn active<P: Ports>(
    state: &AppState<P>,
    user: &UserId,
    client: &ClientId,
    most: u32,
) -> Result<Vec<Grant>, StoreError> {
    let grants = state.ports.list_active_grants_for(user, client, state.now, most).await?;
    Ok(grants.into_iter().filter(|grant| grant.is_active(state.now)).collect())
}

/// Whether the new grant is proposed in the place of this one: the app asks again for every provider that it is for, so the new one does
/// what it did. Where a device asks it may be the person's second, and the first needs what it has.
fn is_in_its_place(asked: &Asked, grant: &Grant) -> bool {
    matches!(asked, Asked::Redirect(_)) && covers(asked.requested(), grant)
}

fn covers(requested: &Requested, grant: &Grant) -> bool {
    let asked: BTreeSet<Provider> = requested.permissions.iter().map(|permission| permission.provider).collect();
    grant.terms.permissions.iter().all(|permission| asked.contains(&permission.provider))
}

impl HeldView {
    fn new(grant: &Grant, snapshot: Option<&Snapshot>, replaced: bool, (now, language): (Timestamp, Language)) -> Self {
        let terms = terms_of(grant, snapshot);
        let used = snapshot.map(|snapshot| GrantUsage::new(terms, snapshot, now, language));
        Self {
            id: grant.id.to_string(),
            sentences: terms.permissions.iter().map(|permission| format::sentence(permission, language)).collect(),
            spent: used.and_then(|used| used.overall.into_iter().next()).map(|money| money.figure),
            ends: Moment::new(terms.expires_at, now).relative(language),
            replaced,
        }
    }
}

/// Ticked where what could not be ended stays.
pub const KEEP: &str = "keep";

/// What became of the grants that a new one takes the place of.
#[derive(Debug, Default)]
pub struct Replaced {
    /// Those that ended.
    pub ended: Vec<GrantId>,
    /// Those that may not have, by their names; as the form says them where nobody could look.
    pub failed: Vec<String>,
    /// Why not, for the log.
    pub detail: Option<String>,
}

/// Ends those grants that the form names, as far as they are this person's and this app's: whatever else it names is nobody's to end
/// here (CWE-639). Safe to repeat.
pub async fn end_replaced<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    client: &ClientId,
    new: &GrantId,
    params: &Params,
) -> Replaced {
    let named: BTreeSet<&str> = params.all("replace").take(MAX_HELD as usize).collect();
    let mut replaced = Replaced::default();
    if named.is_empty() || !params.field(KEEP).is_empty() {
        return replaced;
    }
    let grants = match active(state, &visitor.user.id, client, MAX_LOOKED_AT).await {
        Ok(grants) => grants,
        Err(error) => {
            replaced.failed.extend(named.into_iter().map(str::to_owned));
            replaced.detail = Some(error.0);
            return replaced;
        }
    };
    for grant in grants.iter().filter(|grant| grant.id != *new && named.contains(grant.id.as_str())) {
        match end_grant(state, &grant.id).await {
            Ok(()) => replaced.ended.push(grant.id.clone()),
            Err(error) => {
                replaced.failed.push(grant.id.to_string());
                replaced.detail = Some(error.0);
            }
        }
    }
    replaced
}

/// What is noted of a grant that ended so.
pub fn entry<P>(state: &AppState<P>, visitor: &Visitor, id: &GrantId, app: &str, language: Language) -> Entry {
    audit::entry(state, visitor, Event::GrantRevoked)
        .grant(id)
        .subject(app)
        .detail(language.t("A newer grant took its place"))
}
