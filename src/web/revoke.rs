//! `POST /revoke` (RFC 7009).

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Response, StatusCode, header},
    response::IntoResponse,
};

use super::{
    audit,
    client_auth::{Caller, authenticated_form},
    ending::end_grant,
    frame::Frame,
    grant::{read_ledger, short},
    oauth_response::EndpointError,
    ports::{Ports, StoreError},
    state::AppState,
};
use crate::domain::{
    audit::{Actor, Entry, Event},
    id::{ClientId, DelegationId, GrantId},
    oauth::error::TokenError,
    secret::{RefreshToken, Secret},
    time::Timestamp,
};

/// `POST /revoke`. A refresh token ends the whole grant (RFC 7009 §2.1). An access token is refused from the next call on, and what was
/// narrowed from it; the refresh token stays. That of a delegation ends the delegation. A token that is unknown, expired, revoked before
/// or another client's is answered 200 and nothing is done (§2.2): who asks learns nothing of it.
///
/// # Errors
/// [`EndpointError`].
pub async fn serve<P: Ports>(state: AppState<P>, request: Request) -> Result<Response<Body>, EndpointError> {
    let Caller { client, params, headers } = authenticated_form(&state, request).await?;
    let token = params.get("token").map_err(TokenError::from)?.ok_or(TokenError::Missing("token"))?;
    let Some(found) = find(&state, token).await?.filter(|found| found.owner == client.id) else { return Ok(done()) };
    match &found.ends {
        Ends::Grant => end(&state, &headers, &found.grant_id).await,
        Ends::Tokens { issued_at } => end_tokens(&state, &found.grant_id, *issued_at).await,
        Ends::Delegation(delegation) => end_delegation(&state, &headers, &found.grant_id, delegation).await,
    }
}

fn done() -> Response<Body> {
    (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response()
}

/// Ends a grant for its app. Whoever gave it finds that among what happened.
async fn end<P: Ports>(
    state: &AppState<P>,
    headers: &HeaderMap,
    id: &GrantId,
) -> Result<Response<Body>, EndpointError> {
    let alive = state.ports.find_grant(id).await?.filter(|grant| grant.is_active(state.now));
    end_grant(state, id).await?;
    let Some(grant) = alive else { return Ok(done()) };
    let entry = audit::ended(state, &grant, Actor::App, "the app gave it back");
    Ok(audit::note(state, &Frame::of_program(headers), entry, done()).await)
}

/// Ends the access tokens of a grant that were issued at this second or before. The answer leaves when that second has passed: a token
/// that the app asks for afterwards is issued later, and good.
async fn end_tokens<P: Ports>(
    state: &AppState<P>,
    id: &GrantId,
    issued_at: Timestamp,
) -> Result<Response<Body>, EndpointError> {
    state.ports.revoke_tokens(id, issued_at).await?;
    let next_second = Timestamp::from_seconds(issued_at.seconds()).plus_seconds(1);
    if state.now < next_second {
        state.ports.wait(next_second.millis().saturating_sub(state.now.millis())).await;
    }
    Ok(done())
}

/// Ends what was narrowed from a grant. Whoever gave the grant finds that among what happened: once, however often the app asks.
async fn end_delegation<P: Ports>(
    state: &AppState<P>,
    headers: &HeaderMap,
    id: &GrantId,
    delegation: &DelegationId,
) -> Result<Response<Body>, EndpointError> {
    let before = read_ledger(state, id).await.map_err(StoreError)?;
    state.ports.revoke_delegation(id, delegation).await?;
    let is_new = before.delegations.iter().any(|one| one.terms.id == *delegation && one.revoked_at.is_none());
    let grant = if is_new { state.ports.find_grant(id).await? } else { None };
    let Some(grant) = grant.filter(|grant| grant.is_active(state.now)) else { return Ok(done()) };
    let entry = Entry::new(Event::DelegationRevoked, grant.user_id.clone(), state.now).by(Actor::App);
    let entry = entry.grant(&grant.id).subject(&grant.client_name).detail(&short(delegation.as_str()));
    Ok(audit::note(state, &Frame::of_program(headers), entry, done()).await)
}

/// Whose a token is and what it belongs to.
struct Found {
    owner: ClientId,
    grant_id: GrantId,
    ends: Ends,
}

/// What ends with a token.
enum Ends {
    /// The whole grant.
    Grant,
    /// The access tokens that were issued until then, as it was.
    Tokens { issued_at: Timestamp },
    /// What was narrowed from the grant.
    Delegation(DelegationId),
}

/// The `token_type_hint` isn't needed: a token says what it is.
async fn find<P: Ports>(state: &AppState<P>, token: &str) -> Result<Option<Found>, EndpointError> {
    if let Ok(refresh) = Secret::<RefreshToken>::parse(token) {
        let row = state.ports.find_refresh_token(&refresh.hash()).await?;
        return Ok(row.map(|row| Found { owner: row.client_id, grant_id: row.grant_id, ends: Ends::Grant }));
    }
    let claims = state.config.signing_keys.verify(token, &state.config.issuer, state.now);
    Ok(claims.ok().map(|claims| Found {
        owner: claims.client_id,
        grant_id: claims.grant_id,
        ends: claims.delegation.map_or(Ends::Tokens { issued_at: claims.issued_at }, Ends::Delegation),
    }))
}
