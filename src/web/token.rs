//! `POST /token`: codes and refresh tokens become access tokens (RFC 6749 §4.1.3, §6), and tokens become narrower ones (RFC 8693).
//!
//! What is presented is checked first, the answer is made, and only then what was presented is used up, in one conditional write;
//! whoever comes second ends the grant, since one of the two is a thief (RFC 6749 §4.1.2, RFC 9700 §4.14.2).

use axum::{
    body::Body,
    extract::{Request, State},
    http::Response,
};
use serde::Serialize;

use super::{
    client_auth::{Caller, authenticated_form},
    dpop,
    oauth_response::{EndpointError, no_store},
    ports::{Ports, Write},
    revoke::end_grant,
    state::AppState,
    token_device, token_exchange,
};
use crate::domain::{
    access_token::{ACCESS_TOKEN_TTL_SECONDS, AccessClaims, AccessTokenError},
    authorization_details::GrantedDetail,
    encoding::base64url,
    grant::Grant,
    id::GrantId,
    narrowing::{self, NarrowingError},
    oauth::{
        client::{Client, ClientAuth, GrantType},
        code::{Binding, RefreshTokenRow},
        dpop::Proof,
        error::TokenError,
        pkce::CodeVerifier,
        resource::Resources,
        token_request::{TokenRequest, Wanted, granted_scope},
    },
    secret::{AuthorizationCode, RefreshToken, Secret},
    time::Timestamp,
};

/// RFC 6749 §5.1, with RFC 9396 §7 and RFC 8693 §2.2.1.
#[derive(Debug, Serialize)]
pub struct TokenResponse {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    authorization_details: Vec<GrantedDetail>,
}

/// A request whose client and key are proven.
pub struct Ask<'a, P> {
    /// The broker.
    pub state: &'a AppState<P>,
    /// Who asks.
    pub client: &'a Client,
    /// With which key, if with any.
    pub proof: Option<Proof>,
}

/// `POST /token`.
///
/// # Errors
/// [`EndpointError`].
pub async fn serve<P: Ports>(
    State(state): State<AppState<P>>,
    request: Request,
) -> Result<Response<Body>, EndpointError> {
    let Caller { client, params, headers } = authenticated_form(&state, request).await?;
    let proof = dpop::proof(&state, &headers, "/token").await?;
    if client.requires_dpop && proof.is_none() {
        return Err(dpop::required(&state));
    }
    let request = TokenRequest::parse(&params)?;
    if !client.may_use(request.grant_type()) {
        return Err(TokenError::GrantTypeNotRegistered.into());
    }
    let wanted = Wanted::parse(&params, &state.config.issuer)?;
    let ask = Ask { state: &state, client: &client, proof };
    let response = match request {
        TokenRequest::AuthorizationCode { code, redirect_uri, verifier } => {
            ask.redeem(&code, &redirect_uri, &verifier, wanted).await?
        }
        TokenRequest::RefreshToken { token } => ask.refresh(&token, wanted).await?,
        TokenRequest::DeviceCode { code } => token_device::redeem(&ask, &code, wanted).await?,
        TokenRequest::TokenExchange(exchange) => token_exchange::serve(&ask, &exchange, wanted).await?,
    };
    Ok(dpop::with_fresh_nonce(&state, ask.proof.as_ref(), no_store(&response)))
}

