//! When to tell D1 what was booked and what was refused, and when to wake up for it.
//!
//! Bookings are stored in the object, in the same transaction as the counters that they change, and told to D1 in batches a moment
//! later. While D1 doesn't answer they stay and are told again, ever less often; a key in D1 makes each count once. Refusals are told at
//! most once a minute, however many there are.

use crate::domain::time::Timestamp;

/// Bookings that are told at once.
pub const BATCH: u32 = 200;
/// Seconds that bookings are gathered.
const GATHER_SECONDS: u64 = 2;
/// Seconds between two times that refusals are told.
const REFUSAL_SECONDS: u64 = 60;
/// Longest wait between two tries, in seconds.
const MAX_WAIT_SECONDS: u64 = 300;
/// An alarm that is later than this doesn't come any more.
const LATE_SECONDS: u64 = 10;

/// The times to wake up at: for the bookings, and for the ledger itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    due_at: Option<Timestamp>,
    failures: u32,
    machine_at: Option<Timestamp>,
    /// When the platform was asked to wake the object.
    alarm_at: Option<Timestamp>,
    is_due: bool,
    refusals_at: Option<Timestamp>,
    /// No refusals are told before.
    no_refusals_before: Timestamp,
    tells_refusals: bool,
    is_silent: bool,
}

impl Outbox {
    /// As it is found.
    #[must_use]
    pub fn new(has_events: bool, now: Timestamp) -> Self {
        Self { due_at: has_events.then_some(now), ..Self::default() }
    }

    /// Of a ledger that D1 is told nothing of: it is woken for itself alone.
    #[must_use]
    pub fn silent() -> Self {
        Self { is_silent: true, ..Self::default() }
    }

    /// There is something to tell.
    pub fn filled(&mut self, now: Timestamp) {
        if self.is_silent {
            return;
        }
        self.due_at.get_or_insert(now.plus_seconds(GATHER_SECONDS));
    }

    /// Calls were refused, and D1 doesn't know all of it.
    pub fn refused(&mut self, now: Timestamp) {
        if self.is_silent {
            return;
        }
        self.refusals_at.get_or_insert(now.plus_seconds(GATHER_SECONDS).max(self.no_refusals_before));
    }

    /// The ledger wants to be woken.
    pub fn wakes_machine(&mut self, at: Option<Timestamp>) {
        self.machine_at = at.or(self.machine_at);
    }

    /// The ledger is woken now, and will say when it wants to be woken next. If it is time to tell and that comes to nothing, it is time
    /// again a moment later.
    pub fn woken(&mut self, now: Timestamp) {
        self.machine_at = None;
        self.alarm_at = None;
        self.is_due = self.due_at.is_some_and(|at| at <= now);
        if self.is_due {
            self.due_at = Some(now.plus_seconds(GATHER_SECONDS));
        }
        self.tells_refusals = self.refusals_at.is_some_and(|at| at <= now);
        if self.tells_refusals {
            self.no_refusals_before = now.plus_seconds(REFUSAL_SECONDS);
            self.refusals_at = Some(self.no_refusals_before);
        }
    }

