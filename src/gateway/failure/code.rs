//! The codes of refusals, as programs read them, and their HTTP status.

/// The value of the header `aipassport-error` and of `code` in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCode {
    /// 401.
    InvalidToken,
    /// 401 (RFC 9449 §7.1).
    InvalidDpopProof,
    /// 401 (RFC 9449 §9).
    UseDpopNonce,
    /// 402.
    RequestsExhausted,
    /// 402.
    BudgetExhausted,
    /// 402.
    TokensExhausted,
    /// 402.
    AccountBudgetExhausted,
    /// 403.
    GrantPaused,
    /// 403.
    PriceUnknown,
    /// 403.
    ProviderNotGranted,
    /// 403.
    ModelNotGranted,
    /// 403.
    CapabilityNotGranted,
    /// 403.
    ProviderNotAllowed,
    /// 403.
    ModelNotAllowed,
    /// 403.
    EndpointNotGranted,
    /// 403.
    FieldNotAllowed,
    /// 403.
    DelegationNotAllowed,
    /// 429.
    RateLimited,
    /// 429.
    ConcurrencyExceeded,
    /// 429.
    RequestsHeld,
    /// 429.
    BudgetHeld,
    /// 429.
    TokensHeld,
    /// 429.
    AccountBudgetHeld,
    /// 429.
    ProviderBusy,
    /// 429.
    TooManyWaiting,
    /// 400.
    InvalidRequest,
    /// 400: the SDKs show its message as it is, and try once. It is the call that has to change, not the token.
    TooManyTools,
    /// 400.
    TooManyModels,
    /// 408.
    BodyTimeout,
    /// 413.
    BodyTooLarge,
    /// 426.
    WebSocketNotServed,
    /// 502.
    UpstreamUnreachable,
    /// 502.
    ProviderKeyRejected,
    /// 503.
    ProviderNotConfigured,
    /// 503.
    BrokerBusy,
    /// 503.
    BrokerUnavailable,
    /// 504.
    UpstreamTimeout,
}

impl FailureCode {
    /// As it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::RequestsExhausted => "requests_exhausted",
            Self::BudgetExhausted => "budget_exhausted",
            Self::TokensExhausted => "tokens_exhausted",
            Self::AccountBudgetExhausted => "account_budget_exhausted",
            Self::GrantPaused => "grant_paused",
            Self::PriceUnknown => "price_unknown",
            Self::ProviderNotGranted => "provider_not_granted",
            Self::ModelNotGranted => "model_not_granted",
            Self::CapabilityNotGranted => "capability_not_granted",
            Self::ProviderNotAllowed => "provider_not_allowed",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::EndpointNotGranted => "endpoint_not_granted",
            Self::FieldNotAllowed => "field_not_allowed",
            Self::DelegationNotAllowed => "delegation_not_allowed",
            Self::RateLimited => "rate_limited",
            Self::ConcurrencyExceeded => "concurrency_exceeded",
            Self::RequestsHeld => "requests_held",
            Self::BudgetHeld => "budget_held",
            Self::TokensHeld => "tokens_held",
            Self::AccountBudgetHeld => "account_budget_held",
            Self::InvalidRequest => "invalid_request",
            Self::TooManyTools => "too_many_tools",
            Self::TooManyModels => "too_many_models",
            Self::BodyTooLarge => "body_too_large",
            Self::WebSocketNotServed => "websocket_not_served",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::ProviderKeyRejected => "provider_key_rejected",
            Self::ProviderNotConfigured => "provider_not_configured",
            Self::ProviderBusy => "provider_busy",
            Self::TooManyWaiting => "too_many_waiting",
            Self::BodyTimeout => "body_timeout",
            Self::BrokerBusy => "broker_busy",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// The HTTP status. The official SDKs retry 408, 429 and 5xx and raise the rest at once.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::TooManyTools | Self::TooManyModels => 400,
            Self::InvalidToken | Self::InvalidDpopProof | Self::UseDpopNonce => 401,
            Self::RequestsExhausted | Self::BudgetExhausted | Self::TokensExhausted | Self::AccountBudgetExhausted => {
                402
            }
            Self::GrantPaused
            | Self::PriceUnknown
            | Self::ProviderNotGranted
            | Self::ModelNotGranted
            | Self::CapabilityNotGranted
            | Self::ProviderNotAllowed
            | Self::ModelNotAllowed
            | Self::EndpointNotGranted
            | Self::FieldNotAllowed
            | Self::DelegationNotAllowed => 403,
            Self::BodyTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::WebSocketNotServed => 426,
            Self::RateLimited
            | Self::ConcurrencyExceeded
            | Self::RequestsHeld
            | Self::BudgetHeld
            | Self::TokensHeld
            | Self::AccountBudgetHeld
            | Self::ProviderBusy
            | Self::TooManyWaiting => 429,
            Self::UpstreamUnreachable | Self::ProviderKeyRejected => 502,
            Self::ProviderNotConfigured | Self::BrokerBusy | Self::BrokerUnavailable => 503,
            Self::UpstreamTimeout => 504,
        }
    }
}
