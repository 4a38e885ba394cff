//! A ceiling for a grant, and the ledger of an account.

use super::*;
use crate::domain::{
    limits::{Limits, Period},
    money::{Amount, NanoUsd},
    policy::{Policed, Policy},
};

pub(super) fn amount(nano_usd: u64) -> Amount {
    NanoUsd(nano_usd).to_string().parse().unwrap()
}

/// A policy for `gpt-5*` and `embed` at `OpenAI`.
pub(super) fn policed(revision: u64, per_grant: Option<u64>, per_month: Option<u64>) -> Policed {
    let models = ["gpt-5*", "embed"].map(|text| text.parse().unwrap());
    let policy = Policy {
        models: [(Provider::OpenAi, models.into())].into(),
        max_per_grant: per_grant.map(amount),
        max_per_month: per_month.map(amount),
    };
    Policed { policy, revision }
}

impl Fixture {
    /// A ledger of these terms.
    pub(super) fn of(terms: Terms) -> Self {
        let mut fixture = Self::new("{}", "");
        fixture.disk.terms = terms.clone();
        fixture.ledger = Ledger::new(terms);
        fixture
    }

    /// The ledger of an account.
    pub(super) fn account(policed: &Policed) -> Self {
        Self::of(policed.account_terms())
    }

    /// A member's grant.
    pub(super) fn of_member(limits: &str, overall: &str, policed: &Policed) -> Self {
        Self::of(policed.bind(terms(limits, overall), &"user_a".parse().unwrap()))
    }

    fn govern(&mut self, govern: Govern) -> Reply {
        self.apply(Command::Govern(Box::new(govern)))
    }
}

fn ceiling(policy: u64, ceiling: Option<u64>) -> Govern {
    Govern { policy, ceiling: ceiling.map(amount), allowance: None }
}

fn does_not_fit_under(scope: Scope, answer: &Result<Ticket, Refusal>) -> bool {
    matches!(answer, Err(Refusal::DoesNotFit(shortage)) if shortage.limit.scope == scope)
}

