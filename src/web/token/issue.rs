//! What is issued: access tokens, and the refresh token beside them.

use serde::Serialize;

use crate::{
    domain::{
        access_token::{ACCESS_TOKEN_TTL_SECONDS, AccessClaims, AccessTokenError},
        authorization_details::GrantedDetail,
        encoding::base64url,
        grant::Grant,
        id::GrantId,
        narrowing,
        oauth::{
            client::{Client, ClientAuth, GrantType},
            code::{Binding, RefreshTokenRow},
            dpop::Proof,
            error::TokenError,
            resource::Resources,
            token_request::{Wanted, granted_scope},
        },
        secret::{RefreshToken, Secret},
        time::Timestamp,
    },
    web::{oauth_response::EndpointError, ports::Ports, state::AppState},
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
    pub(super) refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// What the token is for (RFC 8707): no RFC asks for it here, and apps compare it with what they asked for.
    resource: Audience,
    authorization_details: Vec<GrantedDetail>,
}

/// A text where there is one, as in `aud` (RFC 7519 §4.1.3), else a list.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl From<&[String]> for Audience {
    fn from(audience: &[String]) -> Self {
        if let [one] = audience { Self::One(one.clone()) } else { Self::Several(audience.to_vec()) }
    }
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

impl<P: Ports> Ask<'_, P> {
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

    /// The grant behind what was presented.
    ///
    /// # Errors
    /// [`TokenError::GrantEnded`].
    pub async fn active_grant(&self, id: &GrantId) -> Result<Grant, EndpointError> {
        let grant = self.state.ports.find_grant(id).await?.filter(|grant| grant.is_active(self.state.now));
        Ok(grant.ok_or(TokenError::GrantEnded)?)
    }

    pub(super) fn next_refresh_token(
        &self,
        grant: &Grant,
        binding: Binding,
    ) -> (Secret<RefreshToken>, RefreshTokenRow) {
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

    pub(super) fn respond(
        &self,
        grant: &Grant,
        binding: &Binding,
        wanted: Wanted,
    ) -> Result<TokenResponse, EndpointError> {
        let issuer = &self.state.config.issuer;
        let narrowed = match &wanted.requested {
            None => None,
            Some(requested) if wanted.by_scope => {
                narrowing::narrow_to_scope(&grant.terms.permissions, &requested.permissions)
                    .map_err(|_| TokenError::WiderScope)?
            }
            Some(requested) => narrowing::narrow(&grant.terms, requested).map_err(TokenError::WiderDetails)?,
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
            resource: claims.audience.as_slice().into(),
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
