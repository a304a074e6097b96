//! Jobs as people see them: lists with filters, one job with its history, counts and throughput per kind. Reads only.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, Transaction};
use std::time::Duration;
use tuberry_domain::ClientId;
use tuberry_storage::{Result, reading, words};
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// Whether this can be a job's id: a ULID. Anything else names nothing.
pub fn is_job_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = JobState)]
pub enum State {
    /// Could start now, if a process has room and, for jobs with an affinity, owns the account.
    Ready,
    /// Behind another job of its ordering key.
    Held,
    /// Waits for a time.
    Scheduled,
    /// Runs, or is about to.
    Running,
    /// Ended well.
    Done,
    /// Failed or cancelled.
    Dead,
}

/// Which jobs. What is not given does not matter.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// About this account.
    pub account: Option<i32>,
    /// About this dialog.
    pub dialog: Option<i32>,
    /// With this ordering key.
    pub ordering_key: Option<String>,
    /// With this text in the last error.
    pub error: Option<String>,
    /// Enqueued at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Enqueued before this time.
    pub until: Option<DateTime<Utc>>,
}

/// A job in a list; serialised as the REST interface shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct Listed {
    /// Its id, which sorts by time.
    #[schema(example = "01K8Z4M3Q5T7W9Y1B3D5F7H9JK")]
    pub id: String,
    /// [`crate::Job::KIND`] as it stands in the row.
    #[schema(example = "mirror-message")]
    pub kind: String,
    /// Where it stands.
    pub state: State,
    /// What the handler gets: ids only.
    #[schema(example = json!({ "message": 5120 }))]
    pub payload: serde_json::Value,
    /// Attempts that ended in success, a retry or a cancel.
    pub attempts: i32,
    /// Attempts that it has; null: no limit.
    pub max_attempts: Option<i32>,
    /// How often its process died under it.
    pub lost_leases: i32,
    /// The higher ones start first.
    pub priority: i32,
    /// Jobs of one key run one at a time.
    #[schema(example = "mirror:7")]
    pub ordering_key: Option<String>,
    /// Runs only where this account is owned.
    #[schema(example = json!(null))]
    pub affinity: Option<String>,
    /// The tenant (`clients.id`).
    pub client_id: Option<i32>,
    /// The account that it is about.
    pub account_id: Option<i32>,
    /// The dialog that it is about.
    pub dialog_id: Option<i32>,
    /// When it was enqueued.
    pub enqueued_at: DateTime<Utc>,
    /// When it may start, or could have.
    pub run_at: DateTime<Utc>,
    /// Start of the current or last run.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was done or dead.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why the last run did not end well.
    #[schema(example = json!(null))]
    pub error: Option<String>,
    /// Somebody asked to end its run.
    pub cancel_asked: bool,
}

/// One run of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobRun)]
pub struct Attempt {
    /// Number of the run, from 1.
    pub run: i32,
    /// When it was claimed.
    pub started_at: DateTime<Utc>,
    /// When it ended; null: it runs.
    pub ended_at: Option<DateTime<Utc>>,
    /// The process and kind that ran it.
    #[schema(example = "worker-1")]
    pub worker: Option<String>,
    /// `done`, `retry`, `snooze`, `cancel`, `lost` or `running`.
    #[schema(schema_with = outcome)]
    pub outcome: String,
    /// Why it did not end well.
    #[schema(example = json!(null))]
    pub error: Option<String>,
}

fn outcome() -> Object {
    words("How it ended.", ["done", "retry", "snooze", "cancel", "lost", "running"])
}

