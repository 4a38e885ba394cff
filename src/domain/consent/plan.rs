//! Limits on money and time that are chosen in one go, instead of being written.

use serde::{Deserialize, Serialize};

use super::{Budget, DEFAULT_LIFETIME_SECONDS, LIFETIMES_SECONDS, Most, MostMoney};
use crate::domain::{
    authorization_details::Requested,
    limits::{Limits, Period},
    money::Amount,
};

const DAY_SECONDS: u64 = 86_400;

/// Which limits are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Those that this person chose for this app before, and asked to remember.
    Usual,
    /// A little, for a day.
    Try,
    /// What the broker proposes.
    Week,
    /// Money as the app asked.
    Asked,
    /// One's own.
    Custom,
}

impl Plan {
    /// Every one of them.
    pub const ALL: [Self; 5] = [Self::Usual, Self::Try, Self::Week, Self::Asked, Self::Custom];

    /// As a form names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Try => "try",
            Self::Week => "week",
            Self::Asked => "asked",
            Self::Custom => "custom",
        }
    }

    /// As a form names it.
    #[must_use]
    pub fn from_form(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plan| plan.as_str() == text)
    }
}

/// What a person chose for an app and asked to remember.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usual {
    /// Over the whole grant.
    pub limits: Limits,
    /// Life of the grant in seconds.
    pub lifetime_seconds: u64,
}

/// A plan, and what it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub plan: Plan,
    /// Money over the whole grant, and nothing else. None where the limits that the app named for each provider say it all.
    pub money: Limits,
    /// Life of the grant in seconds.
    pub lifetime_seconds: u64,
    /// Whether it is less than the person is used to, or than the app asked, since their operator allows no more.
    pub is_lowered: bool,
}

/// The plans, the one first that is chosen unless the person chooses another. Of two that come to the same this one is shown.
const PROPOSED: [Plan; 4] = [Plan::Usual, Plan::Asked, Plan::Week, Plan::Try];

impl Requested {
    /// The plans for this request, in the order in which they are shown: none is wider than what was asked, none leaves money open, and
    /// no two come to the same. [`Plan::Custom`] is always there, and is none of them.
    ///
    /// `as_asked`: the request before the operator's policy narrowed it. `most`: what the operator allows for a grant, where they say so:
    /// nothing is offered that would be refused.
    #[must_use]
    pub fn offers(&self, as_asked: &Self, usual: Option<&Usual>, most: Option<Amount>) -> Vec<Offer> {
        let preset = |plan, amount, lifetime_seconds| {
            let money = self.at_most(amount, most);
            Offer { plan, money, lifetime_seconds, is_lowered: false }
        };
        let all = [
            usual.and_then(|usual| self.usual(usual, most)),
            Some(preset(Plan::Try, Amount::ONE_USD, DAY_SECONDS)),
            Some(preset(Plan::Week, Amount::FIVE_USD, DEFAULT_LIFETIME_SECONDS)),
            self.asked(as_asked, most),
        ];
        let offers: Vec<Offer> = all.into_iter().flatten().filter(|offer| self.takes(offer, most)).collect();
        let comes_to = |offer: &Offer| {
            let life = offer.lifetime_seconds;
            (self.most(&offer.money, most).in_a_life_of(life), life)
        };
        let rank = |offer: &Offer| PROPOSED.iter().position(|plan| *plan == offer.plan);
        let is_shown = |offer: &&Offer| {
            !offers.iter().any(|other| rank(other) < rank(offer) && comes_to(other) == comes_to(offer))
        };
        offers.iter().filter(is_shown).copied().collect()
    }

    /// The most that a grant of this request can use, with these limits over everything and below the operator's `ceiling`.
    #[must_use]
    pub fn most(&self, overall: &Limits, ceiling: Option<Amount>) -> Most {
        Most::of(overall, &self.permissions, ceiling)
    }

