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

/// Runs `queue.enqueue`: how many rows were new, and the wake-ups to send after the commit.
pub(super) async fn enqueue(
    connection: &mut PgConnection,
    kind: &str,
    policy: &Policy,
    rows: &Rows,
    when: When,
) -> sqlx::Result<(u64, Vec<String>)> {
    let (delay, at) = match when {
        When::Now => (None, None),
        When::In(delay) => (Some(delay.as_secs_f64()), None),
        When::At(at) => (None, Some(at)),
    };
    let answer = sqlx::query!(
        r#"select inserted as "inserted!", wake_ups as "wake_ups!"
             from queue.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#,
        kind,
        &rows.ids,
        &rows.payloads,
        &rows.ordering_keys as &[Option<String>],
        &rows.lanes,
        &rows.unique_scopes,
        &rows.unique_keys as &[Option<String>],
        delay,
        at,
        policy.max_attempts.map_or(i32::MAX, |n| i32::try_from(n).unwrap_or(i32::MAX)),
        i32::try_from(policy.lost_leases).unwrap_or(i32::MAX),
        policy.deadline.map(|deadline| deadline.as_secs_f64())
    )
    .fetch_one(connection)
    .await?;
    Ok((answer.inserted.unsigned_abs(), answer.wake_ups))
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

/// Runs `queue.step`.
pub(super) async fn step(connection: &mut PgConnection, step: &Step<'_>) -> sqlx::Result<Stepped> {
    let outcomes = step.outcomes;
    let rows = sqlx::query!(
        r#"select tag as "tag!", id, kind, lane, payload, ordering_key, attempts, at, clock
             from queue.step($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"#,
        step.worker,
        &outcomes.iter().map(|o| o.id.as_str()).collect::<Vec<_>>() as &[&str],
        &outcomes.iter().map(|o| format!("{}/{}", step.worker, o.kind)).collect::<Vec<_>>(),
        &outcomes.iter().map(|o| o.token).collect::<Vec<_>>(),
        &outcomes.iter().map(|o| o.outcome as i16).collect::<Vec<_>>(),
        &outcomes.iter().map(|o| o.delay.as_secs_f64()).collect::<Vec<_>>(),
        &outcomes.iter().map(|o| o.result.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &outcomes.iter().map(|o| o.ordering_key.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &step.slots.iter().map(|(kind, _)| *kind).collect::<Vec<_>>() as &[&str],
        &step.slots.iter().map(|(_, slots)| *slots).collect::<Vec<_>>(),
        &step.pairs.iter().map(|(kind, _)| *kind).collect::<Vec<_>>() as &[&str],
        &step.pairs.iter().map(|(_, lane)| lane.as_str()).collect::<Vec<_>>() as &[&str],
        &step.lanes,
        step.lease.as_secs_f64()
    )
    .fetch_all(connection)
    .await?;
    let mut stepped = Stepped::default();
    for row in rows {
        match (row.tag.as_str(), row.id, row.kind, row.lane) {
            ("a", Some(id), ..) => stepped.applied.push(id),
            ("d", Some(id), ..) => stepped.put_off.push(id),
            ("c", Some(id), Some(kind), Some(lane)) => {
                let (Some(payload), Some(token), Some(run_at)) = (row.payload, row.at, row.clock) else {
                    return Err(sqlx::Error::Protocol("queue.step claimed a job without its payload".to_owned()));
                };
                let attempts = row.attempts.unwrap_or_default().unsigned_abs();
                stepped.claimed.push(ClaimedRow {
                    id,
                    kind,
                    lane,
                    payload,
                    ordering_key: row.ordering_key,
                    attempts,
                    token,
                    run_at,
                });
            }
            ("m", _, Some(kind), Some(lane)) => stepped.more.push((kind, lane)),
            ("w", _, Some(kind), Some(lane)) => stepped.woken.push((kind, lane)),
            ("s", ..) => stepped.stale = true,
            ("n", ..) => {
                stepped.next = row.at.zip(row.clock).map(|(at, clock)| at - clock);
                stepped.clock = row.clock;
            }
            (tag, ..) => return Err(sqlx::Error::Protocol(format!("queue.step answered an unknown row {tag}"))),
        }
    }
    Ok(stepped)
}

/// What a sweep finds.
#[derive(Debug)]
pub(super) struct Swept {
    /// All pairs of kind and lane with ready jobs.
    pub pairs: Vec<(String, String)>,
    /// From now to the next scheduled job.
    pub next: Option<chrono::TimeDelta>,
    /// The database's time.
    pub clock: DateTime<Utc>,
}

/// Runs `queue.sweep`.
pub(super) async fn sweep(connection: &mut PgConnection) -> sqlx::Result<Swept> {
    let found = sqlx::query!(r#"select kinds as "kinds!", lanes as "lanes!", next, clock as "clock!" from queue.sweep()"#)
        .fetch_one(connection)
        .await?;
    Ok(Swept {
        pairs: found.kinds.into_iter().zip(found.lanes).collect(),
        next: found.next.map(|next| next - found.clock),
        clock: found.clock,
    })
}

/// Sends wake-ups to all processes.
pub(super) async fn notify(connection: &mut PgConnection, wake_ups: &[String]) -> sqlx::Result<()> {
    sqlx::query!("select pg_notify($1, wake_up) from unnest($2::text[]) wake_up", WAKE_UP_CHANNEL, wake_ups)
        .execute(connection)
        .await
        .map(drop)
}

/// Registers or renews this process' workers.
pub(super) async fn renew(connection: &mut PgConnection, worker: &str, kinds: &[&str]) -> sqlx::Result<()> {
    sqlx::query!("select queue.renew($1, $2)", worker, kinds as &[&str]).execute(connection).await.map(drop)
}

/// Puts the jobs of silent processes back into line; how many, and the wake-ups to send.
pub(super) async fn reap(connection: &mut PgConnection, lease: Duration) -> sqlx::Result<(u64, Vec<String>)> {
    let answer = sqlx::query!(r#"select reaped as "reaped!", wake_ups as "wake_ups!" from queue.reap($1)"#, lease.as_secs_f64())
        .fetch_one(connection)
        .await?;
    Ok((answer.reaped.unsigned_abs(), answer.wake_ups))
}

/// Gives keys without a head one; how many, and the wake-ups to send.
pub(super) async fn heal(connection: &mut PgConnection) -> sqlx::Result<(u64, Vec<String>)> {
    let answer =
        sqlx::query!(r#"select healed as "healed!", wake_ups as "wake_ups!" from queue.heal()"#).fetch_one(connection).await?;
    Ok((answer.healed.unsigned_abs(), answer.wake_ups))
}

/// Takes this process' workers off the list.
pub(super) async fn leave(connection: &mut PgConnection, worker: &str, kinds: &[&str]) -> sqlx::Result<()> {
    sqlx::query!("select queue.leave($1, $2)", worker, kinds as &[&str]).execute(connection).await.map(drop)
}

/// Ends a session of this service's engine whose last statement has no answer, so that it cannot commit any more.
pub(super) async fn end_session(connection: &mut PgConnection, pid: i32, application_name: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "select pg_terminate_backend(pid, 2000) from pg_stat_activity
          where pid = $1 and application_name = $2 and usename = current_user",
        pid,
        application_name
    )
    .fetch_optional(connection)
    .await
    .map(drop)
}

/// The server's process of this connection.
pub(super) async fn session_pid(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar!(r#"select pg_backend_pid() as "pid!""#).fetch_one(connection).await
}

/// Gives back all that is claimed for this process but the ids that it knows of; how many, and the wake-ups to send.
pub(super) async fn give_back_unanswered(
    connection: &mut PgConnection,
    worker: &str,
    kinds: &[&str],
    known: &[&str],
) -> sqlx::Result<(u64, Vec<String>)> {
    let answer = sqlx::query!(
        r#"select given_back as "given_back!", wake_ups as "wake_ups!" from queue.give_back_unanswered($1, $2, $3)"#,
        worker,
        kinds as &[&str],
        known as &[&str]
    )
    .fetch_one(connection)
    .await?;
    Ok((answer.given_back.unsigned_abs(), answer.wake_ups))
}

/// Kills what waits of a kind in a lane; how many, and the wake-ups to send after the commit.
pub(super) async fn cancel_waiting(
    connection: &mut PgConnection,
    kind: &str,
    lane: &str,
    reason: &str,
) -> sqlx::Result<(u64, Vec<String>)> {
    let answer = sqlx::query!(
        r#"select cancelled as "cancelled!", wake_ups as "wake_ups!" from queue.cancel_waiting($1, $2, $3)"#,
        kind,
        lane,
        reason
    )
    .fetch_one(connection)
    .await?;
    Ok((answer.cancelled.unsigned_abs(), answer.wake_ups))
}

/// Puts a dead job back into line; whether it was, and the wake-ups to send after the commit.
pub(super) async fn retry_dead(connection: &mut PgConnection, id: &str) -> sqlx::Result<(bool, Vec<String>)> {
    let answer = sqlx::query!(r#"select retried as "retried!", wake_ups as "wake_ups!" from queue.retry_dead($1)"#, id)
        .fetch_one(connection)
        .await?;
    Ok((answer.retried, answer.wake_ups))
}

/// Deletes finished jobs.
pub(super) async fn purge(pool: &PgPool, older_than: Duration, limit: u32) -> sqlx::Result<u64> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let gone =
        sqlx::query_scalar!(r#"select queue.purge($1, $2) as "gone!""#, older_than.as_secs_f64(), limit).fetch_one(pool).await?;
    Ok(gone.unsigned_abs())
}

/// Live and dead jobs of every kind that has any.
pub(super) async fn counts(pool: &PgPool, lease: Duration) -> sqlx::Result<Vec<KindCounts>> {
    let rows = sqlx::query!(
        r#"select kind as "kind!", ready as "ready!", held as "held!", scheduled as "scheduled!", running as "running!",
                  dead as "dead!", known as "known!"
             from queue.counts($1) order by kind"#,
        lease.as_secs_f64()
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| KindCounts {
            kind: row.kind,
            ready: row.ready.unsigned_abs(),
            held: row.held.unsigned_abs(),
            scheduled: row.scheduled.unsigned_abs(),
            running: row.running.unsigned_abs(),
            dead: row.dead.unsigned_abs(),
            known: row.known,
        })
        .collect())
}
