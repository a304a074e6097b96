//! Deletes what the queue keeps beyond its use: one small batch per call, the oldest first. How long is kept what says `crate::retention`.

use sqlx::PgPool;
use std::time::Duration;
use tuberry_storage::Result;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Well.
    Done,
    /// Failed or cancelled.
    Dead,
}

/// Deletes at most `limit` jobs that ended like this longer ago than `older_than`, and their history. Returns how many.
pub async fn purge(pool: &PgPool, ended: Ended, older_than: Duration, limit: u32) -> Result<u64> {
    let gone = sqlx::query_scalar!(
        r#"select queue.purge($1, $2, $3) as "gone!""#,
        ended == Ended::Dead,
        older_than.as_secs_f64(),
        i32::try_from(limit).unwrap_or(i32::MAX)
    );
    Ok(gone.fetch_one(pool).await?.unsigned_abs())
}

/// Forgets unique keys of [`crate::Unique::ForEver`]: the same job can be enqueued once more then.
pub async fn purge_spent_keys(pool: &PgPool, older_than: Duration, limit: u32) -> Result<u64> {
    let gone = sqlx::query!(
        "delete from queue.spent_keys where (kind, key) in (
           select kind, key from queue.spent_keys where spent_at < now() - make_interval(secs => $1) order by spent_at limit $2)",
        older_than.as_secs_f64(),
        i64::from(limit)
    );
    Ok(gone.execute(pool).await?.rows_affected())
}

/// Deletes minutes of the throughput.
pub async fn purge_throughput(pool: &PgPool, older_than: Duration, limit: u32) -> Result<u64> {
    let gone = sqlx::query!(
        "delete from queue.throughput where (minute, kind) in (
           select minute, kind from queue.throughput where minute < now() - make_interval(secs => $1) order by minute limit $2)",
        older_than.as_secs_f64(),
        i64::from(limit)
    );
    Ok(gone.execute(pool).await?.rows_affected())
}

/// Forgets workers that left without a word, long after their jobs were taken from them.
pub async fn purge_workers(pool: &PgPool, silent_for: Duration) -> Result<u64> {
    let gone = sqlx::query!(
        "delete from apalis.workers where storage_name = 'tuberry' and last_seen < clock_timestamp() - make_interval(secs => $1)",
        silent_for.as_secs_f64()
    );
    Ok(gone.execute(pool).await?.rows_affected())
}

/// Deletes what people did to jobs.
pub async fn purge_audit(pool: &PgPool, older_than: Duration, limit: u32) -> Result<u64> {
    let gone = sqlx::query!(
        "delete from queue.audit where id in (select id from queue.audit order by id limit $2) and at < now() - make_interval(secs => $1)",
        older_than.as_secs_f64(),
        i64::from(limit)
    );
    Ok(gone.execute(pool).await?.rows_affected())
}
