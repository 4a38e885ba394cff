//! Budgets and tokens.

use super::*;
use crate::domain::{limits::Period, money::NanoUsd};

const DAY: u64 = 86_400;

fn shortage(refused: Result<impl core::fmt::Debug, Refusal>) -> (bool, Shortage) {
    match refused {
        Err(Refusal::DoesNotFit(shortage)) => (true, shortage),
        Err(Refusal::RoomHeld(shortage)) => (false, shortage),
        other => panic!("{other:?}"),
    }
}

/// A budget of 1,000 nano-USD.
const BUDGET: &str = r#"{"budget_usd":"0.000001"}"#;

#[test]
fn a_call_is_held_at_its_bound_and_booked_at_its_cost() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(600).unwrap();
    assert_eq!(grant.usage().permissions[0].held, NanoUsd(600));
    grant.apply(settled(&ticket, 10));
    let usage = grant.usage().permissions[0];
    assert_eq!((usage.spent, usage.held), (NanoUsd(10), NanoUsd(0)));
}

#[test]
fn a_call_that_can_never_fit_is_told_how_much_would() {
    let mut grant = Fixture::new(BUDGET, "");
    let (is_final, shortage) = shortage(grant.spend(1001));
    assert!(is_final);
    assert_eq!((shortage.needed, shortage.remaining, shortage.fitting_output_tokens), (1001, 1000, Some(1000)));
}

#[test]
fn room_that_only_calls_in_flight_hold_is_worth_waiting_for() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(600).unwrap();
    assert!(!shortage(grant.spend(600)).0);
    grant.apply(settled(&ticket, 600));
    assert!(shortage(grant.spend(600)).0);
}

#[test]
fn the_last_nano_usd_can_be_spent_and_not_one_more() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(1000).unwrap();
    grant.apply(settled(&ticket, 999));
    assert!(shortage(grant.spend(2)).0);
    assert!(grant.spend(1).is_ok());
}

