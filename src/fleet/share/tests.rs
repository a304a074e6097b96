//! The division, played through: everybody acts on what everybody sees.

use super::*;
use chrono::TimeDelta;
use tuberry_domain::account::Accepts;

const ROOM: u32 = 1000;

/// Accounts 1..=n, the workers that can be seen, and who holds what.
#[derive(Clone)]
struct World {
    accounts: i32,
    /// What each worker holds, in the order in which it was taken; also of workers that cannot be seen.
    held: BTreeMap<String, Vec<AccountId>>,
    workers: Vec<Worker>,
    joined: i64,
    /// How often each account has changed its owner, the first time not counted.
    moves: BTreeMap<AccountId, usize>,
    /// Accounts that their former owner has not given back yet, and whether that is because it leaves.
    closing: Vec<(AccountId, bool)>,
    guests: BTreeSet<AccountId>,
    dice: fastrand::Rng,
}

impl World {
    fn new(accounts: i32, workers: &[(&str, u32)]) -> Self {
        let mut world = Self {
            accounts,
            held: BTreeMap::new(),
            workers: Vec::new(),
            joined: 0,
            moves: BTreeMap::new(),
            closing: Vec::new(),
            guests: BTreeSet::new(),
            dice: fastrand::Rng::with_seed(7),
        };
        workers.iter().for_each(|&(name, capacity)| world.join(name, capacity, 1));
        world
    }

    fn join(&mut self, name: &str, capacity: u32, weight: u32) {
        self.joined += 1;
        let started_at = DateTime::UNIX_EPOCH + TimeDelta::seconds(self.joined);
        self.workers.push(Worker { name: name.into(), capacity, weight, started_at });
    }

    /// A worker gives everything back, one after the other.
    fn leave(&mut self, name: &str) {
        self.workers.retain(|worker| worker.name != name);
        self.closing.extend(self.held.remove(name).unwrap_or_default().into_iter().map(|account| (account, true)));
    }

    /// Some of what closes is closed, in any order.
    fn close_some(&mut self) {
        self.dice.shuffle(&mut self.closing);
        let open = self.dice.usize(..=self.closing.len());
        for (account, leaves) in self.closing.split_off(open) {
            if leaves {
                self.guests.insert(account);
            } else {
                self.guests.remove(&account);
            }
        }
    }

    fn served(&self) -> Vec<Served> {
        let closing = |account| self.closing.iter().any(|(closing, _)| *closing == account).then(|| "leaving".to_owned());
        let held = |account| self.held.iter().find(|(_, held)| held.contains(&account)).map(|(name, _)| name.clone());
        let owner = |account| held(account).or_else(|| closing(account));
        (1..=self.accounts)
            .map(|id| Served {
                account: AccountId(id),
                accepts: Accepts { private: true, groups: false, channels: false },
                session_from: DateTime::UNIX_EPOCH,
                owner: owner(AccountId(id)),
                silent: false,
                guest: self.guests.contains(&AccountId(id)),
            })
            .collect()
    }

    fn plan(&self, me: &str) -> Plan {
        let known = self.workers.iter().find(|worker| worker.name == me).unwrap();
        let mine = self.held.get(me).cloned().unwrap_or_default();
        plan(View { me: known, workers: &self.workers, served: &self.served(), mine: &mine })
    }

    /// Everybody acts once on the same view; returns how many accounts were given back.
    fn step(&mut self) -> usize {
        self.close_some();
        let plans: Vec<(String, Plan)> =
            self.workers.iter().map(|worker| (worker.name.clone(), self.plan(&worker.name))).collect();
        let mut claimed = BTreeSet::new();
        for (name, plan) in &plans {
            for account in &plan.claim {
                assert!(claimed.insert(*account), "two workers want account {account}");
                self.held.entry(name.clone()).or_default().push(*account);
                self.moves.entry(*account).and_modify(|moves| *moves += 1).or_insert(0);
            }
            if let Some(held) = self.held.get_mut(name) {
                held.retain(|account| !plan.give_back.contains(account));
                self.closing.extend(plan.give_back.iter().map(|account| (*account, false)));
            }
        }
        plans.iter().map(|(_, plan)| plan.give_back.len()).sum()
    }

    /// Until nothing moves any more; returns how many accounts were given back.
    fn settle(&mut self) -> usize {
        let mut moved = 0;
        for _ in 0..100 {
            let before = (self.held.clone(), self.closing.len());
            moved += self.step();
            if self.closing.is_empty() && (self.held.clone(), 0) == before {
                return moved;
            }
        }
        panic!("it does not come to rest: {:?}", self.loads());
    }

