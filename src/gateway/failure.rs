//! Why a call doesn't get its answer, as the app's SDK will see it.
//!
//! One enum with a variant per reason, mapped to status, code and text in exhaustive matches. The dialects only choose the shape.

mod code;

pub use code::FailureCode;

use super::{account, survey::MAX_NAMED_MODELS};
use crate::domain::{
    ledger::{Beyond, Limit, MAX_DELEGATIONS, MAX_DEPTH, Reason, Refusal, Resource, Scope, Shortage},
    limits::Period,
    money::NanoUsd,
    oauth::dpop::DpopError,
    permission::Provider,
    time::Timestamp,
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
    /// The `DPoP` proof of a token that is bound to a key (RFC 9449 §7).
    Dpop(DpopError),
    /// The ledger said no.
    Refused(Refusal),
    /// The ledger of the member's account did: it is not what the operator allows.
    NotAllowed(Refusal),
    /// This path, with this method, isn't one that a grant can cover.
    EndpointNotGranted {
        /// Those that it can cover, in words.
        covered: String,
    },
    /// A field that reaches beyond what a grant can cover.
    FieldNotAllowed {
        /// The field.
        field: String,
        /// Why, as the end of a sentence.
        reason: &'static str,
    },
    /// More models are named than are looked at.
    TooManyModels,
    /// The request can't be read.
    InvalidRequest(String),
    /// The body is longer than [`super::MAX_BODY_BYTES`].
    BodyTooLarge,
    /// The call asks for a WebSocket.
    WebSocket,
    /// The operator set no key for this provider.
    ProviderNotConfigured(Provider),
    /// The provider refused the operator's key.
    ProviderKeyRejected(Provider),
    /// The provider couldn't be reached, or answered with something that isn't an answer.
    UpstreamUnreachable(Provider),
    /// The provider didn't begin to answer in time.
    UpstreamTimeout(Provider),
    /// The provider asked for a wait that isn't over, of this app or of all.
    ProviderBusy(Provider, u64),
    /// The client stopped in the middle of its body, or took too long with it.
    BodyTimeout,
    /// More calls of this grant wait for its ledger than may.
    TooManyWaiting,
    /// The bodies of other calls take all the memory that there is for bodies.
    BrokerBusy,
    /// The broker's own store is down. Fails closed.
    BrokerUnavailable,
}

/// What a program can use of a refusal: which limit, what remains, when it resets.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Hint {
    /// The limit's name in `authorization_details`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'static str>,
    /// Whether it is a permission's, the whole grant's or a delegation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// What a budget is for: `total`, `day` or `month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
    /// What it allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Quantity>,
    /// What remains of it for a new call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<Quantity>,
    /// The most that this call can take of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<Quantity>,
    /// The maximum of tokens to write with which this call would fit; absent when none would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// When there is room again, in seconds since the epoch; absent when that is not known or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<u64>,
}

/// So much of a limit: a number, or money as a decimal text in USD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Requests, calls or tokens.
    Count(u64),
    /// Money.
    Usd(NanoUsd),
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Usd(amount) => serializer.collect_str(amount),
        }
    }
}

