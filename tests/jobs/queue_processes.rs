//! Real processes of the queue: this test binary starts itself again as a worker, whose jobs write their runs into a table of the test.

use crate::support::Process;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tuberry_jobs::queue::{Config, Queue, Runner};
use tuberry_jobs::{Backoff, Job, JobError, Policy};

/// A job for real processes: it writes its runs into a table of the test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Noted {
    pub n: i64,
    pub key: String,
    pub sleeps: u64,
    /// Fails at random, one time in so many.
    pub fails: u64,
}

impl Job<PgPool> for Noted {
    const KIND: &'static str = "test-noted";
    const POLICY: Policy = Policy {
        max_attempts: None,
        backoff: Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(50) },
        lost_leases: 1000,
        concurrency: 8,
        ..Policy::DEFAULT
    };

    fn ordering_key(&self) -> Option<String> {
        Some(self.key.clone())
    }

    async fn run(self, pool: &PgPool) -> Result<(), JobError> {
        let failed = |error: sqlx::Error| JobError::retry(error);
        let id: i64 = sqlx::query_scalar("insert into test_runs (n, key, pid) values ($1, $2, $3) returning id")
            .bind(self.n)
            .bind(&self.key)
            .bind(std::process::id().cast_signed())
            .fetch_one(pool)
            .await
            .map_err(failed)?;
        tokio::time::sleep(Duration::from_millis(self.sleeps)).await;
        let luck = id.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let fails = self.fails > 0 && luck.is_multiple_of(self.fails);
        sqlx::query("update test_runs set ended = clock_timestamp(), good = $2 where id = $1")
            .bind(id)
            .bind(!fails)
            .execute(pool)
            .await
            .map_err(failed)?;
        match fails {
            true if luck.is_multiple_of(2) => Err(JobError::Snooze(Duration::from_millis(15))),
            true => Err(JobError::retry("bad luck")),
            false => Ok(()),
        }
    }
}

pub async fn create_test_runs(pool: &PgPool) {
    sqlx::query(
        "create table test_runs (id bigserial primary key, n bigint not null, key text not null, pid integer not null,
             started timestamptz not null default clock_timestamp(), ended timestamptz, good boolean)",
    )
    .execute(pool)
    .await
    .unwrap();
}

const WORKER_URL: &str = "TUBERRY_TEST_QUEUE_WORKER";
const WORKER_LEASE: &str = "TUBERRY_TEST_QUEUE_LEASE_MS";

/// Starts this test binary again as a worker; `lease`: shorter than the product's.
pub async fn worker_process(url: &str, lease: Option<Duration>) -> Process {
    let test = format!("{}::works_as_a_process_of_its_own", module_path!().split_once("::").unwrap().1);
    let lease = lease.map_or(String::new(), |lease| lease.as_millis().to_string());
    // Not the path of the file, which a new build may have replaced while the tests run.
    let program = std::path::PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    let program = if program.exists() { program } else { std::env::current_exe().unwrap() };
    Process::start(program.to_str().unwrap(), &[&test, "--exact", "--nocapture"], &[(WORKER_URL, url), (WORKER_LEASE, &lease)])
        .await
}

/// Not a test: the process that [`worker_process`] starts. Without its variable it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn works_as_a_process_of_its_own() {
    let Ok(url) = std::env::var(WORKER_URL) else { return };
    tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::INFO).init();
    let mut config = Config::new(&url, "child").unwrap();
    if let Some(lease) = std::env::var(WORKER_LEASE).ok().and_then(|lease| lease.parse().ok()) {
        config.lease = Duration::from_millis(lease);
        config.renewal = config.lease / 5;
        config.reaping = config.lease / 5;
    }
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(4).connect_lazy(&url).unwrap();
    let queue = Queue::start(config).unwrap();
    let stop = CancellationToken::new();
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let signal = stop.clone();
    tokio::spawn(async move {
        terminated.recv().await;
        signal.cancel();
    });
    Runner::new(queue, pool).register::<Noted>().run(stop).await;
}
