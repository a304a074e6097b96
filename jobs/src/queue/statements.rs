//! Every statement of the queue: thin calls of the functions in schema `queue` (migration 0002), typed at this border.

use super::enqueue::Rows;
use super::hot::Pair;
use super::lease::Acknowledgement;
use super::tally::{Tallies, Tally};
use crate::job::{Policy, When};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use std::time::Duration;
use tuberry_storage::WAKE_UP_CHANNEL;

impl When {
    /// Delay in seconds, and time.
    fn columns(self) -> (Option<f64>, Option<DateTime<Utc>>) {
        match self {
            Self::Now => (None, None),
            Self::In(delay) => (Some(delay.as_secs_f64()), None),
            Self::At(at) => (None, Some(at)),
        }
    }
}

/// As the row keeps them: the largest number is no limit.
impl Policy {
    fn max_attempts(&self) -> i32 {
        self.max_attempts.map_or(i32::MAX, |attempts| i32::try_from(attempts).unwrap_or(i32::MAX))
    }

    fn lost_leases(&self) -> i32 {
        i32::try_from(self.lost_leases).unwrap_or(i32::MAX)
    }

    fn deadline(&self) -> Option<f64> {
        self.deadline.map(|deadline| deadline.as_secs_f64())
    }
}

/// Runs `queue.enqueue`: how many rows were new, and the wake-ups to send after the commit.
pub(super) async fn enqueue(
    connection: &mut PgConnection,
    kind: &str,
    policy: &Policy,
    rows: &Rows,
    when: When,
) -> sqlx::Result<(u64, Vec<String>)> {
    let (delay, at) = when.columns();
    let answer = sqlx::query!(
        r#"select inserted as "inserted!", wake_ups as "wake_ups!"
             from queue.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"#,
        kind,
        &rows.ids,
        &rows.payloads,
        &rows.ordering_keys as &[Option<String>],
        &rows.lanes,
        &rows.priorities,
        &rows.unique_scopes,
        &rows.unique_keys as &[Option<String>],
        &rows.subjects.0,
        &rows.subjects.1,
        delay,
        at,
        policy.max_attempts(),
        policy.lost_leases(),
        policy.deadline(),
        &rows.metadata
    )
    .fetch_one(connection)
    .await?;
    Ok((answer.inserted.unsigned_abs(), answer.wake_ups))
}

/// Takes the ordering key's lock until the transaction ends: what is enqueued under it comes in the order of commits.
pub(super) async fn lock_key(connection: &mut PgConnection, key: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(queue.key_lock($1))", key).execute(connection).await.map(drop)
}

/// Inserts the only row of `rows`, which has no unique key, as `queue.enqueue` would, at a third of the cost. The caller holds the lock of its
/// ordering key. Answers the wake-up to send after the commit.
pub(super) async fn enqueue_one(
    connection: impl PgExecutor<'_>,
    kind: &str,
    policy: &Policy,
    rows: &Rows,
    when: When,
) -> sqlx::Result<Option<String>> {
    let (delay, at) = when.columns();
    let answer = sqlx::query!(
        r#"insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, ordering_key, lane, gate,
                                    enqueued_at, deadline, max_lost_leases, client_id, account_id, dialog_id)
           select $1, $2, $3, 'Pending', 0, $4, t.at, $5, coalesce(hstore($6::text[]), ''), $7::text, $8,
                  case when $7::text is not null and exists (select from apalis.jobs j where j.ordering_key = $7::text and j.status in ('Pending', 'Running')) then 1
                       when t.at > statement_timestamp() then 2 else 0 end,
                  statement_timestamp(), t.at + make_interval(secs => $9::float8), $10, w.client_id, w.account_id, w.dialog_id
             from (select greatest(coalesce($11::timestamptz, statement_timestamp() + make_interval(secs => $12::float8)), statement_timestamp()) as at) t
             left join lateral queue.whose($13, $14) w on true
           returning queue.wake_up(job_type, lane, priority, gate, run_at) as wake_up"#,
        rows.ids[0],
        kind,
        rows.payloads[0],
        policy.max_attempts(),
        rows.priorities[0],
        &rows.metadata,
        rows.ordering_keys[0].as_deref(),
        rows.lanes[0],
        policy.deadline(),
        policy.lost_leases(),
        at,
        delay,
        rows.subjects.0[0],
        rows.subjects.1[0]
    )
    .fetch_one(connection)
    .await?;
    Ok(answer.wake_up)
}