impl Failure {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> FailureCode {
        match self {
            Self::InvalidToken
            | Self::Refused(Refusal::NoSuchGrant | Refusal::NoSuchDelegation | Refusal::Revoked | Refusal::Expired) => {
                FailureCode::InvalidToken
            }
            Self::Dpop(DpopError::UseNonce) | Self::Refused(Refusal::ProofTooOld { .. }) => FailureCode::UseDpopNonce,
            Self::Dpop(_) | Self::Refused(Refusal::ProofReplayed) => FailureCode::InvalidDpopProof,
            Self::Refused(Refusal::NotWithinParent(_) | Refusal::TooManyDelegations) => {
                FailureCode::DelegationNotAllowed
            }
            Self::Refused(Refusal::ProviderNotGranted) => FailureCode::ProviderNotGranted,
            Self::Refused(Refusal::ModelNotGranted(_)) => FailureCode::ModelNotGranted,
            Self::Refused(Refusal::CapabilityNotGranted(_)) => FailureCode::CapabilityNotGranted,
            Self::Refused(Refusal::RequestsExhausted(_)) => FailureCode::RequestsExhausted,
            // A call raises nothing; it is what a change of limits is told.
            Self::Refused(Refusal::BeyondCeiling(_)) => FailureCode::BudgetExhausted,
            Self::Refused(Refusal::Paused) => FailureCode::GrantPaused,
            Self::Refused(Refusal::PriceUnknown(_)) => FailureCode::PriceUnknown,
            Self::Refused(Refusal::TooManyTools(_)) => FailureCode::TooManyTools,
            Self::Refused(Refusal::DoesNotFit(shortage)) => match shortage.of {
                Resource::Budget(_) => FailureCode::BudgetExhausted,
                Resource::Tokens => FailureCode::TokensExhausted,
            },
            Self::Refused(Refusal::RoomHeld(shortage)) => match shortage.of {
                Resource::Budget(_) => FailureCode::BudgetHeld,
                Resource::Tokens => FailureCode::TokensHeld,
            },
            Self::Refused(Refusal::RequestsHeld(_)) => FailureCode::RequestsHeld,
            Self::Refused(Refusal::RateLimited { .. }) => FailureCode::RateLimited,
            Self::Refused(Refusal::ConcurrencyExceeded(_)) => FailureCode::ConcurrencyExceeded,
            Self::NotAllowed(refusal) => account::code(refusal),
            Self::EndpointNotGranted { .. } => FailureCode::EndpointNotGranted,
            Self::FieldNotAllowed { .. } => FailureCode::FieldNotAllowed,
            Self::TooManyModels => FailureCode::TooManyModels,
            Self::InvalidRequest(_) => FailureCode::InvalidRequest,
            Self::BodyTooLarge => FailureCode::BodyTooLarge,
            Self::WebSocket => FailureCode::WebSocketNotServed,
            Self::ProviderNotConfigured(_) => FailureCode::ProviderNotConfigured,
            Self::ProviderKeyRejected(_) => FailureCode::ProviderKeyRejected,
            Self::UpstreamUnreachable(_) => FailureCode::UpstreamUnreachable,
            Self::UpstreamTimeout(_) => FailureCode::UpstreamTimeout,
            Self::ProviderBusy(..) => FailureCode::ProviderBusy,
            Self::BodyTimeout => FailureCode::BodyTimeout,
            Self::TooManyWaiting => FailureCode::TooManyWaiting,
            Self::BrokerBusy => FailureCode::BrokerBusy,
            Self::BrokerUnavailable => FailureCode::BrokerUnavailable,
        }
    }

    /// Why, where it is refused for what it is and no ledger was asked: then somebody has to tell the ledger.
    #[must_use]
    pub const fn reason_before_the_ledger(&self) -> Option<Reason> {
        match self {
            Self::EndpointNotGranted { .. } => Some(Reason::EndpointNotGranted),
            Self::FieldNotAllowed { .. } => Some(Reason::FieldNotAllowed),
            Self::InvalidRequest(_) | Self::TooManyModels => Some(Reason::InvalidRequest),
            Self::BodyTooLarge => Some(Reason::BodyTooLarge),
            Self::ProviderNotConfigured(_) => Some(Reason::ProviderNotConfigured),
            Self::NotAllowed(refusal) => Reason::of_account(refusal),
            Self::InvalidToken
            | Self::Dpop(_)
            | Self::Refused(_)
            // Answered before anybody knows whose it is; and its client goes on over HTTP.
            | Self::WebSocket
            | Self::ProviderKeyRejected(_)
            | Self::UpstreamUnreachable(_)
            | Self::UpstreamTimeout(_)
            | Self::ProviderBusy(..)
            | Self::BodyTimeout
            | Self::TooManyWaiting
            | Self::BrokerBusy
            | Self::BrokerUnavailable => None,
        }
    }

