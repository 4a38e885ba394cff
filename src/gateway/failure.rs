//! Why a call doesn't get its answer, as the app's SDK will see it.
//!
//! One enum with a variant per reason, mapped to status, code and text in exhaustive matches. The dialects only choose the shape.

use super::dialect;
use crate::domain::{
    ledger::{Limit, Refusal, Scope},
    permission::Provider,
};

/// Seconds after which a call that failed for a passing reason is worth another try.
const RETRY_SOON_SECONDS: u64 = 1;
/// The same where the broker's own store is down.
const RETRY_LATER_SECONDS: u64 = 5;

/// Why a call isn't answered by the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No token, or one that isn't accepted, whatever the reason: one answer for all to an outsider.
    InvalidToken,
    /// The ledger said no.
    Refused(Refusal),
    /// This path, with this method, isn't one that a grant can cover.
    EndpointNotGranted(Provider),
    /// A field that reaches beyond what a grant can cover.
    FieldNotAllowed {
        /// The field.
        field: String,
        /// Why, as the end of a sentence.
        reason: &'static str,
    },
    /// The request can't be read.
    InvalidRequest(String),
    /// The body is longer than [`super::MAX_BODY_BYTES`].
    BodyTooLarge,
    /// The operator set no key for this provider.
    ProviderNotConfigured(Provider),
    /// The provider refused the operator's key.
    ProviderKeyRejected(Provider),
    /// The provider couldn't be reached, or answered with something that isn't an answer.
    UpstreamUnreachable(Provider),
    /// The provider didn't begin to answer in time.
    UpstreamTimeout(Provider),
    /// The broker's own store is down. Fails closed.
    BrokerUnavailable,
}

/// The value of the header `aipassport-error` and of `code` in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCode {
    /// 401.
    InvalidToken,
    /// 402.
    RequestsExhausted,
    /// 403.
    ProviderNotGranted,
    /// 403.
    ModelNotGranted,
    /// 403.
    CapabilityNotGranted,
    /// 403.
    EndpointNotGranted,
    /// 403.
    FieldNotAllowed,
    /// 429.
    RateLimited,
    /// 429.
    ConcurrencyExceeded,
    /// 429.
    RequestsHeld,
    /// 400.
    InvalidRequest,
    /// 413.
    BodyTooLarge,
    /// 502.
    UpstreamUnreachable,
    /// 502.
    ProviderKeyRejected,
    /// 503.
    ProviderNotConfigured,
    /// 503.
    BrokerUnavailable,
    /// 504.
    UpstreamTimeout,
}

/// What a program can use of a refusal: which limit, what remains, when it resets.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Hint {
    /// The limit's name in `authorization_details`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'static str>,
    /// Whether it is a permission's or the whole grant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// What it allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<u64>,
    /// What remains of it for a new call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// When there is room again, in seconds since the epoch; absent when that is not known or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<u64>,
}

impl FailureCode {
    /// As it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::RequestsExhausted => "requests_exhausted",
            Self::ProviderNotGranted => "provider_not_granted",
            Self::ModelNotGranted => "model_not_granted",
            Self::CapabilityNotGranted => "capability_not_granted",
            Self::EndpointNotGranted => "endpoint_not_granted",
            Self::FieldNotAllowed => "field_not_allowed",
            Self::RateLimited => "rate_limited",
            Self::ConcurrencyExceeded => "concurrency_exceeded",
            Self::RequestsHeld => "requests_held",
            Self::InvalidRequest => "invalid_request",
            Self::BodyTooLarge => "body_too_large",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::ProviderKeyRejected => "provider_key_rejected",
            Self::ProviderNotConfigured => "provider_not_configured",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// The HTTP status. The official SDKs retry 429 and 5xx and raise the rest at once.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::InvalidToken => 401,
            Self::RequestsExhausted => 402,
            Self::ProviderNotGranted
            | Self::ModelNotGranted
            | Self::CapabilityNotGranted
            | Self::EndpointNotGranted
            | Self::FieldNotAllowed => 403,
            Self::BodyTooLarge => 413,
            Self::RateLimited | Self::ConcurrencyExceeded | Self::RequestsHeld => 429,
            Self::UpstreamUnreachable | Self::ProviderKeyRejected => 502,
            Self::ProviderNotConfigured | Self::BrokerUnavailable => 503,
            Self::UpstreamTimeout => 504,
        }
    }
}

impl Failure {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> FailureCode {
        match self {
            Self::InvalidToken | Self::Refused(Refusal::NoSuchGrant | Refusal::Revoked | Refusal::Expired) => {
                FailureCode::InvalidToken
            }
            Self::Refused(Refusal::ProviderNotGranted) => FailureCode::ProviderNotGranted,
            Self::Refused(Refusal::ModelNotGranted(_)) => FailureCode::ModelNotGranted,
            Self::Refused(Refusal::CapabilityNotGranted(_)) => FailureCode::CapabilityNotGranted,
            Self::Refused(Refusal::RequestsExhausted(_)) => FailureCode::RequestsExhausted,
            Self::Refused(Refusal::RequestsHeld(_)) => FailureCode::RequestsHeld,
            Self::Refused(Refusal::RateLimited { .. }) => FailureCode::RateLimited,
            Self::Refused(Refusal::ConcurrencyExceeded(_)) => FailureCode::ConcurrencyExceeded,
            Self::EndpointNotGranted(_) => FailureCode::EndpointNotGranted,
            Self::FieldNotAllowed { .. } => FailureCode::FieldNotAllowed,
            Self::InvalidRequest(_) => FailureCode::InvalidRequest,
            Self::BodyTooLarge => FailureCode::BodyTooLarge,
            Self::ProviderNotConfigured(_) => FailureCode::ProviderNotConfigured,
            Self::ProviderKeyRejected(_) => FailureCode::ProviderKeyRejected,
            Self::UpstreamUnreachable(_) => FailureCode::UpstreamUnreachable,
            Self::UpstreamTimeout(_) => FailureCode::UpstreamTimeout,
            Self::BrokerUnavailable => FailureCode::BrokerUnavailable,
        }
    }

