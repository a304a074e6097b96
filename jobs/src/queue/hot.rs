//! Pairs of kind and lane that may have ready jobs, in the order in which they were heard of.

use std::collections::{HashSet, VecDeque};

/// A kind and a lane (an account's number, or empty).
pub(super) type Pair = (&'static str, String);

/// An ordered set.
#[derive(Debug, Default)]
pub(super) struct Hot {
    order: VecDeque<Pair>,
    members: HashSet<Pair>,
}

impl Hot {
    pub(super) fn insert(&mut self, pair: Pair) {
        if self.members.insert(pair.clone()) {
            self.order.push_back(pair);
        }
    }

    pub(super) fn any(&self, which: impl Fn(&Pair) -> bool) -> bool {
        self.order.iter().any(which)
    }

    /// Takes out the pairs for which `which` holds, in order.
    pub(super) fn take(&mut self, which: impl Fn(&Pair) -> bool) -> Vec<Pair> {
        let (taken, kept): (VecDeque<Pair>, VecDeque<Pair>) = std::mem::take(&mut self.order).into_iter().partition(which);
        self.order = kept;
        for pair in &taken {
            self.members.remove(pair);
        }
        taken.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_out_once_in_the_order_in_which_they_were_heard_of() {
        let mut hot = Hot::default();
        for (kind, lane) in [("b", ""), ("a", "7"), ("b", ""), ("a", "")] {
            hot.insert((kind, lane.to_owned()));
        }
        assert_eq!(hot.take(|pair| pair.0 == "a"), [("a", "7".to_owned()), ("a", String::new())]);
        assert_eq!(hot.take(|_| true), [("b", String::new())]);
        hot.insert(("a", "7".to_owned()));
        assert!(hot.any(|pair| pair.1 == "7"));
    }
}
