//! `POST /introspect` (RFC 7662): what a token of one's own is worth, and how much of each limit is left.

use axum::{body::Body, extract::Request, http::Response};
use serde_json::{Map, Value, json};

use super::{
    client_auth::{Caller, authenticated_form},
    limit_report::report,
    oauth_response::{EndpointError, no_store},
    ports::{Ports, StoreError},
    state::AppState,
};
use crate::domain::{
    access_token::AccessClaims,
    authorization_details::GrantedDetail,
    grant::{Grant, Terms},
    id::{ClientId, GrantId},
    ledger::{ScopeUsage, Snapshot},
    narrowing,
    oauth::{
        client::{Client, ClientAuth},
        code::RefreshTokenRow,
        error::TokenError,
    },
    permission::Permission,
    secret::{RefreshToken, Secret},
};

/// `POST /introspect`. A token that is unknown, over, or another client's is inactive, and nothing more is said of it (§2.2, §4).
///
/// # Errors
/// [`EndpointError`]. A public client is refused: whoever finds a token could else ask what it is worth (§2.1).
pub async fn serve<P: Ports>(state: AppState<P>, request: Request) -> Result<Response<Body>, EndpointError> {
    let Caller { client, params, .. } = authenticated_form(&state, request).await?;
    if client.auth == ClientAuth::Public {
        return Err(TokenError::PublicClient.into());
    }
    let token = params.get("token").map_err(TokenError::from)?.ok_or(TokenError::Missing("token"))?;
    let described = describe(&state, &client, token).await?;
    Ok(no_store(&described.map_or_else(|| json!({ "active": false }), Value::Object)))
}

async fn describe<P: Ports>(
    state: &AppState<P>,
    client: &Client,
    token: &str,
) -> Result<Option<Map<String, Value>>, EndpointError> {
    if let Ok(refresh) = Secret::<RefreshToken>::parse(token) {
        let row = state.ports.find_refresh_token(&refresh.hash()).await?;
        let is_live = |row: &RefreshTokenRow| row.rotated_at.is_none() && state.now < row.expires_at;
        let Some(row) = row.filter(is_live) else { return Ok(None) };
        let Some((grant, snapshot)) = live(state, client, &row.client_id, &row.grant_id).await? else {
            return Ok(None);
        };
        let mut members = of_grant(state, &grant, &snapshot, None);
        members.insert("exp".to_owned(), json!(row.expires_at.seconds()));
        members.insert("iat".to_owned(), json!(row.created_at.seconds()));
        return Ok(Some(members));
    }
    let Ok(claims) = state.config.signing_keys.verify(token, &state.config.issuer, state.now) else { return Ok(None) };
    let Some((grant, snapshot)) = live(state, client, &claims.client_id, &claims.grant_id).await? else {
        return Ok(None);
    };
    let mut members = match &claims.delegation {
        None if snapshot.tokens_revoked_until.is_some_and(|until| claims.issued_at <= until) => return Ok(None),
        None => of_grant(state, &grant, &snapshot, claims.narrowed.as_deref()),
        Some(id) => {
            let line = snapshot.line_of(id);
            let Some(own) = line.first() else { return Ok(None) };
            if line.iter().any(|one| one.revoked_at.is_some() || state.now >= one.terms.expires_at) {
                return Ok(None);
            }
            let terms = Terms {
                permissions: own.terms.permissions.clone(),
                limits: own.terms.limits,
                expires_at: own.terms.expires_at,
                ..grant.terms.clone()
            };
            let mut members = basic(state, &grant, terms.paused);
            let details = details(state, &terms, &own.overall, &own.permissions);
            members.insert("authorization_details".to_owned(), details);
            members
        }
    };
    add_claims(&mut members, &claims);
    Ok(Some(members))
}

