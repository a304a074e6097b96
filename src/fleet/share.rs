//! How the workers divide the accounts: every worker computes the same division from what it reads, and does its own part of it.

use std::collections::{BTreeMap, BTreeSet};
use tuberry_domain::AccountId;
use tuberry_storage::workers::{Served, Worker};

/// What one worker should do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Accounts without a living owner that are this worker's to take.
    pub claim: Vec<AccountId>,
    /// Accounts of this worker that are too many.
    pub give_back: Vec<AccountId>,
    /// Accounts that no worker has room for.
    pub without_room: usize,
}

/// What a worker knows when it plans.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// This worker.
    pub me: &'a Worker,
    /// Workers that were heard of lately, in any order.
    pub workers: &'a [Worker],
    /// Accounts to be served, by id.
    pub served: &'a [Served],
    /// What this worker holds, whatever the rows say.
    pub mine: &'a BTreeSet<AccountId>,
}

/// Divides evenly, within one account, moving no more than the excess. A worker that has more already gets the odd ones.
pub(super) fn plan(view: View<'_>) -> Plan {
    let me = view.me.name.as_str();
    let mut capacity: BTreeMap<&str, usize> =
        view.workers.iter().map(|worker| (worker.name.as_str(), worker.capacity as usize)).collect();
    capacity.insert(me, view.me.capacity as usize);
    let mut load: BTreeMap<&str, usize> = capacity.keys().map(|&name| (name, 0)).collect();
    let mut orphans = Vec::new();
    for served in view.served {
        let row_owner = served.owner.as_deref().filter(|&owner| !served.silent && owner != me);
        let owner = if view.mine.contains(&served.account) { Some(me) } else { row_owner };
        match owner {
            // One that is leaving is not on the list: its accounts come as it gives them back.
            Some(owner) => drop(load.get_mut(owner).map(|load| *load += 1)),
            None => orphans.push(served.account),
        }
    }
    let shares = shares(&capacity, &load, view.served.len());
    let excess = load[me].saturating_sub(shares[me]);
    let served_by_me = view.served.iter().rev().map(|served| served.account).filter(|account| view.mine.contains(account));
    let mut unassigned = orphans.iter().copied();
    let mut claim = Vec::new();
    for (name, share) in &shares {
        let part = unassigned.by_ref().take(share.saturating_sub(load[name]));
        if *name == me { claim.extend(part) } else { part.for_each(drop) }
    }
    Plan {
        claim,
        give_back: served_by_me.take(excess).collect(),
        without_room: view.served.len().saturating_sub(capacity.values().sum()),
    }
}

/// Everybody's share of `total`: the least loaded share grows first, up to its capacity; among equals that of the worker which
/// has more already.
fn shares<'a>(capacity: &BTreeMap<&'a str, usize>, load: &BTreeMap<&'a str, usize>, total: usize) -> BTreeMap<&'a str, usize> {
    let mut shares: BTreeMap<&str, usize> = capacity.keys().map(|&name| (name, 0)).collect();
    for _ in 0..total {
        let growing = shares.iter_mut().filter(|(name, share)| **share < capacity[**name]);
        match growing.min_by_key(|(name, share)| (**share, std::cmp::Reverse(load[**name]))) {
            Some((_, share)) => *share += 1,
            None => break,
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use tuberry_domain::account::Accepts;

    /// Accounts 1..=n with their owners, and the workers that can be seen.
    #[derive(Clone)]
    struct World {
        owners: Vec<Option<&'static str>>,
        workers: Vec<Worker>,
    }

    impl World {
        fn new(accounts: usize, workers: &[(&str, u32)]) -> Self {
            let workers = workers.iter().map(|&(name, capacity)| Worker { name: name.into(), capacity }).collect();
            Self { owners: vec![None; accounts], workers }
        }

        fn plan(&self, me: &str) -> Plan {
            let served: Vec<Served> = (1..)
                .zip(&self.owners)
                .map(|(id, owner)| Served {
                    account: AccountId(id),
                    accepts: Accepts { private: true, groups: false, channels: false },
                    session_from: chrono::DateTime::UNIX_EPOCH,
                    owner: owner.map(str::to_owned),
                    silent: false,
                })
                .collect();
            let mine = served.iter().filter(|served| served.owner.as_deref() == Some(me)).map(|served| served.account).collect();
            let known = self.workers.iter().find(|worker| worker.name == me).unwrap();
            plan(View { me: known, workers: &self.workers, served: &served, mine: &mine })
        }

        /// Everybody acts once on the same view; returns how many accounts moved away from an owner.
        fn step(&mut self) -> usize {
            let names: Vec<&'static str> =
                self.workers.iter().map(|worker| &*Box::leak(worker.name.clone().into_boxed_str())).collect();
            let plans: Vec<(&'static str, Plan)> = names.into_iter().map(|name| (name, self.plan(name))).collect();
            let mut moved = 0;
            for (name, plan) in plans {
                for account in plan.claim {
                    let owner = &mut self.owners[account.0 as usize - 1];
                    assert_eq!(*owner, None, "two workers want the same account");
                    *owner = Some(name);
                }
                for account in plan.give_back {
                    self.owners[account.0 as usize - 1] = None;
                    moved += 1;
                }
            }
            moved
        }

        fn loads(&self) -> Vec<usize> {
            let load = |worker: &Worker| self.owners.iter().filter(|owner| **owner == Some(&worker.name)).count();
            self.workers.iter().map(load).collect()
        }
    }

    #[test]
    fn accounts_are_divided_evenly_without_collisions() {
        let mut world = World::new(200, &[("a", 1000), ("b", 1000), ("c", 1000)]);
        assert_eq!(world.step(), 0);
        assert_eq!(world.loads(), [67, 67, 66]);
        assert_eq!(world.step(), 0, "an even division is left alone");
    }

    #[test]
    fn a_worker_that_joins_gets_its_share_and_only_the_excess_moves() {
        let mut world = World::new(200, &[("b", 1000), ("c", 1000), ("d", 1000)]);
        world.step();
        world.workers.push(Worker { name: "a".into(), capacity: 1000 });
        let moved = world.step() + world.step();
        assert_eq!(moved, 50);
        assert_eq!(world.loads(), [50, 50, 50, 50]);
    }

    #[test]
    fn the_accounts_of_a_worker_that_left_are_divided_among_the_others() {
        let mut world = World::new(100, &[("a", 1000), ("b", 1000), ("c", 1000)]);
        world.step();
        world.workers.remove(0);
        world.owners.iter_mut().filter(|owner| **owner == Some("a")).for_each(|owner| *owner = None);
        assert_eq!(world.step(), 0);
        assert_eq!(world.loads(), [50, 50]);
    }

    #[test]
    fn capacity_is_kept_and_what_does_not_fit_waits() {
        let mut world = World::new(100, &[("a", 10), ("b", 60)]);
        assert_eq!(world.plan("a").without_room, 30);
        world.step();
        assert_eq!(world.loads(), [10, 60]);
        assert_eq!(world.step(), 0);
    }

    #[test]
    fn the_accounts_of_one_that_is_leaving_are_not_claimed_before_it_gives_them_back() {
        let mut world = World::new(4, &[("a", 10)]);
        world.owners[2] = Some("leaving");
        let claim: Vec<i32> = world.plan("a").claim.iter().map(|account| account.0).collect();
        assert_eq!(claim, [1, 2, 4]);
    }
}