/// A job with what happened to it and what it waits for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobDetails)]
pub struct Detailed {
    /// As in a list.
    #[serde(flatten)]
    pub job: Listed,
    /// Dead instead of a start later than this.
    pub deadline: Option<DateTime<Utc>>,
    /// The id of the request that caused it.
    #[schema(example = "01K8Z4M3Q5T7W9Y1B3D5F7H9JJ")]
    pub request_id: Option<String>,
    /// W3C trace context of its cause.
    #[schema(example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    pub traceparent: Option<String>,
    /// The job of its ordering key that has to end first.
    #[schema(example = json!(null))]
    pub waits_for: Option<String>,
    /// A living process runs this kind.
    pub kind_known: bool,
    /// Nobody may start this kind now.
    pub kind_paused: bool,
    /// Its runs, the earliest first; of the ones that did not end well, the last 50.
    pub timeline: Vec<Attempt>,
}

/// How many jobs of one kind are where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KindCounts {
    /// [`crate::Job::KIND`] as it stands in the rows.
    #[schema(example = "mirror-message")]
    pub kind: String,
    /// [`State::Ready`].
    pub ready: u64,
    /// [`State::Held`].
    pub held: u64,
    /// [`State::Scheduled`].
    pub scheduled: u64,
    /// [`State::Running`].
    pub running: u64,
    /// [`State::Dead`].
    pub dead: u64,
    /// Whether a living process runs this kind.
    pub known: bool,
    /// Whether it is paused.
    pub paused: bool,
}

/// What ended in one span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Throughput {
    /// The kind.
    #[schema(example = "mirror-message")]
    pub kind: String,
    /// Begin of the span.
    pub from: DateTime<Utc>,
    /// Jobs that ended well.
    pub done: u64,
    /// Runs to be repeated.
    pub retried: u64,
    /// Runs put off without an attempt.
    pub snoozed: u64,
    /// Jobs that died.
    pub dead: u64,
    /// Runs whose process was lost.
    pub lost: u64,
}

/// The jobs of a client (`None`: all) behind the id `after`, the latest first, at most `limit`.
pub async fn list(
    pool: &PgPool,
    client: Option<ClientId>,
    filter: &Filter,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Listed>> {
    let mut tx = reading(pool).await?;
    select(&mut tx, client, filter, None, Page { after, limit, earliest_first: false }).await
}

/// One job of a client (`None`: any).
pub async fn read(pool: &PgPool, client: Option<ClientId>, id: &str, lease: Duration) -> Result<Option<Detailed>> {
    let mut tx = reading(pool).await?;
    let Some(job) =
        select(&mut tx, client, &Filter::default(), Some(id), Page { after: None, limit: 1, earliest_first: false }).await?.pop()
    else {
        return Ok(None);
    };
    let more = sqlx::query!(
        r#"select j.deadline, j.metadata -> 'request_id' as request_id, j.metadata -> 'traceparent' as traceparent, j.lock_by, j.lock_at, j.runs,
                  case when j.gate = 1 and j.status = 'Pending' then (
                      select h.id from apalis.jobs h where h.ordering_key = j.ordering_key and h.status in ('Pending', 'Running') and h.id <> j.id
                       order by h.gate = 1, h.seq limit 1) end as waits_for,
                  exists (select from apalis.workers w where w.storage_name = 'tuberry' and w.worker_type = j.job_type
                             and w.last_seen > now() - make_interval(secs => $2)) as "known!",
                  exists (select from queue.paused_kinds p where p.kind = j.job_type) as "paused!"
             from apalis.jobs j where j.id = $1"#,
        id,
        lease.as_secs_f64()
    );
    let more = more.fetch_one(&mut *tx).await?;
    let attempts = sqlx::query!(
        r#"select run, started_at, ended_at, worker,
                  case outcome when 1 then 'retry' when 2 then 'snooze' when 3 then 'cancel' else 'lost' end as "outcome!", error
             from queue.attempts where job_id = $1 order by run"#,
        id
    );
    let mut timeline: Vec<Attempt> = attempts
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .map(|row| Attempt {
            run: row.run,
            started_at: row.started_at,
            ended_at: Some(row.ended_at),
            worker: Some(row.worker),
            outcome: row.outcome,
            error: row.error,
        })
        .collect();
    let last = match job.state {
        State::Running => Some(("running", None)),
        State::Done => Some(("done", job.finished_at)),
        _ => None,
    };
    if let Some(((outcome, ended_at), started_at)) = last.zip(more.lock_at) {
        let outcome = outcome.to_owned();
        timeline.push(Attempt { run: more.runs, started_at, ended_at, worker: more.lock_by, outcome, error: None });
    }
    Ok(Some(Detailed {
        job,
        deadline: more.deadline,
        request_id: more.request_id,
        traceparent: more.traceparent,
        waits_for: more.waits_for,
        kind_known: more.known,
        kind_paused: more.paused,
        timeline,
    }))
}

/// Which of the jobs that match.
#[derive(Clone, Copy)]
struct Page<'a> {
    /// Behind this id.
    after: Option<&'a str>,
    limit: i64,
    /// Else the latest come first.
    earliest_first: bool,
}

