//! Token exchange (RFC 8693): an app's backend narrows its token for one of its agents.
//!
//! The new token names a delegation, which lives in the ledger of the grant: fewer models, limits of its own that also count in the
//! grant's, a shorter life. It can be narrowed again, and is revoked by itself or with anything above it. It comes without a refresh
//! token and ends no later than the token that it was narrowed from: whoever stole that one gains no time.

use super::issue::{Ask, TokenResponse};
use crate::domain::{
    access_token::AccessClaims,
    authorization_details::{GrantedDetail, Requested},
    grant::{Grant, Terms},
    id::DelegationId,
    ledger::{Beyond, Delegate, Refusal},
    limits::Limits,
    narrowing,
    oauth::{
        error::TokenError,
        exchange_request::{ACCESS_TOKEN_TYPE, ExchangeRequest},
        resource::Resources,
        token_request::{Wanted, granted_scope},
    },
    permission::Permission,
    time::Timestamp,
};
use crate::web::{
    dpop,
    oauth_response::EndpointError,
    ports::{Ports, StoreError},
};

/// Answers a token exchange.
///
/// # Errors
/// [`EndpointError`].
pub async fn serve<P: Ports>(
    ask: &Ask<'_, P>,
    exchange: &ExchangeRequest,
    wanted: Wanted,
) -> Result<TokenResponse, EndpointError> {
    let state = ask.state;
    let issuer = &state.config.issuer;
    let subject = state.config.signing_keys.verify(&exchange.subject_token, issuer, state.now);
    let subject = subject.map_err(|_| TokenError::SubjectToken)?;
    if subject.client_id != ask.client.id {
        return Err(TokenError::SubjectToken.into());
    }
    // Whoever narrows a bound token must hold its key.
    dpop::check_bound(state, ask.proof.as_ref(), subject.confirmation.as_ref())?;
    let grant = state.ports.find_grant(&subject.grant_id).await?.filter(|grant| grant.is_active(state.now));
    let grant = grant.ok_or(TokenError::SubjectToken)?;

    let parent = parent(ask, &subject, &grant).await?;
    let requested = match wanted.requested {
        None => Requested { permissions: parent.clone(), limits: Limits::NONE },
        Some(asked) if wanted.by_scope => {
            let permissions = narrowing::of_scope(&parent, &asked.permissions);
            if permissions.is_empty() {
                return Err(TokenError::WiderScope.into());
            }
            Requested { permissions, ..asked }
        }
        Some(asked) => asked,
    };
    for (index, permission) in requested.permissions.iter().enumerate() {
        if !parent.iter().any(|held| permission.is_within(held)) {
            return Err(TokenError::Delegation(beyond(Beyond::Permission(index))).into());
        }
    }
    let asked = exchange.audience(wanted.resources, issuer)?;
    let resources = Resources::of_audience(&subject.audience, issuer).narrowed_to(asked, issuer);
    let resources = resources.map_err(TokenError::from)?;

    let now = Timestamp::from_seconds(state.now.seconds());
    let ends =
        exchange.expires_in.map_or(subject.expires_at, |seconds| now.plus_seconds(seconds).min(subject.expires_at));
    let id = DelegationId::from_entropy(state.ports.entropy16());
    let delegate = Delegate {
        id: id.clone(),
        parent: subject.delegation.clone(),
        permissions: requested.permissions.clone(),
        limits: requested.limits,
        expires_at: ends,
        issued_at: subject.delegation.is_none().then_some(subject.issued_at),
    };
    let claims = ask.claims(&grant, &resources, ends);
    let claims = AccessClaims {
        scope: granted_scope(&requested.permissions),
        auth_time: subject.auth_time,
        delegation: Some(id),
        confirmation: exchange.dpop_jkt.clone().or(claims.confirmation),
        ..claims
    };
    let terms = Terms { permissions: requested.permissions, limits: requested.limits, ..grant.terms };
    let response = ask.sign(&claims, GrantedDetail::list(&terms, issuer))?.exchanged(ACCESS_TOKEN_TYPE);
    match state.ports.delegate(&subject.grant_id, delegate).await? {
        Ok(()) => Ok(response),
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// What the subject token may do: of the grant, of a delegation, or what it was narrowed to.
async fn parent<P: Ports>(
    ask: &Ask<'_, P>,
    subject: &AccessClaims,
    grant: &Grant,
) -> Result<Vec<Permission>, EndpointError> {
    if let Some(narrowed) = &subject.narrowed {
        return Ok(narrowed.clone());
    }
    let Some(delegation) = &subject.delegation else {
        return Ok(grant.terms.permissions.iter().map(|permission| without_limits(permission.clone())).collect());
    };
    let mut snapshots = ask.state.ports.read_ledgers(core::slice::from_ref(&subject.grant_id)).await;
    let snapshot = snapshots.pop().ok_or_else(|| StoreError("no answer of the ledger".to_owned()))??;
    let found = snapshot.delegations.into_iter().find(|one| one.terms.id == *delegation);
    let found = found.ok_or(TokenError::SubjectToken)?;
    Ok(found.terms.permissions.into_iter().map(without_limits).collect())
}

/// Of a child its own limits are asked for; those above it bind it anyway.
fn without_limits(permission: Permission) -> Permission {
    Permission { limits: Limits::NONE, ..permission }
}

fn refused(refusal: &Refusal) -> EndpointError {
    match refusal {
        Refusal::NotWithinParent(reason) => TokenError::Delegation(beyond(*reason)).into(),
        Refusal::TooManyDelegations => {
            TokenError::Delegation("this grant has as many delegations as it can have; revoke one".to_owned()).into()
        }
        Refusal::NoSuchGrant | Refusal::NoSuchDelegation | Refusal::Revoked | Refusal::Expired => {
            TokenError::SubjectToken.into()
        }
        other => EndpointError::Broken(format!("unexpected refusal {other:?}")),
    }
}

fn beyond(reason: Beyond) -> String {
    match reason {
        Beyond::Permission(index) => format!("entry {index} is not within any single entry of the subject token"),
        Beyond::PermissionLimits(index) => format!("entry {index} has a limit above that of the subject token"),
        Beyond::Limits => "a limit over everything is above that of the subject token".to_owned(),
        Beyond::ExpiresAt => "it would end later than the subject token".to_owned(),
        Beyond::Depth => "a token can not be narrowed so many times in a row".to_owned(),
    }
}
