//! How many calls there were in the last 60 seconds.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::super::time::Timestamp;

/// Length of the window that `requests_per_minute` speaks of.
pub const WINDOW_SECONDS: u64 = 60;

/// Calls per second, for the seconds that can still matter.
///
/// A call counts until a whole minute lies between it and now, whatever part of its second it came in: any 60 seconds, wherever
/// they begin, hold at most as many calls as the limit says. Never more than [`WINDOW_SECONDS`] + 1 entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RateWindow {
    seconds: VecDeque<(u64, u32)>,
}

impl RateWindow {
    /// Calls that count at `now`.
    #[must_use]
    pub fn count(&self, now: Timestamp) -> u64 {
        let oldest = now.seconds().saturating_sub(WINDOW_SECONDS);
        self.seconds.iter().filter(|(second, _)| *second >= oldest).map(|(_, calls)| u64::from(*calls)).sum()
    }

    /// So many more calls at `now`. `now` never goes back: the ledger sees to it.
    pub fn add(&mut self, more: u64, now: Timestamp) {
        self.forget(now);
        let second = now.seconds();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        match self.seconds.back_mut() {
            Some((last, calls)) if *last == second => *calls = calls.saturating_add(more),
            _ => self.seconds.push_back((second, more)),
        }
    }

    /// The call of that moment doesn't count after all.
    pub fn remove(&mut self, at: Timestamp) {
        if let Some((_, calls)) = self.seconds.iter_mut().find(|(second, _)| *second == at.seconds()) {
            *calls = calls.saturating_sub(1);
        }
    }

    /// Seconds from `now` until fewer than `limit` calls count.
    #[must_use]
    pub fn seconds_until_below(&self, limit: u64, now: Timestamp) -> u64 {
        let mut counting = self.count(now);
        let oldest = now.seconds().saturating_sub(WINDOW_SECONDS);
        for (second, calls) in self.seconds.iter().filter(|(second, _)| *second >= oldest) {
            if counting < limit {
                break;
            }
            counting = counting.saturating_sub(u64::from(*calls));
            if counting < limit {
                return (second + WINDOW_SECONDS + 1).saturating_sub(now.seconds());
            }
        }
        0
    }

    /// When the first of the calls that count at `now` no longer does. `None`: none counts.
    #[must_use]
    pub fn first_leaves_at(&self, now: Timestamp) -> Option<Timestamp> {
        let oldest = now.seconds().saturating_sub(WINDOW_SECONDS);
        let first = self.seconds.iter().find(|(second, calls)| *second >= oldest && *calls > 0);
        first.map(|(second, _)| Timestamp::from_seconds(second + WINDOW_SECONDS + 1))
    }

    fn forget(&mut self, now: Timestamp) {
        let oldest = now.seconds().saturating_sub(WINDOW_SECONDS);
        while self.seconds.front().is_some_and(|(second, _)| *second < oldest) {
            self.seconds.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_call_counts_for_a_whole_minute() {
        let mut window = RateWindow::default();
        window.add(1, at(900));
        assert_eq!(window.count(at(60_899)), 1);
        assert_eq!(window.count(at(62_000)), 0);
    }

    #[test]
    fn the_wait_ends_when_the_oldest_call_leaves() {
        let mut window = RateWindow::default();
        window.add(1, at(0));
        window.add(1, at(10_000));
        let wait = window.seconds_until_below(2, at(20_000));
        assert_eq!(wait, 41);
        assert!(window.count(at(20_000 + wait * 1000)) < 2);
        assert!(window.count(at(20_000 + (wait - 1) * 1000)) >= 2);
    }

    #[test]
    fn the_first_call_leaves_when_it_no_longer_counts() {
        let mut window = RateWindow::default();
        assert_eq!(window.first_leaves_at(at(0)), None);
        window.add(1, at(900));
        window.add(1, at(10_000));
        let leaves = window.first_leaves_at(at(20_000)).unwrap();
        assert_eq!(window.count(leaves), 1);
        assert_eq!(window.count(Timestamp::from_millis(leaves.millis() - 1)), 2);
        window.remove(at(900));
        assert_eq!(window.first_leaves_at(at(20_000)), Some(at(71_000)));
    }

    #[test]
    fn a_removed_call_does_not_count() {
        let mut window = RateWindow::default();
        window.add(1, at(0));
        window.remove(at(0));
        assert_eq!(window.count(at(0)), 0);
    }

    #[test]
    fn it_stays_small_however_many_calls_there_are() {
        let mut window = RateWindow::default();
        for second in 0..1000 {
            window.add(1, at(second * 1000));
        }
        assert!(window.seconds.len() as u64 <= WINDOW_SECONDS + 1);
    }
}