async fn select(
    tx: &mut Transaction<'static, Postgres>,
    client: Option<ClientId>,
    filter: &Filter,
    id: Option<&str>,
    page: Page<'_>,
) -> Result<Vec<Listed>> {
    let rows = sqlx::query!(
        r#"select j.id, j.job_type as kind,
                  case when j.status = 'Running' then 'running' when j.status = 'Done' then 'done' when j.status <> 'Pending' then 'dead'
                       when j.gate = 1 then 'held' when j.gate = 2 then 'scheduled' else 'ready' end as "state!: State",
                  j.job as payload, j.attempts, nullif(j.max_attempts, 2147483647) as max_attempts, j.lost_leases, j.priority as "priority!",
                  j.ordering_key, nullif(j.lane, '') as affinity, j.client_id, j.account_id, j.dialog_id, j.enqueued_at, j.run_at,
                  j.lock_at as started_at, j.done_at as finished_at, j.last_result ->> 'Err' as error, j.cancel_reason is not null as "cancel_asked!"
             from apalis.jobs j
            where ($1::int is null or j.client_id = $1)
              and ($2::text is null or j.job_type = $2)
              and ($3::text is null
                   or ($3 = 'ready' and j.status = 'Pending' and j.gate = 0)
                   or ($3 = 'held' and j.status = 'Pending' and j.gate = 1)
                   or ($3 = 'scheduled' and j.status = 'Pending' and j.gate = 2)
                   or ($3 = 'running' and j.status = 'Running')
                   or ($3 = 'done' and j.status = 'Done')
                   or ($3 = 'dead' and j.status in ('Killed', 'Failed')))
              and ($4::int is null or j.account_id = $4)
              and ($5::int is null or j.dialog_id = $5)
              and ($6::text is null or j.ordering_key = $6)
              and ($7::text is null or (j.status <> 'Done' and strpos(lower(j.last_result ->> 'Err'), lower($7)) > 0))
              and ($8::timestamptz is null or j.enqueued_at >= $8)
              and ($9::timestamptz is null or j.enqueued_at < $9)
              and ($10::text is null or j.id = $10)
              and ($11::text is null or case when $13 then j.id > $11 else j.id < $11 end)
            order by case when $13 then j.id end, j.id desc limit $12"#,
        client.map(|client| client.0),
        filter.kind.as_deref(),
        filter.state as Option<State>,
        filter.account,
        filter.dialog,
        filter.ordering_key.as_deref(),
        filter.error.as_deref(),
        filter.since,
        filter.until,
        id,
        page.after,
        page.limit,
        page.earliest_first
    );
    let rows = rows.fetch_all(&mut **tx).await?;
    let listed = rows.into_iter().map(|row| Listed {
        id: row.id,
        kind: row.kind,
        state: row.state,
        payload: serde_json::from_slice(&row.payload).unwrap_or_else(|_| String::from_utf8_lossy(&row.payload).into()),
        attempts: row.attempts,
        max_attempts: row.max_attempts,
        lost_leases: row.lost_leases,
        priority: row.priority,
        ordering_key: row.ordering_key,
        affinity: row.affinity,
        client_id: row.client_id,
        account_id: row.account_id,
        dialog_id: row.dialog_id,
        enqueued_at: row.enqueued_at,
        run_at: row.run_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        error: row.error,
        cancel_asked: row.cancel_asked,
    });
    Ok(listed.collect())
}

