//! Places in what an isolate has only so much of: memory for bodies, and the queue of a grant's ledger.
//!
//! Invariant: the weights of the places that are taken and not overdue add up to `most` at most. Whoever doesn't fit is refused and
//! never waits. A place ends by itself when its time is up: the platform may end a request without a word, and a place that nobody
//! gives back must not be gone for the isolate's life.

use std::collections::BTreeMap;

use crate::domain::time::Timestamp;

/// Places that are taken.
#[derive(Debug, Default)]
pub struct Places {
    /// By number: the weight, and when the place ends by itself.
    taken: BTreeMap<u64, (u64, Timestamp)>,
    sum: u64,
    next: u64,
}

impl Places {
    /// Takes a place of this weight until it is given back, or until `until`. Gives its number; `None`: with it they would weigh more
    /// than `most`.
    pub fn take(&mut self, weight: u64, most: u64, now: Timestamp, until: Timestamp) -> Option<u64> {
        if self.sum.saturating_add(weight) > most {
            self.taken.retain(|_, (_, until)| *until > now);
            self.sum = self.taken.values().map(|(weight, _)| weight).sum();
        }
        let sum = self.sum.checked_add(weight).filter(|sum| *sum <= most)?;
        self.sum = sum;
        self.next = self.next.saturating_add(1);
        self.taken.insert(self.next, (weight, until));
        Some(self.next)
    }

    /// Gives a place back. One that has ended is gone already.
    pub fn give_back(&mut self, number: u64) {
        if let Some((weight, _)) = self.taken.remove(&number) {
            self.sum = self.sum.saturating_sub(weight);
        }
    }

    /// Whether none is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_fills_the_room_exactly_is_let_in_and_one_more_is_not() {
        let mut places = Places::default();
        let first = places.take(10, 16, at(0), at(9)).unwrap();
        assert!(places.take(6, 16, at(0), at(9)).is_some());
        assert_eq!(places.take(1, 16, at(0), at(9)), None);
        places.give_back(first);
        assert!(places.take(10, 16, at(0), at(9)).is_some());
    }

    #[test]
    fn a_place_that_nobody_gives_back_ends_by_itself() {
        let mut places = Places::default();
        let first = places.take(16, 16, at(0), at(9)).unwrap();
        assert_eq!(places.take(1, 16, at(8), at(20)), None);
        assert!(places.take(16, 16, at(9), at(20)).is_some());
        places.give_back(first);
        assert_eq!(places.take(1, 16, at(10), at(20)), None, "giving it back later takes nothing from another");
    }

    proptest! {
        #[test]
        fn no_order_takes_more_than_there_is(steps in prop::collection::vec((0_u64..20, 0_usize..9, 0_u64..30), 1..80)) {
            let (mut places, mut taken, mut now) = (Places::default(), Vec::new(), 0);
            for (weight, give_back, later) in steps {
                now += later / 10;
                if let Some(number) = places.take(weight, 40, at(now), at(now + later)) {
                    taken.push((number, weight, now + later));
                }
                if give_back < taken.len() {
                    places.give_back(taken.swap_remove(give_back).0);
                }
                let live: u64 = taken.iter().filter(|(_, _, until)| *until > now).map(|(_, weight, _)| weight).sum();
                prop_assert!(live <= 40);
            }
            for (number, _, _) in taken {
                places.give_back(number);
            }
            prop_assert!(places.take(40, 40, at(now + 60), at(now + 61)).is_some());
        }
    }
}
