//! When to tell D1 what was booked, and when to wake up for it.
//!
//! Bookings are stored in the object, in the same transaction as the counters that they change, and told to D1 in batches a moment
//! later. While D1 doesn't answer they stay and are told again, ever less often; a key in D1 makes each count once.

use crate::domain::time::Timestamp;

/// Bookings that are told at once.
pub const BATCH: u32 = 200;
/// Seconds that bookings are gathered.
const GATHER_SECONDS: u64 = 2;
/// Longest wait between two tries, in seconds.
const MAX_WAIT_SECONDS: u64 = 300;

/// The times to wake up at: for the bookings, and for the ledger itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    due_at: Option<Timestamp>,
    failures: u32,
    machine_at: Option<Timestamp>,
}

impl Outbox {
    /// As it is found.
    #[must_use]
    pub fn new(has_events: bool, now: Timestamp) -> Self {
        Self { due_at: has_events.then_some(now), ..Self::default() }
    }

    /// There is something to tell.
    pub fn filled(&mut self, now: Timestamp) {
        self.due_at.get_or_insert(now.plus_seconds(GATHER_SECONDS));
    }

    /// The ledger wants to be woken.
    pub fn wakes_machine(&mut self, at: Option<Timestamp>) {
        self.machine_at = at.or(self.machine_at);
    }

    /// The ledger is woken now, and will say when it wants to be woken next.
    pub fn woken(&mut self) {
        self.machine_at = None;
    }

    /// Whether it is time to tell.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|at| at <= now)
    }

    /// It was tried.
    pub fn tried(&mut self, worked: bool, has_more: bool, now: Timestamp) {
        self.failures = if worked { 0 } else { self.failures.saturating_add(1) };
        let wait =
            if worked { 0 } else { GATHER_SECONDS.saturating_mul(1 << self.failures.min(16)).min(MAX_WAIT_SECONDS) };
        self.due_at = has_more.then(|| now.plus_seconds(wait));
    }

    /// When to wake up.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        [self.due_at, self.machine_at].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    #[test]
    fn bookings_are_gathered_for_a_moment() {
        let mut outbox = Outbox::default();
        outbox.filled(NOW);
        outbox.filled(NOW.plus_seconds(1));
        assert!(!outbox.is_due(NOW.plus_seconds(1)));
        assert!(outbox.is_due(NOW.plus_seconds(2)));
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut outbox = Outbox::new(true, NOW);
        outbox.tried(true, false, NOW);
        assert_eq!(outbox.wake_at(), None);
    }

    #[test]
    fn a_database_that_is_down_is_asked_ever_less_often_and_never_given_up() {
        let mut outbox = Outbox::new(true, NOW);
        let mut waits = Vec::new();
        for _ in 0..40 {
            outbox.tried(false, true, NOW);
            waits.push(NOW.seconds_until(outbox.wake_at().unwrap()));
        }
        assert!(waits.is_sorted());
        assert_eq!((waits[0], waits[39]), (4, MAX_WAIT_SECONDS));
    }

    #[test]
    fn the_ledger_is_woken_before_the_bookings_where_it_asks_for_it() {
        let mut outbox = Outbox::default();
        outbox.filled(NOW);
        outbox.wakes_machine(Some(NOW.plus_seconds(1)));
        assert_eq!(outbox.wake_at(), Some(NOW.plus_seconds(1)));
    }
}