#[test]
fn a_grant_never_costs_more_than_its_ceiling_though_its_budget_begins_anew_each_day() {
    let policed = policed(1, Some(1_000), None);
    let mut grant = Fixture::of_member("{}", r#","budget_usd":"0.0000006","budget_period":"day""#, &policed);
    let first = grant.spend(600).unwrap();
    grant.apply(settled(&first, 600));
    grant.later(86_400);
    assert!(grant.spend(300).is_ok());
    let held_back = grant.spend(101);
    assert!(matches!(held_back, Err(Refusal::RoomHeld(shortage)) if shortage.limit.scope == Scope::Ceiling));
    assert!(grant.spend(100).is_ok());
    grant.later(40 * 86_400);
    assert!(does_not_fit_under(Scope::Ceiling, &grant.spend(1)));
}

#[test]
fn a_ceiling_counts_what_was_spent_before_it_was_told() {
    let mut grant = Fixture::of_member("{}", "", &policed(1, None, None));
    let ticket = grant.spend(700).unwrap();
    grant.apply(settled(&ticket, 700));
    grant.govern(ceiling(2, Some(1_000)));
    assert!(does_not_fit_under(Scope::Ceiling, &grant.spend(301)));
    grant.crash();
    assert!(does_not_fit_under(Scope::Ceiling, &grant.spend(301)), "also after a crash");
    assert!(grant.spend(300).is_ok());
}

#[test]
fn a_call_without_a_price_is_refused_under_a_ceiling() {
    let mut grant = Fixture::of_member("{}", "", &policed(1, Some(1_000), None));
    let unknown = Claim { worst: Worst::Unknown("no price".into()), ..chat() };
    assert_eq!(grant.reserve(unknown).unwrap_err(), Refusal::PriceUnknown("no price".into()));
}

#[test]
fn room_is_set_aside_within_the_ceiling() {
    let mut grant = Fixture::of_member("{}", "", &policed(1, Some(1_000), None));
    grant.ahead = 8;
    for _ in 0..10 {
        drop(grant.spend(90));
    }
    grant.crash();
    let usage = grant.usage();
    assert!(usage.overall.spent_total.0 + usage.overall.held.0 <= 1_000, "{:?}", usage.overall);
}

#[test]
fn no_change_of_limits_goes_beyond_the_ceiling() {
    let overall = r#","budget_usd":"0.0000005""#;
    let mut grant = Fixture::of_member("{}", overall, &policed(1, Some(1_000), None));
    let beyond = Reply::Refused(Refusal::BeyondCeiling(amount(1_000)));
    assert_eq!(grant.change(|change| change.limits.budget_usd = Some(amount(1_001))), beyond);
    assert_eq!(grant.change(|change| change.permissions[0].budget_usd = Some(amount(1_001))), beyond);
    assert_eq!(grant.change(|change| change.limits.budget_usd = None), beyond, "no limit is beyond any");
    assert_eq!(grant.ledger.terms().limits.budget_usd, Some(amount(500)));
    assert!(matches!(grant.change(|change| change.limits.budget_usd = Some(amount(1_000))), Reply::Changed(_)));
}

#[test]
fn a_grant_whose_budget_is_above_a_ceiling_that_came_later_can_still_be_paused() {
    let mut grant = Fixture::of_member("{}", r#","budget_usd":"0.000005""#, &policed(1, None, None));
    grant.govern(ceiling(2, Some(1_000)));
    assert!(matches!(grant.change(|change| change.paused = true), Reply::Changed(terms) if terms.paused));
    let raised = grant.change(|change| change.limits.budget_usd = Some(amount(5_001)));
    assert_eq!(raised, Reply::Refused(Refusal::BeyondCeiling(amount(1_000))));
    let more_often = grant.change(|change| change.limits.budget_period = Period::Day);
    assert_eq!(more_often, Reply::Refused(Refusal::BeyondCeiling(amount(1_000))));
}

#[test]
fn an_operator_s_grant_has_no_ceiling_whatever_it_is_told() {
    let mut grant = Fixture::new("{}", "");
    grant.govern(ceiling(1, Some(10)));
    let reservation = grant.reserve(chat_costing(1_000)).unwrap();
    assert_eq!(reservation.account, None);
}

#[test]
fn of_two_policies_the_later_stays_in_whatever_order_they_are_told() {
    let mut grant = Fixture::of_member("{}", "", &policed(1, None, None));
    grant.govern(ceiling(3, Some(10)));
    grant.govern(ceiling(2, Some(1_000)));
    assert!(does_not_fit_under(Scope::Ceiling, &grant.spend(11)));
    grant.govern(ceiling(4, None));
    assert!(grant.spend(11).is_ok());
}

#[test]
fn a_policy_survives_a_crash_also_of_a_ledger_that_was_never_used() {
    let mut account = Fixture::account(&policed(1, None, None));
    account.govern(policed(2, None, Some(100)).govern());
    account.crash();
    assert!(account.disk.summary.is_some());
    assert!(account.spend_on_account(101).is_err());
}

impl Fixture {
    fn spend_on_account(&mut self, nano_usd: u64) -> Result<Ticket, Refusal> {
        self.reserve(chat_costing(nano_usd).for_account(None)).map(|reservation| reservation.ticket)
    }
}

#[test]
fn an_account_says_no_to_what_the_policy_does_not_name() {
    let mut account = Fixture::account(&policed(1, None, None));
    assert!(account.spend_on_account(5).is_ok(), "whatever the capability");
    let other = |model: &str| Claim {
        need: Need::Model { models: vec![model.into()], capabilities: vec![Capability::Chat] },
        ..chat()
    };
    assert_eq!(account.reserve(other("o4").for_account(None)).unwrap_err(), Refusal::ModelNotGranted("o4".into()));
    let anthropic = Claim { provider: Provider::Anthropic, ..other("claude-opus-5") };
    assert_eq!(account.reserve(anthropic.for_account(None)).unwrap_err(), Refusal::ProviderNotGranted);
    let list = Claim { provider: Provider::Anthropic, ..models() };
    assert_eq!(account.reserve(list.for_account(None)).unwrap_err(), Refusal::ProviderNotGranted);
}

#[test]
fn an_account_counts_by_the_month_and_keeps_its_count_when_the_policy_changes() {
    let mut account = Fixture::account(&policed(1, None, Some(1_000)));
    let ticket = account.spend_on_account(800).unwrap();
    account.apply(settled(&ticket, 700));
    account.govern(policed(2, None, Some(900)).govern());
    assert!(does_not_fit_under(Scope::Grant, &account.spend_on_account(201)));
    let held = account.spend_on_account(200).unwrap();
    account.govern(policed(3, None, Some(500)).govern());
    assert!(account.spend_on_account(1).is_err(), "lowered below what was used");
    account.apply(settled(&held, 150));
    assert_eq!(account.usage().overall.spent, NanoUsd(850));
    account.later(31 * 86_400);
    assert!(account.spend_on_account(500).is_ok(), "a new month");
}

#[test]
fn a_provider_that_comes_later_has_counters_of_its_own() {
    let mut terms = policed(1, None, None).account_terms();
    terms.permissions.truncate(1);
    let mut account = Fixture::of(terms);
    let ticket = account.spend_on_account(5).unwrap();
    account.apply(settled(&ticket, 5));
    account.govern(policed(2, None, None).govern());
    let usage = account.usage();
    assert_eq!(usage.permissions.iter().map(|one| one.spent_total.0).collect::<Vec<_>>(), [5, 0]);
    let fewer = Allowance { permissions: Vec::new(), limits: Limits::NONE };
    let answer = account.govern(Govern { policy: 3, ceiling: None, allowance: Some(fewer) });
    assert_eq!(answer, Reply::Refused(Refusal::NoSuchGrant), "positions never go");
}

#[test]
fn an_account_that_was_ended_lets_nothing_through_and_no_policy_revives_it() {
    let mut account = Fixture::account(&policed(1, None, None));
    account.apply(Command::Revoke);
    account.govern(policed(2, None, None).govern());
    assert_eq!(account.spend_on_account(1).unwrap_err(), Refusal::Revoked);
}

#[test]
fn of_an_account_nothing_is_kept_to_be_told_since_the_grant_tells_it() {
    let kept = |owner: &str| {
        let owner: LedgerId = owner.parse().unwrap();
        let mut account = Fixture::account(&policed(1, None, Some(100)));
        let ticket = account.spend_on_account(90).unwrap();
        let (_, mut effects) = account.ledger.apply(account.now, settled(&ticket, 90));
        let again = chat_costing(50).for_account(None);
        let again = Command::Reserve {
            claim: again,
            hold_ttl_seconds: TTL,
            ahead: 0,
            delegation: None,
            proof: None,
            issued_at: None,
        };
        effects.extend(account.ledger.apply(account.now, again).1);
        effects.retain(|effect| owner.keeps(effect));
        let told = |effect: &&Effect| matches!(effect, Effect::Book(_) | Effect::Tell(_) | Effect::SaveRefusals(_));
        (effects.iter().filter(told).count(), effects.len())
    };
    let (told, all) = kept("grant_a");
    assert!(told >= 4, "booked, two thresholds, a refusal");
    assert_eq!(kept("account:user_a"), (0, all - told), "and what was counted is stored all the same");
}

#[test]
fn what_both_say_yes_to_is_the_smaller_of_each() {
    let open =
        |least| Claim { worst: Worst::Bound(Bound { least_output_tokens: Some(least), ..costing(1_000) }), ..chat() };
    let mut grant = Fixture::of_member("{}", r#","budget_usd":"0.0000007""#, &policed(1, None, Some(600)));
    let mut account = Fixture::account(&policed(1, None, Some(600)));
    let granted = grant.reserve(open(10)).unwrap();
    assert_eq!(granted.output_tokens, Some(700));
    let asked = granted.output_tokens;
    let allowed = account.reserve(open(10).for_account(asked)).unwrap();
    assert_eq!(allowed.ticket.amounts.nano_usd, NanoUsd(600));
    let both = granted.within(&allowed, asked);
    assert_eq!((both.output_tokens, both.budget_remaining), (Some(600), Some(NanoUsd(0))));
}

#[test]
fn no_more_is_written_than_the_account_was_asked_for() {
    let mut account = Fixture::account(&policed(1, None, None));
    let mut grant = Fixture::of_member("{}", "", &policed(1, None, None));
    let claim = chat_costing(1_000);
    let allowed = account.reserve(claim.for_account(Some(400))).unwrap();
    assert_eq!(allowed.ticket.amounts.nano_usd, NanoUsd(400));
    assert_eq!(allowed.output_tokens, None, "all that it was asked for");
    let again = grant.reserve(claim).unwrap();
    assert_eq!(again.within(&allowed, Some(400)).output_tokens, Some(400));
}

#[test]
fn a_grant_is_told_a_policy_that_only_its_account_knows() {
    let mut grant = Fixture::of_member("{}", "", &policed(1, Some(900), None));
    let mut account = Fixture::account(&policed(1, Some(900), None));
    let granted = grant.reserve(chat_costing(5)).unwrap();
    assert_eq!(granted.outdated_by(&account.reserve(chat_costing(5).for_account(None)).unwrap()), None);
    account.govern(policed(2, Some(100), None).govern());
    let allowed = account.reserve(chat_costing(5).for_account(None)).unwrap();
    assert_eq!(granted.outdated_by(&allowed), Some(ceiling(2, Some(100))));
}

#[test]
fn terms_of_before_there_were_policies_bind_nobody() {
    let terms: Terms = serde_json::from_str(r#"{"permissions":[],"expires_at":1}"#).unwrap();
    assert_eq!((terms.account.as_ref(), terms.ceiling, terms.policy), (None, None, 0));
    let text = serde_json::to_string(&terms).unwrap();
    assert!(!text.contains("account") && !text.contains("ceiling") && !text.contains("policy"), "{text}");
}
