//! Taking keys over: locks first, then, by the rules of `takeover`, the leases. Part of the lock's session.

use super::boot_clock;
use super::claim::ClaimResults;
use super::dial::in_time;
use super::held::Holder;
use super::lock_session::{LockSession, RETRY, Session};
use super::takeover::{self, Decision, GONE, GRACE, SETTLED, SILENT};
use std::collections::HashMap;
use std::time::Duration;
use tuberry_domain::ports::{Claim, ClaimError, KeyClass, Reuse};
use tuberry_storage::Result;
use tuberry_storage::leases::{self, Found};

/// When to ask again for what another process uses.
const AGAIN: Duration = Duration::from_secs(1);

fn busy(again_in: Duration) -> Result<Claim, ClaimError> {
    Err(ClaimError::Busy { again_in })
}

impl LockSession {
    /// Claims objects of one class, each by itself.
    pub(super) async fn claim(
        &mut self,
        session: &mut Session,
        class: KeyClass,
        objects: &[i32],
        reuse: Reuse,
        by_job: bool,
    ) -> Result<ClaimResults> {
        let mut results: ClaimResults = Vec::with_capacity(objects.len());
        // What this process holds is in use, unless a job claimed it: its run has ended when the next one asks, and its connection soon will have.
        let (mut free, mut reclaimed) = (Vec::new(), HashMap::new());
        for &object in objects {
            match self.held.holder(class, object) {
                None => free.push(object),
                Some(Holder { by_job: true, locked: true }) if by_job => {
                    match takeover::decide_again(self.held.asked_again(class, object), reuse) {
                        Decision::Take { key_is_free } => {
                            reclaimed.insert(object, key_is_free);
                            free.push(object);
                        }
                        Decision::Wait(left) => results.push((object, busy(left))),
                    }
                }
                Some(_) => results.push((object, busy(AGAIN))),
            }
        }
        let locked = self.lock(session, class, free, &reclaimed, &mut results).await?;
        let found = in_time(leases::find(&mut session.conn, class, &locked)).await?;
        let orphaned: Vec<(i32, i64)> = found
            .iter()
            .filter(|found| takeover::proves_orphaned(found) && !found.orphaned && !reclaimed.contains_key(&found.object))
            .map(|found| (found.object, found.epoch))
            .collect();
        in_time(leases::mark_orphaned(&mut session.conn, class, &orphaned, SETTLED)).await?;
        self.take(session, class, &found, reuse, by_job, &mut results).await?;
        for (object, result) in &mut results {
            if let (Ok(claim), Some(key_is_free)) = (result, reclaimed.get(object)) {
                claim.key_is_free &= key_is_free;
            }
        }
        Ok(results)
    }

    /// Gets the locks of objects that may be tried for; answers for the others. Returns those whose locks we hold.
    async fn lock(
        &mut self,
        session: &mut Session,
        class: KeyClass,
        objects: Vec<i32>,
        reclaimed: &HashMap<i32, bool>,
        results: &mut ClaimResults,
    ) -> Result<Vec<i32>> {
        let (now, me) = (boot_clock::now(), self.held.owner().to_owned());
        let settled = now.saturating_sub(session.opened) >= GRACE;
        let found = in_time(leases::find(&mut session.conn, class, &objects)).await?;
        let (mut wanted, mut ours): (HashMap<i32, &Found>, Vec<i32>) = (HashMap::new(), Vec::new());
        for found in &found {
            let waits = session.waiting.contains_key(&(class, found.object));
            if !takeover::may_try(found, &me, settled) {
                if waits {
                    session.waiting.remove(&(class, found.object));
                    in_time(leases::unlock(&mut session.conn, class, &[found.object])).await?;
                }
                results.push((found.object, busy(AGAIN)));
            } else if waits || reclaimed.contains_key(&found.object) {
                ours.push(found.object);
            } else {
                wanted.insert(found.object, found);
            }
        }
        let objects: Vec<i32> = wanted.keys().copied().collect();
        for object in in_time(leases::try_lock(&mut session.conn, class, &objects)).await? {
            wanted.remove(&object);
            session.waiting.insert((class, object), now);
            ours.push(object);
        }
        let mut silent: HashMap<&str, Vec<i32>> = HashMap::new();
        for (object, found) in wanted {
            results.push((object, busy(AGAIN)));
            if let Some(owner) = found.owner.as_deref().filter(|_| found.age >= GONE) {
                silent.entry(owner).or_default().push(object);
            }
        }
        // One session holds all locks of an owner.
        for (owner, objects) in silent {
            if in_time(leases::end_holder(&mut session.conn, class, &objects, owner, GONE)).await? {
                tracing::warn!(?class, count = objects.len(), owner, "a silent owner's session was ended");
            }
        }
        Ok(ours)
    }

    /// Decides on leases whose locks we hold, and takes those that are free.
    async fn take(
        &mut self,
        session: &mut Session,
        class: KeyClass,
        found: &[Found],
        reuse: Reuse,
        by_job: bool,
        results: &mut ClaimResults,
    ) -> Result<()> {
        let me = self.held.owner().to_owned();
        let began = boot_clock::now();
        let mut taken: HashMap<i32, (i64, bool)> = HashMap::new();
        for found in found {
            match takeover::decide(found, &me, reuse) {
                Decision::Take { key_is_free } => drop(taken.insert(found.object, (found.epoch, key_is_free))),
                Decision::Wait(left) => {
                    session.waiting.insert((class, found.object), began);
                    results.push((found.object, busy(left.min(SETTLED) + Duration::from_millis(50))));
                }
            }
        }
        let rows: Vec<(i32, i64)> = taken.iter().map(|(&object, &(epoch, _))| (object, epoch)).collect();
        for lease in in_time(leases::take(&mut session.conn, class, &rows, &me, SILENT)).await? {
            let (_, key_is_free) = taken.remove(&lease.object).unwrap_or_default();
            session.waiting.remove(&(class, lease.object));
            self.held.insert(&lease, by_job, began);
            results.push((lease.object, Ok(Claim { lease, key_is_free })));
        }
        // Renewed at the last moment, or held by a last write of the old owner: the lock stays with us, the rest at the next attempt.
        results.extend(taken.into_keys().map(|object| (object, busy(RETRY))));
        Ok(())
    }
}
