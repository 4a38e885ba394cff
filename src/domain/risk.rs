//! What takes a proof that it is the person: one rule for every way to allow something.
//!
//! Whoever has a session, because they stole it or found a browser open, could allow what its person could. So what they can come to
//! without a proof is bounded, by whatever way: an app on the consent page, a device, a token of one's own, other limits of a grant, a
//! later end of it. Each way makes a [`WorstCase`] of what it allows, and [`judge`] says whether that takes a proof:
//!
//! | of | risky is |
//! |---|---|
//! | money | no limit, always; else, together with what was allowed without a proof in the last 24 hours, more than the operator's setting |
//! | time | a life that is longer than the operator's setting. Lives run beside each other: of several the longest counts |
//! | what it can be used for | what the person never allowed before at that provider |
//! | where the answer goes | a host that neither the person nor an operator ever allowed |
//!
//! What the person proved within 90 days raises the setting, at most to [`MOST_TIMES`] as much; money and time each by itself.

use std::collections::BTreeSet;

use super::{
    consent::Budget,
    grant::Terms,
    ledger::Change,
    money::{Amount, NanoUsd},
    oauth::redirect_uri::Destination,
    permission::{Capability, Permission, Provider},
    time::Timestamp,
};

const DAY_SECONDS: u64 = 86_400;
/// What was allowed without a proof is added up over so many seconds.
pub const UNPROVEN_SECONDS: u64 = DAY_SECONDS;
/// What was allowed with one counts for so many seconds.
pub const PROVEN_SECONDS: u64 = 90 * DAY_SECONDS;
/// What was proven raises the setting to so many times as much at most.
pub const MOST_TIMES: u64 = 4;

/// What an operator lets people allow without a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// Money in 24 hours: five apps with what is proposed for one.
    pub usd: NanoUsd,
    /// The longest life, in seconds.
    pub seconds: u64,
}

impl Default for Unasked {
    fn default() -> Self {
        Self { usd: Amount::FIVE_USD.times(5).nano_usd(), seconds: 30 * DAY_SECONDS }
    }
}

/// The worst that can come of what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorstCase {
    /// The most money, until it ends. `None`: without a limit.
    pub money: Option<NanoUsd>,
    /// Until it ends.
    pub seconds: u64,
    /// What it can be used for.
    pub uses: BTreeSet<(Provider, Capability)>,
    /// Where the answer goes. `None`: nowhere that somebody chose.
    pub destination: Option<Destination>,
}

impl WorstCase {
    /// Of a grant of these terms, from `now` on.
    #[must_use]
    pub fn of_terms(terms: &Terms, now: Timestamp) -> Self {
        // Each field is named: who adds one decides here whether it is risky.
        let Terms { permissions, limits, expires_at, paused: _, revision: _, account: _, ceiling, policy: _ } = terms;
        let worst = |budget: Budget| budget.between(now, *expires_at).nano_usd();
        let own: Option<Vec<NanoUsd>> =
            permissions.iter().map(|permission| Budget::of(&permission.limits).map(worst)).collect();
        let together = own.map(|own| own.into_iter().fold(NanoUsd::ZERO, NanoUsd::plus));
        let over_all = [Budget::of(limits), ceiling.map(Budget::in_all)].into_iter().flatten().map(worst);
        let of_permission = |permission: &Permission| {
            let provider = permission.provider;
            permission.capabilities.iter().map(move |capability| (provider, *capability)).collect::<Vec<_>>()
        };
        Self {
            money: over_all.chain(together).min(),
            seconds: now.seconds_until(*expires_at),
            uses: permissions.iter().flat_map(of_permission).collect(),
            destination: None,
        }
    }

    /// Of a change that allows more than `before`: all that it leaves the grant, since what was allowed once may be spent, or be over
    /// soon. `None`: it allows no more.
    #[must_use]
    pub fn of_change(change: &Change, before: &Terms, now: Timestamp) -> Option<Self> {
        change.widens(before).then(|| Self::of_terms(&change.applied_to(before), now))
    }

    /// With an answer that goes there.
    #[must_use]
    pub fn answered_at(self, destination: Option<Destination>) -> Self {
        Self { destination, ..self }
    }
}

/// What is known of a person when they allow something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Money that they allowed without a proof within [`UNPROVEN_SECONDS`], together.
    pub unproven: NanoUsd,
    /// The most money that they allowed at once with one within [`PROVEN_SECONDS`].
    pub proven: NanoUsd,
    /// The longest life of that.
    pub proven_seconds: u64,
    /// What they ever allowed something to be used for.
    pub uses: BTreeSet<(Provider, Capability)>,
    /// Whether they, or an operator, ever allowed an answer to go where this one goes.
    pub knows_destination: bool,
}

