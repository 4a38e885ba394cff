//! Which calls were refused lately, and why: a count for each reason, however many calls there are.
//!
//! A flood of calls that are refused must not become a flood of writes. A count is stored when it has doubled, so that a crash forgets
//! less than half of it, and whenever it was told (`edge::ledger_object` sees to it that this is at most once a minute). Counts are sums
//! of a run that began at [`Refused::first_at`]: told twice they count once. A day after the last one a run is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    super::time::Timestamp,
    Effect, Ledger,
    command::{Refusal, Resource, Shortage},
};

/// Seconds without a refusal after which the next one begins a run of its own.
const RUN_SECONDS: u64 = 24 * 3600;
/// Longest name of a model that is remembered, in characters.
pub const MAX_MODEL_CHARS: usize = 100;

/// Why a call was refused, as far as a person wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The grant, or the delegation that called, was over.
    Ended,
    /// The person had paused it.
    GrantPaused,
    /// This provider isn't granted.
    ProviderNotGranted,
    /// This model isn't.
    ModelNotGranted,
    /// The model is, but not for this.
    CapabilityNotGranted,
    /// What the call can cost isn't known, under a cap.
    PriceUnknown,
    /// The call brought more tools of the provider than can be bounded, under a cap.
    TooManyTools,
    /// It doesn't fit into the money that is left.
    BudgetExhausted,
    /// It doesn't fit into the tokens that are left.
    TokensExhausted,
    /// No request is left.
    RequestsExhausted,
    /// The money that is left was held by other calls.
    BudgetHeld,
    /// The tokens that are left were.
    TokensHeld,
    /// The requests that are left were.
    RequestsHeld,
    /// Too many calls in a minute.
    RateLimited,
    /// Too many calls at once.
    ConcurrencyExceeded,
    /// A grant can't cover that part of the provider's API.
    EndpointNotGranted,
    /// A grant can't cover something that the call asked for.
    FieldNotAllowed,
    /// The call couldn't be read.
    InvalidRequest,
    /// Its body was too long.
    BodyTooLarge,
    /// This broker has no key for the provider.
    ProviderNotConfigured,
    /// The operator doesn't allow members that provider.
    ProviderNotAllowed,
    /// Nor that model.
    ModelNotAllowed,
    /// It doesn't fit into what the operator allows a member in a month.
    AccountBudgetExhausted,
    /// What is left of that was held by other calls.
    AccountBudgetHeld,
}

impl Reason {
    /// Every one.
    pub const ALL: [Self; 24] = [
        Self::Ended,
        Self::GrantPaused,
        Self::ProviderNotGranted,
        Self::ModelNotGranted,
        Self::CapabilityNotGranted,
        Self::PriceUnknown,
        Self::TooManyTools,
        Self::BudgetExhausted,
        Self::TokensExhausted,
        Self::RequestsExhausted,
        Self::BudgetHeld,
        Self::TokensHeld,
        Self::RequestsHeld,
        Self::RateLimited,
        Self::ConcurrencyExceeded,
        Self::EndpointNotGranted,
        Self::FieldNotAllowed,
        Self::InvalidRequest,
        Self::BodyTooLarge,
        Self::ProviderNotConfigured,
        Self::ProviderNotAllowed,
        Self::ModelNotAllowed,
        Self::AccountBudgetExhausted,
        Self::AccountBudgetHeld,
    ];

    /// As it is stored; but for `ended` it is what the app is told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::GrantPaused => "grant_paused",
            Self::ProviderNotGranted => "provider_not_granted",
            Self::ModelNotGranted => "model_not_granted",
            Self::CapabilityNotGranted => "capability_not_granted",
            Self::PriceUnknown => "price_unknown",
            Self::TooManyTools => "too_many_tools",
            Self::BudgetExhausted => "budget_exhausted",
            Self::TokensExhausted => "tokens_exhausted",
            Self::RequestsExhausted => "requests_exhausted",
            Self::BudgetHeld => "budget_held",
            Self::TokensHeld => "tokens_held",
            Self::RequestsHeld => "requests_held",
            Self::RateLimited => "rate_limited",
            Self::ConcurrencyExceeded => "concurrency_exceeded",
            Self::EndpointNotGranted => "endpoint_not_granted",
            Self::FieldNotAllowed => "field_not_allowed",
            Self::InvalidRequest => "invalid_request",
            Self::BodyTooLarge => "body_too_large",
            Self::ProviderNotConfigured => "provider_not_configured",
            Self::ProviderNotAllowed => "provider_not_allowed",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::AccountBudgetExhausted => "account_budget_exhausted",
            Self::AccountBudgetHeld => "account_budget_held",
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Of a call that the ledger of a member's account refused. `None`: nothing that a person could do something about.
    #[must_use]
    pub const fn of_account(refusal: &Refusal) -> Option<Self> {
        Some(match refusal {
            Refusal::ProviderNotGranted => Self::ProviderNotAllowed,
            Refusal::ModelNotGranted(_) => Self::ModelNotAllowed,
            Refusal::DoesNotFit(Shortage { of: Resource::Budget(_), .. }) => Self::AccountBudgetExhausted,
            Refusal::RoomHeld(Shortage { of: Resource::Budget(_), .. }) => Self::AccountBudgetHeld,
            Refusal::PriceUnknown(_) => Self::PriceUnknown,
            Refusal::TooManyTools(_) => Self::TooManyTools,
            _ => return None,
        })
    }

