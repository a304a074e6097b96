//! What operators, other jobs and retention do to jobs: cancel, retry, delete, count.

use super::statements;
use sqlx::PgPool;
use std::time::Duration;
use tuberry_domain::AccountId;
use tuberry_storage::{Result, Tx};

/// Kills what waits of `kind` with this affinity; jobs that stood behind them in other lanes or kinds come to their turn. Returns how many.
/// Running jobs are not touched. Holds the ordering keys concerned until the transaction ends.
pub async fn cancel_waiting(tx: &mut Tx, kind: &str, affinity: AccountId, reason: &str) -> Result<u64> {
    let (cancelled, wake_ups) = statements::cancel_waiting(tx.conn(), kind, &affinity.to_string(), reason).await?;
    for wake_up in wake_ups {
        tx.wake_after_commit(wake_up);
    }
    Ok(cancelled)
}

/// Puts a dead job back into line with all its attempts, ahead of every job of its ordering key that was enqueued after it. `false`: it is
/// not dead, or another live job has its unique key.
pub async fn retry_dead(tx: &mut Tx, id: &str) -> Result<bool> {
    let (retried, wake_ups) = statements::retry_dead(tx.conn(), id).await?;
    for wake_up in wake_ups {
        tx.wake_after_commit(wake_up);
    }
    Ok(retried)
}

/// Deletes at most `limit` jobs that were done or dead for longer than `older_than`, the oldest first. Returns how many.
pub async fn purge(pool: &PgPool, older_than: Duration, limit: u32) -> Result<u64> {
    Ok(statements::purge(pool, older_than, limit).await?)
}

/// How many jobs of one kind are where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindCounts {
    /// [`crate::Job::KIND`] as it stands in the rows.
    pub kind: String,
    /// Could start now, if a process has room and, for jobs with an affinity, owns the account.
    pub ready: u64,
    /// Behind another job of their ordering key.
    pub held: u64,
    /// Wait for a time.
    pub scheduled: u64,
    /// Run, or are about to.
    pub running: u64,
    /// Failed or cancelled.
    pub dead: u64,
    /// Whether a living process runs this kind.
    pub known: bool,
}

/// Counts the live and dead jobs of every kind that has any. `lease`: how long a silent process counts as living.
pub async fn counts(pool: &PgPool, lease: Duration) -> Result<Vec<KindCounts>> {
    Ok(statements::counts(pool, lease).await?)
}
