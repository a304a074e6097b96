//! Our queue at work: what `make bench-queue` measures.

use crate::support::{Process, wait_until};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tuberry_domain::AccountId;
use tuberry_jobs::queue::{Config, Queue, Runner};
use tuberry_jobs::{Job, JobError, Policy, enqueue, enqueue_all, enqueue_alone, enqueue_at};
use tuberry_storage::Store;

/// Set, with the database's URL, in a process that this bench starts to kill it.
pub const CHILD: &str = "TUBERRY_BENCH_CHILD";

/// What the handlers tell the bench.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    started: Arc<AtomicUsize>,
    /// Microseconds since 1970 when a job with `since` started, less `since`.
    late: Arc<Mutex<Vec<i64>>>,
}

/// A job that does nothing; `since` makes it tell how late it started.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Noop {
    pub n: usize,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<i64>,
}

impl Job<Seen> for Noop {
    const KIND: &'static str = "bench-noop";
    const POLICY: Policy = Policy { concurrency: 256, ..Policy::DEFAULT };

    fn ordering_key(&self) -> Option<String> {
        self.key.map(|key| format!("bench:{key}"))
    }

    async fn run(self, seen: &Seen) -> Result<(), JobError> {
        if let Some(since) = self.since {
            seen.late.lock().expect("no panic").push(chrono::Utc::now().timestamp_micros() - since);
        }
        seen.started.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A job that never ends; its process notes it in a table.
#[derive(Debug, Serialize, Deserialize)]
struct Endless {
    n: i64,
}

impl Job<PgPool> for Endless {
    const KIND: &'static str = "bench-endless";
    const POLICY: Policy = Policy { concurrency: 100, timeout: Duration::from_secs(3600), ..Policy::DEFAULT };

    async fn run(self, pool: &PgPool) -> Result<(), JobError> {
        let noted = sqlx::query("insert into bench_runs (n, pid) values ($1, $2)")
            .bind(self.n)
            .bind(std::process::id().cast_signed())
            .execute(pool)
            .await;
        noted.map_err(JobError::retry)?;
        std::future::pending().await
    }
}

/// The process that is killed.
pub async fn child() {
    let url = std::env::var(CHILD).expect("a URL");
    let pool = PgPool::connect(&url).await.expect("PostgreSQL");
    let queue = Queue::start(Config::new(&url, "bench-child").expect("a URL")).expect("a thread");
    Runner::new(queue, pool).register::<Endless>().run(CancellationToken::new()).await;
}

/// One process of the queue.
struct Running {
    queue: Queue,
    stop: CancellationToken,
    runner: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.runner.await.expect("the runner does not panic");
    }
}

pub struct Ours {
    url: String,
    pub pool: PgPool,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

impl Ours {
    pub fn new(url: &str) -> Self {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(4).connect_lazy(url).expect("a URL");
        Self { url: url.to_owned(), pool }
    }

