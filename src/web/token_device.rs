//! `POST /token` with a device code (RFC 8628 §3.4, §3.5): a poll, and in the end the tokens.

use super::{
    oauth_response::EndpointError,
    ports::{Ports, Write},
    revoke::end_grant,
    state::AppState,
    token::{active_grant, next_refresh_token},
};
use crate::domain::{
    grant::Grant,
    oauth::{
        client::{Client, GrantType},
        code::Binding,
        device::{PollError, Standing},
        error::TokenError,
    },
    secret::{DeviceCode, RefreshToken, Secret},
};

/// Polls that come at the very same moment are told apart by the store; after so many of them one is simply too fast.
const POLL_ATTEMPTS: usize = 3;

/// What a device code was exchanged for.
pub struct Redeemed {
    /// What the tokens are for.
    pub grant: Grant,
    /// What they are bound to.
    #[expect(dead_code, reason = "an access token can't be bound to a key or a resource yet; its refresh token is")]
    pub binding: Binding,
    /// The first one, if the client uses them.
    pub refresh_token: Option<Secret<RefreshToken>>,
}

/// One poll of a device. `dpop_jkt` is the key that it proved, if it did: its tokens will be bound to that.
///
/// Of many that come together once the person has allowed, one gets the tokens.
///
/// # Errors
/// [`EndpointError`]; `authorization_pending` and `slow_down` while the person hasn't answered.
pub async fn redeem<P: Ports>(
    state: &AppState<P>,
    client: &Client,
    code: &Secret<DeviceCode>,
    dpop_jkt: Option<String>,
) -> Result<Redeemed, EndpointError> {
    let hash = code.hash();
    for _ in 0..POLL_ATTEMPTS {
        let row = state.ports.find_device_code(&hash).await?.ok_or(PollError::Unknown).map_err(TokenError::from)?;
        match row.standing(client, state.now) {
            Ok(Standing::Waits) => {
                let (pace, answer) = row.pace.after_poll(state.now);
                if state.ports.note_poll(&row.hash, row.pace, pace).await? == Write::Won {
                    return Err(TokenError::from(answer).into());
                }
            }
            Ok(Standing::Allowed { grant_id, binding }) => {
                let grant = active_grant(state, &grant_id).await?;
                let binding = Binding { dpop_jkt, ..binding };
                let refresh = client
                    .may_use(GrantType::RefreshToken)
                    .then(|| next_refresh_token(state, client, &grant, binding.clone()));
                let next = refresh.as_ref().map(|(_, row)| row);
                return match state.ports.redeem_device_code(&row, &grant.id, next, state.now).await? {
                    Write::Won => Ok(Redeemed { grant, binding, refresh_token: refresh.map(|(secret, _)| secret) }),
                    // Another poll of this client was faster.
                    Write::Lost => Err(TokenError::from(PollError::Redeemed).into()),
                };
            }
            Err(PollError::Replayed(grant_id)) => {
                end_grant(state, &grant_id).await?;
                return Err(TokenError::from(PollError::Replayed(grant_id)).into());
            }
            Err(error) => return Err(TokenError::from(error).into()),
        }
    }
    Err(TokenError::from(PollError::TooFast).into())
}
