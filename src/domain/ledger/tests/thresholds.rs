//! Notices of caps: each threshold once, for each value of a limit and in each period.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// 100 nano-USD, over the whole grant.
const OVERALL: &str = r#","budget_usd":"0.0000001""#;

impl Fixture {
    /// A call that costs this much, from beginning to end.
    fn pay(&mut self, nano_usd: u64) {
        let ticket = self.spend(nano_usd).unwrap();
        self.apply(settled(&ticket, nano_usd));
    }

    /// What was said since it was asked the last time, in short.
    fn said(&mut self) -> Vec<(Option<usize>, Cap, u8)> {
        let told = core::mem::take(&mut self.disk.told);
        told.into_iter().map(|one| (one.mark.permission, one.mark.cap, one.mark.percent)).collect()
    }

    fn budget(&mut self, usd: &str) {
        self.change(|change| change.limits.budget_usd = Some(usd.parse().unwrap()));
    }
}

const fn money(percent: u8) -> (Option<usize>, Cap, u8) {
    (None, Cap::BudgetUsd, percent)
}

#[test]
fn half_of_a_budget_is_said_exactly_at_half_and_once() {
    let mut grant = Fixture::new("{}", OVERALL);
    grant.pay(49);
    assert_eq!(grant.said(), []);
    grant.pay(1);
    let told = grant.disk.told.clone();
    assert_eq!((told[0].used, told[0].mark.allowed, told[0].at), (50, 100, START));
    assert_eq!(grant.said(), [money(50)]);
    grant.pay(29);
    assert_eq!(grant.said(), []);
    grant.pay(1);
    assert_eq!(grant.said(), [money(80)]);
    grant.pay(20);
    assert_eq!(grant.said(), [money(100)]);
}

#[test]
fn a_call_that_passes_several_says_the_highest() {
    let mut grant = Fixture::new("{}", OVERALL);
    grant.pay(90);
    assert_eq!(grant.said(), [money(80)]);
}

#[test]
fn what_is_only_held_is_not_said() {
    let mut grant = Fixture::new("{}", OVERALL);
    let ticket = grant.spend(90).unwrap();
    assert_eq!(grant.said(), []);
    grant.apply(settled(&ticket, 1));
    assert_eq!(grant.said(), []);
}

#[test]
fn a_budget_is_used_up_when_the_next_call_does_not_fit_into_its_last_fifth() {
    let mut grant = Fixture::new("{}", OVERALL);
    grant.pay(80);
    assert_eq!(grant.said(), [money(80)]);
    for _ in 0..3 {
        assert!(grant.spend(30).is_err());
    }
    assert_eq!(grant.said(), [money(100)], "once, however often the app tries");
}

#[test]
fn a_call_that_is_too_large_for_a_cap_that_is_hardly_used_is_no_notice() {
    let mut grant = Fixture::new("{}", OVERALL);
    grant.pay(10);
    assert!(grant.spend(101).is_err());
    assert_eq!(grant.said(), []);
}

#[test]
fn what_other_calls_hold_does_not_use_a_cap_up() {
    let mut grant = Fixture::new("{}", OVERALL);
    grant.pay(80);
    grant.said();
    let _held = grant.spend(15).unwrap();
    assert!(matches!(grant.spend(10), Err(Refusal::RoomHeld(_))));
    assert_eq!(grant.said(), []);
}

#[test]
fn another_limit_begins_anew() {
    let mut grant = Fixture::new("{}", OVERALL);
    grant.pay(80);
    assert_eq!(grant.said(), [money(80)]);
    grant.budget("0.0000002");
    grant.pay(19);
    assert_eq!(grant.said(), []);
    grant.pay(1);
    assert_eq!(grant.said(), [money(50)], "half of 200");
}

#[test]
fn a_limit_that_is_lowered_is_judged_by_its_new_value() {
    let mut grant = Fixture::new("{}", OVERALL);
    grant.pay(50);
    assert_eq!(grant.said(), [money(50)]);
    grant.budget("0.00000006");
    grant.pay(1);
    assert_eq!(grant.said(), [money(80)]);
}

