//! What the operator says over the heads of the users: a ceiling for each grant of a member, and an account for all of them.
//!
//! A member's account has a ledger of its own, the same state machine: its permissions are the providers, its limits what the member may
//! spend in a month. A call of a member's grant takes room in the grant's ledger first, which names the account, and then in the
//! account's, with the same claim ([`Claim::for_account`]). It leaves when both have said yes, and what ends it ends both holds. So
//! booked + held ≤ cap holds over all grants of a member as it does over one, at any concurrency; what dies in between is booked by both.
//!
//! The account's answer brings along what its ledger knows of the policy. A grant's ledger that knows an earlier one is told before the
//! call goes on ([`Reservation::outdated_by`]), and one that says no because of a ceiling is told before that is believed: so a new policy
//! has to be told to accounts alone, and each grant follows at its next call. An account that nobody could tell asks by itself when what
//! it knows is old ([`PolicyAge`](super::super::policy_age::PolicyAge)).

use serde::{Deserialize, Serialize};

use super::{
    super::{
        grant::Terms,
        limits::{Limits, Period},
        money::Amount,
        permission::{Permission, intersection},
    },
    Counters, Effect, Ledger,
    command::{Change, Claim, Need, Refusal, Reply, Reservation, Scope, Shortage, Worst},
};

/// What the operator's policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Govern {
    /// Its revision. A ledger that knows this one, or a later, changes nothing.
    pub policy: u64,
    /// [`Terms::ceiling`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Amount>,
    /// For the ledger of an account. What a grant allows is its user's business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<Allowance>,
}

/// What all grants of an account may use together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// One for each provider. Each stays at its position for ever, and so do its counters; new ones come at the end.
    pub permissions: Vec<Permission>,
    /// Over all of them.
    pub limits: Limits,
}

impl Govern {
    /// What the terms of an account say, from the row that they are made of.
    #[must_use]
    pub fn of_account(terms: Terms) -> Self {
        let allowance = Allowance { permissions: terms.permissions, limits: terms.limits };
        Self { policy: terms.policy, ceiling: terms.ceiling, allowance: Some(allowance) }
    }
}

/// What binds a ledger beside the limits of its terms.
pub(super) fn ceiling_of(terms: &Terms) -> Limits {
    let binds = terms.account.is_some();
    Limits { budget_usd: terms.ceiling.filter(|_| binds), budget_period: Period::Total, ..Limits::NONE }
}

impl Ledger {
    /// Other rules from now on. What was counted stays.
    pub(super) fn govern(&mut self, govern: Govern, effects: &mut Vec<Effect>) -> Reply {
        if self.check_alive().is_err() || govern.policy <= self.terms.policy {
            return Reply::Done;
        }
        if let Some(allowance) = govern.allowance {
            if allowance.permissions.len() < self.permissions.len() {
                return Reply::Refused(Refusal::NoSuchGrant);
            }
            self.permissions.resize_with(allowance.permissions.len(), Counters::default);
            self.terms.permissions = allowance.permissions;
            self.terms.limits = allowance.limits;
        }
        self.terms.policy = govern.policy;
        self.terms.ceiling = govern.ceiling;
        self.ceiling = ceiling_of(&self.terms);
        // What is set aside was measured by the old limits.
        self.checkpoint(effects);
        effects.push(Effect::SaveTerms(Box::new(self.terms.clone())));
        Reply::Done
    }

    /// Whether a change keeps within the ceiling. A budget that was above it before may stay as it is: the ceiling binds all the same,
    /// and a grant must be paused whatever its budgets say.
    pub(super) fn check_ceiling(&self, change: &Change) -> Result<(), Refusal> {
        let Some(ceiling) = self.ceiling.budget_usd else { return Ok(()) };
        let was_open = Limits::leave_money_open(&self.terms.limits, self.terms.limits_of_permissions());
        let is_open = Limits::leave_money_open(&change.limits, &change.permissions);
        let raises = |new: &Limits, old: &Limits| {
            let money = |limits: &Limits| (limits.budget_usd, limits.budget_period);
            new.budget_usd.is_some_and(|budget| budget > ceiling) && money(new) != money(old)
        };
        let beyond = (is_open && !was_open)
            || raises(&change.limits, &self.terms.limits)
            || change.permissions.iter().zip(self.terms.limits_of_permissions()).any(|(new, old)| raises(new, old));
        if beyond { Err(Refusal::BeyondCeiling(ceiling)) } else { Ok(()) }
    }
}

impl Claim {
    /// The same call as an account is asked for it, once its grant has said yes. `output_tokens`: what the grant has room for, where that
    /// is less than the claim's own maximum.
    ///
    /// Capabilities are the grant's business alone. Where the call goes is told by the grant.
    #[must_use]
    pub fn for_account(&self, output_tokens: Option<u64>) -> Self {
        let need = match &self.need {
            Need::Model { models, .. } => Need::Model { models: models.clone(), capabilities: Vec::new() },
            Need::Models { model } => Need::Models { model: model.clone() },
        };
        let mut worst = self.worst.clone();
        if let (Worst::Bound(bound), Some(most)) = (&mut worst, output_tokens) {
            bound.output_tokens = bound.output_tokens.min(most);
        }
        Self { provider: self.provider, need, endpoint: String::new(), worst }
    }
}

impl Refusal {
    /// Whether it is the operator's ceiling that says no. It may have been raised since: only the account knows.
    #[must_use]
    pub const fn is_of_ceiling(&self) -> bool {
        matches!(self, Self::DoesNotFit(Shortage { limit, .. }) | Self::RoomHeld(Shortage { limit, .. })
            if matches!(limit.scope, Scope::Ceiling))
    }
}

impl Reservation {
    /// Whether money or tokens of the call are limited.
    #[must_use]
    pub const fn is_capped(&self) -> bool {
        self.budget_remaining.is_some() || self.tokens_remaining.is_some()
    }

    /// What a grant's ledger has to be told before a call of it goes on: the account knows a later policy.
    #[must_use]
    pub fn outdated_by(&self, account: &Self) -> Option<Govern> {
        (account.policy > self.policy).then(|| account.of_policy())
    }

    /// What an account knows of the policy, for a grant's ledger.
    #[must_use]
    pub const fn of_policy(&self) -> Govern {
        Govern { policy: self.policy, ceiling: self.ceiling, allowance: None }
    }

    /// A grant's yes, narrowed to what its account says yes to. `asked_tokens`: what the account was asked for, as in
    /// [`Claim::for_account`]; the grant may have room for more since.
    #[must_use]
    pub fn within(self, account: &Self, asked_tokens: Option<u64>) -> Self {
        fn least<T: Ord + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
            [one, other].into_iter().flatten().min()
        }
        Self {
            output_tokens: least(least(self.output_tokens, asked_tokens), account.output_tokens),
            budget_remaining: least(self.budget_remaining, account.budget_remaining),
            models: intersection(&self.models, &account.models),
            ..self
        }
    }
}
