//! The leases that this process counts as its own, and whether each may be used at this moment.

use super::boot_clock;
use super::takeover::FENCE;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tuberry_domain::ports::{KeyClass, Lease};
use tuberry_storage::leases::Own;

/// A job's claim ends by itself: no job runs longer than 60 s, and one that was interrupted cannot give its claim back.
const JOB_USE: Duration = Duration::from_secs(75);
/// When such a claim is given back.
const JOB_LIMIT: Duration = Duration::from_secs(90);

/// Whether a lease may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Renewed lately: connections may be open.
    InForce,
    /// Not renewed in time: connections must be closed, and may be opened again should it come back into force.
    Suspended,
    /// Taken over or given back: it will not come back.
    Lost,
}

/// Waits until a lease is no longer in force, or until the claims have ended.
pub async fn not_in_force(mut standing: watch::Receiver<Standing>) {
    // An error means that the claims have ended.
    let _ = standing.wait_for(|standing| *standing != Standing::InForce).await;
}

#[derive(Debug)]
struct Entry {
    epoch: i64,
    /// Beginning of the last statement that confirmed it.
    confirmed: Duration,
    since: Duration,
    locked: bool,
    by_job: bool,
    /// When another run of its job first asked for it.
    asked_again: Option<Duration>,
    standing: watch::Sender<Standing>,
}

impl Entry {
    fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.confirmed) < FENCE && !(self.by_job && now.saturating_sub(self.since) >= JOB_USE)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.standing.send_replace(Standing::Lost);
    }
}

/// Who claimed a lease that is held already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub by_job: bool,
    pub locked: bool,
}

/// The registry in numbers.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub held: BTreeMap<&'static str, usize>,
    pub suspended: usize,
    pub oldest_renewal: Duration,
}

/// The registry. Written by the lock's session, read by everybody.
#[derive(Debug, Default)]
pub(super) struct Held {
    owner: String,
    entries: Mutex<HashMap<(KeyClass, i32), Entry>>,
}

impl Held {
    pub fn new(owner: String) -> Self {
        Self { owner, entries: Mutex::default() }
    }

    /// The name under which this process owns leases.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<(KeyClass, i32), Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease was taken, by a statement that began at `confirmed`, under a lock of the present session.
    pub fn insert(&self, lease: &Lease, by_job: bool, confirmed: Duration) {
        let entry = Entry {
            epoch: lease.epoch,
            confirmed,
            since: boot_clock::now(),
            locked: true,
            by_job,
            asked_again: None,
            standing: watch::Sender::new(Standing::InForce),
        };
        self.entries().insert((lease.class, lease.object), entry);
    }

    /// Forgets a lease. True when the present session holds its lock.
    pub fn remove(&self, lease: &Lease) -> bool {
        let mut entries = self.entries();
        let key = (lease.class, lease.object);
        match entries.get(&key) {
            Some(entry) if entry.epoch == lease.epoch => entries.remove(&key).is_some_and(|entry| entry.locked),
            _ => false,
        }
    }

    /// Who claimed it here, if somebody did.
    pub fn holder(&self, class: KeyClass, object: i32) -> Option<Holder> {
        self.entries().get(&(class, object)).map(|entry| Holder { by_job: entry.by_job, locked: entry.locked })
    }

    /// Another run of the job that claimed it asks for it: how long ago one did so first.
    pub fn asked_again(&self, class: KeyClass, object: i32) -> Duration {
        let now = boot_clock::now();
        let mut entries = self.entries();
        entries
            .get_mut(&(class, object))
            .map_or(Duration::ZERO, |entry| now.saturating_sub(*entry.asked_again.get_or_insert(now)))
    }

    /// The session with the locks is gone.
    pub fn session_lost(&self) {
        self.entries().values_mut().for_each(|entry| entry.locked = false);
    }

    /// The present session holds the locks of these again.
    pub fn locked(&self, class: KeyClass, objects: &[i32]) {
        let mut entries = self.entries();
        for object in objects {
            if let Some(entry) = entries.get_mut(&(class, *object)) {
                entry.locked = true;
            }
        }
    }

    /// How many there are of each class, how many are suspended, and how old the oldest renewal is.
    pub fn figures(&self) -> Figures {
        let (now, mut figures) = (boot_clock::now(), Figures::default());
        for ((class, _), entry) in self.entries().iter() {
            *figures.held.entry(class.label()).or_default() += 1;
            figures.suspended += usize::from(!entry.is_fresh(now));
            figures.oldest_renewal = figures.oldest_renewal.max(now.saturating_sub(entry.confirmed));
        }
        figures
    }

