//! The ledger's rules one by one, then all of them under random commands and crashes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::{authorization_details::Requested, limits::Limits, permission::Provider};

const START: Timestamp = Timestamp::from_seconds(1_700_000_000);
const TTL: u64 = 100;

fn terms(limits: &str, overall: &str) -> Terms {
    let details = format!(
        r#"[{{"type":"ai_access","provider":"openai","models":["gpt-5*"],"capabilities":["chat"],"limits":{limits}}},
            {{"type":"ai_access","provider":"openai","models":["embed"],"capabilities":["embeddings"]}},
            {{"type":"ai_limits"{overall}}}]"#
    );
    let asked = Requested::from_authorization_details(&details).unwrap();
    Terms { permissions: asked.permissions, limits: asked.limits, expires_at: START.plus_seconds(10_000) }
}

fn chat() -> Claim {
    claim("gpt-5-mini", Capability::Chat)
}

fn claim(model: &str, capability: Capability) -> Claim {
    let need = Need::Model { models: vec![model.into()], capabilities: vec![capability] };
    Claim { provider: Provider::OpenAi, need }
}

/// A ledger with what would be on disk.
struct Fixture {
    ledger: Ledger,
    summary: Option<Summary>,
    holds: BTreeMap<HoldId, Hold>,
    wake: Option<Timestamp>,
    now: Timestamp,
}

impl Fixture {
    fn new(limits: &str, overall: &str) -> Self {
        let ledger = Ledger::new(terms(limits, overall));
        Self { ledger, summary: None, holds: BTreeMap::new(), wake: None, now: START }
    }

    fn apply(&mut self, command: Command) -> Reply {
        let (reply, effects) = self.ledger.apply(self.now, command);
        for effect in effects {
            match effect {
                Effect::SaveSummary(summary) => self.summary = Some(*summary),
                Effect::SaveHold(id, hold) => drop(self.holds.insert(id, hold)),
                Effect::DropHold(id) => drop(self.holds.remove(&id)),
                Effect::WakeAt(at) => self.wake = Some(at),
            }
        }
        reply
    }

    /// What a SIGKILL leaves.
    fn crash(&mut self) {
        if let Some(summary) = self.summary.clone() {
            self.ledger = Ledger::restore(self.ledger.terms.clone(), summary, self.holds.clone());
        }
    }

