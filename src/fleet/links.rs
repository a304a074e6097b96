//! The connections of this process' accounts as jobs use them. The queue learns from here which accounts' jobs may run.

use super::claim::Claims;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::AccountId;
use tuberry_domain::ports::{Accounts, CallError, KeyClaims, Lease, OutgoingText, Sent};
use tuberry_jobs::queue::Queue;
use tuberry_telegram::Calls;

#[derive(Debug)]
struct Link {
    calls: Calls,
    lease: Lease,
    up: bool,
    /// When a proof of life was last noted.
    noted: Option<Instant>,
    /// The next proof is noted at once: the owner reads of a trouble that it would end.
    troubled: bool,
}

/// What is connected. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    claims: Claims,
    queue: Queue,
    links: Arc<Mutex<BTreeMap<AccountId, Link>>>,
}

impl Links {
    /// No connection yet.
    pub fn new(claims: Claims, queue: Queue) -> Self {
        Self { claims, queue, links: Arc::default() }
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<AccountId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts whose connection is up.
    pub fn connected(&self) -> BTreeSet<AccountId> {
        self.links().iter().filter(|(_, link)| link.up).map(|(&account, _)| account).collect()
    }

    pub(super) fn add(&self, account: AccountId, calls: Calls, lease: Lease) {
        self.links().insert(account, Link { calls, lease, up: false, noted: None, troubled: false });
    }

    pub(super) fn set_up(&self, account: AccountId, up: bool) {
        if let Some(link) = self.links().get_mut(&account) {
            link.up = up;
        }
        self.queue.own(self.connected());
    }

    /// A trouble was noted just now: only a later proof of life ends it.
    pub(super) fn trouble_noted(&self, account: AccountId) {
        if let Some(link) = self.links().get_mut(&account) {
            (link.noted, link.troubled) = (Some(Instant::now()), true);
        }
    }

    pub(super) fn remove(&self, account: AccountId) {
        self.links().remove(&account);
        self.queue.own(self.connected());
    }

    /// Accounts that are up and have given a proof of life since the last was noted, longer than `interval` ago; it counts as noted now.
    pub(super) fn proofs_of_life(&self, interval: Duration) -> Vec<AccountId> {
        let due = |link: &Link| match (link.noted, link.calls.last_proof()) {
            (_, None) => false,
            (None, Some(_)) => link.up,
            (Some(noted), Some(proof)) => link.up && proof > noted && (link.troubled || noted.elapsed() >= interval),
        };
        let mut links = self.links();
        let due = links.iter_mut().filter(|(_, link)| due(link));
        due.map(|(&account, link)| {
            (link.noted, link.troubled) = (Some(Instant::now()), false);
            account
        })
        .collect()
    }
}

#[async_trait]
impl Accounts for Links {
    async fn send_text(&self, account: AccountId, message: OutgoingText) -> Result<Sent, CallError> {
        let link = self.links().get(&account).filter(|link| link.up).map(|link| (link.calls.clone(), link.lease.clone()));
        let (calls, lease) = link.ok_or(CallError::NotConnected)?;
        if !self.claims.holds(&lease) {
            return Err(CallError::NotConnected);
        }
        calls.send_text(&message).await
    }
}