    pub async fn sql(&self, sql: impl Into<String>) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.into())).execute(&self.pool).await.expect("SQL");
    }

    pub async fn clear(&self) {
        self.sql("truncate apalis.jobs").await;
        self.sql("vacuum analyze apalis.jobs").await;
    }

    fn store(&self, connections: usize) -> Store {
        Store::open(&self.url, u32::try_from(connections + 1).expect("few")).expect("a URL")
    }

    fn start(&self, seen: &Seen) -> Running {
        let queue = Queue::start(Config::new(&self.url, "bench").expect("a URL")).expect("a thread");
        let stop = CancellationToken::new();
        let runner = Runner::new(queue.clone(), seen.clone()).register::<Noop>();
        let runner = tokio::spawn(runner.run(stop.clone()));
        Running { queue, stop, runner }
    }

    /// Jobs a second from the commit of all of them to the commit of the last outcome.
    pub async fn drain(&self, keys: Option<usize>) -> f64 {
        self.drain_besides(keys, super::JOBS).await
    }

    /// [`Ours::drain`] of `count` jobs, whatever else is in the table.
    pub async fn drain_besides(&self, keys: Option<usize>, count: usize) -> f64 {
        let (seen, store) = (Seen::default(), self.store(1));
        let running = self.start(&seen);
        wait_until(Duration::from_secs(10), "a registered worker", async || {
            let workers =
                sqlx::query_scalar::<_, i64>("select count(*) from apalis.workers where last_seen > now() - interval '2 s'");
            (workers.fetch_one(&self.pool).await.expect("a count") > 0).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let jobs: Vec<Noop> = (0..count).map(|n| Noop { n, key: keys.map(|keys| n % keys), ..Noop::default() }).collect();
        let mut tx = store.begin().await.expect("a transaction");
        for batch in jobs.chunks(1000) {
            enqueue_all(&mut tx, batch).await.expect("jobs");
        }
        tx.commit().await.expect("a commit");
        let since = Instant::now();
        let acknowledged = &running.queue.statistics().acknowledged;
        let wanted = u64::try_from(count).expect("a count");
        while acknowledged.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(since.elapsed() < Duration::from_secs(180), "{} of {count}", acknowledged.load(Ordering::Relaxed));
        }
        let rate = rate(count, since);
        if std::env::var_os("BENCH_DEBUG").is_some() {
            let steps = running.queue.statistics().steps.load(Ordering::Relaxed);
            eprintln!("    {steps} steps, {} put off", running.queue.statistics().put_off.load(Ordering::Relaxed));
        }
        assert_eq!(seen.started.load(Ordering::Relaxed), count, "each job runs once");
        running.stop().await;
        rate
    }

    /// Jobs a second, one to a transaction.
    pub async fn enqueue(&self, connections: usize, count: usize) -> f64 {
        self.transactions(connections, count, false).await
    }

    /// Transactions a second that change a row of ours and enqueue a job.
    pub async fn states(&self, connections: usize, count: usize) -> f64 {
        self.sql(
            "drop table if exists bench_ours;
             create table bench_ours (id integer primary key, n integer not null) with (fillfactor = 50);
             insert into bench_ours select i, 0 from generate_series(1, 1000) i;",
        )
        .await;
        self.transactions(connections, count, true).await
    }

    async fn transactions(&self, connections: usize, count: usize, state: bool) -> f64 {
        let store = self.store(connections);
        // Connections are made and statements prepared before the clock starts.
        let warm = (0..connections).map(|_| tokio::spawn(produce(store.clone(), state, 0..3)));
        futures::future::join_all(warm).await;
        let since = Instant::now();
        let each = count / connections;
        let producers = (0..connections).map(|n| tokio::spawn(produce(store.clone(), state, n * each..(n + 1) * each)));
        for ended in futures::future::join_all(producers).await {
            ended.expect("the producer does not panic");
        }
        rate(count, since)
    }

    /// Rows a second.
    pub async fn enqueue_batches(&self, size: usize, batches: usize) -> f64 {
        let store = self.store(1);
        let jobs: Vec<Noop> = (0..size).map(|n| Noop { n, ..Noop::default() }).collect();
        let since = Instant::now();
        for _ in 0..batches {
            let mut tx = store.begin().await.expect("a transaction");
            enqueue_all(&mut tx, &jobs).await.expect("jobs");
            tx.commit().await.expect("a commit");
        }
        rate(size * batches, since)
    }

    /// Milliseconds from before an enqueueing transaction to the start of its job, on an idle queue: in the process that enqueued it, or in one that
    /// hears of it by the channel only.
    pub async fn starts(&self, count: usize, same_process: bool) -> Vec<f64> {
        self.clear().await;
        let (seen, store) = (Seen::default(), self.store(1));
        let running = self.start(&seen);
        if same_process {
            running.queue.hear_first(&store);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for n in 0..count {
            let mut tx = store.begin().await.expect("a transaction");
            let since = Some(chrono::Utc::now().timestamp_micros());
            enqueue(&mut tx, &Noop { n, since, ..Noop::default() }).await.expect("a job");
            tx.commit().await.expect("a commit");
            tokio::time::sleep(Duration::from_millis(u64::try_from(15 + n * 7 % 20).expect("small"))).await;
        }
        self.lateness(&seen, count, running).await
    }

    /// Milliseconds from the time at which delayed jobs were due to their start.
    pub async fn delayed(&self, count: usize) -> Vec<f64> {
        let (seen, store) = (Seen::default(), self.store(1));
        let running = self.start(&seen);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut tx = store.begin().await.expect("a transaction");
        for n in 0..count {
            let delay = Duration::from_millis(u64::try_from(500 + n * 7919 % 8000).expect("small"));
            let due = chrono::Utc::now() + delay;
            enqueue_at(&mut tx, &Noop { n, since: Some(due.timestamp_micros()), ..Noop::default() }, due).await.expect("a job");
        }
        tx.commit().await.expect("a commit");
        self.lateness(&seen, count, running).await
    }

    async fn lateness(&self, seen: &Seen, count: usize, running: Running) -> Vec<f64> {
        wait_until(Duration::from_secs(30), "all jobs ran", async || {
            (seen.started.load(Ordering::Relaxed) == count).then_some(())
        })
        .await;
        running.stop().await;
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a short run")]
        let milliseconds = seen.late.lock().expect("no panic").iter().map(|&late| late as f64 / 1000.0).collect();
        milliseconds
    }

    /// Statements a second of an idle process with 500 accounts, as PostgreSQL counts its transactions.
    pub async fn idle(&self) -> f64 {
        const SECONDS: u64 = 20;
        let running = self.start(&Seen::default());
        running.queue.own((1..=500).map(AccountId).collect::<BTreeSet<_>>());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let commits = async || {
            sqlx::query_scalar::<_, i64>(
                "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()",
            )
            .fetch_one(&self.pool)
            .await
            .expect("a count")
        };
        let before = commits().await;
        let statements = running.queue.statistics().statements.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        let sent = running.queue.statistics().statements.load(Ordering::Relaxed) - statements;
        let seen = commits().await - before;
        eprintln!("  idle: {sent} statements of the queue, {seen} transactions of the database, {SECONDS} s");
        running.stop().await;
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let rate = sent as f64 / SECONDS as f64;
        rate
    }

    /// Seconds from `kill -9` of a process with 100 running jobs until another process runs all of them again. Only those run twice.
    pub async fn crash(&self) -> f64 {
        self.clear().await;
        self.sql("drop table if exists bench_runs; create table bench_runs (n bigint not null, pid integer not null)").await;
        let program = std::env::current_exe().expect("this program");
        let child = || async { Process::start(program.to_str().expect("a path"), &[], &[(CHILD, &self.url)]).await };
        let doomed = child().await;
        let jobs: Vec<Endless> = (0..100).map(|n| Endless { n }).collect();
        let store = self.store(1);
        let mut tx = store.begin().await.expect("a transaction");
        enqueue_all(&mut tx, &jobs).await.expect("jobs");
        tx.commit().await.expect("a commit");
        let runs = async |distinct: &str| {
            let sql = sqlx::AssertSqlSafe(format!("select count({distinct}) from bench_runs"));
            sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await.expect("a count")
        };
        wait_until(Duration::from_secs(30), "100 running jobs", async || (runs("*").await == 100).then_some(())).await;
        let heir = child().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        doomed.kill().await;
        let since = Instant::now();
        wait_until(Duration::from_secs(60), "all jobs run again", async || (runs("*").await >= 200).then_some(())).await;
        let seconds = since.elapsed().as_secs_f64();
        assert_eq!((runs("*").await, runs("distinct n").await), (200, 100), "each runs twice, no more");
        drop(heir);
        seconds
    }
}

/// One job to a transaction; with `state` together with a change of a row of ours.
async fn produce(store: Store, state: bool, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let job = Noop { n, ..Noop::default() };
        if !state {
            enqueue_alone(&store, &job).await.expect("a job");
            continue;
        }
        let mut tx = store.begin().await.expect("a transaction");
        let row = i32::try_from(n * 7919 % 1000 + 1).expect("small");
        let updated = sqlx::query("update bench_ours set n = n + 1 where id = $1").bind(row).execute(tx.conn()).await;
        updated.expect("an update");
        enqueue(&mut tx, &job).await.expect("a job");
        tx.commit().await.expect("a commit");
    }
}
