//! What a consent page is about, and who is answered: of an app that was sent here, or of a device that polls.

use serde::{Deserialize, Serialize};

use super::{authorization_request::AuthorizationRequest, device::UserCode, resource::Resources};
use crate::domain::{
    authorization_details::Requested,
    id::{ClientId, GrantId},
    secret::{DeviceCode, SecretHash, Session},
    time::Timestamp,
};

/// How long a consent page can be answered.
pub const CONSENT_TTL_SECONDS: u64 = 600;

/// A row of `authorization_requests`: what a consent page shows, and who is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRequest {
    /// Only this session may answer it.
    pub session: SecretHash<Session>,
    /// What is asked.
    pub asked: Asked,
    /// From this moment on it can't be answered.
    pub expires_at: Timestamp,
    /// How it was answered, if it was.
    pub decision: Option<Decision>,
}

/// What a consent page is about, and where the answer goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// To the app's redirect URI.
    Redirect(Box<AuthorizationRequest>),
    /// To a device that polls (RFC 8628).
    Device {
        /// The row of `device_codes`.
        device_code: SecretHash<DeviceCode>,
        /// What the person entered, to be held against what the device shows (RFC 8628 §3.3.1).
        user_code: UserCode,
        /// What it asked for.
        request: DeviceRequest,
    },
}

/// What a device asked for at `/device_authorization` (RFC 8628 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Who asks.
    pub client_id: ClientId,
    /// What for.
    pub requested: Requested,
    /// Which part of the broker the tokens are for (RFC 8707).
    pub resources: Resources,
}

impl Asked {
    /// What is asked for, to narrow it.
    pub const fn requested_mut(&mut self) -> &mut Requested {
        match self {
            Self::Redirect(request) => &mut request.requested,
            Self::Device { request, .. } => &mut request.requested,
        }
    }

    /// Who asks.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        match self {
            Self::Redirect(request) => &request.client_id,
            Self::Device { request, .. } => &request.client_id,
        }
    }

    /// What for.
    #[must_use]
    pub const fn requested(&self) -> &Requested {
        match self {
            Self::Redirect(request) => &request.requested,
            Self::Device { request, .. } => &request.requested,
        }
    }
}

/// How an authorization request was answered: columns `decided_at` and `grant_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// With a grant.
    Allowed(GrantId),
    /// With no.
    Denied,
}
