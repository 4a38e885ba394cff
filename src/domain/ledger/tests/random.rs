//! Every invariant, after every step of random orders of commands, crashes and clocks.
//!
//! The model beside the ledger is what a provider and a user would see: which calls were let through when, what each can cost at most,
//! what it did cost, and which were given back. Delegations are up to two deep, so a call counts in up to three budgets.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    limits::{Limits, Period},
    money::NanoUsd,
    permission::Permission,
};

#[derive(Clone, Debug)]
enum Step {
    Chat {
        bound: u64,
    },
    Unnamed {
        bound: u64,
    },
    Embed {
        bound: u64,
    },
    List,
    /// Per mille of the bound.
    Settle {
        which: usize,
        cost: u64,
    },
    SettleUnknown(usize),
    Release(usize),
    Withdraw(usize),
    Later(u64),
    Back(u64),
    Wake,
    Crash,
    /// The machine goes down while it writes: either all of a command is stored or nothing.
    CrashBeforeStoring {
        bound: u64,
        who: Option<usize>,
    },
    /// Under another one, or under the grant.
    Delegate {
        under: Option<usize>,
        limits: Limits,
        of_chat: Limits,
        seconds: u64,
    },
    DelegateAgain(usize),
    RevokeDelegation(usize),
    CrashBeforeRevoking(usize),
    ChatAs {
        who: usize,
        bound: u64,
        least: Option<u64>,
    },
    EmbedAs {
        who: usize,
        bound: u64,
    },
    ListAs(usize),
    Budget(u64),
    Pause(bool),
    Revoke,
}

