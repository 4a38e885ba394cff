//! Narrower tokens that the app gave to others (token exchange, RFC 8693): what each may do and has used, and the way to end it.

use axum::{body::Body, extract::Path, http::Response};

use super::own_grant;
use crate::{
    domain::{
        audit::Event,
        grant::Terms,
        id::DelegationId,
        ledger::{DelegationUsage, Snapshot},
        time::Timestamp,
    },
    web::{
        audit,
        language::{Language, Moment},
        page::see_other,
        ports::Ports,
        session::OwnForm,
        state::AppState,
        trouble::Trouble,
        usage::GrantUsage,
    },
};

/// Letters of a name that are shown.
const SHOWN: usize = 8;

/// A delegation.
pub struct DelegationView {
    pub id: String,
    /// What tells it from others.
    pub name: String,
    /// The one that it was narrowed from, unless that is the grant.
    pub parent: Option<String>,
    pub usage: GrantUsage,
    pub expires: Moment,
    /// It ended, and calls of it are still in flight.
    pub is_ending: bool,
}

/// The name of a delegation, as short as people can compare.
pub fn short(id: &str) -> String {
    let own = id.strip_prefix("delegation_").unwrap_or(id);
    own.chars().take(SHOWN).collect()
}

impl DelegationView {
    pub fn new(used: &DelegationUsage, now: Timestamp, language: Language) -> Self {
        let of = &used.terms;
        let terms = Terms {
            permissions: of.permissions.clone(),
            limits: of.limits,
            expires_at: of.expires_at,
            paused: false,
            account: None,
            ceiling: None,
            policy: 0,
            revision: 0,
        };
        let as_grant = Snapshot { overall: used.overall, permissions: used.permissions.clone(), ..Snapshot::default() };
        Self {
            id: of.id.to_string(),
            name: short(of.id.as_str()),
            parent: of.parent.as_ref().map(|parent| short(parent.as_str())),
            usage: GrantUsage::new(&terms, &as_grant, now, language),
            expires: Moment::new(of.expires_at, now),
            is_ending: used.revoked_at.is_some() || now >= of.expires_at,
        }
    }
}

/// `POST /grants/{grant_id}/delegations/{delegation_id}/revoke`: when this answers, its next call is refused, and so is every call of
/// what was narrowed from it. One that isn't there has ended.
///
/// # Errors
/// No such grant of this person, or the ledger can't answer.
pub async fn revoke_delegation<P: Ports>(
    state: AppState<P>,
    Path((id, delegation)): Path<(String, String)>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &form.visitor, &id).await?;
    let delegation: DelegationId = delegation.parse().map_err(|_| Trouble::not_found())?;
    state.ports.revoke_delegation(&grant.id, &delegation).await?;
    let entry = audit::entry(&state, &form.visitor, Event::DelegationRevoked)
        .grant(&grant.id)
        .subject(&grant.client_name)
        .detail(&short(delegation.as_str()));
    let answer = see_other(&format!("/grants/{}?delegation", grant.id));
    Ok(audit::note(&state, &form.frame, entry, answer).await)
}