/// Why something takes a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Money has no limit.
    MoneyOpen,
    /// It is more money than goes without.
    Money {
        /// With what was allowed without a proof before.
        together: NanoUsd,
        /// So much goes without.
        most: NanoUsd,
    },
    /// It lasts longer than goes without.
    Time {
        /// So many seconds go without.
        most: u64,
    },
    /// It can be used for what they never allowed.
    Uses(Vec<(Provider, Capability)>),
    /// The answer goes where they never sent one.
    Destination(Destination),
}

/// A setting that was raised by what was proven.
fn raised(setting: u64, proven: u64) -> u64 {
    proven.clamp(setting, setting.saturating_mul(MOST_TIMES))
}

/// Whether this goes without a proof; then how much money may go so, this included, within [`UNPROVEN_SECONDS`]. Whoever stores what was
/// allowed holds that against what is stored by then: of two at the same moment one may be too much.
///
/// # Errors
/// [`Risk`]: why it doesn't.
pub fn judge(case: &WorstCase, history: &History, unasked: &Unasked) -> Result<NanoUsd, Risk> {
    let most = NanoUsd(raised(unasked.usd.0, history.proven.0)).min(NanoUsd::MAX);
    let together = history.unproven.plus(case.money.ok_or(Risk::MoneyOpen)?);
    // At the largest amount that can be stored sums end, and so would the difference.
    if together > most || together == NanoUsd::MAX {
        return Err(Risk::Money { together, most });
    }
    let longest = raised(unasked.seconds, history.proven_seconds);
    if case.seconds > longest {
        return Err(Risk::Time { most: longest });
    }
    let new: Vec<_> = case.uses.difference(&history.uses).copied().collect();
    if !new.is_empty() {
        return Err(Risk::Uses(new));
    }
    match &case.destination {
        Some(destination) if !history.knows_destination => Err(Risk::Destination(destination.clone())),
        _ => Ok(most),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        limits::{Limits, Period},
        permission::ModelPattern,
    };

    /// 2026-11-24T12:00:00Z.
    const NOW: Timestamp = Timestamp::from_seconds(1_795_521_600);
    const UNASKED: Unasked = Unasked { usd: usd(20), seconds: 30 * DAY_SECONDS };

    const fn usd(amount: u64) -> NanoUsd {
        NanoUsd(amount * 1_000_000_000)
    }

    fn budget(amount: u64, budget_period: Period) -> Limits {
        Limits { budget_usd: amount.to_string().parse().ok(), budget_period, ..Limits::NONE }
    }

    fn permission(provider: Provider, limits: Limits) -> Permission {
        let capabilities = BTreeSet::from([Capability::Chat]);
        Permission { provider, models: vec![ModelPattern::every_model()], capabilities, limits }
    }

    fn terms(limits: Limits, days: u64) -> Terms {
        let permissions = vec![permission(Provider::OpenAi, Limits::NONE)];
        Terms { permissions, limits, expires_at: NOW.plus_seconds(days * DAY_SECONDS), ..Terms::default() }
    }

    /// Somebody who allowed chat before.
    fn known() -> History {
        History { uses: BTreeSet::from([(Provider::OpenAi, Capability::Chat)]), ..History::default() }
    }

    fn money_of(limits: Limits, days: u64) -> Option<NanoUsd> {
        WorstCase::of_terms(&terms(limits, days), NOW).money
    }

    fn case(money: Option<NanoUsd>, seconds: u64) -> WorstCase {
        WorstCase { money, seconds, ..WorstCase::of_terms(&terms(Limits::NONE, 1), NOW) }
    }

    #[test]
    fn the_worst_case_is_what_a_budget_comes_to_by_the_calendar() {
        assert_eq!(money_of(budget(5, Period::Total), 365), Some(usd(5)));
        assert_eq!(money_of(budget(5, Period::Day), 7), Some(usd(40)), "seven days from noon lie in eight");
        assert_eq!(money_of(budget(5, Period::Month), 6), Some(usd(5)), "until 30 November");
        assert_eq!(money_of(budget(5, Period::Month), 7), Some(usd(10)), "until 1 December");
        assert_eq!(money_of(Limits::NONE, 1), None);
    }

    #[test]
    fn the_worst_case_of_several_providers_is_their_sum_and_no_more_than_the_operator_allows() {
        let own = |openai, anthropic| {
            let permissions = vec![permission(Provider::OpenAi, openai), permission(Provider::Anthropic, anthropic)];
            Terms { permissions, ..terms(Limits::NONE, 2) }
        };
        let worst = |terms: &Terms| WorstCase::of_terms(terms, NOW).money;
        assert_eq!(worst(&own(budget(2, Period::Day), budget(7, Period::Total))), Some(usd(13)));
        assert_eq!(worst(&own(budget(2, Period::Day), Limits::NONE)), None, "one is open");
        let ceiling = "9".parse().ok();
        assert_eq!(worst(&Terms { ceiling, ..own(budget(2, Period::Day), Limits::NONE) }), Some(usd(9)));
    }

    #[test]
    fn money_without_a_limit_is_risky_whatever_was_proven() {
        let proven = History { proven: NanoUsd::MAX, proven_seconds: u64::MAX, ..known() };
        assert_eq!(judge(&case(None, 1), &proven, &UNASKED), Err(Risk::MoneyOpen));
    }

    #[test]
    fn money_is_added_up_and_a_cent_more_than_the_setting_is_risky() {
        let history = History { unproven: usd(15), ..known() };
        assert_eq!(judge(&case(Some(usd(5)), 1), &history, &UNASKED), Ok(usd(20)));
        let risk = Risk::Money { together: NanoUsd(usd(20).0 + 1), most: usd(20) };
        assert_eq!(judge(&case(Some(NanoUsd(usd(5).0 + 1)), 1), &history, &UNASKED), Err(risk));
    }

    #[test]
    fn what_was_proven_raises_the_setting_four_times_at_most_and_money_and_time_each_by_itself() {
        let most = |proven| judge(&case(Some(usd(1)), 1), &History { proven, ..known() }, &UNASKED);
        assert_eq!(
            [most(usd(3)), most(usd(50)), most(usd(9_000))],
            [Ok(usd(20)), Ok(usd(50)), Ok(usd(80))],
            "never lowered, never beyond"
        );
        let long = case(Some(usd(1)), 31 * DAY_SECONDS);
        let risk = Risk::Time { most: 30 * DAY_SECONDS };
        assert_eq!(judge(&long, &History { proven: usd(9_000), ..known() }, &UNASKED), Err(risk));
        let year = History { proven_seconds: 365 * DAY_SECONDS, ..known() };
        assert_eq!(judge(&long, &year, &UNASKED), Ok(usd(20)));
        let risk = Risk::Time { most: 120 * DAY_SECONDS };
        assert_eq!(judge(&case(Some(usd(1)), 121 * DAY_SECONDS), &year, &UNASKED), Err(risk));
    }

    #[test]
    fn a_use_that_was_never_allowed_at_that_provider_is_risky() {
        let small = case(Some(NanoUsd(1)), 1);
        let other = History { uses: BTreeSet::from([(Provider::Anthropic, Capability::Chat)]), ..History::default() };
        let risk = Risk::Uses(vec![(Provider::OpenAi, Capability::Chat)]);
        assert_eq!(judge(&small, &other, &UNASKED), Err(risk));
    }

    #[test]
    fn an_answer_to_a_host_that_was_never_seen_is_risky() {
        let there = Destination::of("https://app.example/cb");
        let small = case(Some(NanoUsd(1)), 1).answered_at(there.clone());
        assert_eq!(judge(&small, &known(), &UNASKED), Err(Risk::Destination(there.unwrap())));
        assert!(judge(&small, &History { knows_destination: true, ..known() }, &UNASKED).is_ok());
    }

    #[test]
    fn five_apps_with_what_is_proposed_are_allowed_on_one_day_without_a_question() {
        let proposed = terms(Limits { budget_usd: Some(Amount::FIVE_USD), ..Limits::NONE }, 7);
        let mut history = History { knows_destination: true, ..known() };
        for _ in 0..5 {
            let case = WorstCase::of_terms(&proposed, NOW).answered_at(Destination::of("https://app.example/"));
            assert!(judge(&case, &history, &Unasked::default()).is_ok());
            history.unproven = history.unproven.plus(case.money.unwrap());
        }
    }

    #[test]
    fn a_change_that_allows_no_more_has_no_worst_case() {
        let before = terms(budget(5, Period::Day), 7);
        for narrower in [
            Change { paused: true, ..Change::nothing_of(&before) },
            Change { limits: budget(5, Period::Total), ..Change::nothing_of(&before) },
            Change { expires_at: Some(NOW.plus_seconds(1)), ..Change::nothing_of(&before) },
        ] {
            assert_eq!(WorstCase::of_change(&narrower, &before, NOW), None);
        }
    }

    fn any_limits() -> impl Strategy<Value = Limits> {
        let period = prop_oneof![Just(Period::Day), Just(Period::Month), Just(Period::Total)];
        (prop::option::of(1_u64..60), period).prop_map(|(amount, period)| match amount {
            Some(amount) => budget(amount, period),
            None => Limits::NONE,
        })
    }

    fn any_terms() -> impl Strategy<Value = Terms> {
        (any_limits(), prop::collection::vec(any_limits(), 1..=2), 0_u64..400, prop::option::of(1_u64..60)).prop_map(
            |(limits, own, days, ceiling)| Terms {
                permissions: Provider::ALL
                    .into_iter()
                    .zip(own)
                    .map(|(provider, own)| permission(provider, own))
                    .collect(),
                ceiling: ceiling.and_then(|usd| usd.to_string().parse().ok()),
                ..terms(limits, days)
            },
        )
    }

    /// Somebody does something: so many seconds after the last, with these terms, with or without a proof.
    fn any_steps() -> impl Strategy<Value = Vec<(u64, Terms, bool)>> {
        prop::collection::vec((0_u64..40_000, any_terms(), prop::bool::weighted(0.1)), 1..60)
    }

    proptest! {
        #[test]
        fn the_same_terms_are_as_risky_by_whatever_way_they_come(before in any_terms(), after in any_terms()) {
            let change = Change {
                limits: after.limits,
                permissions: before.limits_of_permissions().zip(after.limits_of_permissions()).map(|(_, after)| *after).collect(),
                expires_at: Some(after.expires_at),
                ..Change::nothing_of(&before)
            };
            let made = change.applied_to(&before);
            if let Some(case) = WorstCase::of_change(&change, &before, NOW) {
                prop_assert_eq!(case, WorstCase::of_terms(&made, NOW));
            } else {
                prop_assert!(made.limits.is_within(&before.limits) && made.expires_at <= before.expires_at);
            }
        }

        #[test]
        fn what_allows_no_more_is_no_riskier(one in any_terms(), other in any_terms(), unproven in 0_u64..30) {
            let history = History { unproven: usd(unproven), uses: Provider::ALL.map(|provider| (provider, Capability::Chat)).into(), ..History::default() };
            let change = Change { limits: other.limits, expires_at: Some(other.expires_at), ..Change::nothing_of(&one) };
            let narrower = change.applied_to(&one);
            if !change.widens(&one) && judge(&WorstCase::of_terms(&one, NOW), &history, &UNASKED).is_ok() {
                prop_assert!(judge(&WorstCase::of_terms(&narrower, NOW), &history, &UNASKED).is_ok());
            }
        }

        #[test]
        fn in_no_24_hours_more_goes_without_a_proof_than_the_setting_raised(steps in any_steps()) {
            let (mut now, mut unproven, mut proven) = (NOW, Vec::<(Timestamp, NanoUsd)>::new(), Vec::<(Timestamp, NanoUsd, u64)>::new());
            for (wait, terms, with_proof) in steps {
                now = now.plus_seconds(wait);
                let terms = Terms { expires_at: now.plus_seconds(NOW.seconds_until(terms.expires_at)), ..terms };
                let case = WorstCase::of_terms(&terms, now);
                if with_proof {
                    proven.push((now, case.money.unwrap_or(NanoUsd::MAX), case.seconds));
                    continue;
                }
                let within = |at: Timestamp, seconds: u64| now < at.plus_seconds(seconds);
                let history = History {
                    unproven: unproven.iter().filter(|(at, _)| within(*at, UNPROVEN_SECONDS)).fold(NanoUsd::ZERO, |sum, (_, usd)| sum.plus(*usd)),
                    proven: proven.iter().filter(|(at, ..)| within(*at, PROVEN_SECONDS)).map(|(_, usd, _)| *usd).max().unwrap_or_default(),
                    proven_seconds: proven.iter().filter(|(at, ..)| within(*at, PROVEN_SECONDS)).map(|(.., life)| *life).max().unwrap_or_default(),
                    uses: case.uses.clone(),
                    knows_destination: true,
                };
                let Ok(most) = judge(&case, &history, &UNASKED) else { continue };
                prop_assert!(most <= usd(20 * MOST_TIMES));
                prop_assert!(most <= history.proven.max(usd(20)));
                prop_assert!(case.seconds <= history.proven_seconds.clamp(UNASKED.seconds, UNASKED.seconds * MOST_TIMES));
                unproven.push((now, case.money.unwrap()));
                let day: u64 = unproven.iter().filter(|(at, _)| within(*at, UNPROVEN_SECONDS)).map(|(_, usd)| usd.0).sum();
                prop_assert!(day <= most.0, "{day} of {most}");
            }
        }
    }
}
