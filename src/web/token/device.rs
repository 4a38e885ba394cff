//! `POST /token` with a device code (RFC 8628 §3.4, §3.5): a poll, and in the end the tokens.

use super::issue::{Ask, TokenResponse};
use crate::{
    domain::{
        oauth::{
            device::{PollError, Standing},
            error::TokenError,
            token_request::Wanted,
        },
        secret::{DeviceCode, Secret},
    },
    web::{
        ending::end_grant,
        oauth_response::EndpointError,
        ports::{Ports, Write},
    },
};

/// Polls that come at the very same moment are told apart by the store; after so many of them one is simply too fast.
const POLL_ATTEMPTS: usize = 3;

/// One poll of a device. Of many that come together once the person has allowed, one gets the tokens.
///
/// # Errors
/// [`EndpointError`]; `authorization_pending` and `slow_down` while the person hasn't answered.
pub async fn redeem<P: Ports>(
    ask: &Ask<'_, P>,
    code: &Secret<DeviceCode>,
    wanted: Wanted,
) -> Result<TokenResponse, EndpointError> {
    let state = ask.state;
    let hash = code.hash();
    for _ in 0..POLL_ATTEMPTS {
        let row = state.ports.find_device_code(&hash).await?.ok_or(PollError::Unknown).map_err(TokenError::from)?;
        match row.standing(ask.client, state.now) {
            Ok(Standing::Waits) => {
                let (pace, answer) = row.pace.after_poll(state.now);
                if state.ports.note_poll(&row.hash, row.pace, pace).await? == Write::Won {
                    return Err(TokenError::from(answer).into());
                }
            }
            Ok(Standing::Allowed { grant_id, binding }) => {
                let grant = ask.active_grant(&grant_id).await?;
                let (response, next) = ask.first_tokens(&grant, binding, wanted)?;
                return match state.ports.redeem_device_code(&row, &grant.id, next.as_ref(), state.now).await? {
                    Write::Won => Ok(response),
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