    fn reserve(&mut self, claim: Claim) -> Result<Reservation, Refusal> {
        match self.apply(Command::Reserve { claim, hold_ttl_seconds: TTL }) {
            Reply::Reserved(reservation) => Ok(reservation),
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn chat(&mut self) -> Result<HoldId, Refusal> {
        self.reserve(chat()).map(|reservation| reservation.hold)
    }

    fn usage(&mut self) -> Snapshot {
        match self.apply(Command::Read) {
            Reply::Snapshot(snapshot) => snapshot,
            other => panic!("{other:?}"),
        }
    }

    fn later(&mut self, seconds: u64) {
        self.now = self.now.plus_seconds(seconds);
    }
}

fn exhausted(scope: Scope, allowed: u64) -> Result<HoldId, Refusal> {
    Err(Refusal::RequestsExhausted(Limit { scope, allowed }))
}

#[test]
fn requests_are_used_up_by_settled_calls() {
    let mut grant = Fixture::new(r#"{"requests":2}"#, "");
    for _ in 0..2 {
        let hold = grant.chat().unwrap();
        grant.apply(Command::Settle(hold));
    }
    assert_eq!(grant.chat(), exhausted(Scope::Permission, 2));
}

#[test]
fn room_that_is_only_held_is_said_to_be_held() {
    let mut grant = Fixture::new(r#"{"requests":1}"#, "");
    let hold = grant.chat().unwrap();
    assert_eq!(grant.chat(), Err(Refusal::RequestsHeld(Limit { scope: Scope::Permission, allowed: 1 })));
    grant.apply(Command::Release(hold));
    assert!(grant.chat().is_ok());
}

#[test]
fn a_released_call_counts_against_nothing() {
    let mut grant = Fixture::new(r#"{"requests":1,"requests_per_minute":1,"concurrency":1}"#, "");
    for _ in 0..5 {
        let hold = grant.chat().unwrap();
        grant.apply(Command::Release(hold));
    }
    assert_eq!(grant.usage().overall, ScopeUsage::default());
}

#[test]
fn the_limit_of_the_whole_grant_binds_every_permission() {
    let mut grant = Fixture::new("{}", r#","requests":1"#);
    let hold = grant.chat().unwrap();
    grant.apply(Command::Settle(hold));
    let embed = grant.reserve(claim("embed", Capability::Embeddings)).map(|reservation| reservation.hold);
    assert_eq!(embed, exhausted(Scope::Grant, 1));
}

#[test]
fn concurrency_counts_calls_in_flight() {
    let mut grant = Fixture::new(r#"{"concurrency":1}"#, "");
    let hold = grant.chat().unwrap();
    assert_eq!(grant.chat(), Err(Refusal::ConcurrencyExceeded(Limit { scope: Scope::Permission, allowed: 1 })));
    grant.apply(Command::Settle(hold));
    assert!(grant.chat().is_ok());
}

#[test]
fn a_rate_refusal_says_when_a_call_fits_again() {
    let mut grant = Fixture::new(r#"{"requests_per_minute":1}"#, "");
    let hold = grant.chat().unwrap();
    grant.apply(Command::Settle(hold));
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
    grant.apply(Command::Settle(hold));
    let list = Claim { provider: Provider::OpenAi, need: Need::Models { model: None } };
    let models = grant.reserve(list).unwrap().models;
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
    let refusal = grant.reserve(Claim { provider: Provider::OpenAi, need }).unwrap_err();
    assert_eq!(refusal, Refusal::CapabilityNotGranted(Capability::ServerTools));
}

#[test]
fn every_model_that_a_call_can_dispatch_has_to_be_granted() {
    let mut grant = Fixture::new("{}", "");
    let need = Need::Model { models: vec!["gpt-5".into(), "gpt-4".into()], capabilities: vec![Capability::Chat] };
    assert_eq!(
        grant.reserve(Claim { provider: Provider::OpenAi, need }),
        Err(Refusal::ModelNotGranted("gpt-4".into()))
    );
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
    grant.later(9_999);
    assert!(grant.chat().is_ok());
    grant.later(1);
    assert_eq!(grant.chat(), Err(Refusal::Expired));
}

#[test]
fn an_expired_grant_stays_expired_when_the_clock_goes_back() {
    let mut grant = Fixture::new("{}", "");
    grant.later(10_000);
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
    grant.apply(Command::ExpireHolds);
    let usage = grant.usage().overall;
    assert_eq!((usage.requests_used, usage.requests_held, usage.in_flight), (1, 0, 0));
}

#[test]
fn a_late_settle_of_a_booked_hold_changes_nothing() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, "");
    let hold = grant.chat().unwrap();
    grant.later(TTL);
    grant.apply(Command::Settle(hold));
    assert_eq!(grant.usage().overall.requests_used, 1);
}

#[test]
fn a_late_release_corrects_the_booking_once() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, "");
    let settled = grant.chat().unwrap();
    grant.apply(Command::Settle(settled));
    let hold = grant.chat().unwrap();
    grant.later(TTL);
    grant.apply(Command::Release(hold));
    grant.apply(Command::Release(hold));
    assert_eq!(grant.usage().overall.requests_used, 1);
}

#[test]
fn a_hold_is_ended_once() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, "");
    let hold = grant.chat().unwrap();
    grant.apply(Command::Settle(hold));
    grant.apply(Command::Settle(hold));
    grant.apply(Command::Release(hold));
    assert_eq!(grant.usage().overall.requests_used, 1);
}

#[test]
fn what_is_left_is_said_by_the_tightest_limit() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, r#","requests":3"#);
    assert_eq!(grant.reserve(chat()).unwrap().requests_remaining, Some(2));
}

#[derive(Clone, Debug)]
enum Step {
    Chat,
    Embed,
    Settle(usize),
    Release(usize),
    Later(u64),
    Back(u64),
    Wake,
    Crash,
    Revoke,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Chat),
        3 => Just(Step::Embed),
        4 => any::<usize>().prop_map(Step::Settle),
        2 => any::<usize>().prop_map(Step::Release),
        3 => (0..90_u64).prop_map(Step::Later),
        1 => (0..200_u64).prop_map(Step::Back),
        1 => Just(Step::Wake),
        2 => Just(Step::Crash),
        1 => Just(Step::Revoke),
    ]
}