    /// What the app's developer, and often its user, will read.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::InvalidToken
            | Self::Refused(Refusal::NoSuchGrant | Refusal::NoSuchDelegation | Refusal::Revoked | Refusal::Expired) => {
                "this access token is missing, malformed, expired or revoked; connect again to get a new one".to_owned()
            }
            Self::Dpop(error) => error.to_string(),
            Self::Refused(Refusal::ProofReplayed) => {
                "this DPoP proof was used before; make a new one for each call".to_owned()
            }
            Self::Refused(Refusal::ProofTooOld { .. }) => {
                "make a new DPoP proof with the nonce of this answer's DPoP-Nonce header".to_owned()
            }
            Self::Refused(Refusal::NotWithinParent(beyond)) => beyond_parent(*beyond),
            Self::Refused(Refusal::TooManyDelegations) => {
                format!("this grant has {MAX_DELEGATIONS} delegations already; revoke one, or wait until one expires")
            }
            Self::Refused(Refusal::ProviderNotGranted) => "this grant does not cover this provider".to_owned(),
            Self::Refused(Refusal::ModelNotGranted(model)) => format!("this grant does not cover the model {model}"),
            Self::Refused(Refusal::CapabilityNotGranted(capability)) => {
                format!("this grant does not cover the capability {capability} with this model")
            }
            Self::Refused(Refusal::BeyondCeiling(most)) => {
                format!("the operator of this broker allows at most {most} USD for each grant")
            }
            Self::NotAllowed(refusal) => account::message(refusal),
            Self::Refused(Refusal::Paused) => {
                "the user has paused this grant; it works again when they resume it".to_owned()
            }
            Self::Refused(Refusal::PriceUnknown(reason)) => {
                format!("this grant has a cap of money or tokens, and what this call can cost is not known: {reason}")
            }
            Self::Refused(Refusal::TooManyTools(most)) => {
                format!("this grant has a cap of money or tokens, and {}", too_many_tools(*most))
            }
            Self::Refused(Refusal::DoesNotFit(shortage)) => does_not_fit(shortage),
            Self::Refused(Refusal::RoomHeld(shortage)) => format!(
                "what is left of the {} {} is held by calls in flight; try again when they have ended",
                cap(shortage),
                of_whose(&shortage.limit)
            ),
            Self::Refused(Refusal::RequestsExhausted(limit)) => {
                format!("the {} requests {} are used up", limit.allowed, of_whose(limit))
            }
            Self::Refused(Refusal::RequestsHeld(limit)) => {
                format!(
                    "what is left of the {} requests {} is taken by calls in flight",
                    limit.allowed,
                    of_whose(limit)
                )
            }
            Self::Refused(Refusal::RateLimited { limit, retry_after_seconds, .. }) => format!(
                "the {} requests per minute {} are reached; try again in {retry_after_seconds} s",
                limit.allowed,
                of_whose(limit)
            ),
            Self::Refused(Refusal::ConcurrencyExceeded(limit)) => {
                format!("the {} calls at a time {} are in flight", limit.allowed, of_whose(limit))
            }
            Self::EndpointNotGranted { covered } => {
                format!("a grant can not cover this path and method; it can cover {covered}")
            }
            Self::FieldNotAllowed { field, reason } => format!("{field} can not be used here: {reason}"),
            Self::TooManyModels => {
                format!("more than {MAX_NAMED_MODELS} models are named beside the one that is asked; name fewer")
            }
            Self::InvalidRequest(reason) => format!("the request can not be read: {reason}"),
            Self::WebSocket => {
                "WebSockets are not served here; send the same body as a POST over HTTP, with \"stream\": true"
                    .to_owned()
            }
            Self::BodyTooLarge => format!("the body is larger than {} MiB", super::MAX_BODY_BYTES / (1024 * 1024)),
            Self::ProviderNotConfigured(provider) => {
                format!("the operator of this broker has not configured {}", provider.display_name())
            }
            Self::ProviderKeyRejected(provider) => {
                format!("{} refused the broker's own key; tell its operator", provider.display_name())
            }
            Self::UpstreamUnreachable(provider) => format!("{} can not be reached", provider.display_name()),
            Self::UpstreamTimeout(provider) => format!("{} did not answer in time", provider.display_name()),
            Self::ProviderBusy(provider, seconds) => {
                format!("{} asked for a pause; try again in {seconds} s", provider.display_name())
            }
            Self::BodyTimeout => "the body did not arrive in time; send it again".to_owned(),
            Self::TooManyWaiting => {
                "too many calls of this grant wait at once; try again when some of them have been answered".to_owned()
            }
            Self::BrokerBusy => "the broker is busy with the bodies of other calls; try again".to_owned(),
            Self::BrokerUnavailable => "the broker can not check this grant at the moment".to_owned(),
        }
    }

    /// Seconds for `Retry-After`, where another try can help.
    #[must_use]
    pub const fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Refused(Refusal::RateLimited { retry_after_seconds, .. }) => Some(*retry_after_seconds),
            Self::Refused(Refusal::RequestsHeld(_) | Refusal::RoomHeld(_) | Refusal::ConcurrencyExceeded(_))
            | Self::NotAllowed(Refusal::RoomHeld(_))
            | Self::BrokerBusy
            | Self::TooManyWaiting => Some(RETRY_SOON_SECONDS),
            Self::ProviderBusy(_, seconds) => Some(*seconds),
            Self::BrokerUnavailable => Some(RETRY_LATER_SECONDS),
            Self::InvalidToken
            | Self::Dpop(_)
            | Self::Refused(
                Refusal::NoSuchGrant
                | Refusal::Revoked
                | Refusal::Expired
                | Refusal::BeyondCeiling(_)
                | Refusal::Paused
                | Refusal::NoSuchDelegation
                | Refusal::NotWithinParent(_)
                | Refusal::TooManyDelegations
                | Refusal::ProofReplayed
                | Refusal::ProofTooOld { .. }
                | Refusal::PriceUnknown(_)
                | Refusal::TooManyTools(_)
                | Refusal::DoesNotFit(_)
                | Refusal::ProviderNotGranted
                | Refusal::ModelNotGranted(_)
                | Refusal::CapabilityNotGranted(_)
                | Refusal::RequestsExhausted(_),
            )
            | Self::NotAllowed(_)
            | Self::EndpointNotGranted { .. }
            | Self::FieldNotAllowed { .. }
            | Self::InvalidRequest(_)
            | Self::TooManyModels
            | Self::BodyTooLarge
            | Self::WebSocket
            | Self::ProviderNotConfigured(_)
            | Self::ProviderKeyRejected(_)
            | Self::BodyTimeout
            | Self::UpstreamUnreachable(_)
            | Self::UpstreamTimeout(_) => None,
        }
    }

    /// Whether sending the same again is pointless although the status says, to some clients, that it might help
    /// (`x-should-retry: false`). Coding agents try a 401 again for minutes, silently.
    ///
    /// Not so with `use_dpop_nonce`: there the same again, with a new proof, is what is asked for.
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        matches!(
            self.code(),
            FailureCode::InvalidToken
                | FailureCode::InvalidDpopProof
                | FailureCode::ProviderKeyRejected
                | FailureCode::ProviderNotConfigured
        )
    }

    /// What a program can use of it.
    #[must_use]
    pub fn hint(&self) -> Hint {
        let of = |limit: &Limit, name, remaining| Hint {
            limit: Some(name),
            scope: Some(limit.scope),
            allowed: Some(Quantity::Count(limit.allowed)),
            remaining: Some(Quantity::Count(remaining)),
            ..Hint::default()
        };
        match self {
            Self::Refused(Refusal::RequestsExhausted(limit) | Refusal::RequestsHeld(limit)) => of(limit, "requests", 0),
            Self::Refused(Refusal::RateLimited { limit, resets_at, .. }) => {
                Hint { resets_at: Some(resets_at.seconds()), ..of(limit, "requests_per_minute", 0) }
            }
            Self::Refused(Refusal::ConcurrencyExceeded(limit)) => of(limit, "concurrency", 0),
            Self::Refused(Refusal::DoesNotFit(shortage) | Refusal::RoomHeld(shortage)) => {
                let (limit, period) = match shortage.of {
                    Resource::Budget(period) => ("budget_usd", Some(period)),
                    Resource::Tokens => ("tokens", None),
                };
                Hint {
                    limit: Some(limit),
                    scope: Some(shortage.limit.scope),
                    period,
                    allowed: Some(quantity(shortage, shortage.limit.allowed)),
                    remaining: Some(quantity(shortage, shortage.remaining)),
                    needed: Some(quantity(shortage, shortage.needed)),
                    max_output_tokens: shortage.fitting_output_tokens.filter(|most| (1..u64::MAX).contains(most)),
                    resets_at: shortage.resets_at.map(Timestamp::seconds),
                }
            }
            // The account's ledger takes itself for a grant's.
            Self::NotAllowed(refusal) => {
                let hint = Self::Refused(refusal.clone()).hint();
                Hint { scope: hint.scope.map(|_| Scope::Account), ..hint }
            }
            _ => Hint::default(),
        }
    }
}