    /// Of a call that a ledger refused. `None`: nothing that a person could do something about.
    #[must_use]
    pub const fn of(refusal: &Refusal) -> Option<Self> {
        Some(match refusal {
            Refusal::Revoked | Refusal::Expired | Refusal::NoSuchDelegation => Self::Ended,
            Refusal::Paused => Self::GrantPaused,
            Refusal::ProviderNotGranted => Self::ProviderNotGranted,
            Refusal::ModelNotGranted(_) => Self::ModelNotGranted,
            Refusal::CapabilityNotGranted(_) => Self::CapabilityNotGranted,
            Refusal::PriceUnknown(_) => Self::PriceUnknown,
            Refusal::TooManyTools(_) => Self::TooManyTools,
            Refusal::DoesNotFit(Shortage { of: Resource::Budget(_), .. }) => Self::BudgetExhausted,
            Refusal::DoesNotFit(Shortage { of: Resource::Tokens, .. }) => Self::TokensExhausted,
            Refusal::RoomHeld(Shortage { of: Resource::Budget(_), .. }) => Self::BudgetHeld,
            Refusal::RoomHeld(Shortage { of: Resource::Tokens, .. }) => Self::TokensHeld,
            Refusal::RequestsExhausted(_) => Self::RequestsExhausted,
            Refusal::RequestsHeld(_) => Self::RequestsHeld,
            Refusal::RateLimited { .. } => Self::RateLimited,
            Refusal::ConcurrencyExceeded(_) => Self::ConcurrencyExceeded,
            Refusal::NoSuchGrant
            | Refusal::NotWithinParent(_)
            | Refusal::BeyondCeiling(_)
            | Refusal::TooManyDelegations
            | Refusal::ProofReplayed
            | Refusal::ProofTooOld { .. } => return None,
        })
    }
}

/// A run of calls that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first_at: Timestamp,
    /// The last.
    pub last_at: Timestamp,
    /// What model the last one asked for, shortened; empty where that isn't known. A stranger chose it.
    pub model: String,
}

/// The runs of a grant, one for each reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    runs: BTreeMap<Reason, Refused>,
    /// Whether some of them are yet to be told.
    is_untold: bool,
}

impl Refusals {
    /// Each reason and its run.
    pub fn runs(&self) -> impl Iterator<Item = (Reason, &Refused)> {
        self.runs.iter().map(|(reason, run)| (*reason, run))
    }

    /// Whether some of them are yet to be told.
    #[must_use]
    pub const fn is_untold(&self) -> bool {
        self.is_untold
    }

    /// Counts one more. Whether the count is worth storing now.
    fn count(&mut self, reason: Reason, model: &str, now: Timestamp) -> bool {
        self.is_untold = true;
        let model = shortened(model);
        let new = || Refused { count: 0, first_at: now, last_at: now, model: String::new() };
        let run = self.runs.entry(reason).or_insert_with(new);
        if run.last_at.plus_seconds(RUN_SECONDS) <= now {
            *run = new();
        }
        run.count = run.count.saturating_add(1);
        run.last_at = now;
        run.model = model;
        run.count.is_power_of_two()
    }
}

/// Without what can't be seen or shown.
fn shortened(model: &str) -> String {
    model.chars().filter(|c| !c.is_control()).take(MAX_MODEL_CHARS).collect()
}

impl Ledger {
    /// With the refusals that were stored.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Refusals) -> Self {
        self.refusals = refusals;
        self
    }

    /// What was refused.
    #[must_use]
    pub const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// All of it, to be told. What comes from now on is untold.
    pub fn take_refusals(&mut self) -> Refusals {
        let refusals = self.refusals.clone();
        self.refusals.is_untold = false;
        refusals
    }

    /// It couldn't be told.
    pub fn put_refusals_back(&mut self) {
        self.refusals.is_untold = true;
    }

    /// A call was refused by the ledger.
    pub(super) fn note_refusal(&mut self, refusal: &Refusal, model: &str, effects: &mut Vec<Effect>) {
        let refused_by = self.refused_by.take();
        if refused_by.is_some() {
            self.note_thresholds(refused_by, effects);
        }
        if let Some(reason) = Reason::of(refusal) {
            let model = if let Refusal::ModelNotGranted(model) = refusal { model } else { model };
            self.count_refusal(reason, model, effects);
        }
    }

    /// One more call was refused. It costs nothing and counts against nothing.
    pub(super) fn count_refusal(&mut self, reason: Reason, model: &str, effects: &mut Vec<Effect>) {
        if !self.refusals.count(reason, model, self.clock) {
            return;
        }
        if !self.is_stored {
            // Without it nothing that is stored would be found again.
            self.save_summary(effects);
        }
        effects.push(Effect::SaveRefusals(Box::new(self.refusals.clone())));
    }
}
