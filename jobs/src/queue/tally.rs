//! What ended since the last heartbeat, by kind: the numbers behind the dashboard's throughput; and since the start, for Prometheus.

use super::lease::Outcome;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Ends of runs of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub done: u64,
    pub retried: u64,
    pub snoozed: u64,
    pub dead: u64,
    pub lost: u64,
}

pub(super) type Tallies = BTreeMap<&'static str, Tally>;

impl Tally {
    fn count(&mut self, outcome: Outcome, dead: bool) {
        match outcome {
            _ if dead => self.dead += 1,
            Outcome::Done => self.done += 1,
            Outcome::Retry => self.retried += 1,
            Outcome::Snooze => self.snoozed += 1,
            Outcome::Cancel => self.dead += 1,
            Outcome::Lost => self.lost += 1,
            Outcome::GiveBack => {}
        }
    }
}

#[derive(Debug, Default)]
struct Counted {
    untold: Tallies,
    totals: Tallies,
}

/// Counts until it is asked.
#[derive(Debug, Default)]
pub(super) struct Counter(Mutex<Counted>);

impl Counter {
    fn with<T>(&self, change: impl FnOnce(&mut Counted) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One run ended; `dead`: and with it the job.
    pub(super) fn count(&self, kind: &'static str, outcome: Outcome, dead: bool) {
        self.with(|counted| {
            for tallies in [&mut counted.untold, &mut counted.totals] {
                tallies.entry(kind).or_default().count(outcome, dead);
            }
        });
    }

    /// All that was counted since the start.
    pub(super) fn totals(&self) -> Tallies {
        self.with(|counted| counted.totals.clone())
    }

    /// What has been counted since the last time; it counts from zero again.
    pub(super) fn take(&self) -> Tallies {
        self.with(|counted| std::mem::take(&mut counted.untold))
    }

    /// Puts back what could not be told.
    pub(super) fn put_back(&self, tallies: Tallies) {
        self.with(|counted| {
            for (kind, more) in tallies {
                let tally = counted.untold.entry(kind).or_default();
                tally.done += more.done;
                tally.retried += more.retried;
                tally.snoozed += more.snoozed;
                tally.dead += more.dead;
                tally.lost += more.lost;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_told_is_told_the_next_time() {
        let counter = Counter::default();
        counter.count("a", Outcome::Done, false);
        counter.count("a", Outcome::Retry, true);
        let untold = counter.take();
        assert_eq!(untold["a"], Tally { done: 1, dead: 1, ..Tally::default() });
        counter.count("a", Outcome::Done, false);
        counter.put_back(untold);
        assert_eq!(counter.take()["a"], Tally { done: 2, dead: 1, ..Tally::default() });
        assert!(counter.take().is_empty());
        assert_eq!(counter.totals()["a"], Tally { done: 2, dead: 1, ..Tally::default() });
    }
}
