//! Authorization codes and refresh tokens (RFC 6749 §4.1.3, §6).
//!
//! What is presented is checked first, the answer is made, and only then what was presented is used up, in one conditional write;
//! whoever comes second ends the grant, since one of the two is a thief (RFC 6749 §4.1.2, RFC 9700 §4.14.2).

use super::issue::{Ask, TokenResponse};
use crate::{
    domain::{
        audit::Actor,
        id::GrantId,
        oauth::{error::TokenError, pkce::CodeVerifier, token_request::Wanted},
        secret::{AuthorizationCode, RefreshToken, Secret},
    },
    web::{
        audit, dpop,
        ending::end_grant,
        oauth_response::EndpointError,
        ports::{Ports, Write},
    },
};

impl<P: Ports> Ask<'_, P> {
    /// An authorization code.
    pub(super) async fn redeem(
        &self,
        code: &Secret<AuthorizationCode>,
        redirect_uri: Option<&str>,
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

    /// A refresh token.
    pub(super) async fn refresh(
        &self,
        token: &Secret<RefreshToken>,
        wanted: Wanted,
    ) -> Result<TokenResponse, EndpointError> {
        let state = self.state;
        let row = state.ports.find_refresh_token(&token.hash()).await?.ok_or(TokenError::UnknownRefreshToken)?;
        match row.check(self.client, state.now) {
            // Whoever found one without its key ends nothing.
            Err(TokenError::RefreshReplayed(grant_id)) => {
                dpop::check_bound(state, self.proof.as_ref(), row.binding.dpop_jkt.as_ref())?;
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

    async fn end_and_refuse(
        &self,
        grant_id: GrantId,
        reason: fn(GrantId) -> TokenError,
    ) -> Result<TokenResponse, EndpointError> {
        let alive = self.state.ports.find_grant(&grant_id).await?.filter(|grant| grant.is_active(self.state.now));
        end_grant(self.state, &grant_id).await?;
        if let Some(grant) = alive {
            let entry = audit::ended(self.state, &grant, Actor::Broker, "a code or refresh token was used twice");
            // It ended all the same.
            self.state.ports.record(&entry).await.ok();
        }
        Err(reason(grant_id).into())
    }
}