    /// What the app's developer, and often its user, will read.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::InvalidToken | Self::Refused(Refusal::NoSuchGrant | Refusal::Revoked | Refusal::Expired) => {
                "this access token is missing, malformed, expired or revoked; connect again to get a new one".to_owned()
            }
            Self::Refused(Refusal::ProviderNotGranted) => "this grant does not cover this provider".to_owned(),
            Self::Refused(Refusal::ModelNotGranted(model)) => format!("this grant does not cover the model {model}"),
            Self::Refused(Refusal::CapabilityNotGranted(capability)) => {
                format!("this grant does not cover the capability {capability} with this model")
            }
            Self::Refused(Refusal::RequestsExhausted(limit)) => {
                format!("the {} requests of this {} are used up", limit.allowed, whose(limit))
            }
            Self::Refused(Refusal::RequestsHeld(limit)) => {
                format!(
                    "what is left of the {} requests of this {} is taken by calls in flight",
                    limit.allowed,
                    whose(limit)
                )
            }
            Self::Refused(Refusal::RateLimited { limit, retry_after_seconds, .. }) => format!(
                "the {} requests per minute of this {} are reached; try again in {retry_after_seconds} s",
                limit.allowed,
                whose(limit)
            ),
            Self::Refused(Refusal::ConcurrencyExceeded(limit)) => {
                format!("the {} calls at a time of this {} are in flight", limit.allowed, whose(limit))
            }
            Self::EndpointNotGranted(provider) => {
                let covered: Vec<String> = dialect(*provider).endpoints.iter().map(ToString::to_string).collect();
                format!("a grant can not cover this path and method; it can cover {}", covered.join(", "))
            }
            Self::FieldNotAllowed { field, reason } => format!("{field} can not be used here: {reason}"),
            Self::InvalidRequest(reason) => format!("the request can not be read: {reason}"),
            Self::BodyTooLarge => format!("the body is larger than {} MiB", super::MAX_BODY_BYTES / (1024 * 1024)),
            Self::ProviderNotConfigured(provider) => {
                format!("the operator of this broker has not configured {}", provider.display_name())
            }
            Self::ProviderKeyRejected(provider) => {
                format!("{} refused the broker's own key; tell its operator", provider.display_name())
            }
            Self::UpstreamUnreachable(provider) => format!("{} can not be reached", provider.display_name()),
            Self::UpstreamTimeout(provider) => format!("{} did not answer in time", provider.display_name()),
            Self::BrokerUnavailable => "the broker can not check this grant at the moment".to_owned(),
        }
    }

    /// Seconds for `Retry-After`, where another try can help.
    #[must_use]
    pub const fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Refused(Refusal::RateLimited { retry_after_seconds, .. }) => Some(*retry_after_seconds),
            Self::Refused(Refusal::RequestsHeld(_) | Refusal::ConcurrencyExceeded(_)) => Some(RETRY_SOON_SECONDS),
            Self::BrokerUnavailable => Some(RETRY_LATER_SECONDS),
            Self::InvalidToken
            | Self::Refused(
                Refusal::NoSuchGrant
                | Refusal::Revoked
                | Refusal::Expired
                | Refusal::ProviderNotGranted
                | Refusal::ModelNotGranted(_)
                | Refusal::CapabilityNotGranted(_)
                | Refusal::RequestsExhausted(_),
            )
            | Self::EndpointNotGranted(_)
            | Self::FieldNotAllowed { .. }
            | Self::InvalidRequest(_)
            | Self::BodyTooLarge
            | Self::ProviderNotConfigured(_)
            | Self::ProviderKeyRejected(_)
            | Self::UpstreamUnreachable(_)
            | Self::UpstreamTimeout(_) => None,
        }
    }

    /// Whether the SDKs must not retry although the status says that they might (`x-should-retry: false`).
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        matches!(self, Self::ProviderKeyRejected(_) | Self::ProviderNotConfigured(_))
    }

    /// What a program can use of it.
    #[must_use]
    pub fn hint(&self) -> Hint {
        let of = |limit: &Limit, name, remaining| Hint {
            limit: Some(name),
            scope: Some(limit.scope),
            allowed: Some(limit.allowed),
            remaining: Some(remaining),
            resets_at: None,
        };
        match self {
            Self::Refused(Refusal::RequestsExhausted(limit) | Refusal::RequestsHeld(limit)) => of(limit, "requests", 0),
            Self::Refused(Refusal::RateLimited { limit, resets_at, .. }) => {
                Hint { resets_at: Some(resets_at.seconds()), ..of(limit, "requests_per_minute", 0) }
            }
            Self::Refused(Refusal::ConcurrencyExceeded(limit)) => of(limit, "concurrency", 0),
            _ => Hint::default(),
        }
    }
}

const fn whose(limit: &Limit) -> &'static str {
    match limit.scope {
        Scope::Permission => "permission",
        Scope::Grant => "grant",
    }
}
