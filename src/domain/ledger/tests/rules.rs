//! Calls, rates, scopes, ends.

use super::*;

#[test]
fn requests_are_used_up_by_settled_calls() {
    let mut grant = Fixture::new(r#"{"requests":2}"#, "");
    for _ in 0..2 {
        let hold = grant.chat().unwrap();
        grant.apply(settled(&hold, 0));
    }
    assert_eq!(grant.chat(), exhausted(Scope::Permission, 2));
}

#[test]
fn room_that_is_only_held_is_said_to_be_held() {
    let mut grant = Fixture::new(r#"{"requests":1}"#, "");
    let hold = grant.chat().unwrap();
    assert_eq!(grant.chat(), Err(Refusal::RequestsHeld(Limit { scope: Scope::Permission, allowed: 1 })));
    grant.apply(Command::Release(hold.clone()));
    assert!(grant.chat().is_ok());
}

#[test]
fn a_released_call_counts_against_nothing_but_the_rate() {
    let mut grant = Fixture::new(r#"{"requests":1,"requests_per_minute":2,"concurrency":1}"#, "");
    for _ in 0..2 {
        let hold = grant.chat().unwrap();
        grant.apply(Command::Release(hold.clone()));
    }
    let usage = grant.usage().permissions[0];
    assert_eq!(ScopeUsage { last_minute: 0, next_in_minute_at: None, ..usage }, ScopeUsage::default());
    assert_eq!(usage.last_minute, 2);
    assert!(
        matches!(grant.chat(), Err(Refusal::RateLimited { .. })),
        "providers count refused calls in their own rate"
    );
    grant.later(61);
    assert!(grant.chat().is_ok());
}

#[test]
fn a_call_that_never_left_counts_against_nothing() {
    let mut grant =
        Fixture::new(r#"{"requests":1,"requests_per_minute":1,"concurrency":1}"#, r#","requests_per_minute":1"#);
    for _ in 0..5 {
        let hold = grant.chat().unwrap();
        grant.apply(Command::Withdraw(hold.clone()));
        grant.apply(Command::Withdraw(hold));
    }
    assert_eq!(grant.usage().overall, ScopeUsage::default());
}

#[test]
fn a_call_that_has_ended_can_not_be_withdrawn_from_the_rate() {
    let mut grant = Fixture::new(r#"{"requests_per_minute":1}"#, "");
    let hold = grant.chat().unwrap();
    grant.apply(settled(&hold, 0));
    grant.apply(Command::Withdraw(hold));
    assert!(matches!(grant.chat(), Err(Refusal::RateLimited { .. })));
}

#[test]
fn the_limit_of_the_whole_grant_binds_every_permission() {
    let mut grant = Fixture::new("{}", r#","requests":1"#);
    let hold = grant.chat().unwrap();
    grant.apply(settled(&hold, 0));
    let embed = grant.reserve(claim("embed", Capability::Embeddings)).map(|reservation| reservation.ticket);
    assert_eq!(embed, exhausted(Scope::Grant, 1));
}

#[test]
fn concurrency_counts_calls_in_flight() {
    let mut grant = Fixture::new(r#"{"concurrency":1}"#, "");
    let hold = grant.chat().unwrap();
    assert_eq!(grant.chat(), Err(Refusal::ConcurrencyExceeded(Limit { scope: Scope::Permission, allowed: 1 })));
    grant.apply(settled(&hold, 0));
    assert!(grant.chat().is_ok());
}

#[test]
fn a_rate_refusal_says_when_a_call_fits_again() {
    let mut grant = Fixture::new(r#"{"requests_per_minute":1}"#, "");
    let hold = grant.chat().unwrap();
    grant.apply(settled(&hold, 0));
    let Err(Refusal::RateLimited { retry_after_seconds, .. }) = grant.chat() else { panic!() };
    grant.later(retry_after_seconds - 1);
    assert!(grant.chat().is_err());
    grant.later(1);
    assert!(grant.chat().is_ok());
}

#[test]
fn listing_models_is_not_a_request_that_is_used_up() {
    let mut grant = Fixture::new(r#"{"requests":1}"#, "");
    let hold = grant.chat().unwrap();
    grant.apply(settled(&hold, 0));
    let models = grant.reserve(models()).unwrap().models;
    assert_eq!(models.iter().map(ModelPattern::as_str).collect::<Vec<_>>(), ["gpt-5*", "embed"]);
}

#[test]
fn the_reason_of_a_refusal_is_the_nearest_one() {
    let mut grant = Fixture::new("{}", "");
    let mut refusal = |claim| grant.reserve(claim).unwrap_err();
    assert_eq!(refusal(Claim { provider: Provider::Anthropic, ..chat() }), Refusal::ProviderNotGranted);
    assert_eq!(refusal(claim("gpt-4", Capability::Chat)), Refusal::ModelNotGranted("gpt-4".into()));
    assert_eq!(refusal(claim("gpt-5", Capability::Embeddings)), Refusal::CapabilityNotGranted(Capability::Embeddings));
    assert_eq!(refusal(claim("embed", Capability::Chat)), Refusal::CapabilityNotGranted(Capability::Chat));
}

#[test]
fn capabilities_of_two_permissions_do_not_add_up() {
    let mut grant = Fixture::new("{}", "");
    let need =
        Need::Model { models: vec!["gpt-5".into()], capabilities: vec![Capability::Chat, Capability::ServerTools] };
    let refusal = grant.reserve(Claim { need, ..chat() }).unwrap_err();
    assert_eq!(refusal, Refusal::CapabilityNotGranted(Capability::ServerTools));
}

#[test]
fn every_model_that_a_call_can_dispatch_has_to_be_granted() {
    let mut grant = Fixture::new("{}", "");
    let need = Need::Model { models: vec!["gpt-5".into(), "gpt-4".into()], capabilities: vec![Capability::Chat] };
    assert_eq!(grant.reserve(Claim { need, ..chat() }), Err(Refusal::ModelNotGranted("gpt-4".into())));
}

#[test]
fn a_revoked_grant_never_says_yes_again() {
    let mut grant = Fixture::new("{}", "");
    grant.apply(Command::Revoke);
    assert_eq!(grant.chat(), Err(Refusal::Revoked));
    grant.crash();
    assert_eq!(grant.chat(), Err(Refusal::Revoked));
}

#[test]
fn a_grant_ends_exactly_at_its_expiry() {
    let mut grant = Fixture::new("{}", "");
    grant.later(9_999_999);
    assert!(grant.chat().is_ok());
    grant.later(1);
    assert_eq!(grant.chat(), Err(Refusal::Expired));
}

#[test]
fn an_expired_grant_stays_expired_when_the_clock_goes_back() {
    let mut grant = Fixture::new("{}", "");
    grant.later(10_000_000);
    assert_eq!(grant.chat(), Err(Refusal::Expired));
    grant.now = START;
    assert_eq!(grant.chat(), Err(Refusal::Expired));
}

#[test]
fn a_hold_that_nobody_settles_is_booked_at_its_deadline() {
    let mut grant = Fixture::new(r#"{"requests":5,"concurrency":1}"#, "");
    grant.chat().unwrap();
    assert_eq!(grant.wake, Some(START.plus_seconds(TTL)));
    grant.later(TTL);
    grant.apply(Command::Wake);
    let usage = grant.usage().overall;
    assert_eq!((usage.requests_used, usage.requests_held, usage.in_flight), (1, 0, 0));
}

#[test]
fn a_late_settle_of_a_booked_hold_changes_nothing() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, "");
    let hold = grant.chat().unwrap();
    grant.later(TTL);
    grant.apply(settled(&hold, 0));
    assert_eq!(grant.usage().overall.requests_used, 1);
}

#[test]
fn a_late_release_corrects_the_booking_once() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, "");
    let first = grant.chat().unwrap();
    grant.apply(settled(&first, 0));
    let hold = grant.chat().unwrap();
    grant.later(TTL);
    grant.apply(Command::Release(hold.clone()));
    grant.apply(Command::Release(hold.clone()));
    assert_eq!(grant.usage().overall.requests_used, 1);
}

#[test]
fn a_hold_is_ended_once() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, "");
    let hold = grant.chat().unwrap();
    grant.apply(settled(&hold, 0));
    grant.apply(settled(&hold, 0));
    grant.apply(Command::Release(hold.clone()));
    assert_eq!(grant.usage().overall.requests_used, 1);
}

#[test]
fn what_is_left_is_said_by_the_tightest_limit() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, r#","requests":3"#);
    assert_eq!(grant.reserve(chat()).unwrap().requests_remaining, Some(2));
}

#[test]
fn a_look_says_no_to_what_no_call_can_change_and_holds_nothing() {
    let look = || Command::Look { provider: Provider::OpenAi, delegation: None };
    let mut grant = Fixture::new("{}", r#","requests":1,"requests_per_minute":2"#);
    for _ in 0..5 {
        assert_eq!(grant.apply(look()), Reply::Done);
    }
    assert_eq!(grant.usage().overall, ScopeUsage::default());
    let hold = grant.chat().unwrap();
    assert!(matches!(grant.apply(look()), Reply::Refused(Refusal::RequestsHeld(_))));
    grant.apply(settled(&hold, 0));
    assert!(matches!(grant.apply(look()), Reply::Refused(Refusal::RequestsExhausted(_))));
    let anthropic = Command::Look { provider: Provider::Anthropic, delegation: None };
    assert_eq!(grant.apply(anthropic), Reply::Refused(Refusal::ProviderNotGranted));
    let nobody = Command::Look { provider: Provider::OpenAi, delegation: Some("delegation_x".parse().unwrap()) };
    assert_eq!(grant.apply(nobody), Reply::Refused(Refusal::NoSuchDelegation));
    grant.change(|change| change.paused = true);
    assert_eq!(grant.apply(look()), Reply::Refused(Refusal::Paused));
    grant.apply(Command::Revoke);
    assert_eq!(grant.apply(look()), Reply::Refused(Refusal::Revoked));
}

#[test]
fn a_look_says_no_where_not_even_a_nano_dollar_is_left() {
    let look = || Command::Look { provider: Provider::OpenAi, delegation: None };
    let mut grant = Fixture::new("{}", r#","budget_usd":"0.000001""#);
    let hold = grant.reserve(chat_costing(1_000)).unwrap().ticket;
    assert!(matches!(grant.apply(look()), Reply::Refused(Refusal::RoomHeld(_))));
    grant.apply(settled(&hold, 1_000));
    assert!(matches!(grant.apply(look()), Reply::Refused(Refusal::DoesNotFit(_))));
}

#[test]
fn a_paused_grant_says_no_until_it_is_resumed() {
    let mut grant = Fixture::new("{}", "");
    grant.change(|change| change.paused = true);
    assert_eq!(grant.chat(), Err(Refusal::Paused));
    grant.crash();
    assert_eq!(grant.chat(), Err(Refusal::Paused));
    grant.change(|change| change.paused = false);
    assert!(grant.chat().is_ok());
}

#[test]
fn another_limit_holds_for_the_next_call() {
    let mut grant = Fixture::new(r#"{"requests":1}"#, "");
    let hold = grant.chat().unwrap();
    grant.apply(settled(&hold, 0));
    grant.change(|change| change.permissions[0].requests = core::num::NonZeroU64::new(2));
    let hold = grant.chat().unwrap();
    grant.apply(settled(&hold, 0));
    grant.change(|change| change.permissions[0].requests = core::num::NonZeroU64::new(1));
    assert_eq!(grant.chat(), exhausted(Scope::Permission, 1));
}

#[test]
fn a_change_counts_once_however_often_it_is_sent() {
    let mut grant = Fixture::new("{}", "");
    for _ in 0..2 {
        let Reply::Changed(terms) = grant.change(|change| change.paused = true) else { panic!() };
        assert_eq!(terms.revision, 1);
    }
}

#[test]
fn a_change_of_terms_that_no_longer_hold_changes_nothing() {
    let mut grant = Fixture::new("{}", "");
    grant.change(|change| change.paused = true);
    let Reply::Changed(terms) = grant.change(|change| (change.paused, change.revision) = (false, Some(0))) else {
        panic!()
    };
    assert!(terms.paused);
    let Reply::Changed(terms) = grant.change(|change| (change.paused, change.revision) = (false, Some(1))) else {
        panic!()
    };
    assert!(!terms.paused);
    assert_eq!(terms.revision, 2);
}

#[test]
fn nothing_is_changed_on_a_grant_that_has_ended() {
    let mut grant = Fixture::new("{}", "");
    grant.apply(Command::Revoke);
    assert_eq!(grant.change(|change| change.paused = true), Reply::Refused(Refusal::Revoked));
}