    /// Money over everything, so that it is no more than this in all, nor than what the app asked or the operator allows.
    fn at_most(&self, amount: Amount, most: Option<Amount>) -> Limits {
        let own: Option<Vec<Amount>> = self.permissions.iter().map(|asked| asked.limits.budget_usd).collect();
        let sum = own.and_then(|own| own.into_iter().reduce(Amount::plus));
        let amount = [most, self.limits.budget_usd, sum].into_iter().flatten().fold(amount, Amount::min);
        let asked = money_of(&self.limits);
        // What the limits that the app named come to anyway is not set once more.
        let is_said = match self.most(&asked, None).money {
            MostMoney::Together(budgets) => budgets.iter().any(|budget| budget.is_within(&Budget::in_all(amount))),
            MostMoney::Each(_) | MostMoney::Open => false,
        };
        if is_said { asked } else { Limits { budget_usd: Some(amount), ..Limits::NONE } }
    }

    /// Lowered to what the operator allows. Nothing where the app asks for less by now: then it isn't what the person is used to.
    fn usual(&self, usual: &Usual, most: Option<Amount>) -> Option<Offer> {
        let money = money_of(&usual.limits);
        let budget_usd = money.budget_usd.map(|budget| most.map_or(budget, |most| budget.min(most)));
        let offer = Offer {
            plan: Plan::Usual,
            money: Limits { budget_usd, ..money },
            lifetime_seconds: usual.lifetime_seconds,
            is_lowered: budget_usd != money.budget_usd,
        };
        let said = self.most(&offer.money, None).money;
        let is_said = Budget::of(&offer.money)
            .is_none_or(|budget| matches!(said, MostMoney::Together(budgets) if budgets.contains(&budget)));
        is_said.then_some(offer)
    }

    /// Nothing where the app asked for no limit over everything, and the only one is the operator's.
    fn asked(&self, as_asked: &Self, most: Option<Amount>) -> Option<Offer> {
        if as_asked.limits.budget_usd.is_none() && self.limits.budget_usd.is_some() {
            return None;
        }
        let money = money_of(&self.limits);
        let lifetime_seconds = DEFAULT_LIFETIME_SECONDS;
        let comes_to = |most: Most| most.in_a_life_of(lifetime_seconds).money;
        let is_lowered = comes_to(self.most(&money, most)) != comes_to(as_asked.most(&as_asked.limits, None));
        Some(Offer { plan: Plan::Asked, money, lifetime_seconds, is_lowered })
    }

    fn takes(&self, offer: &Offer, most: Option<Amount>) -> bool {
        let open = Limits::leave_money_open(&offer.money, self.permissions.iter().map(|asked| &asked.limits));
        let is_allowed = most.is_none_or(|most| offer.money.budget_usd.is_none_or(|budget| budget <= most));
        let is_offered = LIFETIMES_SECONDS.contains(&offer.lifetime_seconds);
        !open && is_allowed && is_offered && offer.money.is_within(&money_of(&self.limits))
    }

    /// The plan that is chosen unless the person chooses another: what they are used to, else what the app asked, else a week.
    #[must_use]
    pub fn proposed(offers: &[Offer]) -> Option<&Offer> {
        PROPOSED.into_iter().find_map(|plan| offers.iter().find(|offer| offer.plan == plan))
    }

    /// The other limits over everything that the page proposes: what the person is used to, where the app asks for nothing tighter.
    #[must_use]
    pub fn proposed_numbers(&self, usual: Option<&Usual>) -> Limits {
        let asked = numbers_of(&self.limits);
        let usual = usual.map(|usual| numbers_of(&usual.limits).or(asked)).filter(|usual| usual.is_within(&asked));
        usual.unwrap_or(asked)
    }
}

/// Money alone.
fn money_of(limits: &Limits) -> Limits {
    Limits { budget_usd: limits.budget_usd, budget_period: limits.budget_period, ..Limits::NONE }
}

/// Everything but money.
const fn numbers_of(limits: &Limits) -> Limits {
    Limits { budget_usd: None, budget_period: Period::Total, ..*limits }
}

#[cfg(test)]
mod tests;
