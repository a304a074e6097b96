//! What people and other jobs do to jobs: cancel, retry, run now, delete, pause. What a person does leaves an audit row in the same
//! transaction.

use super::engine::LOOK;
use super::pages::Filter;
use serde::Serialize;
use sqlx::PgPool;
use tuberry_domain::{AccountId, ClientId, UserId};
use tuberry_storage::{Result, Store, Tx};

/// Jobs retried by one transaction of [`retry_all`].
const RETRY_BATCH: i64 = 200;

/// Who does it, and whose jobs that person may touch.
#[derive(Clone, Copy, Debug)]
pub struct Hand {
    /// The person.
    pub user: UserId,
    /// Whose jobs; `None`: everybody's.
    pub client: Option<ClientId>,
}

/// What became of a job that somebody wants to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancelled {
    /// It waited and is dead now.
    Killed,
    /// It runs; its process has been asked to end it.
    Asked,
    /// It had ended already.
    Finished,
}

/// What became of a job that somebody wants to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, and its history with it.
    Deleted,
    /// It runs: cancel it first.
    Running,
}

fn wake(tx: &mut Tx, wake_ups: &[String]) {
    for wake_up in wake_ups {
        tx.wake_after_commit(wake_up);
    }
}

/// Kills what waits of `kind` with this affinity; jobs that stood behind them in other lanes or kinds come to their turn. Returns how many.
/// Running jobs are not touched. Holds the ordering keys concerned until the transaction ends.
pub async fn cancel_waiting(tx: &mut Tx, kind: &str, affinity: AccountId, reason: &str) -> Result<u64> {
    let answer = sqlx::query!(
        r#"select cancelled as "cancelled!", wake_ups as "wake_ups!" from queue.cancel_waiting($1, $2, $3)"#,
        kind,
        affinity.to_string(),
        reason
    )
    .fetch_one(tx.conn())
    .await?;
    wake(tx, &answer.wake_ups);
    Ok(answer.cancelled.unsigned_abs())
}

/// Payloads of the jobs of `kind` under these ordering keys that wait or run.
pub async fn live_payloads(pool: &PgPool, kind: &str, ordering_keys: &[String]) -> Result<Vec<Vec<u8>>> {
    let payloads = sqlx::query_scalar!(
        r#"select job as "job!" from apalis.jobs where ordering_key = any($2) and status in ('Pending', 'Running') and job_type = $1"#,
        kind,
        ordering_keys
    );
    Ok(payloads.fetch_all(pool).await?)
}

/// Puts a dead job back into line with all its attempts, ahead of every job of its ordering key that was enqueued after it. `Some(false)`:
/// it is not dead, or another live job has its unique key. `None`: there is no such job within the hand's reach.
pub async fn retry(tx: &mut Tx, hand: Hand, id: &str) -> Result<Option<bool>> {
    if !is_within_reach(tx, hand, id).await? {
        return Ok(None);
    }
    let retried = retry_dead(tx, id).await?;
    audit(tx, hand, "retry", Some(id), serde_json::Value::Null, i64::from(retried)).await?;
    Ok(Some(retried))
}

