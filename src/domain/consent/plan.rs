//! Limits on money and time that are chosen in one go, instead of being written.

use serde::{Deserialize, Serialize};

use super::{DEFAULT_LIFETIME_SECONDS, LIFETIMES_SECONDS};
use crate::domain::{authorization_details::Requested, limits::Limits, money::Amount};

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

/// A plan, and what it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub plan: Plan,
    /// Money over the whole grant, and nothing else.
    pub money: Limits,
    /// Life of the grant in seconds.
    pub lifetime_seconds: u64,
    /// Whether it is less than the person is used to, since their operator allows no more.
    pub is_lowered: bool,
}

impl Requested {
    /// The plans for this request, in the order in which they are shown: none is wider than what was asked, and none leaves money open.
    /// [`Plan::Custom`] is always there, and is none of them. `most`: what the operator allows for a grant, where they say so: nothing is
    /// offered that would be refused.
    #[must_use]
    pub fn offers(&self, usual: Option<&Usual>, most: Option<Amount>) -> Vec<Offer> {
        let total = |amount| Limits { budget_usd: Some(amount), ..Limits::NONE };
        let offer = |plan, money, lifetime_seconds| Offer { plan, money, lifetime_seconds, is_lowered: false };
        let week = offer(Plan::Week, total(Amount::FIVE_USD), DEFAULT_LIFETIME_SECONDS);
        let asked = offer(Plan::Asked, money_of(&self.limits), DEFAULT_LIFETIME_SECONDS);
        let all = [
            usual.map(|usual| {
                let money = money_of(&usual.limits);
                let budget_usd = money.budget_usd.map(|budget| most.map_or(budget, |most| budget.min(most)));
                let is_lowered = budget_usd != money.budget_usd;
                let money = Limits { budget_usd, ..money };
                Offer { is_lowered, ..offer(Plan::Usual, money, usual.lifetime_seconds) }
            }),
            Some(offer(Plan::Try, total(Amount::ONE_USD), DAY_SECONDS)),
            Some(week).filter(|week| week.money != asked.money),
            Some(asked),
        ];
        let is_allowed =
            |offer: &Offer| most.is_none_or(|most| offer.money.budget_usd.is_none_or(|budget| budget <= most));
        all.into_iter().flatten().filter(|offer| self.takes(offer) && is_allowed(offer)).collect()
    }

    fn takes(&self, offer: &Offer) -> bool {
        let open = Limits::leave_money_open(&offer.money, self.permissions.iter().map(|asked| &asked.limits));
        !open && offer.money.is_within(&money_of(&self.limits)) && LIFETIMES_SECONDS.contains(&offer.lifetime_seconds)
    }

    /// The plan that is chosen unless the person chooses another: what they are used to, else what the app asked, else a week.
    #[must_use]
    pub fn proposed(offers: &[Offer]) -> Option<&Offer> {
        [Plan::Usual, Plan::Asked, Plan::Week, Plan::Try]
            .into_iter()
            .find_map(|plan| offers.iter().find(|offer| offer.plan == plan))
    }
}

/// Money alone.
fn money_of(limits: &Limits) -> Limits {
    Limits { budget_usd: limits.budget_usd, budget_period: limits.budget_period, ..Limits::NONE }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::limits::Period;

    fn requested(limits: Limits) -> Requested {
        let requested = Requested::from_scope("openai:chat").unwrap();
        Requested { limits, ..requested }
    }

    fn money(usd: &str, budget_period: Period) -> Limits {
        Limits { budget_usd: usd.parse().ok(), budget_period, ..Limits::NONE }
    }

    fn plans(requested: &Requested, usual: Option<&Usual>) -> Vec<Plan> {
        requested.offers(usual, None).iter().map(|offer| offer.plan).collect()
    }

    fn proposed(requested: &Requested, usual: Option<&Usual>) -> Option<Plan> {
        Requested::proposed(&requested.offers(usual, None)).map(|offer| offer.plan)
    }

    #[test]
    fn an_app_that_names_no_money_gets_a_try_or_a_week() {
        let asked = requested(Limits::NONE);
        assert_eq!(plans(&asked, None), [Plan::Try, Plan::Week]);
        assert_eq!(proposed(&asked, None), Some(Plan::Week));
    }

    #[test]
    fn what_the_app_asked_is_proposed_where_it_asked() {
        let asked = requested(money("9", Period::Month));
        assert_eq!(plans(&asked, None), [Plan::Try, Plan::Week, Plan::Asked]);
        assert_eq!(proposed(&asked, None), Some(Plan::Asked));
    }

    #[test]
    fn a_plan_that_is_wider_than_what_was_asked_is_not_offered() {
        assert_eq!(plans(&requested(money("0.75", Period::Total)), None), [Plan::Asked]);
        assert_eq!(plans(&requested(money("3", Period::Day)), None), [Plan::Try, Plan::Asked]);
    }

    #[test]
    fn the_same_money_is_offered_once() {
        assert_eq!(plans(&requested(money("5", Period::Total)), None), [Plan::Try, Plan::Asked]);
    }

    #[test]
    fn the_usual_is_proposed_where_it_fits() {
        let usual = |usd, lifetime_seconds| Usual { limits: money(usd, Period::Total), lifetime_seconds };
        assert_eq!(proposed(&requested(Limits::NONE), Some(&usual("2", 3600))), Some(Plan::Usual));
        assert_eq!(proposed(&requested(money("1", Period::Total)), Some(&usual("2", 3600))), Some(Plan::Asked));
        assert_eq!(
            proposed(&requested(Limits::NONE), Some(&usual("2", 5))),
            Some(Plan::Week),
            "such a life is not offered"
        );
        let open = Usual { limits: Limits::NONE, lifetime_seconds: 3600 };
        assert_eq!(
            proposed(&requested(Limits::NONE), Some(&open)),
            Some(Plan::Week),
            "no limit takes a choice each time"
        );
    }

    #[test]
    fn nothing_is_offered_above_what_the_operator_allows_and_the_usual_is_lowered_to_it() {
        let usual = Usual { limits: money("20", Period::Month), lifetime_seconds: 3600 };
        let offers = |most: &str| requested(Limits::NONE).offers(Some(&usual), most.parse().ok());
        let told = |most: &str| offers(most).iter().map(|offer| (offer.plan, offer.is_lowered)).collect::<Vec<_>>();
        assert_eq!(told("20"), [(Plan::Usual, false), (Plan::Try, false), (Plan::Week, false)]);
        assert_eq!(told("8"), [(Plan::Usual, true), (Plan::Try, false), (Plan::Week, false)]);
        assert_eq!(offers("8")[0].money, money("8", Period::Month));
        assert_eq!(told("0.5"), [(Plan::Usual, true)]);
    }

    proptest! {
        #[test]
        fn no_plan_is_wider_than_what_was_asked_or_leaves_money_open(
            cents in prop::option::of(1_u64..2_000),
            period in 0_usize..3,
            usual_cents in prop::option::of(1_u64..2_000),
            usual_period in 0_usize..3,
        ) {
            let usd = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
            let limits = cents.map_or(Limits::NONE, |cents| money(&usd(cents), Period::ALL[period]));
            let usual = usual_cents.map(|cents| Usual {
                limits: money(&usd(cents), Period::ALL[usual_period]),
                lifetime_seconds: 3600,
            });
            let asked = requested(limits);
            let offers = asked.offers(usual.as_ref(), None);
            prop_assert!(!offers.is_empty());
            for offer in &offers {
                prop_assert!(offer.money.is_within(&limits) && offer.money.budget_usd.is_some());
            }
        }
    }
}
