//! Room that is set aside, and what crashes make of it.

use super::*;
use crate::domain::money::NanoUsd;

/// A budget of 1,000,000 nano-USD.
const BUDGET: &str = r#"{"budget_usd":"0.001"}"#;

fn held(grant: &mut Fixture) -> u64 {
    grant.usage().permissions[0].held.0
}

#[test]
fn most_calls_need_no_write_before_they_are_let_through() {
    let mut grant = Fixture::ahead(BUDGET, "");
    let first = grant.spend(100).unwrap();
    let writes = grant.disk.writes;
    for _ in 0..8 {
        grant.spend(100).unwrap();
    }
    assert_eq!(grant.disk.writes, writes);
    grant.spend(100).unwrap();
    assert_eq!(grant.disk.writes, writes + 1);
    grant.apply(settled(&first, 1));
    let writes = grant.disk.writes;
    grant.spend(100).unwrap();
    assert_eq!(grant.disk.writes, writes, "what is settled sets room aside anew");
}

#[test]
fn close_to_a_cap_each_call_is_held_exactly() {
    let mut grant = Fixture::ahead(r#"{"budget_usd":"0.0000007"}"#, "");
    for _ in 0..7 {
        grant.spend(100).unwrap();
    }
    grant.crash();
    assert_eq!(held(&mut grant), 700);
    assert!(grant.spend(1).is_err());
}

#[test]
fn after_a_crash_everything_set_aside_counts_as_held() {
    let mut grant = Fixture::ahead(BUDGET, "");
    for _ in 0..3 {
        grant.spend(100).unwrap();
    }
    grant.crash();
    assert_eq!(held(&mut grant), 900, "one call and eight more");
}

#[test]
fn a_call_that_a_crash_made_doubtful_is_settled_by_its_ticket() {
    let mut grant = Fixture::ahead(BUDGET, "");
    let tickets: Vec<Ticket> = (0..3).map(|_| grant.spend(100).unwrap()).collect();
    grant.crash();
    for _ in 0..2 {
        grant.apply(settled(&tickets[1], 7));
    }
    let usage = grant.usage().permissions[0];
    assert_eq!((usage.spent, usage.held), (NanoUsd(7), NanoUsd(800)));
}

#[test]
fn a_call_that_had_ended_before_the_crash_does_not_end_again() {
    let mut grant = Fixture::ahead(BUDGET, "");
    let tickets: Vec<Ticket> = (0..3).map(|_| grant.spend(100).unwrap()).collect();
    grant.apply(settled(&tickets[1], 7));
    grant.crash();
    let before = grant.usage();
    grant.apply(settled(&tickets[1], 7));
    grant.apply(Command::Release(tickets[1].clone()));
    assert_eq!(grant.usage(), before);
}

#[test]
fn what_nobody_settles_after_a_crash_is_booked_once_its_time_has_run_out() {
    let mut grant = Fixture::ahead(BUDGET, "");
    let tickets: Vec<Ticket> = (0..3).map(|_| grant.spend(100).unwrap()).collect();
    grant.crash();
    grant.apply(settled(&tickets[0], 1));
    grant.later(TTL);
    grant.apply(Command::Wake);
    assert_eq!(grant.usage().permissions[0].spent, NanoUsd(801));
    grant.apply(settled(&tickets[1], 1));
    assert_eq!(grant.usage().permissions[0].spent, NanoUsd(702), "a late settle corrects it");
    let told: u64 = grant.disk.events.values().map(|event| event.amounts.nano_usd.0).sum();
    assert_eq!(told, 702);
}

#[test]
fn a_ledger_that_was_idle_when_it_was_evicted_has_no_doubtful_calls() {
    let mut grant = Fixture::ahead(BUDGET, "");
    let ticket = grant.spend(100).unwrap();
    grant.apply(settled(&ticket, 5));
    assert_eq!(grant.wake, Some(START.plus_seconds(IDLE_SECONDS)));
    grant.later(IDLE_SECONDS);
    grant.apply(Command::Wake);
    grant.crash();
    let usage = grant.usage().permissions[0];
    assert_eq!((usage.spent, usage.held), (NanoUsd(5), NanoUsd(0)));
}

#[test]
fn a_call_that_is_still_in_flight_when_its_ledger_gets_idle_has_a_row_of_its_own() {
    let mut grant = Fixture::ahead(BUDGET, "");
    grant.spend(100).unwrap();
    let ticket = grant.spend(100).unwrap();
    grant.later(IDLE_SECONDS);
    grant.apply(Command::Wake);
    assert!(grant.disk.holds.contains_key(&ticket.hold));
    grant.crash();
    assert_eq!(held(&mut grant), 200);
}

#[test]
fn numbers_are_not_given_out_twice_after_a_crash() {
    let mut grant = Fixture::ahead(BUDGET, "");
    let before: Vec<HoldId> = (0..3).map(|_| grant.spend(1).unwrap().hold).collect();
    grant.crash();
    assert!(!before.contains(&grant.spend(1).unwrap().hold));
}

#[test]
fn a_rate_counts_what_a_crash_made_doubtful() {
    let mut grant = Fixture::ahead(r#"{"requests_per_minute":80}"#, "");
    for _ in 0..5 {
        grant.chat().unwrap();
    }
    grant.crash();
    assert!(grant.usage().permissions[0].last_minute >= 5);
}

#[test]
fn what_is_stored_stays_small_beside_one_call_that_lasts() {
    let mut grant = Fixture::ahead(BUDGET, "");
    grant.spend(1).unwrap();
    for _ in 0..1000 {
        let ticket = grant.spend(1).unwrap();
        grant.apply(settled(&ticket, 1));
        assert!(grant.disk.summary.as_ref().unwrap().ahead.ended.len() <= 65);
    }
    assert!(grant.disk.holds.len() <= 2);
}

#[test]
fn a_call_of_yesterday_that_a_crash_made_doubtful_takes_no_room_of_today() {
    let mut grant = Fixture::ahead(r#"{"budget_usd":"0.000001","budget_period":"day"}"#, "");
    grant.now = Timestamp::from_millis(START.next_day().millis() - 1000);
    for _ in 0..3 {
        grant.spend(10).unwrap();
    }
    grant.later(2);
    for _ in 0..100 {
        grant.spend(10).unwrap();
    }
    grant.crash();
    let usage = grant.usage().permissions[0];
    assert!(usage.spent.0 + usage.held.0 <= 1000, "{usage:?}");
}
