//! Two grants of a member and the ledger of their account, in random orders with crashes of any of them, and of whoever carries a call
//! from one to the other: what was let out to the provider is never above the month's cap, nor above a grant's ceiling.

use proptest::prelude::*;

use super::{
    govern::{amount, policed},
    *,
};
use crate::domain::{limits::Period, money::NanoUsd};

const GRANTS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    /// A call, as the data plane carries it; it may die after so many of its commands.
    Call {
        grant: usize,
        bound: u64,
        least: Option<u64>,
        dies_after: Option<u8>,
    },
    /// The provider's answer: per mille of the bound. What settles may die between the two ledgers.
    Settle {
        which: usize,
        cost: u64,
        dies_halfway: bool,
    },
    SettleTwice(usize),
    Release(usize),
    Later(u64),
    Crash(usize),
    Wake(usize),
    /// The operator saves another policy, and the account is told.
    Policy {
        per_grant: Option<u64>,
        per_month: Option<u64>,
    },
    /// The same, and the telling gets lost.
    PolicyLost,
}

fn step() -> impl Strategy<Value = Step> {
    let dies = prop_oneof![8 => Just(None), 1 => (0..4_u8).prop_map(Some)];
    let least = prop::option::weighted(0.3, Just(20_u64));
    let policy = (prop::option::of(200..2_000_u64), prop::option::of(200..3_000_u64));
    prop_oneof![
        14 => (0..GRANTS, 1..500_u64, least, dies)
            .prop_map(|(grant, bound, least, dies_after)| Step::Call { grant, bound, least, dies_after }),
        9 => (any::<usize>(), 0..=1_000_u64, prop::bool::weighted(0.1))
            .prop_map(|(which, cost, dies_halfway)| Step::Settle { which, cost, dies_halfway }),
        1 => any::<usize>().prop_map(Step::SettleTwice),
        2 => any::<usize>().prop_map(Step::Release),
        3 => (0..90_u64).prop_map(Step::Later),
        1 => (100_000..3_000_000_u64).prop_map(Step::Later),
        2 => (0..=GRANTS).prop_map(Step::Crash),
        1 => (0..=GRANTS).prop_map(Step::Wake),
        1 => policy.prop_map(|(per_grant, per_month)| Step::Policy { per_grant, per_month }),
        1 => Just(Step::PolicyLost),
    ]
}

/// A call that went to the provider.
struct Made {
    grant: usize,
    of_grant: Ticket,
    of_account: Ticket,
    /// The most that it can cost, by the maximum that was set for it.
    bound: u64,
    at: Timestamp,
    /// What the provider billed, once that is known; until then it may be anything up to the bound.
    billed: Option<u64>,
    /// Whether both ledgers were told.
    ended: bool,
}

struct Run {
    grants: Vec<Fixture>,
    account: Fixture,
    made: Vec<Made>,
    revision: u64,
    /// The month's cap that the account was told last.
    told: Option<u64>,
    /// The highest month's cap that held in this month, since a lowered one takes nothing back.
    highest_month: (u64, Option<u64>),
    /// The same of each grant's ceiling, over its life.
    highest_ceiling: Vec<Option<u64>>,
}

