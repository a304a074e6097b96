//! Every statement of the queue: thin calls of the functions in schema `queue` (migration 0002), typed at this border.

use super::control::KindCounts;
use super::enqueue::Rows;
use super::hot::Pair;
use super::lease::Acknowledgement;
use crate::job::{Policy, When};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use tuberry_storage::WAKE_UP_CHANNEL;

/// A number of rows and the wake-ups to send.
type Counted = (i64, Vec<String>);

fn counted((rows, wake_ups): Counted) -> (usize, Vec<String>) {
    (usize::try_from(rows).unwrap_or_default(), wake_ups)
}

/// Runs `queue.enqueue`: how many rows were new, and the wake-ups to send after the commit.
pub(super) async fn enqueue(
    connection: &mut PgConnection,
    kind: &str,
    policy: &Policy,
    rows: &Rows,
    when: When,
) -> sqlx::Result<(usize, Vec<String>)> {
    let (delay, at) = match when {
        When::Now => (None, None),
        When::In(delay) => (Some(delay.as_secs_f64()), None),
        When::At(at) => (None, Some(at)),
    };
    sqlx::query_as("select inserted, wake_ups from queue.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
        .bind(kind)
        .bind(&rows.ids)
        .bind(&rows.payloads)
        .bind(&rows.ordering_keys)
        .bind(&rows.lanes)
        .bind(&rows.unique_scopes)
        .bind(&rows.unique_keys)
        .bind(delay)
        .bind(at)
        .bind(policy.max_attempts.map_or(i32::MAX, |n| i32::try_from(n).unwrap_or(i32::MAX)))
        .bind(i32::try_from(policy.lost_leases).unwrap_or(i32::MAX))
        .bind(policy.deadline.map(|deadline| deadline.as_secs_f64()))
        .fetch_one(connection)
        .await
        .map(counted)
}

/// What one step asks for.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub worker: &'a str,
    pub outcomes: &'a [Acknowledgement],
    /// Kinds with free slots, and how many.
    pub slots: Vec<(&'static str, i32)>,
    pub pairs: &'a [Pair],
    /// Lanes of which woken pairs may be claimed too.
    pub lanes: Vec<String>,
    pub lease: Duration,
}

/// A claimed row.
#[derive(Debug)]
pub(super) struct ClaimedRow {
    pub id: String,
    pub kind: String,
    pub lane: String,
    pub payload: Vec<u8>,
    pub ordering_key: Option<String>,
    pub attempts: u32,
    pub token: DateTime<Utc>,
    pub run_at: DateTime<Utc>,
}

/// What one step answers.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    pub applied: Vec<String>,
    pub put_off: Vec<String>,
    pub claimed: Vec<ClaimedRow>,
    /// Pairs of which there may be more.
    pub more: Vec<(String, String)>,
    /// Pairs that became ready and were not asked for.
    pub woken: Vec<(String, String)>,
    /// Kinds that this process may not claim before it has renewed its lease.
    pub stale: bool,
    /// From now to the next scheduled job, which may be negative (someone holds its row).
    pub next: Option<chrono::TimeDelta>,
    /// The database's time.
    pub clock: Option<DateTime<Utc>>,
}

type StepRow = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<String>,
    Option<i32>,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
);

/// Runs `queue.step`.
pub(super) async fn step(connection: &mut PgConnection, step: &Step<'_>) -> sqlx::Result<Stepped> {
    let outcomes = step.outcomes;
    let rows: Vec<StepRow> = sqlx::query_as(
        "select tag, id, kind, lane, payload, ordering_key, attempts, at, clock
           from queue.step($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(step.worker)
    .bind(outcomes.iter().map(|o| o.id.as_str()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|o| format!("{}/{}", step.worker, o.kind)).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|o| o.token).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|o| o.outcome as i16).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|o| o.delay.as_secs_f64()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|o| o.result.as_deref()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|o| o.ordering_key.as_deref()).collect::<Vec<_>>())
    .bind(step.slots.iter().map(|(kind, _)| *kind).collect::<Vec<_>>())
    .bind(step.slots.iter().map(|(_, slots)| *slots).collect::<Vec<_>>())
    .bind(step.pairs.iter().map(|(kind, _)| *kind).collect::<Vec<_>>())
    .bind(step.pairs.iter().map(|(_, lane)| lane.as_str()).collect::<Vec<_>>())
    .bind(&step.lanes)
    .bind(step.lease.as_secs_f64())
    .fetch_all(connection)
    .await?;
    let mut stepped = Stepped::default();
    for row in rows {
        match row {
            (tag, Some(id), ..) if tag == "a" => stepped.applied.push(id),
            (tag, Some(id), ..) if tag == "d" => stepped.put_off.push(id),
            (tag, Some(id), Some(kind), Some(lane), Some(payload), ordering_key, Some(attempts), Some(token), Some(run_at))
                if tag == "c" =>
            {
                let attempts = attempts.unsigned_abs();
                stepped.claimed.push(ClaimedRow { id, kind, lane, payload, ordering_key, attempts, token, run_at });
            }
            (tag, _, Some(kind), Some(lane), ..) if tag == "m" => stepped.more.push((kind, lane)),
            (tag, _, Some(kind), Some(lane), ..) if tag == "w" => stepped.woken.push((kind, lane)),
            (tag, ..) if tag == "s" => stepped.stale = true,
            (tag, .., at, Some(clock)) if tag == "n" => {
                stepped.next = at.map(|at| at - clock);
                stepped.clock = Some(clock);
            }
            (tag, ..) => return Err(sqlx::Error::Protocol(format!("queue.step answered an unknown row {tag}"))),
        }
    }
    Ok(stepped)
}

