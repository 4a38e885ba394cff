//! `POST /token`: authorization codes and refresh tokens become access tokens (RFC 6749 §4.1.3, §6).
//!
//! What is presented is checked first and used up then, in one conditional write; whoever comes second ends the grant, since one of
//! the two is a thief (RFC 6749 §4.1.2, RFC 9700 §4.14.2).

use axum::{
    body::Body,
    extract::{Request, State},
    http::Response,
};
use serde::Serialize;

use super::{
    client_auth::authenticated_form,
    oauth_response::{EndpointError, no_store},
    ports::{Ports, Write},
    revoke::end_grant,
    state::AppState,
    token_device,
};
use crate::domain::{
    access_token::{ACCESS_TOKEN_TTL_SECONDS, AccessClaims},
    authorization_details::GrantedDetail,
    encoding::base64url,
    grant::Grant,
    id::GrantId,
    oauth::{
        client::Client,
        code::{Binding, RefreshTokenRow},
        error::TokenError,
        pkce::CodeVerifier,
        token_request::{TokenRequest, granted_scope, keeps_scope},
    },
    secret::{AuthorizationCode, RefreshToken, Secret},
    time::Timestamp,
};

/// RFC 6749 §5.1, with RFC 9396 §7.
#[derive(Serialize)]
struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    authorization_details: Vec<GrantedDetail>,
}

/// `POST /token`.
///
/// # Errors
/// [`EndpointError`].
pub async fn serve<P: Ports>(
    State(state): State<AppState<P>>,
    request: Request,
) -> Result<Response<Body>, EndpointError> {
    let (client, params) = authenticated_form(&state, request).await?;
    match TokenRequest::parse(&params)? {
        TokenRequest::AuthorizationCode { code, redirect_uri, verifier } => {
            redeem(&state, &client, &code, &redirect_uri, &verifier).await
        }
        TokenRequest::RefreshToken { token, scope } => refresh(&state, &client, &token, scope.as_deref()).await,
        TokenRequest::DeviceCode { code } => {
            let redeemed = token_device::redeem(&state, &client, &code, None).await?;
            respond(&state, &redeemed.grant, redeemed.refresh_token.as_ref())
        }
    }
}

async fn redeem<P: Ports>(
    state: &AppState<P>,
    client: &Client,
    code: &Secret<AuthorizationCode>,
    redirect_uri: &str,
    verifier: &CodeVerifier,
) -> Result<Response<Body>, EndpointError> {
    let row = state.ports.find_code(&code.hash()).await?.ok_or(TokenError::UnknownCode)?;
    match row.check(client, redirect_uri, verifier, state.now) {
        Err(TokenError::CodeReplayed(grant_id)) => {
            return end_and_refuse(state, grant_id, TokenError::CodeReplayed).await;
        }
        checked => checked?,
    }
    let grant = active_grant(state, &row.grant_id).await?;
    let (secret, next) = next_refresh_token(state, client, &grant, row.binding.clone());
    match state.ports.redeem_code(&row.hash, &row.grant_id, Some(&next), state.now).await? {
        Write::Won => respond(state, &grant, Some(&secret)),
        // Somebody with the same verifier was faster.
        Write::Lost => end_and_refuse(state, row.grant_id, TokenError::CodeReplayed).await,
    }
}

async fn refresh<P: Ports>(
    state: &AppState<P>,
    client: &Client,
    token: &Secret<RefreshToken>,
    scope: Option<&str>,
) -> Result<Response<Body>, EndpointError> {
    let row = state.ports.find_refresh_token(&token.hash()).await?.ok_or(TokenError::UnknownRefreshToken)?;
    match row.check(client, state.now) {
        Err(TokenError::RefreshReplayed(grant_id)) => {
            return end_and_refuse(state, grant_id, TokenError::RefreshReplayed).await;
        }
        checked => checked?,
    }
    let grant = active_grant(state, &row.grant_id).await?;
    if scope.is_some_and(|scope| !keeps_scope(&grant.terms, scope)) {
        return Err(TokenError::ScopeChange.into());
    }
    let (secret, next) = next_refresh_token(state, client, &grant, row.binding.clone());
    match state.ports.rotate_refresh_token(&row.hash, &next, state.now).await? {
        Write::Won => respond(state, &grant, Some(&secret)),
        Write::Lost => end_and_refuse(state, row.grant_id, TokenError::RefreshReplayed).await,
    }
}

async fn end_and_refuse<P: Ports>(
    state: &AppState<P>,
    grant_id: GrantId,
    reason: fn(GrantId) -> TokenError,
) -> Result<Response<Body>, EndpointError> {
    end_grant(state, &grant_id).await?;
    Err(reason(grant_id).into())
}

/// The grant, unless it has ended.
///
/// # Errors
/// [`TokenError::GrantEnded`], or the store can't answer.
pub async fn active_grant<P: Ports>(state: &AppState<P>, id: &GrantId) -> Result<Grant, EndpointError> {
    let grant = state.ports.find_grant(id).await?.filter(|grant| grant.is_active(state.now));
    Ok(grant.ok_or(TokenError::GrantEnded)?)
}

/// A new refresh token, and the row that it will have.
pub fn next_refresh_token<P: Ports>(
    state: &AppState<P>,
    client: &Client,
    grant: &Grant,
    binding: Binding,
) -> (Secret<RefreshToken>, RefreshTokenRow) {
    let secret = Secret::from_entropy(&state.ports.entropy32());
    let row = RefreshTokenRow {
        hash: secret.hash(),
        grant_id: grant.id.clone(),
        client_id: client.id.clone(),
        binding,
        created_at: state.now,
        expires_at: grant.terms.expires_at,
        rotated_at: None,
    };
    (secret, row)
}

fn respond<P: Ports>(
    state: &AppState<P>,
    grant: &Grant,
    refresh_token: Option<&Secret<RefreshToken>>,
) -> Result<Response<Body>, EndpointError> {
    // Whole seconds, as they stand in the token.
    let issued_at = Timestamp::from_seconds(state.now.seconds());
    let expires_at = issued_at.plus_seconds(ACCESS_TOKEN_TTL_SECONDS).min(grant.terms.expires_at);
    let claims = AccessClaims {
        issuer: state.config.issuer.clone(),
        subject: grant.user_id.clone(),
        client_id: grant.client_id.clone(),
        grant_id: grant.id.clone(),
        jwt_id: base64url(&state.ports.entropy16()),
        issued_at,
        expires_at,
    };
    let access_token =
        state.config.signing_keys.sign(&claims).map_err(|error| EndpointError::Broken(error.to_string()))?;
    Ok(no_store(&TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: expires_at.seconds().saturating_sub(issued_at.seconds()),
        refresh_token: refresh_token.map(|secret| secret.expose_secret().to_owned()),
        scope: granted_scope(&grant.terms),
        authorization_details: GrantedDetail::list(&grant.terms, &state.config.issuer),
    }))
}