    fn loads(&self) -> Vec<usize> {
        self.workers.iter().map(|worker| self.held.get(&worker.name).map_or(0, Vec::len)).collect()
    }

    fn assert_even(&self) {
        let loads = self.loads();
        let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
        assert!(most - least <= 1, "{loads:?}");
        assert_eq!(loads.iter().sum::<usize>(), self.accounts as usize, "all are served");
    }
}

#[test]
fn accounts_are_divided_evenly_without_collisions() {
    let mut world = World::new(200, &[("a", ROOM), ("b", ROOM), ("c", ROOM)]);
    assert_eq!(world.step(), 0);
    assert_eq!(world.loads(), [66, 67, 67]);
    assert_eq!(world.step(), 0, "an even division is left alone");
}

#[test]
fn a_worker_that_joins_gets_its_share_and_only_the_excess_moves() {
    let mut world = World::new(200, &[("b", ROOM), ("c", ROOM), ("d", ROOM)]);
    world.settle();
    world.join("a", ROOM, 1);
    assert_eq!(world.settle(), 50);
    assert_eq!(world.loads(), [50, 50, 50, 50]);
}

#[test]
fn the_accounts_of_a_worker_that_left_are_divided_among_the_others() {
    let mut world = World::new(100, &[("a", ROOM), ("b", ROOM), ("c", ROOM)]);
    world.settle();
    world.leave("a");
    assert_eq!(world.settle(), 0);
    assert_eq!(world.loads(), [50, 50]);
}

#[test]
fn capacity_is_kept_and_what_does_not_fit_waits() {
    let mut world = World::new(100, &[("a", 10), ("b", 60)]);
    assert_eq!(world.plan("a").without_room, 30);
    world.settle();
    assert_eq!(world.loads(), [10, 60]);
    world.join("c", 20, 1);
    assert_eq!(world.plan("a").without_room, 10);
    world.settle();
    assert_eq!(world.loads(), [10, 60, 20]);
}

#[test]
fn shares_are_in_proportion_to_weights_as_far_as_there_is_room() {
    let mut world = World::new(70, &[("a", ROOM)]);
    world.settle();
    world.join("b", ROOM, 2);
    world.join("c", ROOM, 4);
    assert_eq!(world.settle(), 60);
    assert_eq!(world.loads(), [10, 20, 40]);
    world.leave("c");
    world.join("d", 12, 4);
    world.settle();
    let loads = world.loads();
    assert_eq!(loads[2], 12);
    assert!((19..=20).contains(&loads[0]) && (38..=39).contains(&loads[1]), "{loads:?}");
}

#[test]
fn the_accounts_of_one_that_is_leaving_are_not_claimed_before_it_gives_them_back() {
    let mut world = World::new(4, &[("a", 10)]);
    world.held.insert("leaving".into(), vec![AccountId(3)]);
    assert_eq!(world.plan("a").claim, [1, 2, 4].map(AccountId));
}

/// Replaces every worker by a new one, which joins before (`surge`) or after the old one leaves.
fn roll(accounts: i32, count: usize, surge: bool, seed: u64) -> World {
    let mut world = World::new(accounts, &[]);
    world.dice.seed(seed);
    // Names are random in life: here some sort of disorder.
    let name = |index: usize, new: bool| format!("{}-{new}-{index}", (index * 7 + usize::from(new) * 3) % 5);
    for index in 0..count {
        world.join(&name(index, false), ROOM, 1);
        world.settle();
    }
    world.moves.values_mut().for_each(|moves| *moves = 0);
    for index in 0..count {
        for joins in [surge, !surge] {
            if joins {
                world.join(&name(index, true), ROOM, 1)
            } else {
                world.leave(&name(index, false))
            }
            // The last worker of all leaves nobody behind.
            if !world.workers.is_empty() {
                world.settle();
                world.assert_even();
            }
        }
    }
    world
}

#[test]
fn a_rolling_restart_moves_no_account_more_than_twice() {
    for surge in [false, true] {
        for count in 2..=6 {
            for (accounts, seed) in
                [1, 2, 5, 7, 12, 20, 31, 60, 101].into_iter().flat_map(|accounts| [(accounts, 1), (accounts, 2)])
            {
                let world = roll(accounts, count, surge, seed);
                let most = world.moves.values().max().copied().unwrap_or(0);
                assert!(most <= 2, "{accounts} accounts, {count} workers, surge {surge}, seed {seed}: one moved {most} times");
            }
        }
    }
}