/// The grant behind a token, if it is this client's and lives, and what its ledger says.
async fn live<P: Ports>(
    state: &AppState<P>,
    client: &Client,
    owner: &ClientId,
    grant_id: &GrantId,
) -> Result<Option<(Grant, Snapshot)>, EndpointError> {
    if *owner != client.id {
        return Ok(None);
    }
    let grant = state.ports.find_grant(grant_id).await?.filter(|grant| grant.is_active(state.now));
    let Some(grant) = grant else { return Ok(None) };
    let mut snapshots = state.ports.read_ledgers(core::slice::from_ref(grant_id)).await;
    let snapshot = snapshots.pop().ok_or_else(|| StoreError("no answer of the ledger".to_owned()))??;
    // The ledger knows of a revocation first.
    Ok(snapshot.revoked_at.is_none().then_some((grant, snapshot)))
}

fn basic<P: Ports>(state: &AppState<P>, grant: &Grant, paused: bool) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("active".to_owned(), json!(true));
    members.insert("iss".to_owned(), json!(state.config.issuer));
    members.insert("sub".to_owned(), json!(grant.user_id));
    members.insert("client_id".to_owned(), json!(grant.client_id));
    members.insert("grant_id".to_owned(), json!(grant.id));
    if paused {
        members.insert("paused".to_owned(), json!(true));
    }
    members
}

/// `narrowed`: what the token may do of it, if not all.
fn of_grant<P: Ports>(
    state: &AppState<P>,
    grant: &Grant,
    snapshot: &Snapshot,
    narrowed: Option<&[Permission]>,
) -> Map<String, Value> {
    let terms = snapshot.terms.as_ref().unwrap_or(&grant.terms);
    let mut members = basic(state, grant, terms.paused);
    let details = match narrowed {
        None => details(state, terms, &snapshot.overall, &snapshot.permissions),
        Some(narrowed) => {
            let usage = |position: usize| snapshot.permissions.get(position).copied().unwrap_or_default();
            let bound = narrowing::bound(&terms.permissions, narrowed);
            let (usages, permissions): (Vec<_>, _) = bound.into_iter().map(|(at, bound)| (usage(at), bound)).unzip();
            details(state, &Terms { permissions, ..terms.clone() }, &snapshot.overall, &usages)
        }
    };
    members.insert("authorization_details".to_owned(), details);
    members
}

/// What was granted (RFC 9396 §9.2), each entry with a member `usage` for the limits that it has.
fn details<P: Ports>(state: &AppState<P>, terms: &Terms, overall: &ScopeUsage, permissions: &[ScopeUsage]) -> Value {
    let mut usages = permissions.iter();
    let list = GrantedDetail::list(terms, &state.config.issuer);
    let list = list.into_iter().map(|detail| {
        let (limits, usage) = match &detail {
            GrantedDetail::Access { permission, .. } => (permission.limits, usages.next().copied().unwrap_or_default()),
            GrantedDetail::Limits { limits } => (*limits, *overall),
        };
        let mut value = json!(detail);
        if let (Some(members), false) = (value.as_object_mut(), limits.is_empty()) {
            members.insert("usage".to_owned(), json!(report(&limits, &usage, state.now)));
        }
        value
    });
    Value::Array(list.collect())
}

fn add_claims(members: &mut Map<String, Value>, claims: &AccessClaims) {
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    add("token_type", json!(if claims.confirmation.is_some() { "DPoP" } else { "Bearer" }));
    add("exp", json!(claims.expires_at.seconds()));
    add("iat", json!(claims.issued_at.seconds()));
    add("jti", json!(claims.jwt_id));
    let audience = match claims.audience.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    add("aud", audience);
    if let Some(scope) = &claims.scope {
        add("scope", json!(scope));
    }
    if let Some(jkt) = &claims.confirmation {
        add("cnf", json!({ "jkt": jkt }));
    }
    if let Some(delegation) = &claims.delegation {
        add("delegation", json!(delegation));
    }
    if let Some(at) = claims.auth_time {
        add("auth_time", json!(at.seconds()));
    }
}