impl<P: Ports> Ask<'_, P> {
    async fn redeem(
        &self,
        code: &Secret<AuthorizationCode>,
        redirect_uri: &str,
        verifier: &CodeVerifier,
        wanted: Wanted,
    ) -> Result<TokenResponse, EndpointError> {
        let state = self.state;
        let row = state.ports.find_code(&code.hash()).await?.ok_or(TokenError::UnknownCode)?;
        match row.check(self.client, redirect_uri, verifier, state.now) {
            Err(TokenError::CodeReplayed(grant_id)) => {
                return self.end_and_refuse(grant_id, TokenError::CodeReplayed).await;
            }
            checked => checked?,
        }
        dpop::check_bound(state, self.proof.as_ref(), row.binding.dpop_jkt.as_ref())?;
        let grant = self.active_grant(&row.grant_id).await?;
        let (response, next) = self.first_tokens(&grant, row.binding.clone(), wanted)?;
        match state.ports.redeem_code(&row.hash, &grant.id, next.as_ref(), state.now).await? {
            Write::Won => Ok(response),
            // Somebody with the same verifier was faster.
            Write::Lost => self.end_and_refuse(row.grant_id, TokenError::CodeReplayed).await,
        }
    }

    async fn refresh(&self, token: &Secret<RefreshToken>, wanted: Wanted) -> Result<TokenResponse, EndpointError> {
        let state = self.state;
        let row = state.ports.find_refresh_token(&token.hash()).await?.ok_or(TokenError::UnknownRefreshToken)?;
        match row.check(self.client, state.now) {
            Err(TokenError::RefreshReplayed(grant_id)) => {
                return self.end_and_refuse(grant_id, TokenError::RefreshReplayed).await;
            }
            checked => checked?,
        }
        dpop::check_bound(state, self.proof.as_ref(), row.binding.dpop_jkt.as_ref())?;
        let grant = self.active_grant(&row.grant_id).await?;
        let mut response = self.respond(&grant, &row.binding, wanted)?;
        let (secret, next) = self.next_refresh_token(&grant, row.binding.clone());
        response.refresh_token = Some(secret.expose_secret().to_owned());
        match state.ports.rotate_refresh_token(&row.hash, &next, state.now).await? {
            Write::Won => Ok(response),
            Write::Lost => self.end_and_refuse(row.grant_id, TokenError::RefreshReplayed).await,
        }
    }

    /// The tokens that an app gets when it comes for its grant: the answer, and the refresh token to store with what is used up.
    ///
    /// # Errors
    /// [`TokenError`]: what is wanted is not within what was granted.
    pub fn first_tokens(
        &self,
        grant: &Grant,
        binding: Binding,
        wanted: Wanted,
    ) -> Result<(TokenResponse, Option<RefreshTokenRow>), EndpointError> {
        let mut response = self.respond(grant, &binding, wanted)?;
        if !self.client.may_use(GrantType::RefreshToken) {
            return Ok((response, None));
        }
        let (secret, row) = self.next_refresh_token(grant, binding);
        response.refresh_token = Some(secret.expose_secret().to_owned());
        Ok((response, Some(row)))
    }

    async fn end_and_refuse(
        &self,
        grant_id: GrantId,
        reason: fn(GrantId) -> TokenError,
    ) -> Result<TokenResponse, EndpointError> {
        end_grant(self.state, &grant_id).await?;
        Err(reason(grant_id).into())
    }

    /// The grant behind what was presented.
    ///
    /// # Errors
    /// [`TokenError::GrantEnded`].
    pub async fn active_grant(&self, id: &GrantId) -> Result<Grant, EndpointError> {
        let grant = self.state.ports.find_grant(id).await?.filter(|grant| grant.is_active(self.state.now));
        Ok(grant.ok_or(TokenError::GrantEnded)?)
    }

    fn next_refresh_token(&self, grant: &Grant, binding: Binding) -> (Secret<RefreshToken>, RefreshTokenRow) {
        let secret = Secret::from_entropy(&self.state.ports.entropy32());
        // RFC 9449 §5: that of a public client is bound to its key; another client proves who it is each time.
        let dpop_jkt = match self.client.auth {
            ClientAuth::Public => self.proof.as_ref().map(|proof| proof.jkt.clone()),
            ClientAuth::Confidential(_) | ClientAuth::PrivateKey(_) => None,
        };
        let row = RefreshTokenRow {
            hash: secret.hash(),
            grant_id: grant.id.clone(),
            client_id: self.client.id.clone(),
            binding: Binding { dpop_jkt, ..binding },
            created_at: self.state.now,
            expires_at: grant.terms.expires_at,
            rotated_at: None,
        };
        (secret, row)
    }

    fn respond(&self, grant: &Grant, binding: &Binding, wanted: Wanted) -> Result<TokenResponse, EndpointError> {
        let issuer = &self.state.config.issuer;
        let by_scope = wanted.by_scope;
        let narrowed = match &wanted.requested {
            None => None,
            Some(requested) => narrowing::narrow(&grant.terms, requested).map_err(|error| match error {
                NarrowingError::Wider { .. } if by_scope => TokenError::WiderScope,
                error => TokenError::WiderDetails(error),
            })?,
        };
        let resources = binding.resources.narrowed_to(wanted.resources, issuer).map_err(TokenError::from)?;
        let permissions = narrowed.as_deref().unwrap_or(&grant.terms.permissions);
        let claims = AccessClaims {
            scope: granted_scope(permissions),
            auth_time: binding.auth_time,
            ..self.claims(grant, &resources, grant.terms.expires_at)
        };
        let authorization_details = narrowing::details(&grant.terms, narrowed.as_deref(), issuer);
        self.sign(&AccessClaims { narrowed, ..claims }, authorization_details)
    }

    /// Claims of a token for all of a grant, until `ends` at most.
    #[must_use]
    pub fn claims(&self, grant: &Grant, resources: &Resources, ends: Timestamp) -> AccessClaims {
        // Whole seconds, as they stand in the token.
        let issued_at = Timestamp::from_seconds(self.state.now.seconds());
        AccessClaims {
            issuer: self.state.config.issuer.clone(),
            audience: resources.audience(&self.state.config.issuer),
            subject: grant.user_id.clone(),
            client_id: grant.client_id.clone(),
            grant_id: grant.id.clone(),
            delegation: None,
            scope: None,
            narrowed: None,
            confirmation: self.proof.as_ref().map(|proof| proof.jkt.clone()),
            auth_time: None,
            jwt_id: base64url(&self.state.ports.entropy16()),
            issued_at,
            expires_at: issued_at.plus_seconds(ACCESS_TOKEN_TTL_SECONDS).min(ends),
        }
    }

    /// The answer with an access token in it.
    ///
    /// # Errors
    /// [`TokenError::TokenTooLong`].
    pub fn sign(
        &self,
        claims: &AccessClaims,
        authorization_details: Vec<GrantedDetail>,
    ) -> Result<TokenResponse, EndpointError> {
        let alg = self.client.access_token_alg;
        let access_token = self.state.config.signing_keys.sign(claims, alg).map_err(|error| match error {
            AccessTokenError::TooLong => EndpointError::from(TokenError::TokenTooLong),
            error => EndpointError::Broken(error.to_string()),
        })?;
        Ok(TokenResponse {
            access_token,
            issued_token_type: None,
            token_type: if claims.confirmation.is_some() { "DPoP" } else { "Bearer" },
            expires_in: claims.expires_at.seconds().saturating_sub(claims.issued_at.seconds()),
            refresh_token: None,
            scope: claims.scope.clone(),
            authorization_details,
        })
    }
}

impl TokenResponse {
    /// As the answer to a token exchange (RFC 8693 §2.2.1).
    #[must_use]
    pub const fn exchanged(mut self, issued_token_type: &'static str) -> Self {
        self.issued_token_type = Some(issued_token_type);
        self
    }
}