/// All pairs with ready jobs, and the time to the next scheduled one with the clock.
pub(super) async fn sweep(
    connection: &mut PgConnection,
) -> sqlx::Result<(Vec<(String, String)>, Option<chrono::TimeDelta>, DateTime<Utc>)> {
    let (kinds, lanes, next, clock): (Vec<String>, Vec<String>, Option<DateTime<Utc>>, DateTime<Utc>) =
        sqlx::query_as("select kinds, lanes, next, clock from queue.sweep()").fetch_one(connection).await?;
    Ok((kinds.into_iter().zip(lanes).collect(), next.map(|next| next - clock), clock))
}

/// Sends wake-ups to all processes.
pub(super) async fn notify(connection: &mut PgConnection, wake_ups: &[String]) -> sqlx::Result<()> {
    sqlx::query("select pg_notify($1, wake_up) from unnest($2::text[]) wake_up")
        .bind(WAKE_UP_CHANNEL)
        .bind(wake_ups)
        .execute(connection)
        .await
        .map(drop)
}

/// Registers or renews this process' workers.
pub(super) async fn renew(connection: &mut PgConnection, worker: &str, kinds: &[&str]) -> sqlx::Result<()> {
    sqlx::query("select queue.renew($1, $2)").bind(worker).bind(kinds).execute(connection).await.map(drop)
}

/// Puts the jobs of silent processes back into line.
pub(super) async fn reap(connection: &mut PgConnection, lease: Duration) -> sqlx::Result<(usize, Vec<String>)> {
    sqlx::query_as("select reaped, wake_ups from queue.reap($1)")
        .bind(lease.as_secs_f64())
        .fetch_one(connection)
        .await
        .map(counted)
}

/// Gives keys without a head one.
pub(super) async fn heal(connection: &mut PgConnection) -> sqlx::Result<(usize, Vec<String>)> {
    sqlx::query_as("select healed, wake_ups from queue.heal()").fetch_one(connection).await.map(counted)
}

/// Takes this process' workers off the list.
pub(super) async fn leave(connection: &mut PgConnection, worker: &str, kinds: &[&str]) -> sqlx::Result<()> {
    sqlx::query("select queue.leave($1, $2)").bind(worker).bind(kinds).execute(connection).await.map(drop)
}

/// Ends a session of this service's engine whose last statement has no answer, so that it cannot commit any more.
pub(super) async fn end_session(connection: &mut PgConnection, pid: i32, application_name: &str) -> sqlx::Result<()> {
    sqlx::query(
        "select pg_terminate_backend(pid, 2000) from pg_stat_activity where pid = $1 and application_name = $2 and usename = current_user",
    )
    .bind(pid)
    .bind(application_name)
    .execute(connection)
    .await
    .map(drop)
}

/// The server's process of this connection.
pub(super) async fn session_pid(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await
}

/// Gives back all that is claimed for this process but the ids that it knows of.
pub(super) async fn give_back_unanswered(
    connection: &mut PgConnection,
    worker: &str,
    kinds: &[&str],
    known: &[&str],
) -> sqlx::Result<(usize, Vec<String>)> {
    sqlx::query_as("select given_back, wake_ups from queue.give_back_unanswered($1, $2, $3)")
        .bind(worker)
        .bind(kinds)
        .bind(known)
        .fetch_one(connection)
        .await
        .map(counted)
}

/// Kills what waits of a kind in a lane.
pub(super) async fn cancel_waiting(
    connection: &mut PgConnection,
    kind: &str,
    lane: &str,
    reason: &str,
) -> sqlx::Result<(usize, Vec<String>)> {
    sqlx::query_as("select cancelled, wake_ups from queue.cancel_waiting($1, $2, $3)")
        .bind(kind)
        .bind(lane)
        .bind(reason)
        .fetch_one(connection)
        .await
        .map(counted)
}

/// Puts a dead job back into line.
pub(super) async fn retry_dead(connection: &mut PgConnection, id: &str) -> sqlx::Result<(bool, Vec<String>)> {
    sqlx::query_as("select retried, wake_ups from queue.retry_dead($1)").bind(id).fetch_one(connection).await
}

/// Deletes finished jobs.
pub(super) async fn purge(pool: &PgPool, older_than: Duration, limit: u32) -> sqlx::Result<u64> {
    let gone: i64 = sqlx::query_scalar("select queue.purge($1, $2)")
        .bind(older_than.as_secs_f64())
        .bind(i32::try_from(limit).unwrap_or(i32::MAX))
        .fetch_one(pool)
        .await?;
    Ok(gone.unsigned_abs())
}

/// Live and dead jobs of every kind that has any.
pub(super) async fn counts(pool: &PgPool, lease: Duration) -> sqlx::Result<Vec<KindCounts>> {
    let rows: Vec<(String, i64, i64, i64, i64, i64, bool)> =
        sqlx::query_as("select kind, ready, held, scheduled, running, dead, known from queue.counts($1) order by kind")
            .bind(lease.as_secs_f64())
            .fetch_all(pool)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(kind, ready, held, scheduled, running, dead, known)| KindCounts {
            kind,
            ready: ready.unsigned_abs(),
            held: held.unsigned_abs(),
            scheduled: scheduled.unsigned_abs(),
            running: running.unsigned_abs(),
            dead: dead.unsigned_abs(),
            known,
        })
        .collect())
}
