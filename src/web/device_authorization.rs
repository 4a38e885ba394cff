//! `POST /device_authorization` (RFC 8628 §3.1): a device asks for a code.

use axum::{body::Body, extract::Request, http::Response};
use serde::Serialize;

use super::{
    client_auth::{Caller, authenticated_start},
    oauth_response::{EndpointError, no_store},
    ports::{Ports, StoreError, Write},
    rate_limit::network,
    state::AppState,
};
use crate::domain::{
    oauth::{
        device::{DEVICE_CODE_TTL_SECONDS, DeviceCodeRow, DeviceState, Pace, UserCode},
        pending_request::DeviceRequest,
    },
    secret::{DeviceCode, Secret},
};

/// How many user codes are tried: one that is taken is a chance of one in millions.
const ATTEMPTS: usize = 3;

/// RFC 8628 §3.2.
#[derive(Serialize)]
struct DeviceAuthorization {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u32,
}

/// `POST /device_authorization`.
///
/// # Errors
/// [`EndpointError`].
pub async fn serve<P: Ports>(state: AppState<P>, request: Request) -> Result<Response<Body>, EndpointError> {
    let Caller { client, params, headers } = authenticated_start(&state, request, true).await?;
    let asked = DeviceRequest::read(&client, &params, &state.config.issuer)?;
    let network = network(&headers, &state.config.cookie_key);
    let secret = Secret::<DeviceCode>::from_entropy(&state.ports.entropy32());
    for _ in 0..ATTEMPTS {
        let row = DeviceCodeRow {
            hash: secret.hash(),
            user_code: UserCode::from_entropy(state.ports.entropy32()),
            request: asked.clone(),
            expires_at: state.now.plus_seconds(DEVICE_CODE_TTL_SECONDS),
            pace: Pace::NEW,
            state: DeviceState::Open,
        };
        if state.ports.insert_device_code(&row, &network, state.now).await? == Write::Won {
            let verification_uri = format!("{}/device", state.config.issuer);
            return Ok(no_store(&DeviceAuthorization {
                device_code: secret.expose_secret().to_owned(),
                user_code: row.user_code.to_string(),
                verification_uri_complete: format!("{verification_uri}?user_code={}", row.user_code),
                verification_uri,
                expires_in: DEVICE_CODE_TTL_SECONDS,
                interval: row.pace.interval_seconds,
            }));
        }
    }
    Err(StoreError("no user code is free".to_owned()).into())
}