impl Run {
    fn new(ahead: u32) -> Self {
        let first = policed(1, Some(1_500), Some(2_000));
        let grant = || {
            let mut grant = Fixture::of_member(
                r#"{"requests_per_minute":20}"#,
                r#","budget_usd":"0.0000009","budget_period":"day""#,
                &first,
            );
            grant.ahead = ahead;
            grant
        };
        let mut account = Fixture::account(&first);
        account.ahead = ahead;
        Self {
            grants: (0..GRANTS).map(|_| grant()).collect(),
            account,
            made: Vec::new(),
            revision: 1,
            told: Some(2_000),
            highest_month: (START.month(), Some(2_000)),
            highest_ceiling: vec![Some(1_500); GRANTS],
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Fixture> {
        self.grants.iter_mut().chain([&mut self.account])
    }

    /// As `edge::data_plane::room` does it.
    fn call(&mut self, grant: usize, bound: u64, least: Option<u64>, dies_after: Option<u8>) {
        let dies = |after: u8| dies_after == Some(after);
        let claim = Claim { worst: Worst::Bound(Bound { least_output_tokens: least, ..costing(bound) }), ..chat() };
        let granted = match self.grants[grant].reserve(claim.clone()) {
            _ if dies(0) => return,
            Ok(granted) => granted,
            Err(refusal) if refusal.is_of_ceiling() => return self.call_beyond(grant, &claim, bound, dies_after),
            Err(_) => return,
        };
        let asked = granted.output_tokens;
        let Ok(allowed) = self.account.reserve(claim.for_account(asked)) else {
            if !dies(1) {
                self.grants[grant].apply(Command::Withdraw(granted.ticket));
            }
            return;
        };
        if dies(1) {
            return;
        }
        let granted = match granted.outdated_by(&allowed) {
            None => granted,
            Some(govern) => {
                let grant = &mut self.grants[grant];
                grant.apply(Command::Withdraw(granted.ticket));
                grant.apply(Command::Govern(Box::new(govern)));
                match grant.reserve(claim) {
                    Ok(granted) if !dies(2) => granted,
                    Ok(_) => return,
                    Err(_) => {
                        if !dies(2) {
                            self.account.apply(Command::Withdraw(allowed.ticket));
                        }
                        return;
                    }
                }
            }
        };
        self.go(grant, granted, allowed, (asked, bound), dies(3));
    }

    /// The same where the grant's ceiling said no, which may have been raised.
    fn call_beyond(&mut self, grant: usize, claim: &Claim, bound: u64, dies_after: Option<u8>) {
        let Ok(allowed) = self.account.reserve(claim.for_account(None)) else { return };
        if dies_after == Some(1) {
            return;
        }
        self.grants[grant].apply(Command::Govern(Box::new(allowed.of_policy())));
        match self.grants[grant].reserve(claim.clone()) {
            _ if dies_after == Some(2) => {}
            Ok(granted) => self.go(grant, granted, allowed, (None, bound), dies_after == Some(3)),
            Err(_) => drop(self.account.apply(Command::Withdraw(allowed.ticket))),
        }
    }

    /// All have said yes. `is_lost`: nobody will say how it ended.
    fn go(
        &mut self,
        grant: usize,
        granted: Reservation,
        allowed: Reservation,
        (asked, bound): (Option<u64>, u64),
        is_lost: bool,
    ) {
        let of_grant = granted.ticket.clone();
        let may = granted.within(&allowed, asked);
        // From here on the provider may bill it, whoever dies.
        let bound = may.output_tokens.map_or(bound, |most| most.min(bound));
        assert!(bound <= of_grant.amounts.nano_usd.0 && bound <= allowed.ticket.amounts.nano_usd.0);
        let at = self.account.ledger.clock;
        self.made.push(Made { grant, of_grant, of_account: allowed.ticket, bound, at, billed: None, ended: is_lost });
    }

    fn end(&mut self, which: usize, command: impl Fn(&Made, &Ticket) -> Command, billed: Option<u64>, halfway: bool) {
        let count = self.made.len();
        let Some(made) = self.made.get_mut(which % count.max(1)).filter(|made| !made.ended) else { return };
        made.ended = true;
        made.billed = billed.map(|mille| made.bound * mille / 1_000);
        let (of_grant, of_account) = (command(made, &made.of_grant), command(made, &made.of_account));
        self.grants[made.grant].apply(of_grant);
        if !halfway {
            self.account.apply(of_account);
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Call { grant, bound, least, dies_after } => self.call(grant, bound, least, dies_after),
            Step::Settle { which, cost, dies_halfway } => {
                self.end(which, |made, ticket| settled(ticket, made.bound * cost / 1_000), Some(cost), dies_halfway);
            }
            Step::SettleTwice(which) => {
                let count = self.made.len();
                if let Some(made) = self.made.get(which % count.max(1)).filter(|made| made.billed.is_some()) {
                    let again = settled(&made.of_account, made.billed.unwrap_or(0));
                    self.account.apply(again);
                }
            }
            Step::Release(which) => {
                self.end(which, |_, ticket| Command::Release(ticket.clone()), Some(0), false);
            }
            Step::Later(seconds) => self.all().for_each(|ledger| ledger.later(seconds)),
            Step::Crash(which) => self.all().nth(which).unwrap().crash(),
            Step::Wake(which) => drop(self.all().nth(which).unwrap().apply(Command::Wake)),
            Step::Policy { per_grant, per_month } => {
                self.revision += 1;
                let govern = policed(self.revision, per_grant, per_month).govern();
                self.account.apply(Command::Govern(Box::new(govern)));
                self.told = per_month;
            }
            Step::PolicyLost => self.revision += 1,
        }
    }

    fn check(&mut self) {
        let now = self.account.ledger.clock.max(self.account.now);
        let per_month = self.told;
        // A cap that was lowered below what is used refuses, and nothing more.
        let higher = |one: Option<u64>, other: Option<u64>| one.zip(other).map(|(one, other)| one.max(other));
        let usage = self.account.usage();
        let used = usage.overall.spent.0 + usage.overall.held.0;
        self.highest_month = match self.highest_month {
            (month, highest) if month == now.month() && per_month.is_none_or(|cap| used > cap) => {
                (month, higher(highest, per_month))
            }
            _ => (now.month(), per_month),
        };
        // What the account says is only by the month where there is a cap.
        if let Some(cap) = self.highest_month.1
            && per_month.is_some()
        {
            assert!(used <= cap, "{used} of {cap} by the account's own count");
        }
        // What the provider can have billed in this month, over all grants.
        let in_month = self.made.iter().filter(|made| made.at.month() == now.month());
        let billed: u64 = in_month.map(|made| made.billed.unwrap_or(made.bound)).sum();
        if let Some(cap) = self.highest_month.1 {
            assert!(billed <= cap, "{billed} of {cap} in a month");
        }
        // Never below what was let out.
        let held = self.account.ledger.overall.held.money.within(Period::Total, now).0;
        let known = usage.overall.spent_total.0 + held;
        let made: u64 = self.made.iter().map(|made| made.billed.unwrap_or(made.bound)).sum();
        assert!(known >= made, "the account knows of {known} of {made}");

        for (index, grant) in self.grants.iter_mut().enumerate() {
            let usage = grant.usage();
            let held = grant.ledger.overall.held.money.within(Period::Total, now).0;
            let known = usage.overall.spent_total.0 + held;
            let of_grant = self.made.iter().filter(|made| made.grant == index);
            let billed: u64 = of_grant.map(|made| made.billed.unwrap_or(made.bound)).sum();
            assert!(known >= billed, "grant {index} knows of {known} of {billed}");
            let ceiling = grant.ledger.terms().ceiling.map(|most| most.nano_usd().0);
            let highest = &mut self.highest_ceiling[index];
            *highest = if ceiling.is_some_and(|most| known <= most) { ceiling } else { higher(*highest, ceiling) };
            if let Some(most) = *highest {
                assert!(known <= most, "grant {index}: {known} of {most} over its life");
            }
            let told: u64 = grant.disk.events.values().map(|event| event.amounts.nano_usd.0).sum();
            assert_eq!(told, usage.overall.spent_total.0, "the world is told by grants");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: orders(12_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_calls_crashes_and_policies_breaks_the_cap_of_an_account(
        steps in prop::collection::vec(step(), 1..80), ahead in prop::sample::select(vec![0, 1, 8]),
    ) {
        let mut run = Run::new(ahead);
        for step in &steps {
            run.step(step);
            run.check();
        }
    }
}

#[test]
fn a_call_that_only_the_account_refuses_counts_nowhere() {
    let mut run = Run::new(0);
    run.account.apply(Command::Govern(Box::new(policed(2, None, Some(100)).govern())));
    run.call(0, 200, None, None);
    assert!(run.made.is_empty());
    let usage = run.grants[0].usage();
    assert_eq!((usage.overall.held, usage.overall.spent_total), (NanoUsd(0), NanoUsd(0)));
    assert_eq!(usage.permissions[0].last_minute, 0, "nor in the rate");
    assert_eq!(run.account.usage().overall.held, NanoUsd(0));
}

#[test]
fn a_lowered_ceiling_holds_for_the_very_call_that_brings_the_news() {
    let mut run = Run::new(0);
    run.account.apply(Command::Govern(Box::new(policed(2, Some(100), None).govern())));
    run.call(0, 101, None, None);
    assert!(run.made.is_empty());
    assert_eq!(run.grants[0].ledger.terms().ceiling, Some(amount(100)));
    run.call(0, 100, None, None);
    assert_eq!(run.made.len(), 1);
}

#[test]
fn a_raised_ceiling_reaches_a_grant_that_had_used_up_the_former_one() {
    let mut run = Run::new(0);
    run.account.apply(Command::Govern(Box::new(policed(2, Some(100), None).govern())));
    run.call(0, 100, None, None);
    run.call(0, 50, None, None);
    assert_eq!(run.made.len(), 1);
    assert_eq!(run.account.usage().overall.held, NanoUsd(100), "what only the grant refuses is not held");
    run.account.apply(Command::Govern(Box::new(policed(3, Some(150), None).govern())));
    run.call(0, 50, None, None);
    assert_eq!(run.made.len(), 2);
}

#[test]
fn two_grants_share_what_is_left_of_the_month() {
    let mut run = Run::new(8);
    for _ in 0..50 {
        run.call(0, 50, None, None);
        run.call(1, 50, None, None);
    }
    assert_eq!(run.made.iter().map(|made| made.bound).sum::<u64>(), 1_800, "each day's 900 of both");
    run.grants.iter_mut().for_each(|grant| grant.later(86_400));
    run.account.later(86_400);
    for _ in 0..50 {
        run.call(0, 50, None, None);
        run.call(1, 50, None, None);
    }
    assert_eq!(run.made.iter().map(|made| made.bound).sum::<u64>(), 2_000);
}