#[test]
fn the_budget_of_the_whole_grant_binds_every_permission() {
    let mut grant = Fixture::new("{}", r#","budget_usd":"0.000001""#);
    grant.spend(600).unwrap();
    let embed = Claim { worst: Worst::Bound(costing(600)), ..claim("embed", Capability::Embeddings) };
    let (is_final, shortage) = shortage(grant.reserve(embed));
    assert_eq!((is_final, shortage.limit.scope), (false, Scope::Grant));
}

#[test]
fn a_budget_of_a_day_begins_anew_at_midnight_in_utc() {
    let mut grant = Fixture::new(r#"{"budget_usd":"0.000001","budget_period":"day"}"#, "");
    let ticket = grant.spend(1000).unwrap();
    grant.apply(settled(&ticket, 1000));
    let (_, shortage) = shortage(grant.spend(1));
    assert_eq!(shortage.resets_at, Some(START.next_day()));
    grant.now = START.next_day();
    assert!(grant.spend(1000).is_ok());
}

#[test]
fn a_call_that_ends_after_midnight_belongs_to_the_day_that_let_it_through() {
    let mut grant = Fixture::new(r#"{"budget_usd":"0.000001","budget_period":"day"}"#, "");
    grant.now = Timestamp::from_millis(START.next_day().millis() - 1000);
    let ticket = grant.spend(1000).unwrap();
    grant.later(2);
    grant.apply(settled(&ticket, 1000));
    assert_eq!(grant.usage().permissions[0].spent, NanoUsd(0));
    assert_eq!(grant.usage().permissions[0].spent_total, NanoUsd(1000));
    assert!(grant.spend(1000).is_ok());
}

#[test]
fn a_budget_of_a_month_lasts_until_the_first() {
    let mut grant = Fixture::new(r#"{"budget_usd":"0.000001","budget_period":"month"}"#, "");
    let ticket = grant.spend(1000).unwrap();
    grant.apply(settled(&ticket, 1000));
    grant.later(10 * DAY);
    assert!(shortage(grant.spend(1)).0);
    grant.now = START.next_month();
    assert!(grant.spend(1000).is_ok());
}

#[test]
fn a_period_can_be_changed_without_forgetting_what_was_spent_in_it() {
    let mut grant = Fixture::new(r#"{"budget_usd":"0.000001","budget_period":"day"}"#, "");
    let ticket = grant.spend(1000).unwrap();
    grant.apply(settled(&ticket, 1000));
    grant.now = START.next_day();
    grant.change(|change| change.permissions[0].budget_period = Period::Month);
    assert!(shortage(grant.spend(1)).0);
}

#[test]
fn tokens_count_read_and_written() {
    let mut grant = Fixture::new(r#"{"tokens":100}"#, "");
    let bound = Bound { input_tokens: 60, output_tokens: 40, ..costing(0) };
    let ticket = grant.reserve(Claim { worst: Worst::Bound(bound), ..chat() }).unwrap().ticket;
    grant.apply(settled(&ticket, 30));
    let (is_final, shortage) = shortage(grant.spend(71));
    assert_eq!((is_final, shortage.of, shortage.remaining), (true, Resource::Tokens, 70));
}

#[test]
fn a_maximum_that_nobody_named_is_lowered_to_what_fits() {
    let mut grant = Fixture::new(BUDGET, "");
    let unnamed = |least| Worst::Bound(Bound { least_output_tokens: Some(least), ..costing(5000) });
    let reservation = grant.reserve(Claim { worst: unnamed(100), ..chat() }).unwrap();
    assert_eq!(reservation.output_tokens, Some(1000));
    assert_eq!(reservation.ticket.amounts.nano_usd, NanoUsd(1000));
    assert!(!shortage(grant.reserve(Claim { worst: unnamed(100), ..chat() })).0, "what the first one holds comes back");
    grant.apply(settled(&reservation.ticket, 950));
    assert!(shortage(grant.reserve(Claim { worst: unnamed(100), ..chat() })).0, "50 are not worth calling for");
}

#[test]
fn a_maximum_that_fits_is_left_alone() {
    let mut grant = Fixture::new(BUDGET, "");
    let worst = Worst::Bound(Bound { least_output_tokens: Some(10), ..costing(500) });
    assert_eq!(grant.reserve(Claim { worst, ..chat() }).unwrap().output_tokens, None);
}

#[test]
fn a_call_without_a_price_is_refused_under_a_cap_and_passes_without_one() {
    let unknown = || Claim { worst: Worst::Unknown("no price".into()), ..chat() };
    assert_eq!(Fixture::new(BUDGET, "").reserve(unknown()), Err(Refusal::PriceUnknown("no price".into())));
    assert_eq!(Fixture::new("{}", r#","tokens":5"#).reserve(unknown()), Err(Refusal::PriceUnknown("no price".into())));
    let tools = || Claim { worst: Worst::TooManyTools(128), ..chat() };
    assert_eq!(Fixture::new(BUDGET, "").reserve(tools()), Err(Refusal::TooManyTools(128)));
    assert!(!Fixture::new(r#"{"requests":5}"#, "").reserve(tools()).unwrap().ticket.bounded);
    let mut grant = Fixture::new(r#"{"requests":5}"#, "");
    let ticket = grant.reserve(unknown()).unwrap().ticket;
    grant.apply(settled(&ticket, 70));
    assert_eq!(grant.usage().overall.tokens_used, 70);
}

#[test]
fn a_cost_that_was_not_said_is_the_bound() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(600).unwrap();
    grant.apply(settled_unknown(&ticket));
    assert_eq!(grant.usage().permissions[0].spent, NanoUsd(600));
    assert_eq!(grant.disk.events[&ticket.hold].basis, Basis::Bound);
}

#[test]
fn a_cost_above_the_bound_is_booked_in_full_and_counted_and_the_next_call_has_less_room() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(600).unwrap();
    grant.apply(settled(&ticket, 601));
    let usage = grant.usage().permissions[0];
    assert_eq!((usage.spent, usage.over_bound, usage.tokens_over_bound), (NanoUsd(601), NanoUsd(1), 1));
    assert_eq!(grant.disk.events[&ticket.hold].over_bound, NanoUsd(1));
    grant.crash();
    assert_eq!(grant.usage().permissions[0].over_bound, NanoUsd(1), "also after a crash");
    assert_eq!(shortage(grant.spend(400)).1.remaining, 399);
    assert!(grant.spend(399).is_ok());
}

#[test]
fn a_cost_above_the_whole_cap_is_booked_and_ends_it() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(600).unwrap();
    grant.apply(settled(&ticket, 5_000));
    assert_eq!(grant.usage().permissions[0].spent, NanoUsd(5_000));
    assert_eq!(shortage(grant.spend(1)).1.remaining, 0);
}

#[test]
fn what_comes_late_and_is_above_the_bound_corrects_it_in_full() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(600).unwrap();
    grant.later(TTL);
    grant.apply(Command::Wake);
    grant.apply(settled(&ticket, 700));
    let usage = grant.usage().permissions[0];
    assert_eq!((usage.spent, usage.over_bound), (NanoUsd(700), NanoUsd(100)));
}

#[test]
fn a_call_that_nobody_could_bound_is_over_no_bound() {
    let mut grant = Fixture::new("{}", "");
    let ticket = grant.reserve(Claim { worst: Worst::Unknown("?".to_owned()), ..chat() }).unwrap().ticket;
    grant.apply(settled(&ticket, 700));
    let usage = grant.usage().permissions[0];
    assert_eq!((usage.spent, usage.over_bound), (NanoUsd(700), NanoUsd::ZERO));
}

#[test]
fn a_late_settle_corrects_what_was_booked_at_the_bound() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(600).unwrap();
    grant.later(TTL);
    grant.apply(Command::Wake);
    assert_eq!(grant.usage().permissions[0].spent, NanoUsd(600));
    for _ in 0..2 {
        grant.apply(settled(&ticket, 10));
        assert_eq!(grant.usage().permissions[0].spent, NanoUsd(10));
    }
    assert_eq!(
        (grant.disk.events[&ticket.hold].revision, grant.disk.events[&ticket.hold].amounts.nano_usd),
        (1, NanoUsd(10))
    );
}

#[test]
fn a_budget_below_what_was_spent_refuses_until_it_is_raised() {
    let mut grant = Fixture::new(BUDGET, "");
    let ticket = grant.spend(900).unwrap();
    grant.apply(settled(&ticket, 900));
    grant.change(|change| change.permissions[0].budget_usd = "0.0000005".parse().ok());
    let (is_final, shortage) = shortage(grant.spend(1));
    assert_eq!((is_final, shortage.remaining), (true, 0));
    grant.change(|change| change.permissions[0].budget_usd = "0.000002".parse().ok());
    assert!(grant.spend(1100).is_ok());
}

#[test]
fn what_is_left_is_said_with_every_call() {
    let mut grant = Fixture::new(r#"{"budget_usd":"0.000001","tokens":5000}"#, r#","budget_usd":"0.0000008""#);
    let reservation = grant.reserve(chat_costing(100)).unwrap();
    assert_eq!((reservation.budget_remaining, reservation.tokens_remaining), (Some(NanoUsd(700)), Some(4900)));
}

#[test]
fn every_booking_is_told_once_and_they_add_up() {
    let mut grant = Fixture::new(BUDGET, "");
    let tickets: Vec<Ticket> = (0..5).map(|_| grant.spend(100).unwrap()).collect();
    grant.apply(settled(&tickets[0], 10));
    grant.apply(settled(&tickets[0], 10));
    grant.apply(settled_unknown(&tickets[1]));
    grant.apply(Command::Release(tickets[2].clone()));
    grant.later(TTL);
    grant.apply(Command::Wake);
    let told: u64 = grant.disk.events.values().map(|event| event.amounts.nano_usd.0).sum();
    assert_eq!((grant.disk.events.len(), told), (4, 10 + 100 + 200));
    assert_eq!(grant.usage().overall.spent_total, NanoUsd(told));
}