    /// All of them.
    pub fn own(&self) -> Vec<Own> {
        let lease = |(class, object): (KeyClass, i32), epoch| Lease { class, object, owner: self.owner.clone(), epoch };
        self.entries().iter().map(|(&key, entry)| Own { lease: lease(key, entry.epoch), locked: entry.locked }).collect()
    }

    /// True when some wait for their lock.
    pub fn any_unlocked(&self) -> bool {
        self.entries().values().any(|entry| !entry.locked)
    }

    /// A renewal that began at `at` confirmed these.
    pub fn confirm(&self, leases: &[Lease], at: Duration) {
        let (mut entries, now) = (self.entries(), boot_clock::now());
        for lease in leases {
            if let Some(entry) = entries.get_mut(&(lease.class, lease.object)).filter(|entry| entry.epoch == lease.epoch) {
                entry.confirmed = at;
                if entry.is_fresh(now) {
                    entry
                        .standing
                        .send_if_modified(|standing| std::mem::replace(standing, Standing::InForce) != Standing::InForce);
                }
            }
        }
    }

    /// Suspends what was not confirmed in time; returns how many are suspended.
    pub fn fence(&self) -> usize {
        let now = boot_clock::now();
        let entries = self.entries();
        let stale = entries.values().filter(|entry| !entry.is_fresh(now));
        stale
            .inspect(|entry| {
                entry
                    .standing
                    .send_if_modified(|standing| std::mem::replace(standing, Standing::Suspended) != Standing::Suspended);
            })
            .count()
    }

    /// Claims of jobs that were not given back in time.
    pub fn overdue(&self) -> Vec<Lease> {
        let now = boot_clock::now();
        let overdue = |entry: &Entry| entry.by_job && now.saturating_sub(entry.since) >= JOB_LIMIT;
        let lease = |(class, object): (KeyClass, i32), epoch| Lease { class, object, owner: self.owner.clone(), epoch };
        self.entries().iter().filter(|(_, entry)| overdue(entry)).map(|(&key, entry)| lease(key, entry.epoch)).collect()
    }

    /// True while the lease may be used.
    pub fn in_force(&self, lease: &Lease) -> bool {
        let now = boot_clock::now();
        self.entries()
            .get(&(lease.class, lease.object))
            .is_some_and(|entry| entry.epoch == lease.epoch && lease.owner == self.owner && entry.is_fresh(now))
    }

    /// How a lease stands, from now on.
    pub fn watch(&self, lease: &Lease) -> watch::Receiver<Standing> {
        match self.entries().get(&(lease.class, lease.object)) {
            Some(entry) if entry.epoch == lease.epoch => entry.standing.subscribe(),
            _ => watch::Sender::new(Standing::Lost).subscribe(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(epoch: i64) -> Lease {
        Lease { class: KeyClass::Account, object: 1, owner: "me".into(), epoch }
    }

    fn ago(seconds: u64) -> Duration {
        boot_clock::now().saturating_sub(Duration::from_secs(seconds))
    }

    #[test]
    fn a_lease_is_suspended_5_s_after_the_beginning_of_its_last_renewal_and_comes_back() {
        let held = Held::new("me".into());
        held.insert(&lease(1), false, ago(4));
        let standing = held.watch(&lease(1));
        held.fence();
        assert!(held.in_force(&lease(1)) && *standing.borrow() == Standing::InForce);
        held.confirm(&[lease(1)], ago(5));
        held.fence();
        assert!(!held.in_force(&lease(1)) && *standing.borrow() == Standing::Suspended);
        held.confirm(&[lease(1)], ago(0));
        assert!(held.in_force(&lease(1)) && *standing.borrow() == Standing::InForce);
    }

    #[test]
    fn another_epoch_is_another_lease() {
        let held = Held::new("me".into());
        held.insert(&lease(1), false, ago(0));
        let standing = held.watch(&lease(1));
        held.insert(&lease(2), false, ago(0));
        assert_eq!(*standing.borrow(), Standing::Lost);
        assert!(!held.in_force(&lease(1)) && held.in_force(&lease(2)));
        assert!(!held.remove(&lease(1)));
        assert!(held.remove(&lease(2)));
        assert!(!held.in_force(&lease(2)));
    }
}