/// What a provider bills for a call that it answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billed {
    /// Nothing, and it wasn't the call's fault: it counts against nothing.
    Nothing,
    /// No money; but it was a call.
    ACall,
    /// Nobody knows: something in between may have given up on a call that the provider carried out.
    Unknown,
}

/// What an error of this status and body means for the booking. An error in the provider's own shape is the provider's own word.
#[must_use]
pub fn is_billed(status: u16, body: Option<&str>) -> Billed {
    let says_error = || {
        let body = body.and_then(|body| serde_json::from_str::<ErrorBody>(body).ok());
        body.is_some_and(|body| !matches!(body.error, serde_json::Value::Null))
    };
    match status {
        429 => Billed::Nothing,
        // 499 is what a proxy writes down for a client that left, and some answer it; 425 is to be sent again, and nobody says whether
        // it was carried out.
        408 | 425 | 499 | 504 => Billed::Unknown,
        400 if body.is_some_and(|body| AFTER_WRITING.iter().any(|words| body.contains(words))) => Billed::Unknown,
        ..500 => Billed::ACall,
        500 | 503 | 529 if says_error() => Billed::Nothing,
        _ => Billed::Unknown,
    }
}

/// What providers say with a 400 of an answer that was written and is kept back: nobody says whether that is billed.
const AFTER_WRITING: [&str; 2] = ["Output blocked by content filtering policy", "Could not finish the message because"];

