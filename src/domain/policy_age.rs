//! How old what an account's ledger knows of the operator's policy may be.
//!
//! A policy that is saved is told to the ledgers. One that nobody could tell asks by itself before it lets a call through, once what it
//! knows is older than an age that the operator sets. Where it gets no answer it goes on for a few times that age, and asks again and
//! again; then it lets nothing through any more. So no call is ever let through by a policy that was replaced longer ago than that.

use super::time::Timestamp;

/// Age after which a ledger asks, in seconds, where the operator says nothing else.
pub const DEFAULT_MAX_AGE_SECONDS: u64 = 300;
/// So many times that age, without an answer, and nothing is let through.
pub const MAX_AGES_WITHOUT_ANSWER: u64 = 12;
/// Until it asks again where it got no answer, in seconds.
const RETRY_SECONDS: u64 = 30;

/// What a ledger remembers of its asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyAge {
    max_age_seconds: u64,
    /// When what it knows was true.
    as_of: Timestamp,
    /// When it asks next.
    next: Timestamp,
}

impl PolicyAge {
    /// What was true then. A ledger that doesn't remember when takes the epoch.
    #[must_use]
    pub const fn new(as_of: Timestamp, max_age_seconds: u64) -> Self {
        Self { max_age_seconds, as_of, next: as_of.plus_seconds(max_age_seconds) }
    }

    /// When what it knows was true.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Whether it has to ask before it lets a call through.
    #[must_use]
    pub fn has_to_ask(&self, now: Timestamp) -> bool {
        now >= self.next || now >= self.latest()
    }

    /// It was told what holds now.
    #[must_use]
    pub const fn looked_up(self, now: Timestamp) -> Self {
        Self::new(now, self.max_age_seconds)
    }

    /// It got no answer. `None`: what it knows is too old to let anything through.
    #[must_use]
    pub fn not_looked_up(self, now: Timestamp) -> Option<Self> {
        (now < self.latest()).then(|| Self { next: now.plus_seconds(RETRY_SECONDS), ..self })
    }

    const fn latest(&self) -> Timestamp {
        self.as_of.plus_seconds(self.max_age_seconds.saturating_mul(MAX_AGES_WITHOUT_ANSWER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Timestamp = Timestamp::from_seconds(1_000_000);
    const AGE: PolicyAge = PolicyAge::new(THEN, 300);

    #[test]
    fn a_ledger_asks_once_what_it_knows_is_of_that_age() {
        assert!(!AGE.has_to_ask(THEN.plus_seconds(299)));
        assert!(AGE.has_to_ask(THEN.plus_seconds(300)));
        let later = THEN.plus_seconds(310);
        assert!(!AGE.looked_up(later).has_to_ask(later.plus_seconds(299)));
    }

    #[test]
    fn without_an_answer_it_goes_on_for_twelve_times_as_long_and_no_longer() {
        let mut age = AGE;
        let mut last = THEN;
        for second in 300..7200 {
            let now = THEN.plus_seconds(second);
            if age.has_to_ask(now) {
                let Some(next) = age.not_looked_up(now) else { break };
                age = next;
            }
            last = now;
        }
        assert_eq!(last, THEN.plus_seconds(3599));
        assert!(age.has_to_ask(THEN.plus_seconds(9000)) && age.not_looked_up(THEN.plus_seconds(9000)).is_none());
    }

    #[test]
    fn it_does_not_ask_at_each_call_where_there_is_no_answer() {
        let now = THEN.plus_seconds(300);
        let age = AGE.not_looked_up(now).unwrap();
        assert!(!age.has_to_ask(now.plus_seconds(29)) && age.has_to_ask(now.plus_seconds(30)));
    }

    #[test]
    fn one_that_does_not_remember_asks_at_once() {
        assert!(PolicyAge::new(Timestamp::default(), 300).has_to_ask(THEN));
    }
}
