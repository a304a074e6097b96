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

/// An ordered set of pairs, each with the floor of its next claim.
#[derive(Debug, Default)]
pub(super) struct Hot {
    order: VecDeque<Pair>,
    floors: HashMap<Pair, DateTime<Utc>>,
}

impl Hot {
    /// Adds a pair; of two floors the lower one counts.
    pub(super) fn insert(&mut self, pair: Pair, floor: DateTime<Utc>) {
        match self.floors.get_mut(&pair) {
            Some(known) => *known = floor.min(*known),
            None => {
                self.floors.insert(pair.clone(), floor);
                self.order.push_back(pair);
            }
        }
    }

    pub(super) fn any(&self, which: impl Fn(&Pair) -> bool) -> bool {
        self.order.iter().any(which)
    }

    /// Takes out the pairs for which `which` holds, in order.
    pub(super) fn take(&mut self, which: impl Fn(&Pair) -> bool) -> Vec<(Pair, DateTime<Utc>)> {
        let (taken, kept): (VecDeque<Pair>, VecDeque<Pair>) = std::mem::take(&mut self.order).into_iter().partition(which);
        self.order = kept;
        taken.into_iter().filter_map(|pair| self.floors.remove(&pair).map(|floor| (pair, floor))).collect()
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
            hot.insert(pair(kind, lane), at(floor));
        }
        assert_eq!(hot.take(|pair| pair.kind == "a"), [(pair("a", "7"), at(3)), (pair("a", ""), at(1))]);
        assert_eq!(hot.take(|_| true), [(pair("b", ""), at(4))]);
        hot.insert(pair("a", "7"), at(10));
        assert!(hot.any(|pair| pair.lane == "7"));
        assert_eq!(hot.take(|_| true), [(pair("a", "7"), at(10))]);
    }
}
