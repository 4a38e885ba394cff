use core::num::NonZeroU64;

use proptest::prelude::*;

use super::*;
use crate::domain::{
    consent::{Choice, PermissionChoice},
    permission::Permission,
    policy::Policy,
    time::Timestamp,
};

fn requested(limits: Limits) -> Requested {
    let requested = Requested::from_scope("openai:chat").unwrap();
    Requested { limits, ..requested }
}

fn money(usd: &str, budget_period: Period) -> Limits {
    Limits { budget_usd: usd.parse().ok(), budget_period, ..Limits::NONE }
}

/// As whoever nobody's policy binds is offered.
fn offers(requested: &Requested, usual: Option<&Usual>) -> Vec<Offer> {
    requested.offers(requested, usual, None)
}

fn plans(requested: &Requested, usual: Option<&Usual>) -> Vec<Plan> {
    offers(requested, usual).iter().map(|offer| offer.plan).collect()
}

fn proposed(requested: &Requested, usual: Option<&Usual>) -> Option<Plan> {
    Requested::proposed(&offers(requested, usual)).map(|offer| offer.plan)
}

/// Each plan with what it comes to: how much, for which period, for how many days.
fn said(requested: &Requested, usual: Option<&Usual>, most: Option<Amount>) -> Vec<(Plan, String, u64)> {
    let narrowed = Policy { max_per_grant: most, ..Policy::default() }.narrow(requested).unwrap();
    let words = |offer: &Offer| match narrowed.most(&offer.money, most).money {
        MostMoney::Together(budgets) => {
            let words = budgets.iter().map(|budget| format!("{} {}", budget.amount, budget.period.as_str()));
            words.collect::<Vec<_>>().join(" + ")
        }
        other => format!("{other:?}"),
    };
    let offers = narrowed.offers(requested, usual, most);
    offers.iter().map(|offer| (offer.plan, words(offer), offer.lifetime_seconds / DAY_SECONDS)).collect()
}

fn as_said(plans: &[(Plan, String, u64)]) -> Vec<(Plan, &str, u64)> {
    plans.iter().map(|(plan, words, days)| (*plan, words.as_str(), *days)).collect()
}

