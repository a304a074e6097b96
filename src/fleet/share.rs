//! How the workers divide the accounts: every worker computes the same division from what it reads, and does its own part of it.

use chrono::{DateTime, Utc};
use std::cmp::Reverse;
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
    /// What this worker holds, whatever the rows say, in the order in which it was taken.
    pub mine: &'a [AccountId],
}

/// A worker as the division sees it.
#[derive(Clone, Copy, Debug)]
struct Part {
    capacity: usize,
    weight: usize,
    started_at: DateTime<Utc>,
    /// What it holds.
    load: usize,
    /// What it holds besides guests.
    base: usize,
    share: usize,
}

/// Divides evenly, by weight, within one account, moving no more than the excess. Guests (what came because a worker left or died) go first to
/// the worker that takes that one's place, and what remains of an uneven division stays with those who had it before. So in a rolling restart
/// every account moves away and to its place again, and never more than that.
pub(super) fn plan(view: View<'_>) -> Plan {
    let me = view.me.name.as_str();
    // This worker's own row may be missing: it is about to be written, by the newest of all, or it was too silent for a while.
    let missing = Some(view.me).filter(|_| view.workers.iter().all(|worker| worker.name != me));
    let part = |worker: &Worker| Part {
        capacity: worker.capacity as usize,
        weight: worker.weight.max(1) as usize,
        started_at: worker.started_at,
        load: 0,
        base: 0,
        share: 0,
    };
    let mut parts: BTreeMap<&str, Part> =
        view.workers.iter().chain(missing).map(|worker| (worker.name.as_str(), part(worker))).collect();
    let (mine, mut orphans): (BTreeSet<AccountId>, Vec<AccountId>) = (view.mine.iter().copied().collect(), Vec::new());
    for served in view.served {
        let row_owner = served.owner.as_deref().filter(|&owner| !served.silent && owner != me);
        let owner = if mine.contains(&served.account) { Some(me) } else { row_owner };
        match owner {
            // One that is leaving is not on the list: its accounts come as it gives them back.
            Some(owner) => {
                if let Some(part) = parts.get_mut(owner) {
                    part.load += 1;
                    part.base += usize::from(!served.guest);
                }
            }
            None => orphans.push(served.account),
        }
    }
    divide(&mut parts, view.served.len());
    let excess = parts[me].load.saturating_sub(parts[me].share);
    let served: BTreeSet<AccountId> = view.served.iter().map(|served| served.account).collect();
    let mut unassigned = orphans.into_iter();
    let mut claim = Vec::new();
    // The newest first: it keeps the odd ones.
    let mut newest_first: Vec<(&&str, &Part)> = parts.iter().collect();
    newest_first.sort_by_key(|(_, part)| Reverse(part.started_at));
    for (name, part) in newest_first {
        let theirs = unassigned.by_ref().take(part.share.saturating_sub(part.load));
        if *name == me { claim.extend(theirs) } else { theirs.for_each(drop) }
    }
    let guests: BTreeSet<AccountId> = view.served.iter().filter(|served| served.guest).map(|served| served.account).collect();
    let mut going: Vec<AccountId> = view.mine.iter().rev().filter(|account| served.contains(account)).copied().collect();
    going.sort_by_key(|account| !guests.contains(account));
    going.truncate(excess);
    Plan {
        claim,
        give_back: going,
        without_room: view.served.len().saturating_sub(parts.values().map(|part| part.capacity).sum()),
    }
}

/// Everybody's share of `total`: the one that would be the least after growing, in proportion to its weight, grows first, up to its capacity. Among
/// equals first one that would else have to give up what is not a guest, then one that has too little even with its guests gone (it takes the
/// place of a worker that left), then the one that has more already, then the newest.
fn divide(parts: &mut BTreeMap<&str, Part>, total: usize) {
    let weights: usize = parts.values().map(|part| part.weight).sum();
    // (share + 1) / weight, compared without rounding.
    let grown = |one: &Part, other: &Part| ((one.share + 1) * other.weight).cmp(&((other.share + 1) * one.weight));
    let rank = |part: &Part| {
        let (keeps, joins) = (part.base > part.share, part.base < total * part.weight / weights.max(1));
        (!keeps, !joins, Reverse(part.load), Reverse(part.started_at))
    };
    for _ in 0..total {
        let growing = parts.values_mut().filter(|part| part.share < part.capacity);
        match growing.min_by(|one, other| grown(one, other).then_with(|| rank(one).cmp(&rank(other)))) {
            Some(part) => part.share += 1,
            None => break,
        }
    }
}

#[cfg(test)]
mod tests;