async fn retry_dead(tx: &mut Tx, id: &str) -> Result<bool> {
    let answer = sqlx::query!(r#"select retried as "retried!", wake_ups as "wake_ups!" from queue.retry_dead($1)"#, id)
        .fetch_one(tx.conn())
        .await?;
    wake(tx, &answer.wake_ups);
    Ok(answer.retried)
}

/// [`retry`] for every dead job that matches `filter`, in batches. Returns how many went back into line. Killed in between, the rest stays dead
/// and the audit row of each batch says what was done.
pub async fn retry_all(store: &Store, hand: Hand, filter: &Filter) -> Result<u64> {
    let (mut retried, mut after) = (0, None::<String>);
    // The earliest first, so that none overtakes one of its key; a job that dies again meanwhile lies behind the page.
    loop {
        let ids = filter.dead(store.pool(), hand.client, after.as_deref(), RETRY_BATCH).await?;
        let Some(last) = ids.last().cloned() else { return Ok(retried) };
        let mut tx = store.begin().await?;
        let mut here = 0;
        for id in in_locking_order(&mut tx, &ids).await? {
            here += u64::from(retry_dead(&mut tx, &id).await?);
        }
        let details = serde_json::to_value(filter).unwrap_or_default();
        audit(&mut tx, hand, "retry_all", None, details, here.cast_signed()).await?;
        tx.commit().await?;
        retried += here;
        after = Some(last);
    }
}

/// Keys are locked in one order by all that lock several.
async fn in_locking_order(tx: &mut Tx, ids: &[String]) -> Result<Vec<String>> {
    let ids = sqlx::query_scalar!(
        "select id from apalis.jobs where id = any($1) order by queue.key_lock(ordering_key) nulls first, seq",
        ids
    );
    Ok(ids.fetch_all(tx.conn()).await?)
}

/// Ends a job: one that waits is dead at once, with `reason`; of one that runs, the handler is stopped where it waits for something. `None`:
/// there is no such job within the hand's reach.
pub async fn cancel(tx: &mut Tx, hand: Hand, id: &str, reason: &str) -> Result<Option<Cancelled>> {
    if !is_within_reach(tx, hand, id).await? {
        return Ok(None);
    }
    let answer = sqlx::query!(r#"select answer, wake_ups as "wake_ups!" from queue.cancel($1, $2)"#, id, reason)
        .fetch_one(tx.conn())
        .await?;
    wake(tx, &answer.wake_ups);
    let cancelled = match answer.answer.as_deref() {
        Some("killed") => Cancelled::Killed,
        Some("asked") => Cancelled::Asked,
        Some(_) => Cancelled::Finished,
        None => return Ok(None),
    };
    audit(tx, hand, "cancel", Some(id), serde_json::json!({ "reason": reason }), i64::from(cancelled != Cancelled::Finished))
        .await?;
    Ok(Some(cancelled))
}

/// Lets a job that waits for a time start now; behind another of its key it still waits for that one. `Some(false)`: it does not wait. `None`:
/// there is no such job within the hand's reach.
pub async fn run_now(tx: &mut Tx, hand: Hand, id: &str) -> Result<Option<bool>> {
    if !is_within_reach(tx, hand, id).await? {
        return Ok(None);
    }
    let answer = sqlx::query!(r#"select moved as "moved!", wake_ups as "wake_ups!" from queue.run_now($1)"#, id)
        .fetch_one(tx.conn())
        .await?;
    wake(tx, &answer.wake_ups);
    audit(tx, hand, "run_now", Some(id), serde_json::Value::Null, i64::from(answer.moved)).await?;
    Ok(Some(answer.moved))
}

/// Deletes a job that does not run, and its history; what stood behind it comes to its turn. `None`: there is no such job within the hand's
/// reach.
pub async fn delete(tx: &mut Tx, hand: Hand, id: &str) -> Result<Option<Deleted>> {
    if !is_within_reach(tx, hand, id).await? {
        return Ok(None);
    }
    let answer = sqlx::query!(r#"select answer, wake_ups as "wake_ups!" from queue.remove($1)"#, id).fetch_one(tx.conn()).await?;
    wake(tx, &answer.wake_ups);
    let deleted = match answer.answer.as_deref() {
        Some("deleted") => Deleted::Deleted,
        Some(_) => Deleted::Running,
        None => return Ok(None),
    };
    audit(tx, hand, "delete", Some(id), serde_json::Value::Null, i64::from(deleted == Deleted::Deleted)).await?;
    Ok(Some(deleted))
}

/// No process of the cluster starts a job of this kind until it is resumed; what runs goes on. `false`: it was paused already.
pub async fn pause(tx: &mut Tx, hand: Hand, kind: &str) -> Result<bool> {
    let paused = sqlx::query!(
        "insert into queue.paused_kinds (kind, paused_by) values ($1, $2) on conflict do nothing",
        kind,
        hand.user.0
    );
    let changed = paused.execute(tx.conn()).await?.rows_affected() == 1;
    audit(tx, hand, "pause", None, serde_json::json!({ "kind": kind }), i64::from(changed)).await?;
    Ok(changed)
}

/// Ends a [`pause`]. `false`: it was not paused.
pub async fn resume(tx: &mut Tx, hand: Hand, kind: &str) -> Result<bool> {
    let resumed = sqlx::query!("delete from queue.paused_kinds where kind = $1", kind);
    let changed = resumed.execute(tx.conn()).await?.rows_affected() == 1;
    tx.wake_after_commit(LOOK);
    audit(tx, hand, "resume", None, serde_json::json!({ "kind": kind }), i64::from(changed)).await?;
    Ok(changed)
}

async fn is_within_reach(tx: &mut Tx, hand: Hand, id: &str) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from apalis.jobs where id = $1 and ($2::int is null or client_id = $2)) as "found!""#,
        id,
        hand.client.map(|client| client.0)
    );
    Ok(found.fetch_one(tx.conn()).await?)
}

async fn audit(
    tx: &mut Tx,
    hand: Hand,
    action: &str,
    job: Option<&str>,
    details: serde_json::Value,
    affected: i64,
) -> Result<()> {
    let details = if details.is_null() { serde_json::json!({}) } else { details };
    sqlx::query!(
        "insert into queue.audit (user_id, client_id, action, job_id, details, affected) values ($1, $2, $3, $4, $5, $6)",
        hand.user.0,
        hand.client.map(|client| client.0),
        action,
        job,
        details,
        affected
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
