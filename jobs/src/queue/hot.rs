//! Where ready jobs may be, in the order in which it was heard of, and from which `run_at` on to look.

use chrono::{DateTime, Utc};
use std::collections::{HashMap, VecDeque};

/// Jobs that one claim can take: a kind, a lane (an account's number, or empty) and a priority.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub kind: &'static str,
    pub lane: String,
    pub priority: i32,
}

#[derive(Debug)]
struct Heat {
    floor: DateTime<Utc>,
    /// Other processes know of it.
    told: bool,
}

/// An ordered set of pairs, each with the floor of its next claim.
#[derive(Debug, Default)]
pub(super) struct Hot {
    order: VecDeque<Pair>,
    heats: HashMap<Pair, Heat>,
    /// Pairs of which others do not know.
    untold: usize,
}

impl Hot {
    /// Adds a pair; of two floors the lower one counts. `told`: other processes know of it.
    pub(super) fn insert(&mut self, pair: Pair, floor: DateTime<Utc>, told: bool) {
        match self.heats.get_mut(&pair) {
            Some(known) => {
                self.untold += usize::from(known.told && !told);
                known.floor = floor.min(known.floor);
                known.told &= told;
            }
            None => {
                self.untold += usize::from(!told);
                self.heats.insert(pair.clone(), Heat { floor, told });
                self.order.push_back(pair);
            }
        }
    }

    /// Pairs for which `which` holds and of which others do not know, with their floors; from now on they do.
    pub(super) fn tell(&mut self, which: impl Fn(&Pair) -> bool) -> Vec<(Pair, DateTime<Utc>)> {
        if self.untold == 0 {
            return Vec::new();
        }
        let untold = self.heats.iter_mut().filter(|(pair, heat)| !heat.told && which(pair));
        let told: Vec<_> = untold
            .map(|(pair, heat)| {
                heat.told = true;
                (pair.clone(), heat.floor)
            })
            .collect();
        self.untold -= told.len();
        told
    }

    pub(super) fn any(&self, which: impl Fn(&Pair) -> bool) -> bool {
        self.order.iter().any(which)
    }

    /// Takes out the pairs for which `which` holds, in order.
    pub(super) fn take(&mut self, which: impl Fn(&Pair) -> bool) -> Vec<(Pair, DateTime<Utc>)> {
        let (taken, kept): (VecDeque<Pair>, VecDeque<Pair>) = std::mem::take(&mut self.order).into_iter().partition(which);
        self.order = kept;
        let heats = taken.into_iter().filter_map(|pair| self.heats.remove(&pair).map(|heat| (pair, heat)));
        heats
            .map(|(pair, heat)| {
                self.untold -= usize::from(!heat.told);
                (pair, heat.floor)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(kind: &'static str, lane: &str) -> Pair {
        Pair { kind, lane: lane.to_owned(), priority: 0 }
    }

    fn at(microseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(microseconds).unwrap()
    }

    #[test]
    fn pairs_come_out_once_in_the_order_in_which_they_were_heard_of_with_their_lowest_floor() {
        let mut hot = Hot::default();
        for (kind, lane, floor) in [("b", "", 5), ("a", "7", 3), ("b", "", 4), ("a", "", 1), ("a", "7", 9)] {
            hot.insert(pair(kind, lane), at(floor), true);
        }
        assert_eq!(hot.take(|pair| pair.kind == "a"), [(pair("a", "7"), at(3)), (pair("a", ""), at(1))]);
        assert_eq!(hot.take(|_| true), [(pair("b", ""), at(4))]);
        hot.insert(pair("a", "7"), at(10), true);
        assert!(hot.any(|pair| pair.lane == "7"));
        assert_eq!(hot.take(|_| true), [(pair("a", "7"), at(10))]);
    }
    #[test]
    fn a_pair_is_told_once_and_again_when_something_new_comes_that_others_do_not_know() {
        let mut hot = Hot::default();
        hot.insert(pair("a", ""), at(2), false);
        hot.insert(pair("a", ""), at(1), true);
        hot.insert(pair("b", ""), at(3), true);
        assert_eq!(hot.tell(|_| false), []);
        assert_eq!(hot.tell(|_| true), [(pair("a", ""), at(1))]);
        assert_eq!(hot.tell(|_| true), []);
        hot.insert(pair("a", ""), at(4), false);
        assert_eq!(hot.tell(|_| true), [(pair("a", ""), at(1))]);
        hot.insert(pair("a", ""), at(5), false);
        assert_eq!(hot.take(|_| true).len(), 2);
        assert_eq!(hot.tell(|_| true), []);
    }
}