/// Some of them above what can be delegated.
fn limits() -> impl Strategy<Value = Limits> {
    let budget = prop::option::of((100..1_800_u64, prop::sample::select(vec![Period::Total, Period::Day])));
    let small = || prop::option::weighted(0.3, 1..14_u32);
    (budget, prop::option::weighted(0.2, 200..25_000_u64), small(), small(), small()).prop_map(
        |(budget, tokens, requests, rate, concurrency)| Limits {
            budget_usd: budget.and_then(|(nano_usd, _)| NanoUsd(nano_usd).to_string().parse().ok()),
            budget_period: budget.map_or(Period::Total, |(_, period)| period),
            tokens: tokens.and_then(|tokens| tokens.try_into().ok()),
            requests: requests.and_then(|most| u64::from(most).try_into().ok()),
            requests_per_minute: rate.and_then(|most| most.try_into().ok()),
            concurrency: concurrency.and_then(|most| most.try_into().ok()),
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let bound = || 1..400_u64;
    prop_oneof![
        14 => bound().prop_map(|bound| Step::Chat { bound }),
        3 => bound().prop_map(|bound| Step::Unnamed { bound }),
        4 => bound().prop_map(|bound| Step::Embed { bound }),
        1 => Just(Step::List),
        12 => (any::<usize>(), 0..=1100_u64).prop_map(|(which, cost)| Step::Settle { which, cost }),
        1 => any::<usize>().prop_map(Step::SettleUnknown),
        3 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Withdraw),
        4 => (0..90_u64).prop_map(Step::Later),
        1 => (3_000..90_000_u64).prop_map(Step::Later),
        1 => (0..200_u64).prop_map(Step::Back),
        2 => Just(Step::Wake),
        2 => Just(Step::Crash),
        1 => (bound(), prop::option::of(any::<usize>())).prop_map(|(bound, who)| Step::CrashBeforeStoring { bound, who }),
        1 => (500..4_000_u64).prop_map(Step::Budget),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => Just(Step::Revoke),
        4 => delegate(),
        1 => any::<usize>().prop_map(Step::DelegateAgain),
        1 => any::<usize>().prop_map(Step::RevokeDelegation),
        1 => any::<usize>().prop_map(Step::CrashBeforeRevoking),
        12 => (any::<usize>(), bound(), prop::option::weighted(0.2, Just(20)))
            .prop_map(|(who, bound, least)| Step::ChatAs { who, bound, least }),
        2 => (any::<usize>(), bound()).prop_map(|(who, bound)| Step::EmbedAs { who, bound }),
        1 => any::<usize>().prop_map(Step::ListAs),
    ]
}

fn delegate() -> impl Strategy<Value = Step> {
    let of_chat = prop_oneof![3 => Just(Limits::NONE), 1 => limits()];
    let seconds = prop_oneof![3 => Just(90_000), 1 => 1..300_u64];
    (prop::option::of(any::<usize>()), limits(), of_chat, seconds)
        .prop_map(|(under, limits, of_chat, seconds)| Step::Delegate { under, limits, of_chat, seconds })
}

/// What was delegated.
struct Delegated {
    terms: Delegate,
    /// Its name, and those of all above it.
    line: Vec<DelegationId>,
    revoked: bool,
}

/// A call that was let through.
struct Made {
    ticket: Ticket,
    /// The delegations that it counts in.
    line: Vec<DelegationId>,
    at: Timestamp,
    /// What the provider billed, once it is known to the ledger; until then it may be anything up to the bound.
    billed: Option<u64>,
    /// Whether it never left the broker.
    withdrawn: bool,
}

impl Made {
    /// What has to be booked or held for it at least.
    fn at_least(&self) -> u64 {
        self.billed.unwrap_or(self.ticket.amounts.nano_usd.0)
    }
}

struct Run {
    grant: Fixture,
    made: Vec<Made>,
    delegated: Vec<Delegated>,
    /// How many names for delegations were given out.
    names: u64,
    revoked: bool,
    /// What was used when a budget was lowered below it.
    highest: u64,
}

impl Run {
    fn new(ahead: u32) -> Self {
        let mut grant = Fixture::new(
            r#"{"budget_usd":"0.000001","requests":40,"requests_per_minute":20,"concurrency":12}"#,
            r#","budget_usd":"0.0000015","budget_period":"day","tokens":20000,"requests":60,"concurrency":16"#,
        );
        grant.ahead = ahead;
        Self { grant, made: Vec::new(), delegated: Vec::new(), names: 0, revoked: false, highest: 0 }
    }

    fn reserve(&mut self, claim: Claim) {
        self.reserve_as(None, claim);
    }

    fn reserve_as(&mut self, who: Option<usize>, claim: Claim) {
        let Ok(who) = who.map(|who| self.find(who).ok_or(())).transpose() else { return };
        let caller = who.map(|at| self.delegated[at].terms.id.clone());
        let line = who.map_or_else(Vec::new, |at| self.delegated[at].line.clone());
        let paused = self.grant.ledger.terms().paused;
        if let Ok(reservation) = self.grant.reserve_as(caller, claim) {
            for one in self.delegated.iter().filter(|one| line.contains(&one.terms.id)) {
                assert!(!one.revoked, "a revoked delegation said yes");
                assert!(self.grant.ledger.clock < one.terms.expires_at, "an expired delegation said yes");
            }
            assert!(!self.revoked && !paused, "a revoked or paused grant said yes");
            let ticket = reservation.ticket;
            assert!(self.made.iter().all(|made| made.ticket.hold != ticket.hold), "a number was given out twice");
            self.made.push(Made { ticket, line, at: self.grant.ledger.clock, billed: None, withdrawn: false });
        }
    }

    fn find(&self, who: usize) -> Option<usize> {
        who.checked_rem(self.delegated.len())
    }

    fn delegate(&mut self, under: Option<usize>, limits: Limits, of_chat: Limits, seconds: u64) {
        let parent = under.and_then(|under| self.find(under)).map(|at| &self.delegated[at]);
        let parent = parent.filter(|parent| parent.line.len() < 2);
        let mut permissions: Vec<Permission> = self.grant.ledger.terms().permissions.clone();
        permissions[0].limits = of_chat;
        self.names += 1;
        let end = self.grant.now.plus_seconds(seconds);
        let terms = Delegate {
            id: format!("delegation_{}", self.names).parse().unwrap(),
            parent: parent.map(|parent| parent.terms.id.clone()),
            permissions,
            limits,
            expires_at: parent.map_or(end, |parent| end.min(parent.terms.expires_at)),
            issued_at: None,
        };
        let above = parent.map_or(&[][..], |parent| &parent.line);
        let line = [core::slice::from_ref(&terms.id), above].concat();
        let parent_revoked = parent.is_some_and(|parent| parent.revoked);
        if let Reply::Delegated(holds) = self.grant.apply(Command::Delegate(Box::new(terms.clone()))) {
            assert!(!self.revoked && !parent_revoked, "something was delegated from what was revoked");
            assert_eq!(*holds, terms);
            self.delegated.push(Delegated { terms, line, revoked: false });
        }
    }

    fn pick(&mut self, which: usize) -> Option<&mut Made> {
        let count = self.made.len();
        self.made.get_mut(which % count.max(1))
    }

    /// `cost`: per mille of the bound.
    fn settle(&mut self, which: usize, cost: u64) {
        let Some(made) = self.pick(which) else { return };
        let (ticket, bound) = (made.ticket.clone(), made.ticket.amounts.nano_usd.0);
        let cost = bound * cost / 1000;
        let is_first = made.billed.is_none();
        made.billed.get_or_insert(cost.min(bound));
        self.grant.apply(settled(&ticket, cost));
        // What comes when nobody remembers the call any more was booked at its bound.
        let booked = self.grant.disk.events.get(&ticket.hold).map(|event| event.amounts.nano_usd.0);
        if is_first
            && booked == Some(cost)
            && let Some(made) = self.pick(which)
        {
            made.billed = Some(cost);
        }
    }

    fn step(&mut self, step: &Step, revocable: bool) {
        let bounded = |claim: Claim, bound: u64, least: Option<u64>| Claim {
            worst: Worst::Bound(Bound { least_output_tokens: least, ..costing(bound) }),
            ..claim
        };
        match *step {
            Step::Chat { bound } => self.reserve(bounded(chat(), bound, None)),
            Step::Unnamed { bound } => self.reserve(bounded(chat(), bound, Some(20))),
            Step::Embed { bound } => self.reserve(bounded(claim("embed", Capability::Embeddings), bound, None)),
            Step::List => self.reserve(models()),
            Step::Settle { .. } | Step::SettleUnknown(_) | Step::Release(_) | Step::Withdraw(_) => self.end(step),
            Step::Later(seconds) => self.grant.later(seconds),
            Step::Back(seconds) => self.grant.now = Timestamp::from_millis(self.grant.now.millis() - seconds * 1000),
            Step::Wake => drop(self.grant.apply(Command::Wake)),
            Step::Crash => self.grant.crash(),
            Step::CrashBeforeStoring { bound, who } => {
                let disk = self.grant.disk.clone();
                let claim = bounded(chat(), bound, None);
                let who = who.and_then(|who| self.find(who)).map(|at| self.delegated[at].terms.id.clone());
                let reserve = Command::Reserve {
                    claim,
                    hold_ttl_seconds: TTL,
                    ahead: self.grant.ahead,
                    delegation: who.clone(),
                    proof: None,
                    issued_at: None,
                };
                // Without a write the reply may have left before the machine went down; with one it can't have.
                let (reply, effects) = self.grant.ledger.apply(self.grant.now, reserve);
                if let (Reply::Reserved(reservation), true) = (reply, effects.is_empty()) {
                    assert_eq!(who, None, "a call of a delegation was let through without a row");
                    let at = self.grant.ledger.clock;
                    self.made.push(Made {
                        ticket: reservation.ticket,
                        line: Vec::new(),
                        at,
                        billed: None,
                        withdrawn: false,
                    });
                }
                self.grant.disk = disk;
                self.grant.crash();
            }
            Step::Delegate { under, limits, of_chat, seconds } => self.delegate(under, limits, of_chat, seconds),
            Step::DelegateAgain(who) => {
                // Names are not used again for something new: only while it is known is it the same.
                if let Some(terms) = self.find(who).map(|at| self.delegated[at].terms.clone())
                    && self.grant.usage().line_of(&terms.id).first().is_some_and(|one| one.revoked_at.is_none())
                {
                    let before = self.grant.usage();
                    let reply = self.grant.apply(Command::Delegate(Box::new(terms.clone())));
                    let ended = self.revoked || self.grant.ledger.clock >= terms.expires_at;
                    assert!(ended || reply == Reply::Delegated(Box::new(terms)), "{reply:?}");
                    assert_eq!(self.grant.usage(), before);
                }
            }
            Step::RevokeDelegation(who) => {
                if let Some(id) = self.find(who).map(|at| self.delegated[at].terms.id.clone()) {
                    self.grant.apply(Command::RevokeDelegation(id.clone()));
                    for one in self.delegated.iter_mut().filter(|one| one.line.contains(&id)) {
                        one.revoked = true;
                    }
                }
            }
            Step::CrashBeforeRevoking(who) => {
                if let Some(id) = self.find(who).map(|at| self.delegated[at].terms.id.clone()) {
                    let _ = self.grant.ledger.apply(self.grant.now, Command::RevokeDelegation(id));
                    self.grant.crash();
                }
            }
            Step::ChatAs { who, bound, least } => self.reserve_as(Some(who), bounded(chat(), bound, least)),
            Step::EmbedAs { who, bound } => {
                self.reserve_as(Some(who), bounded(claim("embed", Capability::Embeddings), bound, None));
            }
            Step::ListAs(who) => self.reserve_as(Some(who), models()),
            Step::Budget(nano_usd) => {
                drop(
                    self.grant
                        .change(|change| change.permissions[0].budget_usd = NanoUsd(nano_usd).to_string().parse().ok()),
                );
            }
            Step::Pause(paused) => drop(self.grant.change(|change| change.paused = paused)),
            Step::Revoke if revocable => {
                self.grant.apply(Command::Revoke);
                self.revoked = true;
            }
            Step::Revoke => {}
        }
    }

    /// Every way in which a call ends by a word.
    fn end(&mut self, step: &Step) {
        match *step {
            Step::Settle { which, cost } => self.settle(which, cost),
            Step::SettleUnknown(which) => {
                if let Some(made) = self.pick(which) {
                    let ticket = made.ticket.clone();
                    made.billed.get_or_insert(ticket.amounts.nano_usd.0);
                    self.grant.apply(settled_unknown(&ticket));
                }
            }
            Step::Release(which) => {
                if let Some(made) = self.pick(which) {
                    let ticket = made.ticket.clone();
                    made.billed.get_or_insert(0);
                    self.grant.apply(Command::Release(ticket));
                }
            }
            Step::Withdraw(which) => {
                if let Some(made) = self.pick(which) {
                    let ticket = made.ticket.clone();
                    // A call that has ended before did leave.
                    made.withdrawn |= made.billed.is_none();
                    made.billed.get_or_insert(0);
                    self.grant.apply(Command::Withdraw(ticket));
                }
            }
            _ => {}
        }
    }

    /// Every invariant.
    fn check(&mut self) {
        let usage = self.grant.usage();
        let terms = self.grant.ledger.terms().clone();
        self.highest = self.highest.max(1000);
        assert_within(&terms.limits, usage.overall, 0);
        let spent = taken(&usage.permissions[0]);
        let cap = terms.permissions[0].limits.budget_usd.map_or(u64::MAX, |cap| cap.nano_usd().0);
        // A cap that was lowered below what is used refuses, and nothing more.
        self.highest = if spent <= cap { cap } else { self.highest.max(cap) };
        assert!(spent <= self.highest, "{spent} of {cap}");
        assert_within(&terms.permissions[0].limits, usage.permissions[0], spent);

        // Never below what was let through and not given back.
        for (permission, seen) in usage.permissions.iter().enumerate() {
            let made: u64 =
                self.made.iter().filter(|made| made.ticket.permission == permission).map(Made::at_least).sum();
            let known = seen.spent_total.0 + self.held_total(permission);
            assert!(known >= made, "{known} known of {made} made");
        }
        // In any minute no more calls have left than the rate says, however they ended and whatever the ledger counts.
        let clock = self.grant.ledger.clock;
        let recent = |made: &&Made| {
            made.ticket.permission == 0 && !made.withdrawn && made.at.seconds() + WINDOW_SECONDS >= clock.seconds()
        };
        assert!(self.made.iter().filter(recent).count() <= 20);

        // Nothing is above its bound but what a provider billed above it.
        let over = |made: &Made| made.billed.map_or(0, |billed| billed.saturating_sub(made.ticket.amounts.nano_usd.0));
        let over: u64 = self.made.iter().map(over).sum();
        assert!(
            usage.overall.over_bound.0 <= over,
            "{} over the bounds, and {over} billed so",
            usage.overall.over_bound
        );
        // What the world is told adds up to what is booked.
        let told: u64 = self.grant.disk.events.values().map(|event| event.amounts.nano_usd.0).sum();
        assert_eq!(told, usage.overall.spent_total.0);
        // Both scopes tell the same.
        let sum: u64 = usage.permissions.iter().map(|scope| scope.spent_total.0).sum();
        assert_eq!(sum, usage.overall.spent_total.0);

        self.check_delegations(&usage);

        // A crash now would not free anything.
        let before = usage.overall.spent_total.0 + self.held_total_overall();
        if self.grant.disk.summary.is_some() {
            let mut restored = self.grant.disk.ledger();
            let (Reply::Snapshot(after), _) = restored.apply(clock, Command::Read) else { panic!() };
            let held = restored.overall.held.money.within(Period::Total, clock).0;
            assert!(after.overall.spent_total.0 + held >= before, "a crash frees room");
            assert_within(&terms.limits, after.overall, 0);
            assert_eq!(after.delegations, usage.delegations, "calls of delegations are never doubtful");
        }
        // Whatever is held will be looked at again.
        let due = self.grant.ledger.holds.values().map(|hold| hold.deadline).min();
        if let Some(first) = due {
            assert!(self.grant.wake.is_some_and(|wake| wake <= first.max(clock)), "{first:?} {:?}", self.grant.wake);
        }
    }

    /// The same invariants for each delegation, and that what is below one adds up.
    fn check_delegations(&self, usage: &Snapshot) {
        let clock = self.grant.ledger.clock;
        let known = |counters: &Counters| {
            let money = |tally: &Tally| tally.money.within(Period::Total, clock).0;
            money(&counters.booked.tally) + money(&counters.held)
        };
        assert!(self.grant.disk.delegations.keys().eq(self.grant.ledger.delegations.keys()));
        for one in &usage.delegations {
            let (id, child) = (&one.terms.id, &self.grant.ledger.delegations[&one.terms.id]);
            assert_within(&one.terms.limits, one.overall, 0);
            for (permission, seen) in one.terms.permissions.iter().zip(&one.permissions) {
                assert_within(&permission.limits, *seen, 0);
            }
            for (permission, counters) in child.permissions.iter().enumerate() {
                let made =
                    self.made.iter().filter(|made| made.line.contains(id) && made.ticket.permission == permission);
                let made: u64 = made.map(Made::at_least).sum();
                assert!(known(counters) >= made, "{} known of {made} made", known(counters));
            }
            assert_eq!(child.permissions.iter().map(known).sum::<u64>(), known(&child.overall));
            let recent = |made: &&Made| {
                made.line.contains(id) && !made.withdrawn && made.at.seconds() + WINDOW_SECONDS >= clock.seconds()
            };
            if let Some(rate) = one.terms.limits.requests_per_minute {
                assert!(self.made.iter().filter(recent).count() <= rate.get() as usize);
            }
            assert!(one.overall.in_flight > 0 || (one.revoked_at.is_none() && clock < one.terms.expires_at));
        }
        // What the children of one have used is part of what it has used.
        let below = |parent: Option<&DelegationId>| -> u64 {
            let children = usage.delegations.iter().filter(|one| one.terms.parent.as_ref() == parent);
            children.map(|one| known(&self.grant.ledger.delegations[&one.terms.id].overall)).sum()
        };
        assert!(below(None) <= known(&self.grant.ledger.overall));
        for (id, child) in &self.grant.ledger.delegations {
            assert!(below(Some(id)) <= known(&child.overall));
        }
    }

    fn held_total(&self, permission: usize) -> u64 {
        let held = &self.grant.ledger.permissions[permission].held;
        held.money.within(Period::Total, self.grant.ledger.clock).0
    }

    fn held_total_overall(&self) -> u64 {
        self.grant.ledger.overall.held.money.within(Period::Total, self.grant.ledger.clock).0
    }
}

/// Money that is booked and held, but for what nobody could have held back.
fn taken(usage: &ScopeUsage) -> u64 {
    usage.spent.0 + usage.held.0 - usage.over_bound.0
}

fn assert_within(limits: &Limits, usage: ScopeUsage, except: u64) {
    if let Some(cap) = limits.budget_usd {
        assert!(taken(&usage) <= cap.nano_usd().0.max(except), "{usage:?} over {limits:?}");
    }
    if let Some(cap) = limits.tokens {
        let cap = cap.get() + usage.tokens_over_bound;
        assert!(usage.tokens_used + usage.tokens_held <= cap, "{usage:?} over {limits:?}");
    }
    if let Some(cap) = limits.requests {
        assert!(usage.requests_used + usage.requests_held <= cap.get(), "{usage:?} over {limits:?}");
    }
    if let Some(cap) = limits.concurrency {
        assert!(usage.in_flight <= u64::from(cap.get()), "{usage:?} over {limits:?}");
    }
}

fn run(ahead: u32, revocable: bool, steps: &[Step]) {
    let mut run = Run::new(ahead);
    for step in steps {
        run.step(step, revocable);
        run.check();
    }
}

// 106,000 orders in all by `npm run check:long`.
proptest! {
    #![proptest_config(ProptestConfig { cases: orders(50_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_commands_and_crashes_breaks_an_invariant(
        steps in prop::collection::vec(step(), 1..60), revocable in prop::bool::weighted(0.1),
    ) {
        run(0, revocable, &steps);
    }

    #[test]
    fn nor_does_it_where_room_is_set_aside(
        steps in prop::collection::vec(step(), 1..60), revocable in prop::bool::weighted(0.1),
        ahead in prop::sample::select(vec![1, 8, 64]),
    ) {
        run(ahead, revocable, &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: orders(3_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nor_does_any_long_order(steps in prop::collection::vec(step(), 100..300), ahead in prop::sample::select(vec![0, 8])) {
        run(ahead, false, &steps);
    }

    #[test]
    fn nor_does_another_long_order(steps in prop::collection::vec(step(), 100..300), ahead in prop::sample::select(vec![1, 64])) {
        run(ahead, false, &steps);
    }
}