impl Filter {
    /// The ids of dead jobs that match behind the id `after`, the earliest first, at most `limit`, whatever [`Filter::state`] says.
    pub(super) async fn dead(
        &self,
        pool: &PgPool,
        client: Option<ClientId>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<String>> {
        let filter = Self { state: Some(State::Dead), ..self.clone() };
        let mut tx = reading(pool).await?;
        let jobs = select(&mut tx, client, &filter, None, Page { after, limit, earliest_first: true }).await?;
        Ok(jobs.into_iter().map(|job| job.id).collect())
    }
}

/// Counts the live and dead jobs of every kind that a client (`None`: anybody) has any of. `lease`: how long a silent process counts as living.
pub async fn counts(pool: &PgPool, client: Option<ClientId>, lease: Duration) -> Result<Vec<KindCounts>> {
    let rows = sqlx::query!(
        r#"select kind as "kind!", ready as "ready!", held as "held!", scheduled as "scheduled!", running as "running!",
                  dead as "dead!", known as "known!", paused as "paused!"
             from queue.counts($1, $2) order by kind"#,
        client.map(|client| client.0),
        lease.as_secs_f64()
    )
    .fetch_all(pool)
    .await?;
    let counts = rows.into_iter().map(|row| KindCounts {
        kind: row.kind,
        ready: row.ready.unsigned_abs(),
        held: row.held.unsigned_abs(),
        scheduled: row.scheduled.unsigned_abs(),
        running: row.running.unsigned_abs(),
        dead: row.dead.unsigned_abs(),
        known: row.known,
        paused: row.paused,
    });
    Ok(counts.collect())
}

/// What ended since `since` in spans of `span`, by kind. For one client only what its finished jobs show: done and dead.
pub async fn throughput(
    pool: &PgPool,
    client: Option<ClientId>,
    since: DateTime<Utc>,
    span: Duration,
) -> Result<Vec<Throughput>> {
    let mut tx = reading(pool).await?;
    let rows = sqlx::query!(
        r#"select kind as "kind!", date_bin(make_interval(secs => $3), minute, '2000-01-01') as "from!", sum(done)::bigint as "done!",
                  sum(retried)::bigint as "retried!", sum(snoozed)::bigint as "snoozed!", sum(dead)::bigint as "dead!", sum(lost)::bigint as "lost!"
             from (select kind, minute, done, retried, snoozed, dead, lost from queue.throughput where $1::int is null and minute >= $2
                   union all
                   select job_type, done_at, 1, 0, 0, 0, 0 from apalis.jobs
                    where $1::int is not null and client_id = $1 and status = 'Done' and done_at >= $2
                   union all
                   select job_type, done_at, 0, 0, 0, 1, 0 from apalis.jobs
                    where $1::int is not null and client_id = $1 and status in ('Killed', 'Failed') and done_at >= $2) t
            group by 1, 2 order by 2, 1"#,
        client.map(|client| client.0),
        since,
        span.as_secs_f64()
    )
    .fetch_all(&mut *tx)
    .await?;
    let spans = rows.into_iter().map(|row| Throughput {
        kind: row.kind,
        from: row.from,
        done: row.done.unsigned_abs(),
        retried: row.retried.unsigned_abs(),
        snoozed: row.snoozed.unsigned_abs(),
        dead: row.dead.unsigned_abs(),
        lost: row.lost.unsigned_abs(),
    });
    Ok(spans.collect())
}