#[derive(serde::Deserialize)]
struct ErrorBody {
    error: serde_json::Value,
}

const fn quantity(shortage: &Shortage, amount: u64) -> Quantity {
    match shortage.of {
        Resource::Budget(_) => Quantity::Usd(NanoUsd(amount)),
        Resource::Tokens => Quantity::Count(amount),
    }
}

/// Why so many tools are too many, as the end of a sentence.
pub(super) fn too_many_tools(most: u64) -> String {
    format!("more than {most} tools of this call run at the provider; send at most {most} of those")
}

/// `5.00 USD a day`, `1000 tokens`.
fn cap(shortage: &Shortage) -> String {
    let allowed = shortage.limit.allowed;
    match shortage.of {
        Resource::Budget(Period::Total) => format!("{} USD", NanoUsd(allowed)),
        Resource::Budget(period) => format!("{} USD a {}", NanoUsd(allowed), period.as_str()),
        Resource::Tokens => format!("{allowed} tokens"),
    }
}

fn does_not_fit(shortage: &Shortage) -> String {
    let (cap, of_whose) = (cap(shortage), of_whose(&shortage.limit));
    if shortage.remaining == 0 {
        return format!("the {cap} {of_whose} are used up");
    }
    let (remaining, needed) = match shortage.of {
        Resource::Budget(_) => {
            (format!("{} USD", NanoUsd(shortage.remaining)), format!("{} USD", NanoUsd(shortage.needed)))
        }
        Resource::Tokens => (format!("{} tokens", shortage.remaining), format!("{} tokens", shortage.needed)),
    };
    let advice = match shortage.fitting_output_tokens {
        Some(most @ 1..) => format!("it would fit with a maximum of {most} output tokens"),
        _ => "what it sends alone does not fit".to_owned(),
    };
    format!("{remaining} are left of the {cap} {of_whose}, and this call can take up to {needed}; {advice}")
}

/// Whose limit it is, as it follows the limit.
const fn of_whose(limit: &Limit) -> &'static str {
    match limit.scope {
        Scope::Permission => "of this permission",
        Scope::Grant => "of this grant",
        Scope::Delegation => "of this delegation",
        Scope::Ceiling => "that the operator allows for each grant",
        Scope::Account => "that the operator allows for all grants of this account",
    }
}

fn beyond_parent(beyond: Beyond) -> String {
    match beyond {
        Beyond::Permission(index) => {
            format!("no single permission of the token that it is exchanged for covers permission {index}")
        }
        Beyond::PermissionLimits(index) => {
            format!("a limit of permission {index} is above those of the token that it is exchanged for")
        }
        Beyond::Limits => "a limit is above those of the token that it is exchanged for".to_owned(),
        Beyond::ExpiresAt => "it can not outlive the token that it is exchanged for".to_owned(),
        Beyond::Depth => format!("a token can be narrowed {MAX_DEPTH} times and no more"),
    }
}

#[cfg(test)]
mod tests;
