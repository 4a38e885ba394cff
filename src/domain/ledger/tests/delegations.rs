//! Delegations: what can be delegated, what binds the calls of a delegation, and how it ends.

use super::*;
use crate::domain::{limits::Limits, money::NanoUsd, permission::Permission};

fn id(name: &str) -> DelegationId {
    format!("delegation_{name}").parse().unwrap()
}

fn permission(models: &str, capability: &str, limits: &str) -> Permission {
    let json =
        format!(r#"{{"provider":"openai","models":["{models}"],"capabilities":["{capability}"],"limits":{limits}}}"#);
    serde_json::from_str(&json).unwrap()
}

fn limits(json: &str) -> Limits {
    serde_json::from_str(json).unwrap()
}

/// Chat with `gpt-5-mini*`, for 1,000 seconds.
fn delegate(name: &str, parent: Option<&str>, over_all: &str) -> Delegate {
    Delegate {
        id: id(name),
        parent: parent.map(id),
        permissions: vec![permission("gpt-5-mini*", "chat", "{}")],
        limits: limits(over_all),
        expires_at: START.plus_seconds(1_000),
        issued_at: None,
    }
}

impl Fixture {
    fn delegate(&mut self, asked: Delegate) -> Result<Delegate, Refusal> {
        match self.apply(Command::Delegate(Box::new(asked))) {
            Reply::Delegated(terms) => Ok(*terms),
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn spend_as(&mut self, name: &str, nano_usd: u64) -> Result<Ticket, Refusal> {
        self.reserve_as(Some(id(name)), chat_costing(nano_usd)).map(|reservation| reservation.ticket)
    }

    fn chat_as(&mut self, name: &str) -> Result<Ticket, Refusal> {
        self.reserve_as(Some(id(name)), chat()).map(|reservation| reservation.ticket)
    }

    /// What a delegation has booked and holds, in nano-USD.
    fn money_of(&mut self, name: &str) -> Option<(u64, u64)> {
        let usage = self.usage();
        let one = usage.delegations.iter().find(|one| one.terms.id == id(name))?;
        assert_eq!(one.permissions.iter().map(|scope| scope.spent.0).sum::<u64>(), one.overall.spent.0);
        Some((one.overall.spent.0, one.overall.held.0))
    }
}

/// A grant with a delegation `a`, and one narrowed from it, `b`.
fn two_deep(grant_limits: &str, of_a: &str, of_b: &str) -> Fixture {
    let mut grant = Fixture::new(grant_limits, "");
    grant.delegate(delegate("a", None, of_a)).unwrap();
    grant.delegate(delegate("b", Some("a"), of_b)).unwrap();
    grant
}

/// A budget of 1,000 nano-USD.
const BUDGET: &str = r#"{"budget_usd":"0.000001"}"#;
const HALF: &str = r#"{"budget_usd":"0.0000005"}"#;

fn scope_of_shortage(refused: Result<Ticket, Refusal>) -> Scope {
    match refused {
        Err(Refusal::DoesNotFit(shortage) | Refusal::RoomHeld(shortage)) => shortage.limit.scope,
        other => panic!("{other:?}"),
    }
}

// What can be delegated.

#[test]
fn a_delegation_answers_with_its_terms_and_lets_its_calls_through() {
    let mut grant = Fixture::new(BUDGET, "");
    let asked = delegate("a", None, HALF);
    assert_eq!(grant.delegate(asked.clone()), Ok(asked));
    assert!(grant.spend_as("a", 500).is_ok());
}

#[test]
fn delegating_twice_answers_the_same_and_changes_nothing() {
    let mut grant = two_deep(BUDGET, HALF, "{}");
    grant.spend_as("a", 300).unwrap();
    let before = grant.usage();
    assert_eq!(grant.delegate(delegate("a", None, HALF)), Ok(delegate("a", None, HALF)));
    assert_eq!(grant.delegate(delegate("a", None, BUDGET)), Ok(delegate("a", None, HALF)), "the first one holds");
    assert_eq!(grant.usage(), before);
}

#[test]
fn a_model_that_no_permission_covers_can_not_be_delegated() {
    let mut grant = Fixture::new("{}", "");
    for models in ["gpt-4", "*", "gpt*"] {
        let asked = Delegate { permissions: vec![permission(models, "chat", "{}")], ..delegate("a", None, "{}") };
        assert_eq!(grant.delegate(asked), Err(Refusal::NotWithinParent(Beyond::Permission(0))), "{models}");
    }
}

#[test]
fn two_permissions_do_not_cover_one_together() {
    let mut grant = Fixture::new("{}", "");
    let mut both = permission("gpt-5", "chat", "{}");
    both.models.push("embed".parse().unwrap());
    let permissions = vec![permission("embed", "embeddings", "{}"), both];
    let asked = Delegate { permissions, ..delegate("a", None, "{}") };
    assert_eq!(grant.delegate(asked), Err(Refusal::NotWithinParent(Beyond::Permission(1))));
}

#[test]
fn nothing_at_all_can_not_be_delegated() {
    let mut grant = Fixture::new("{}", "");
    let asked = Delegate { permissions: Vec::new(), ..delegate("a", None, "{}") };
    assert_eq!(grant.delegate(asked), Err(Refusal::NotWithinParent(Beyond::Permission(0))));
}

#[test]
fn a_limit_of_a_permission_can_not_be_above_the_one_that_covers_it() {
    let mut grant = Fixture::new(r#"{"requests":5}"#, r#","tokens":100"#);
    let mut ask = |limits| {
        let permissions = vec![permission("gpt-5", "chat", limits)];
        grant.delegate(Delegate { permissions, ..delegate("a", None, "{}") })
    };
    for limits in [r#"{"requests":6}"#, r#"{"tokens":101}"#] {
        assert_eq!(ask(limits), Err(Refusal::NotWithinParent(Beyond::PermissionLimits(0))), "{limits}");
    }
    assert!(ask(r#"{"requests":5,"tokens":100,"concurrency":9}"#).is_ok());
}

#[test]
fn a_limit_over_everything_can_not_be_above_the_one_of_the_grant() {
    let mut grant = Fixture::new("{}", r#","tokens":100"#);
    let refusal = grant.delegate(delegate("a", None, r#"{"tokens":101}"#));
    assert_eq!(refusal, Err(Refusal::NotWithinParent(Beyond::Limits)));
    assert!(grant.delegate(delegate("a", None, r#"{"tokens":100,"requests":7}"#)).is_ok());
}

#[test]
fn a_limit_that_the_parent_does_not_name_is_measured_by_the_one_above_it() {
    let mut grant = Fixture::new("{}", r#","tokens":100"#);
    grant.delegate(delegate("a", None, "{}")).unwrap();
    let refusal = grant.delegate(delegate("b", Some("a"), r#"{"tokens":101}"#));
    assert_eq!(refusal, Err(Refusal::NotWithinParent(Beyond::Limits)));
}

#[test]
fn a_budget_of_a_day_is_not_within_one_of_a_month() {
    let mut grant = Fixture::new("{}", r#","budget_usd":"5","budget_period":"month""#);
    let refusal = grant.delegate(delegate("a", None, r#"{"budget_usd":"1","budget_period":"day"}"#));
    assert_eq!(refusal, Err(Refusal::NotWithinParent(Beyond::Limits)));
    assert!(grant.delegate(delegate("a", None, r#"{"budget_usd":"1","budget_period":"total"}"#)).is_ok());
}

#[test]
fn a_delegation_can_not_outlive_its_parent() {
    let mut grant = Fixture::new("{}", "");
    grant.delegate(delegate("a", None, "{}")).unwrap();
    let mut longer = delegate("b", Some("a"), "{}");
    longer.expires_at = longer.expires_at.plus_millis(1);
    assert_eq!(grant.delegate(longer), Err(Refusal::NotWithinParent(Beyond::ExpiresAt)));
    let beyond_grant = Delegate { expires_at: START.plus_seconds(10_000_001), ..delegate("b", None, "{}") };
    assert_eq!(grant.delegate(beyond_grant), Err(Refusal::NotWithinParent(Beyond::ExpiresAt)));
}

#[test]
fn a_delegation_that_would_have_expired_is_refused() {
    let mut grant = Fixture::new("{}", "");
    grant.later(1_000);
    assert_eq!(grant.delegate(delegate("a", None, "{}")), Err(Refusal::Expired));
}

#[test]
fn a_fifth_delegation_below_another_is_refused() {
    let mut grant = Fixture::new("{}", "");
    let names = ["a", "b", "c", "d", "e"];
    for (at, name) in names.iter().enumerate().take(MAX_DEPTH) {
        grant.delegate(delegate(name, at.checked_sub(1).map(|above| names[above]), "{}")).unwrap();
    }
    assert!(grant.chat_as("d").is_ok());
    assert_eq!(grant.delegate(delegate("e", Some("d"), "{}")), Err(Refusal::NotWithinParent(Beyond::Depth)));
}

#[test]
fn there_are_a_hundred_delegations_and_not_one_more() {
    let mut grant = Fixture::new("{}", "");
    for number in 0..MAX_DELEGATIONS {
        grant.delegate(delegate(&number.to_string(), None, "{}")).unwrap();
    }
    assert_eq!(grant.delegate(delegate("a", None, "{}")), Err(Refusal::TooManyDelegations));
    assert!(grant.delegate(delegate("7", None, "{}")).is_ok(), "that is one of them");
    grant.apply(Command::RevokeDelegation(id("7")));
    assert!(grant.delegate(delegate("a", None, "{}")).is_ok());
}

#[test]
fn nothing_is_delegated_from_what_has_ended() {
    let mut grant = two_deep("{}", "{}", "{}");
    grant.chat_as("b").unwrap();
    assert_eq!(grant.delegate(delegate("c", Some("?"), "{}")), Err(Refusal::NoSuchDelegation));
    grant.apply(Command::RevokeDelegation(id("a")));
    assert_eq!(grant.delegate(delegate("c", Some("b"), "{}")), Err(Refusal::Revoked));
    assert_eq!(grant.delegate(delegate("b", Some("a"), "{}")), Err(Refusal::Revoked), "nor does it come back");
    grant.apply(Command::Revoke);
    assert_eq!(grant.delegate(delegate("c", None, "{}")), Err(Refusal::Revoked));
}

#[test]
fn a_paused_grant_can_be_delegated_and_says_no_to_the_calls() {
    let mut grant = Fixture::new("{}", "");
    grant.change(|change| change.paused = true);
    grant.delegate(delegate("a", None, "{}")).unwrap();
    assert_eq!(grant.chat_as("a"), Err(Refusal::Paused));
    grant.change(|change| change.paused = false);
    assert!(grant.chat_as("a").is_ok());
}

// What binds its calls.

#[test]
fn only_what_was_delegated_is_allowed() {
    let mut grant = two_deep("{}", "{}", "{}");
    let mut ask = |claim| grant.reserve_as(Some(id("b")), claim).unwrap_err();
    assert_eq!(ask(claim("gpt-5", Capability::Chat)), Refusal::ModelNotGranted("gpt-5".into()));
    assert_eq!(ask(claim("gpt-5-mini", Capability::Embeddings)), Refusal::CapabilityNotGranted(Capability::Embeddings));
    assert_eq!(ask(Claim { provider: Provider::Anthropic, ..chat() }), Refusal::ProviderNotGranted);
}

#[test]
fn only_what_was_delegated_is_listed() {
    let mut grant = two_deep("{}", "{}", "{}");
    let models = grant.reserve_as(Some(id("b")), models()).unwrap().models;
    assert_eq!(models.iter().map(ModelPattern::as_str).collect::<Vec<_>>(), ["gpt-5-mini*"]);
}

#[test]
fn a_call_counts_in_every_delegation_above_it_and_in_the_grant() {
    let mut grant = two_deep(BUDGET, "{}", "{}");
    let ticket = grant.spend_as("b", 600).unwrap();
    assert_eq!(ticket.delegation, Some(id("b")));
    for name in ["a", "b"] {
        assert_eq!(grant.money_of(name), Some((0, 600)));
    }
    assert_eq!(grant.usage().permissions[0].held, NanoUsd(600));
    grant.apply(settled(&ticket, 10));
    for name in ["a", "b"] {
        assert_eq!(grant.money_of(name), Some((10, 0)));
    }
    assert_eq!((grant.usage().permissions[0].spent, grant.usage().overall.spent), (NanoUsd(10), NanoUsd(10)));
}

#[test]
fn the_tightest_limit_on_the_way_up_binds_and_says_whose_it_is() {
    let mut grant = two_deep(BUDGET, HALF, "{}");
    assert_eq!(scope_of_shortage(grant.spend_as("b", 501)), Scope::Delegation);
    assert!(grant.spend_as("b", 500).is_ok());
    let mut grant = two_deep(BUDGET, "{}", "{}");
    assert_eq!(scope_of_shortage(grant.spend_as("b", 1001)), Scope::Permission);
}

#[test]
fn the_limit_of_a_delegated_permission_binds() {
    let mut grant = Fixture::new(BUDGET, "");
    let permissions = vec![permission("gpt-5-mini*", "chat", HALF)];
    grant.delegate(Delegate { permissions, ..delegate("a", None, "{}") }).unwrap();
    assert_eq!(scope_of_shortage(grant.spend_as("a", 501)), Scope::Delegation);
}

#[test]
fn the_limits_of_a_parent_bind_the_sum_of_its_children_and_its_own_calls() {
    let mut grant = two_deep(BUDGET, "{}", "{}");
    grant.delegate(delegate("c", Some("a"), "{}")).unwrap();
    for name in ["a", "b", "c"] {
        grant.spend_as(name, 300).unwrap();
    }
    assert_eq!(scope_of_shortage(grant.spend(101)), Scope::Permission);
    grant.spend(100).unwrap();
    for name in ["a", "b", "c"] {
        assert!(grant.spend_as(name, 1).is_err());
    }
}

#[test]
fn every_kind_of_limit_binds_a_delegation() {
    let limit = Limit { scope: Scope::Delegation, allowed: 1 };
    let refused = |limits| {
        let mut grant = two_deep("{}", limits, "{}");
        grant.chat_as("b").unwrap();
        grant.chat_as("b").unwrap_err()
    };
    assert_eq!(refused(r#"{"requests":1}"#), Refusal::RequestsHeld(limit));
    assert_eq!(refused(r#"{"concurrency":1}"#), Refusal::ConcurrencyExceeded(limit));
    assert!(matches!(refused(r#"{"requests_per_minute":1}"#), Refusal::RateLimited { limit: of, .. } if of == limit));
    let mut grant = two_deep("{}", r#"{"tokens":1}"#, "{}");
    assert_eq!(scope_of_shortage(grant.spend_as("b", 2)), Scope::Delegation);
}

#[test]
fn a_call_without_a_price_is_refused_under_a_cap_of_any_delegation_above_it() {
    let mut grant = two_deep("{}", HALF, "{}");
    let unknown = Claim { worst: Worst::Unknown("no price".into()), ..chat() };
    assert_eq!(grant.reserve_as(Some(id("b")), unknown.clone()), Err(Refusal::PriceUnknown("no price".into())));
    assert!(grant.reserve(unknown).is_ok());
}

#[test]
fn a_maximum_that_nobody_named_is_lowered_to_what_fits_everywhere() {
    let mut grant = two_deep(BUDGET, HALF, "{}");
    let worst = Worst::Bound(Bound { least_output_tokens: Some(100), ..costing(5_000) });
    let reservation = grant.reserve_as(Some(id("b")), Claim { worst, ..chat() }).unwrap();
    assert_eq!(reservation.output_tokens, Some(500));
}

#[test]
fn what_is_left_is_said_by_the_tightest_limit_on_the_way_up() {
    let mut grant = two_deep(BUDGET, HALF, r#"{"requests":3,"concurrency":2}"#);
    let reservation = grant.reserve_as(Some(id("b")), chat_costing(100)).unwrap();
    assert_eq!((reservation.budget_remaining, reservation.requests_remaining), (Some(NanoUsd(400)), Some(2)));
    assert!(reservation.concurrency_limited);
}

#[test]
fn a_released_call_of_a_delegation_counts_against_nothing_but_the_rate() {
    let mut grant = two_deep("{}", r#"{"requests":1,"requests_per_minute":1,"concurrency":1}"#, "{}");
    for _ in 0..3 {
        let ticket = grant.chat_as("b").unwrap();
        grant.apply(Command::Withdraw(ticket));
    }
    let ticket = grant.chat_as("b").unwrap();
    grant.apply(Command::Release(ticket));
    assert!(matches!(grant.chat_as("b"), Err(Refusal::RateLimited { .. })));
    grant.later(61);
    assert!(grant.usage().delegations.iter().all(|one| one.overall == ScopeUsage::default()));
}

#[test]
fn a_call_that_nobody_settles_is_booked_everywhere_and_corrected_everywhere() {
    let mut grant = two_deep(BUDGET, "{}", "{}");
    let ticket = grant.spend_as("b", 600).unwrap();
    grant.later(TTL);
    grant.apply(Command::Wake);
    assert_eq!((grant.money_of("a"), grant.money_of("b")), (Some((600, 0)), Some((600, 0))));
    for _ in 0..2 {
        grant.apply(settled(&ticket, 10));
    }
    assert_eq!((grant.money_of("a"), grant.money_of("b")), (Some((10, 0)), Some((10, 0))));
    assert_eq!(grant.usage().overall.spent, NanoUsd(10));
}

#[test]
fn a_call_of_a_delegation_has_a_row_though_room_is_set_aside() {
    let mut grant = Fixture { ahead: 8, ..two_deep(BUDGET, "{}", "{}") };
    for _ in 0..3 {
        grant.spend(10).unwrap();
    }
    let ticket = grant.spend_as("b", 10).unwrap();
    assert!(grant.disk.holds.contains_key(&ticket.hold));
    grant.crash();
    assert_eq!((grant.money_of("a"), grant.money_of("b")), (Some((0, 10)), Some((0, 10))));
    grant.apply(settled(&ticket, 4));
    grant.apply(settled(&ticket, 4));
    assert_eq!((grant.money_of("a"), grant.money_of("b")), (Some((4, 0)), Some((4, 0))));
}

#[test]
fn a_crash_forgets_nothing_of_a_delegation() {
    let mut grant = two_deep(BUDGET, r#"{"requests_per_minute":2}"#, "{}");
    let ticket = grant.spend_as("b", 100).unwrap();
    grant.apply(settled(&ticket, 60));
    grant.spend_as("b", 100).unwrap();
    let before = grant.usage();
    grant.crash();
    assert_eq!(grant.usage(), before);
    assert!(matches!(grant.chat_as("b"), Err(Refusal::RateLimited { .. })));
}

// How it ends.

#[test]
fn a_revoked_delegation_ends_with_all_below_it_and_nothing_else() {
    let mut grant = two_deep("{}", "{}", "{}");
    grant.delegate(delegate("c", None, "{}")).unwrap();
    for name in ["a", "b"] {
        grant.chat_as(name).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(grant.apply(Command::RevokeDelegation(id("a"))), Reply::Done);
    }
    grant.crash();
    for name in ["a", "b"] {
        assert_eq!(grant.chat_as(name), Err(Refusal::Revoked));
    }
    assert!(grant.chat_as("c").is_ok() && grant.chat().is_ok());
}

#[test]
fn a_child_that_is_revoked_leaves_its_parent_alone() {
    let mut grant = two_deep("{}", "{}", "{}");
    grant.apply(Command::RevokeDelegation(id("b")));
    assert_eq!(grant.chat_as("b"), Err(Refusal::NoSuchDelegation));
    assert!(grant.chat_as("a").is_ok());
}

#[test]
fn revoking_what_is_not_known_changes_nothing() {
    let mut grant = two_deep("{}", "{}", "{}");
    let writes = grant.disk.writes;
    assert_eq!(grant.apply(Command::RevokeDelegation(id("?"))), Reply::Done);
    assert_eq!(grant.disk.writes, writes);
}

#[test]
fn a_revoked_grant_ends_every_delegation() {
    let mut grant = two_deep("{}", "{}", "{}");
    grant.apply(Command::Revoke);
    assert_eq!(grant.chat_as("b"), Err(Refusal::Revoked));
    assert!(grant.disk.delegations.is_empty());
}

#[test]
fn a_delegation_ends_exactly_at_its_expiry() {
    let mut grant = two_deep("{}", "{}", "{}");
    grant.later(999);
    assert!(grant.chat_as("b").is_ok());
    grant.later(1);
    assert_eq!(grant.chat_as("b"), Err(Refusal::Expired));
    assert!(grant.chat().is_ok());
}

#[test]
fn what_has_ended_is_forgotten_once_no_call_is_in_flight() {
    let mut grant = two_deep("{}", "{}", "{}");
    grant.delegate(delegate("c", None, "{}")).unwrap();
    let ticket = grant.spend_as("b", 100).unwrap();
    grant.apply(Command::RevokeDelegation(id("a")));
    assert_eq!(grant.disk.delegations.len(), 3);
    grant.apply(settled(&ticket, 7));
    assert_eq!(grant.disk.delegations.keys().collect::<Vec<_>>(), [&id("c")]);
    grant.later(1_000);
    assert!(grant.usage().delegations.is_empty());
    assert!(grant.disk.delegations.is_empty());
    assert_eq!(grant.usage().overall.spent, NanoUsd(7), "what was spent stays counted");
}

#[test]
fn a_call_of_a_forgotten_delegation_is_still_corrected_in_the_grant() {
    for crashes in [false, true] {
        let mut grant = two_deep(BUDGET, "{}", "{}");
        let ticket = grant.spend_as("b", 600).unwrap();
        grant.apply(Command::RevokeDelegation(id("a")));
        grant.later(TTL);
        grant.apply(Command::Wake);
        assert!(grant.disk.delegations.is_empty());
        if crashes {
            grant.crash();
        }
        for _ in 0..2 {
            grant.apply(settled(&ticket, 10));
            assert_eq!(grant.usage().permissions[0].spent, NanoUsd(10));
        }
    }
}

#[test]
fn a_call_of_a_forgotten_delegation_that_ended_before_a_crash_does_not_end_again() {
    let mut grant = Fixture { ahead: 8, ..two_deep(BUDGET, "{}", "{}") };
    grant.spend(10).unwrap();
    let ticket = grant.spend_as("b", 10).unwrap();
    grant.apply(settled(&ticket, 10));
    grant.apply(Command::RevokeDelegation(id("a")));
    grant.crash();
    let before = grant.usage();
    grant.apply(Command::Release(ticket.clone()));
    grant.apply(settled(&ticket, 3));
    assert_eq!(grant.usage(), before);
}

// What is told.

#[test]
fn a_line_is_a_delegation_and_those_above_it() {
    let mut grant = two_deep("{}", "{}", "{}");
    let usage = grant.usage();
    let line = |name| usage.line_of(&id(name)).iter().map(|one| one.terms.id.clone()).collect::<Vec<_>>();
    assert_eq!((line("b"), line("a"), line("?")), (vec![id("b"), id("a")], vec![id("a")], vec![]));
}

#[test]
fn a_command_of_before_there_were_delegations_is_read() {
    let now = Command::Reserve {
        claim: chat(),
        hold_ttl_seconds: 1,
        ahead: 8,
        delegation: None,
        proof: None,
        issued_at: None,
    };
    let json = serde_json::to_string(&now).unwrap();
    assert!(["delegation", "proof", "issued_at"].iter().all(|name| !json.contains(name)));
    assert_eq!(serde_json::from_str::<Command>(&json).unwrap(), now);
    let ticket = r#"{"Release":{"hold":1,"permission":0,"amounts":{},"bounded":true}}"#;
    assert!(matches!(serde_json::from_str(ticket), Ok(Command::Release(Ticket { delegation: None, .. }))));
}