/// What one step asks for.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub worker: &'a str,
    pub outcomes: &'a [Acknowledgement],
    /// A scheduled job may be due.
    pub due: bool,
    /// Kinds with free slots, and how many.
    pub slots: &'a [(&'static str, i32)],
    /// Pairs that may have ready jobs, and from which `run_at` on.
    pub pairs: &'a [(Pair, DateTime<Utc>)],
    /// Lanes of which woken pairs may be claimed too.
    pub lanes: &'a [String],
    pub lease: Duration,
}

/// A claimed row.
#[derive(Debug)]
pub(super) struct ClaimedRow {
    pub id: String,
    pub kind: String,
    pub lane: String,
    pub payload: Vec<u8>,
    pub priority: i32,
    pub ordering_key: Option<String>,
    pub attempts: u32,
    pub token: DateTime<Utc>,
    pub run_at: DateTime<Utc>,
    /// Names and values in turn.
    pub metadata: Vec<String>,
}

/// A pair as the database names it, and a floor.
pub(super) type Found = (String, String, i32, DateTime<Utc>);

/// What one step answers.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    /// Outcomes that are written, as numbered in `queue.finish`; 6: the job is dead.
    pub applied: Vec<(String, i32)>,
    pub put_off: Vec<String>,
    pub claimed: Vec<ClaimedRow>,
    /// Pairs of which there may be more.
    pub more: Vec<Found>,
    /// Pairs that became ready and were not asked for.
    pub woken: Vec<Found>,
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
        r#"select tag as "tag!", id, kind, lane, number, at, payload, ordering_key, metadata, clock, priority, ids, numbers
             from queue.step($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"#,
        step.worker,
        &outcomes.iter().map(|o| o.id.as_str()).collect::<Vec<_>>() as &[&str],
        &outcomes.iter().map(|o| format!("{}/{}", step.worker, o.kind)).collect::<Vec<_>>(),
        &outcomes.iter().map(|o| o.token).collect::<Vec<_>>(),
        &outcomes.iter().map(|o| o.outcome as i16).collect::<Vec<_>>(),
        &outcomes.iter().map(|o| o.delay.as_secs_f64()).collect::<Vec<_>>(),
        &outcomes.iter().map(|o| o.result.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &outcomes.iter().map(|o| o.ordering_key.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        step.due,
        &step.slots.iter().map(|(kind, _)| *kind).collect::<Vec<_>>() as &[&str],
        &step.slots.iter().map(|(_, slots)| *slots).collect::<Vec<_>>(),
        &step.pairs.iter().map(|(pair, _)| pair.kind).collect::<Vec<_>>() as &[&str],
        &step.pairs.iter().map(|(pair, _)| pair.lane.as_str()).collect::<Vec<_>>() as &[&str],
        &step.pairs.iter().map(|(pair, _)| pair.priority).collect::<Vec<_>>(),
        &step.pairs.iter().map(|(_, floor)| *floor).collect::<Vec<_>>(),
        step.lanes,
        step.lease.as_secs_f64()
    )
    .fetch_all(connection)
    .await?;
    let mut stepped = Stepped::default();
    for row in rows {
        match (row.tag.as_str(), row.id, row.kind, row.lane) {
            ("a", ..) => stepped.applied = row.ids.unwrap_or_default().into_iter().zip(row.numbers.unwrap_or_default()).collect(),
            ("d", ..) => stepped.put_off = row.ids.unwrap_or_default(),
            ("c", Some(id), Some(kind), Some(lane)) => {
                let (Some(payload), Some(token), Some(run_at)) = (row.payload, row.at, row.clock) else {
                    return Err(sqlx::Error::Protocol("queue.step claimed a job without its payload".to_owned()));
                };
                stepped.claimed.push(ClaimedRow {
                    id,
                    kind,
                    lane,
                    payload,
                    priority: row.priority.unwrap_or_default(),
                    ordering_key: row.ordering_key,
                    attempts: row.number.unwrap_or_default().unsigned_abs(),
                    token,
                    run_at,
                    metadata: row.metadata.unwrap_or_default(),
                });
            }
            ("m", _, Some(kind), Some(lane)) => {
                stepped.more.extend(row.priority.zip(row.at).map(|(priority, floor)| (kind, lane, priority, floor)));
            }
            ("w", _, Some(kind), Some(lane)) => {
                stepped.woken.extend(row.priority.zip(row.at).map(|(priority, floor)| (kind, lane, priority, floor)));
            }
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
    pub pairs: Vec<Found>,
    /// From now to the next scheduled job.
    pub next: Option<chrono::TimeDelta>,
    /// The database's time.
    pub clock: DateTime<Utc>,
}

/// Runs `queue.sweep`.
pub(super) async fn sweep(connection: &mut PgConnection) -> sqlx::Result<Swept> {
    let found = sqlx::query!(
        r#"select kinds as "kinds!", lanes as "lanes!", priorities as "priorities!", floors as "floors!", next, clock as "clock!"
             from queue.sweep()"#
    )
    .fetch_one(connection)
    .await?;
    let pairs = found.kinds.into_iter().zip(found.lanes).zip(found.priorities).zip(found.floors);
    Ok(Swept {
        pairs: pairs.map(|(((kind, lane), priority), floor)| (kind, lane, priority, floor)).collect(),
        next: found.next.map(|next| next - found.clock),
        clock: found.clock,
    })
}

/// Sends wake-ups to all processes.
pub(super) async fn notify(connection: &mut PgConnection, wake_ups: &[String]) -> sqlx::Result<()> {
    sqlx::query!(
        "select set_config('synchronous_commit', 'off', true) as setting, pg_notify($1, wake_up)::text as sent from unnest($2::text[]) wake_up",
        WAKE_UP_CHANNEL,
        wake_ups
    )
    .fetch_all(connection)
    .await
    .map(drop)
}

/// Registers or renews this process' workers and adds up what ended. Answers the ids of running jobs of this process that somebody wants to end.
pub(super) async fn renew(
    connection: &mut PgConnection,
    worker: &str,
    kinds: &[&str],
    tallies: &Tallies,
) -> sqlx::Result<Vec<String>> {
    let column = |which: fn(&Tally) -> u64| tallies.values().map(|tally| which(tally).cast_signed()).collect::<Vec<i64>>();
    sqlx::query_scalar!(
        r#"select queue.renew($1, $2, $3, $4, $5, $6, $7, $8) as "asked!""#,
        worker,
        kinds as &[&str],
        &tallies.keys().copied().collect::<Vec<_>>() as &[&str],
        &column(|tally| tally.done),
        &column(|tally| tally.retried),
        &column(|tally| tally.snoozed),
        &column(|tally| tally.dead),
        &column(|tally| tally.lost)
    )
    .fetch_one(connection)
    .await
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

/// Ends a session of this service's engine whose last statement has no answer, so that it cannot commit any more. False: it lives yet, as it does
/// while its commit waits for the disk.
pub(super) async fn end_session(connection: &mut PgConnection, pid: i32, application_name: &str) -> sqlx::Result<bool> {
    let ended = sqlx::query_scalar!(
        r#"select pg_terminate_backend(pid, 2000) as "ended!" from pg_stat_activity
            where pid = $1 and application_name = $2 and usename = current_user"#,
        pid,
        application_name
    );
    Ok(ended.fetch_optional(connection).await?.unwrap_or(true))
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