/// With limits of its own for each provider, as the examples name them.
fn with_own(own: &[Limits]) -> Requested {
    let asked = Requested::from_scope("openai:chat anthropic:chat").unwrap();
    let permissions = asked.permissions.into_iter().zip(own);
    let permissions = permissions.map(|(permission, limits)| Permission { limits: *limits, ..permission });
    Requested { permissions: permissions.collect(), limits: Limits::NONE }
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
fn a_plan_is_narrowed_to_what_was_asked() {
    assert_eq!(
        as_said(&said(&requested(money("0.75", Period::Total)), None, None)),
        [(Plan::Try, "0.75 total", 1), (Plan::Asked, "0.75 total", 7)]
    );
    assert_eq!(
        as_said(&said(&requested(money("3", Period::Day)), None, None)),
        [(Plan::Try, "1.00 total", 1), (Plan::Week, "3.00 total", 7), (Plan::Asked, "3.00 day", 7)]
    );
}

#[test]
fn limits_that_the_app_named_for_its_only_provider_narrow_the_plans_and_are_set_once() {
    let asked = with_own(&[money("1", Period::Total)]);
    assert_eq!(as_said(&said(&asked, None, None)), [(Plan::Try, "1.00 total", 1), (Plan::Asked, "1.00 total", 7)]);
    assert!(offers(&asked, None).iter().all(|offer| offer.money == Limits::NONE), "the provider's own limit says it");
}

#[test]
fn limits_that_the_app_named_for_several_providers_narrow_the_plans_to_their_sum() {
    let asked = with_own(&[money("1", Period::Total), money("2", Period::Total)]);
    assert_eq!(as_said(&said(&asked, None, None)), [(Plan::Try, "1.00 total", 1), (Plan::Asked, "3.00 total", 7)]);
    let of_different_periods = with_own(&[money("1", Period::Day), money("2", Period::Total)]);
    let each = r"Each([(OpenAi, Budget { amount: Amount(1000000000), period: Day }), (Anthropic, Budget { amount: Amount(2000000000), period: Total })])";
    assert_eq!(
        as_said(&said(&of_different_periods, None, None)),
        [(Plan::Try, "1.00 total", 1), (Plan::Week, "3.00 total", 7), (Plan::Asked, each, 7)]
    );
}

#[test]
fn money_that_one_provider_leaves_open_narrows_nothing() {
    let asked = with_own(&[money("0.5", Period::Total), Limits::NONE]);
    assert_eq!(as_said(&said(&asked, None, None)), [(Plan::Try, "1.00 total", 1), (Plan::Week, "5.00 total", 7)]);
}

#[test]
fn plans_that_come_to_the_same_are_shown_once() {
    assert_eq!(plans(&requested(money("5", Period::Total)), None), [Plan::Try, Plan::Asked]);
    let usual = Usual { limits: money("1", Period::Total), lifetime_seconds: DAY_SECONDS };
    assert_eq!(plans(&requested(Limits::NONE), Some(&usual)), [Plan::Usual, Plan::Week]);
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
    assert_eq!(proposed(&requested(Limits::NONE), Some(&open)), Some(Plan::Week), "no limit takes a choice each time");
}

#[test]
fn the_usual_is_not_offered_where_the_app_asks_for_less_by_now() {
    let usual = |usd, period| Usual { limits: money(usd, period), lifetime_seconds: 3600 };
    let asked = with_own(&[money("1", Period::Total)]);
    assert_eq!(plans(&asked, Some(&usual("2", Period::Total))), [Plan::Try, Plan::Asked]);
    assert_eq!(plans(&asked, Some(&usual("0.5", Period::Total))), [Plan::Usual, Plan::Try, Plan::Asked]);
    let daily = with_own(&[money("1", Period::Day)]);
    assert_eq!(
        as_said(&said(&daily, Some(&usual("4", Period::Total)), None))[0],
        (Plan::Usual, "4.00 total + 1.00 day", 0)
    );
}

#[test]
fn nothing_is_offered_above_what_the_operator_allows_and_the_usual_is_lowered_to_it() {
    let usual = Usual { limits: money("20", Period::Month), lifetime_seconds: 3600 };
    let asked = requested(Limits::NONE);
    let offers = |most: &str| asked.offers(&asked, Some(&usual), most.parse().ok());
    let told = |most: &str| offers(most).iter().map(|offer| (offer.plan, offer.is_lowered)).collect::<Vec<_>>();
    assert_eq!(told("20"), [(Plan::Usual, false), (Plan::Try, false), (Plan::Week, false)]);
    assert_eq!(told("8"), [(Plan::Usual, true), (Plan::Try, false), (Plan::Week, false)]);
    assert_eq!(offers("8")[0].money, money("8", Period::Month));
    assert_eq!(
        as_said(&said(&asked, None, "0.5".parse().ok())),
        [(Plan::Try, "0.50 total", 1), (Plan::Week, "0.50 total", 7)],
        "and nothing is said to be asked that was not"
    );
}

#[test]
fn what_the_app_asked_is_marked_where_the_operator_allows_less() {
    let asked = requested(money("9", Period::Total));
    let is_lowered = |most: &str| {
        let most = most.parse().ok();
        let left = Policy { max_per_grant: most, ..Policy::default() }.narrow(&asked).unwrap();
        Requested::proposed(&left.offers(&asked, None, most)).map(|offer| (offer.plan, offer.is_lowered))
    };
    assert_eq!(is_lowered("2"), Some((Plan::Asked, true)));
    assert_eq!(is_lowered("9"), Some((Plan::Asked, false)));
    let daily = requested(money("3", Period::Day));
    let offers = daily.offers(&daily, None, "100".parse().ok());
    assert_eq!(Requested::proposed(&offers).map(|offer| offer.is_lowered), Some(false), "a week doesn't reach that");
}

fn any_money() -> impl Strategy<Value = Limits> {
    let amount = prop_oneof![1_u64..30, 50_u64..2_000].prop_map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
    prop::option::weighted(0.8, (amount, 0_usize..3))
        .prop_map(|some| some.map_or(Limits::NONE, |(usd, period)| money(&usd, Period::ALL[period])))
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (any_money(), prop::option::of(1_u64..200), prop::option::of(1_u64..90_000)).prop_map(
        |(money, requests, tokens)| Limits {
            requests: requests.and_then(NonZeroU64::new),
            tokens: tokens.and_then(NonZeroU64::new),
            ..money
        },
    )
}

proptest! {
    #[test]
    fn no_plan_is_wider_than_what_was_asked_in_any_dimension(
        overall in any_limits(),
        own in prop::collection::vec(any_limits(), 1..3),
        usual in prop::option::of((any_limits(), prop::sample::select(vec![3600_u64, 604_800, 5]))),
        most in prop::option::of(1_u64..12),
    ) {
        let as_asked = Requested { limits: overall, ..with_own(&own) };
        let usual = usual.map(|(limits, lifetime_seconds)| Usual { limits, lifetime_seconds });
        let most = most.and_then(|usd| usd.to_string().parse::<Amount>().ok());
        let policy = Policy { max_per_grant: most, ..Policy::default() };
        let asked = policy.narrow(&as_asked).unwrap();
        let offers = asked.offers(&as_asked, usual.as_ref(), most);
        prop_assert!(offers.iter().any(|offer| offer.plan == Plan::Try) || offers.iter().any(|offer| offer.plan == Plan::Usual));
        prop_assert!(Requested::proposed(&offers).is_some());
        let mut seen = Vec::new();
        for offer in &offers {
            // What it says: nothing that was asked, or that the operator allows, is less.
            let limits = offer.money.or(asked.proposed_numbers(usual.as_ref()));
            let said = asked.most(&limits, most);
            let bounds = [Limits::NONE, as_asked.limits].map(|limits| Most::of(&limits, &as_asked.permissions, most));
            for bound in &bounds {
                match (&said.money, &bound.money) {
                    (_, MostMoney::Open) => {}
                    (MostMoney::Together(said), MostMoney::Together(asked)) => {
                        prop_assert!(asked.iter().all(|asked| said.iter().any(|said| said.is_within(asked))), "{said:?} {asked:?}");
                    }
                    (MostMoney::Together(said), MostMoney::Each(asked)) => {
                        let sum = asked.iter().map(|(_, budget)| budget.amount).reduce(Amount::plus).unwrap();
                        let sum = Budget { amount: sum, period: asked.iter().map(|(_, budget)| budget.period).min().unwrap() };
                        prop_assert!(said.iter().any(|said| said.is_within(&sum)), "{said:?} {asked:?}");
                    }
                    (said, asked) => prop_assert_eq!(said, asked),
                }
                for (said, asked) in [(said.requests, bound.requests), (said.tokens, bound.tokens)] {
                    prop_assert!(asked.is_none_or(|asked| said.is_some_and(|said| said <= asked)));
                }
            }
            prop_assert!(!seen.contains(&(said.money.clone(), offer.lifetime_seconds)), "shown twice");
            seen.push((said.money, offer.lifetime_seconds));
            // What it grants.
            let permissions = asked.permissions.iter().map(|one| PermissionChoice {
                granted: true,
                models: one.models.clone(),
                capabilities: one.capabilities.iter().copied().collect(),
                limits: one.limits,
            });
            let choice = Choice {
                permissions: permissions.collect(),
                limits,
                no_money_limit: false,
                lifetime_seconds: offer.lifetime_seconds,
            };
            let terms = asked.narrow(&choice, Timestamp::from_seconds(1));
            prop_assert!(terms.is_ok(), "{terms:?}");
            prop_assert_eq!(policy.permits(&terms.unwrap()), Ok(()));
        }
    }
}
