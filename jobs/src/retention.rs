//! How long is kept what has served, and its deletion. Customers' history (dialogs, messages, what belongs to them) is never deleted here.

use crate::queue::retention::{Ended, purge, purge_audit, purge_spent_keys, purge_throughput, purge_workers};
use std::time::{Duration, Instant};
use tuberry_storage::{Result, Store, limits, logins, portal_sessions, restrictions};

/// Rows per transaction.
const BATCH: u32 = 2000;

/// A process that was not heard of for so long does not come back under its name.
const SILENT: Duration = Duration::from_secs(900);

const DAY: Duration = Duration::from_secs(86_400);

/// How long what is kept after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Done jobs.
    pub done_jobs: Duration,
    /// Dead jobs, with their history: so long an operator may retry them.
    pub dead_jobs: Duration,
    /// Logins that ended.
    pub logins: Duration,
    /// The log of updates that were acted on, which keeps a repeated one from being acted on again. Telegram repeats for a day.
    pub updates: Duration,
    /// Minutes of the queue's throughput.
    pub statistics: Duration,
    /// What people did to jobs.
    pub audit: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { done_jobs: 7 * DAY, dead_jobs: 30 * DAY, logins: DAY, updates: 7 * DAY, statistics: 30 * DAY, audit: 365 * DAY }
    }
}

/// Deletes what is over its time in small batches, each a short transaction, until there is no more or `limit` is over: then the rest waits for
/// the next time. Returns how many rows went.
pub async fn sweep(store: &Store, keep: &Retention, limit: Duration) -> Result<u64> {
    let (pool, begun) = (store.pool(), Instant::now());
    let mut gone = limits::purge(pool).await? + restrictions::purge(pool).await? + purge_workers(pool, SILENT).await?;
    loop {
        // Round by round, so that no backlog of one thing keeps the others.
        let batches = [
            purge(pool, Ended::Done, keep.done_jobs, BATCH).await?,
            purge(pool, Ended::Dead, keep.dead_jobs, BATCH).await?,
            purge_spent_keys(pool, keep.updates, BATCH).await?,
            purge_throughput(pool, keep.statistics, BATCH).await?,
            purge_audit(pool, keep.audit, BATCH).await?,
            logins::purge(pool, keep.logins, BATCH).await?,
            portal_sessions::purge(pool, BATCH).await?,
        ];
        gone += batches.iter().sum::<u64>();
        if begun.elapsed() >= limit || batches.iter().all(|&batch| batch < u64::from(BATCH)) {
            return Ok(gone);
        }
    }
}