    /// Whether it was time to tell when the ledger was woken, and was not tried since.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.is_due || self.tells_refusals
    }

    /// Whether refusals are among what is told.
    #[must_use]
    pub const fn tells_refusals(&self) -> bool {
        self.tells_refusals
    }

    /// It was tried.
    pub fn tried(&mut self, worked: bool, has_more: bool, now: Timestamp) {
        self.failures = if worked { 0 } else { self.failures.saturating_add(1) };
        let wait =
            if worked { 0 } else { GATHER_SECONDS.saturating_mul(1 << self.failures.min(16)).min(MAX_WAIT_SECONDS) };
        self.due_at = has_more.then(|| now.plus_seconds(wait));
        if self.tells_refusals && worked {
            // Whoever was refused meanwhile says so.
            self.refusals_at = None;
        }
        self.is_due = false;
        self.tells_refusals = false;
        self.alarm_at = None;
    }

    /// When the platform has to be asked to wake the object; it is taken to be done. `None`: it was asked already, or needn't.
    ///
    /// Never for the present: an alarm that is set for the very moment of the one that is going off is lost. And one that was lost is
    /// set again by whatever happens next.
    #[must_use]
    pub fn alarm(&mut self, now: Timestamp) -> Option<Timestamp> {
        let wanted = self.wake_at()?.max(now.plus_millis(1));
        let stands = |at: Timestamp| at <= wanted && now < at.plus_seconds(LATE_SECONDS);
        if self.alarm_at.is_some_and(stands) {
            return None;
        }
        self.alarm_at = Some(wanted);
        self.alarm_at
    }

    fn wake_at(&self) -> Option<Timestamp> {
        [self.due_at, self.machine_at, self.refusals_at].into_iter().flatten().min()
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
        outbox.woken(NOW.plus_seconds(1));
        assert!(!outbox.is_due());
        outbox.woken(NOW.plus_seconds(2));
        assert!(outbox.is_due());
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut outbox = Outbox::new(true, NOW);
        outbox.tried(true, false, NOW);
        assert_eq!(outbox.alarm(NOW), None);
    }

    #[test]
    fn a_database_that_is_down_is_asked_ever_less_often_and_never_given_up() {
        let mut outbox = Outbox::new(true, NOW);
        let mut waits = Vec::new();
        for _ in 0..40 {
            outbox.tried(false, true, NOW);
            waits.push(NOW.seconds_until(outbox.alarm(NOW).unwrap()));
        }
        assert!(waits.is_sorted());
        assert_eq!((waits[0], waits[39]), (4, MAX_WAIT_SECONDS));
    }

    #[test]
    fn the_ledger_is_woken_before_the_bookings_where_it_asks_for_it() {
        let mut outbox = Outbox::default();
        outbox.filled(NOW);
        outbox.wakes_machine(Some(NOW.plus_seconds(1)));
        assert_eq!(outbox.alarm(NOW), Some(NOW.plus_seconds(1)));
    }

    #[test]
    fn the_platform_is_asked_once_for_each_time_and_again_for_an_earlier_one() {
        let mut outbox = Outbox::default();
        outbox.wakes_machine(Some(NOW.plus_seconds(60)));
        assert_eq!(outbox.alarm(NOW), Some(NOW.plus_seconds(60)));
        assert_eq!(outbox.alarm(NOW.plus_seconds(1)), None);
        outbox.filled(NOW.plus_seconds(1));
        assert_eq!(outbox.alarm(NOW.plus_seconds(1)), Some(NOW.plus_seconds(3)));
    }

    #[test]
    fn the_first_refusal_is_told_a_moment_later_and_the_next_not_before_a_minute() {
        let mut outbox = Outbox::default();
        outbox.refused(NOW);
        outbox.refused(NOW.plus_seconds(1));
        outbox.woken(NOW.plus_seconds(1));
        assert!(!outbox.is_due());
        let told = NOW.plus_seconds(2);
        outbox.woken(told);
        assert!(outbox.is_due() && outbox.tells_refusals());
        outbox.tried(true, false, told);
        assert!(!outbox.tells_refusals());
        assert_eq!(outbox.alarm(told), None, "nothing is left to tell");
        outbox.refused(told.plus_seconds(1));
        assert_eq!(outbox.alarm(told.plus_seconds(1)), Some(told.plus_seconds(60)));
    }

    #[test]
    fn refusals_are_told_a_minute_later_when_they_could_not_be() {
        let mut outbox = Outbox::default();
        outbox.refused(NOW);
        let tried = NOW.plus_seconds(2);
        outbox.woken(tried);
        outbox.tried(false, false, tried);
        assert_eq!(outbox.alarm(tried), Some(tried.plus_seconds(60)));
    }

    #[test]
    fn bookings_are_told_without_the_refusals_whose_minute_is_not_over() {
        let mut outbox = Outbox::default();
        outbox.refused(NOW);
        outbox.woken(NOW.plus_seconds(2));
        outbox.tried(true, false, NOW.plus_seconds(2));
        outbox.refused(NOW.plus_seconds(3));
        outbox.filled(NOW.plus_seconds(3));
        outbox.woken(NOW.plus_seconds(5));
        assert!(outbox.is_due() && !outbox.tells_refusals());
    }

    #[test]
    fn one_that_tells_nothing_is_woken_for_the_ledger_alone() {
        let mut outbox = Outbox::silent();
        outbox.filled(NOW);
        outbox.refused(NOW);
        assert_eq!(outbox.alarm(NOW), None);
        outbox.wakes_machine(Some(NOW.plus_seconds(60)));
        assert_eq!(outbox.alarm(NOW), Some(NOW.plus_seconds(60)));
        outbox.woken(NOW.plus_seconds(60));
        assert!(!outbox.is_due() && outbox.alarm(NOW.plus_seconds(60)).is_none());
    }

    #[test]
    fn no_alarm_is_set_for_the_present_or_the_past() {
        let mut outbox = Outbox::new(true, NOW);
        assert_eq!(outbox.alarm(NOW), Some(NOW.plus_millis(1)));
        let mut outbox = Outbox::new(true, NOW);
        assert_eq!(outbox.alarm(NOW.plus_seconds(5)), Some(NOW.plus_seconds(5).plus_millis(1)));
    }

    #[test]
    fn while_it_tells_the_next_alarm_is_a_moment_away_and_afterwards_where_it_belongs() {
        let mut outbox = Outbox::new(true, NOW);
        outbox.woken(NOW);
        assert!(outbox.is_due());
        outbox.wakes_machine(Some(NOW.plus_seconds(60)));
        assert_eq!(outbox.alarm(NOW), Some(NOW.plus_seconds(2)));
        outbox.tried(true, false, NOW);
        assert_eq!(outbox.alarm(NOW), Some(NOW.plus_seconds(60)));
    }

    #[test]
    fn an_alarm_that_was_lost_is_set_again() {
        let mut outbox = Outbox::default();
        outbox.filled(NOW);
        assert_eq!(outbox.alarm(NOW), Some(NOW.plus_seconds(2)));
        assert_eq!(outbox.alarm(NOW.plus_seconds(4)), None);
        let later = NOW.plus_seconds(2 + LATE_SECONDS);
        assert_eq!(outbox.alarm(later), Some(later.plus_millis(1)));
    }
}