fn assert_within(limits: &Limits, usage: ScopeUsage) {
    if let Some(cap) = limits.requests {
        assert!(usage.requests_used + usage.requests_held <= cap.get(), "{usage:?} over {limits:?}");
    }
    if let Some(cap) = limits.concurrency {
        assert!(usage.in_flight <= u64::from(cap.get()), "{usage:?} over {limits:?}");
    }
    if let Some(cap) = limits.requests_per_minute {
        assert!(usage.last_minute <= u64::from(cap.get()), "{usage:?} over {limits:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_commands_and_crashes_breaks_an_invariant(
        steps in prop::collection::vec(step(), 1..120), revocable in prop::bool::weighted(0.2),
    ) {
        let mut grant = Fixture::new(r#"{"requests":12,"requests_per_minute":5,"concurrency":3}"#, r#","requests":15,"concurrency":4"#);
        let mut given: Vec<HoldId> = Vec::new();
        // The model: what happened upstream, seen from outside.
        let mut allowed_at: BTreeMap<HoldId, (bool, Timestamp)> = BTreeMap::new();
        let mut released = 0_u64;
        let mut revoked = false;
        for step in steps {
            match step {
                Step::Chat | Step::Embed => {
                    let wanted = if matches!(step, Step::Chat) { chat() } else { claim("embed", Capability::Embeddings) };
                    if let Ok(reservation) = grant.reserve(wanted) {
                        prop_assert!(!revoked, "a revoked grant said yes");
                        prop_assert!(!given.contains(&reservation.hold), "a hold's number was used twice");
                        given.push(reservation.hold);
                        allowed_at.insert(reservation.hold, (matches!(step, Step::Chat), grant.ledger.clock));
                    }
                }
                Step::Settle(which) | Step::Release(which) => {
                    if let Some(hold) = given.get(which % given.len().max(1)).copied() {
                        let ends = grant.holds.contains_key(&hold);
                        if matches!(step, Step::Settle(_)) {
                            grant.apply(Command::Settle(hold));
                        } else {
                            grant.apply(Command::Release(hold));
                            released += u64::from(ends && !grant.holds.contains_key(&hold));
                        }
                    }
                }
                Step::Later(seconds) => grant.later(seconds),
                Step::Back(seconds) => grant.now = Timestamp::from_millis(grant.now.millis() - seconds * 1000),
                Step::Wake => drop(grant.apply(Command::ExpireHolds)),
                Step::Crash => grant.crash(),
                Step::Revoke if revocable => {
                    grant.apply(Command::Revoke);
                    revoked = true;
                }
                Step::Revoke => {}
            }
            let usage = grant.usage();
            assert_within(&grant.ledger.terms.limits.clone(), usage.overall);
            assert_within(&grant.ledger.terms.permissions[0].limits.clone(), usage.permissions[0]);
            // Never below what was made: everything allowed is used or held, but for what was released.
            prop_assert_eq!(usage.overall.requests_used + usage.overall.requests_held, given.len() as u64 - released);
            let sum: u64 = usage.permissions.iter().map(|scope| scope.requests_used + scope.requests_held).sum();
            prop_assert_eq!(sum, given.len() as u64 - released);
            // A crash at any point leaves the same ledger, but for when it will be woken.
            let mut restored = grant.summary.clone().map(|summary| Ledger::restore(grant.ledger.terms.clone(), summary, grant.holds.clone()));
            if let Some(restored) = &mut restored {
                restored.clock = grant.ledger.clock;
                restored.wakes_at = grant.ledger.wakes_at;
                prop_assert_eq!(&*restored, &grant.ledger);
            }
            // Whatever is held will be looked at again.
            if let Some(first) = grant.holds.values().map(|hold| hold.deadline).min() {
                prop_assert!(grant.wake.is_some_and(|wake| wake <= first.max(grant.ledger.clock)));
            }
        }
    }
}