#[test]
fn the_next_day_of_a_daily_budget_begins_anew() {
    let mut grant = Fixture::new("{}", r#","budget_usd":"0.0000001","budget_period":"day""#);
    grant.pay(60);
    grant.pay(10);
    assert_eq!(grant.said(), [money(50)]);
    grant.now = grant.now.next_day();
    grant.pay(49);
    assert_eq!(grant.said(), []);
    grant.pay(1);
    assert_eq!(grant.said(), [money(50)]);
}

#[test]
fn a_permission_s_cap_and_the_grant_s_are_said_each_for_itself() {
    let mut grant = Fixture::new(r#"{"budget_usd":"0.00000005","requests":2}"#, OVERALL);
    grant.pay(40);
    assert_eq!(grant.said(), [(Some(0), Cap::BudgetUsd, 80), (Some(0), Cap::Requests, 50)]);
    grant.pay(10);
    assert_eq!(grant.said(), [money(50), (Some(0), Cap::BudgetUsd, 100), (Some(0), Cap::Requests, 100)]);
}

#[test]
fn tokens_are_said_like_money() {
    let mut grant = Fixture::new(r#"{"tokens":100}"#, "");
    grant.pay(80);
    assert_eq!(grant.said(), [(Some(0), Cap::Tokens, 80)]);
    assert!(grant.spend(21).is_err());
    assert_eq!(grant.said(), [(Some(0), Cap::Tokens, 100)]);
}

#[test]
fn what_is_booked_because_its_time_ran_out_is_said_too() {
    let mut grant = Fixture::new("{}", OVERALL);
    let _lost = grant.spend(60).unwrap();
    grant.later(TTL);
    grant.apply(Command::Wake);
    assert_eq!(grant.said(), [money(50)]);
}

#[test]
fn a_crash_does_not_make_it_say_anything_again() {
    let mut grant = Fixture::new("{}", OVERALL);
    grant.pay(60);
    assert_eq!(grant.said(), [money(50)]);
    grant.crash();
    grant.pay(1);
    assert_eq!(grant.said(), []);
}

#[test]
fn a_call_that_passes_no_threshold_stores_no_more_than_before() {
    let mut with = Fixture::new("{}", OVERALL);
    let mut without = Fixture::new("{}", "");
    for grant in [&mut with, &mut without] {
        grant.pay(10);
    }
    assert_eq!(with.disk.writes, without.disk.writes);
    assert!(with.disk.summary.unwrap().said.is_empty());
}

#[test]
fn the_name_of_a_mark_is_one_word_and_tells_it_from_every_other() {
    let mark = Mark {
        permission: None,
        cap: Cap::Tokens,
        period: super::super::super::limits::Period::Total,
        window: 0,
        allowed: 7,
        percent: 50,
    };
    let others = [
        Mark { permission: Some(0), ..mark.clone() },
        Mark { cap: Cap::Requests, ..mark.clone() },
        Mark { period: super::super::super::limits::Period::Day, ..mark.clone() },
        Mark { window: 1, ..mark.clone() },
        Mark { allowed: 8, ..mark.clone() },
        Mark { percent: 80, ..mark.clone() },
    ];
    assert_eq!(mark.key(), "grant:tokens:total:0:7:50");
    let keys: BTreeSet<String> = others.iter().chain([&mark]).map(Mark::key).collect();
    assert_eq!(keys.len(), 7);
}

#[derive(Clone, Debug)]
enum Step {
    Pay(u64),
    Budget(u64),
    NextDay,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..40_u64).prop_map(Step::Pay),
        1 => (50..400_u64).prop_map(Step::Budget),
        1 => Just(Step::NextDay),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: orders(5_000), failure_persistence: None, ..ProptestConfig::default() })]

    /// Between two changes of a limit: what is said is true when it is said, climbs, and never comes twice; and what is used shows in
    /// what was said.
    #[test]
    fn in_any_order_each_threshold_is_said_once_and_none_is_missed(
        steps in prop::collection::vec(step(), 1..80), is_daily in any::<bool>(),
    ) {
        let period = if is_daily { "day" } else { "total" };
        let limits = format!(r#","budget_usd":"0.0000001","budget_period":"{period}""#);
        let mut grant = Fixture::new("{}", &limits);
        let mut allowed = 100;
        // What was said last in this period, and of which limit: one that comes back before another was spoken of is the same.
        let mut said = (0, 0_u8);
        for step in steps {
            match step {
                Step::Pay(nano_usd) => {
                    let fits = grant.spend(nano_usd);
                    let was_refused = matches!(fits, Err(Refusal::DoesNotFit(_)));
                    if let Ok(ticket) = fits {
                        grant.apply(settled(&ticket, nano_usd));
                    }
                    let spent = grant.usage().overall.spent.0;
                    let mut last = if said.0 == allowed { said.1 } else { 0 };
                    for one in core::mem::take(&mut grant.disk.told) {
                        prop_assert!(one.mark.percent > last, "{last}, then {one:?}");
                        prop_assert_eq!((one.mark.allowed, one.used), (allowed, spent));
                        let is_true = spent * 100 >= allowed * u64::from(one.mark.percent);
                        prop_assert!(is_true || (was_refused && spent * 100 >= allowed * 80), "{one:?}");
                        last = one.mark.percent;
                        said = (allowed, last);
                    }
                    let due = THRESHOLDS.into_iter().rev().find(|percent| spent * 100 >= allowed * u64::from(*percent));
                    prop_assert!(due.is_none_or(|due| last >= due), "{spent} of {allowed}, and the last was {last}");
                }
                Step::Budget(next) => {
                    allowed = next;
                    grant.budget(&crate::domain::money::NanoUsd(next).to_string());
                }
                Step::NextDay => {
                    grant.now = grant.now.next_day();
                    if is_daily {
                        said = (0, 0);
                    }
                }
                Step::Crash => {
                    grant.crash();
                }
            }
        }
    }
}
