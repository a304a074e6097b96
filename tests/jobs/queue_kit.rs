//! What the queue's tests share: a job that does as it is told, a log of what ran, queues of this process.

use crate::support::{Database, wait_until};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tuberry_domain::{AccountId, UserId};
use tuberry_jobs::queue::control::{self, Hand};
use tuberry_jobs::queue::{Config, Queue, Runner};
use tuberry_jobs::{Backoff, Job, JobError, Origin, Policy, Unique};
use tuberry_storage::Tx;

/// What a run of [`Act`] does at last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum Does {
    #[default]
    Ok,
    /// Retries in its first runs.
    FailTimes(u32),
    Fail,
    /// Snoozes for so many milliseconds in its first run.
    SnoozeOnce(u64),
    /// Snoozes, always.
    Snooze(u64),
    Cancel,
    PanicOnce,
    /// Sleeps past its time-out in the first run.
    HangOnce,
    /// Blocks its thread.
    Block(u64),
    /// Runs on and on.
    Patient,
}

/// A job that does as it is told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Act {
    pub n: i64,
    pub does: Does,
    /// Sleeps so many milliseconds first.
    pub sleeps: u64,
    pub key: Option<String>,
    pub account: Option<i32>,
    /// Scope (`waiting`, `live`, `ever`) and key.
    pub unique: Option<(String, String)>,
    #[serde(default)]
    pub priority: u16,
}

impl Act {
    pub fn n(n: i64) -> Self {
        Self { n, ..Self::default() }
    }
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }
    pub fn account(mut self, account: i32) -> Self {
        self.account = Some(account);
        self
    }
    pub fn priority(mut self, priority: u16) -> Self {
        self.priority = priority;
        self
    }
    pub fn does(mut self, does: Does) -> Self {
        self.does = does;
        self
    }
    pub fn sleeps(mut self, milliseconds: u64) -> Self {
        self.sleeps = milliseconds;
        self
    }
    pub fn unique(mut self, scope: &str, key: &str) -> Self {
        self.unique = Some((scope.to_owned(), key.to_owned()));
        self
    }
}

/// One run, as the handler saw it.
#[derive(Clone, Debug)]
pub struct Run {
    pub n: i64,
    pub key: Option<String>,
    pub place: &'static str,
    pub origin: Option<Origin>,
    pub started: Instant,
    pub ended: Option<Instant>,
}

/// What ran in this test, over all queues of the process.
#[derive(Clone, Default)]
pub struct Log {
    runs: Arc<Mutex<Vec<Run>>>,
    place: &'static str,
}

impl Log {
    /// The same log, written by another queue.
    pub fn at(&self, place: &'static str) -> Self {
        Self { runs: self.runs.clone(), place }
    }

    pub fn runs(&self) -> Vec<Run> {
        self.runs.lock().unwrap().clone()
    }

    pub fn clear(&self) {
        self.runs.lock().unwrap().clear();
    }

    pub fn started(&self) -> Vec<i64> {
        self.runs().iter().map(|run| run.n).collect()
    }

    pub fn runs_of(&self, n: i64) -> Vec<Run> {
        self.runs().into_iter().filter(|run| run.n == n).collect()
    }

    /// Numbers in the order of their starts, per key; a repeated run counts once.
    pub fn sequences(&self) -> BTreeMap<String, Vec<i64>> {
        let mut keys: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for run in self.runs() {
            let Some(key) = run.key else { continue };
            let sequence = keys.entry(key).or_default();
            if sequence.last() != Some(&run.n) {
                sequence.push(run.n);
            }
        }
        keys
    }

    /// Pairs of runs of one key that were under way at the same time.
    pub fn overlaps(&self) -> usize {
        let mut last: BTreeMap<String, Run> = BTreeMap::new();
        let mut overlaps = 0;
        for run in self.runs() {
            let Some(key) = run.key.clone() else { continue };
            if let Some(before) = last.insert(key, run.clone())
                && before.ended.is_none_or(|ended| ended > run.started)
            {
                overlaps += 1;
            }
        }
        overlaps
    }
}

struct Ending<'a>(&'a Log, usize);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.runs.lock().unwrap()[self.1].ended = Some(Instant::now());
    }
}

impl Job<Log> for Act {
    const KIND: &'static str = "test-act";
    const POLICY: Policy = Policy {
        max_attempts: Some(3),
        timeout: Duration::from_secs(2),
        backoff: Backoff { base: Duration::from_millis(40), cap: Duration::from_millis(100) },
        ..Policy::DEFAULT
    };

    fn ordering_key(&self) -> Option<String> {
        self.key.clone()
    }

    fn affinity(&self) -> Option<AccountId> {
        self.account.map(AccountId)
    }

    fn priority(&self) -> u16 {
        self.priority
    }

    fn unique_key(&self) -> Option<Unique> {
        let (scope, key) = self.unique.clone()?;
        Some(match scope.as_str() {
            "waiting" => Unique::WhileWaiting(key),
            "live" => Unique::WhileLive(key),
            _ => Unique::ForEver(key),
        })
    }

    async fn run(self, log: &Log) -> Result<(), JobError> {
        let (index, earlier) = {
            let mut runs = log.runs.lock().unwrap();
            let earlier = runs.iter().filter(|run| run.n == self.n).count();
            runs.push(Run {
                n: self.n,
                key: self.key.clone(),
                place: log.place,
                origin: Origin::current(),
                started: Instant::now(),
                ended: None,
            });
            (runs.len() - 1, u32::try_from(earlier).unwrap())
        };
        let _ending = Ending(log, index);
        if self.sleeps > 0 {
            tokio::time::sleep(Duration::from_millis(self.sleeps)).await;
        }
        match self.does {
            Does::FailTimes(times) if earlier < times => Err(JobError::retry("not yet")),
            Does::Fail => Err(JobError::retry("never")),
            Does::SnoozeOnce(milliseconds) if earlier == 0 => Err(JobError::Snooze(Duration::from_millis(milliseconds))),
            Does::Snooze(milliseconds) => Err(JobError::Snooze(Duration::from_millis(milliseconds))),
            Does::Cancel => Err(JobError::cancel("no use")),
            Does::PanicOnce if earlier == 0 => panic!("on purpose"),
            Does::HangOnce if earlier == 0 => std::future::pending().await,
            Does::Patient => {
                tokio::time::sleep(Duration::from_millis(1900)).await;
                Err(JobError::Snooze(Duration::ZERO))
            }
            Does::Block(milliseconds) => {
                std::thread::sleep(Duration::from_millis(milliseconds));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The product's timing with a shorter lease.
pub fn config(url: &str) -> Config {
    Config {
        lease: Duration::from_secs(2),
        renewal: Duration::from_millis(400),
        reaping: Duration::from_millis(400),
        ..Config::new(url, "test").unwrap()
    }
}

/// A queue of this process with its runner.
pub struct Running {
    pub queue: Queue,
    stop: CancellationToken,
    runner: JoinHandle<()>,
}

impl Running {
    pub fn start(config: Config, log: &Log) -> Self {
        Self::start_with(config, log, Runner::register::<Act>)
    }

    /// Runs one job at a time.
    pub fn start_one_by_one(config: Config, log: &Log) -> Self {
        Self::start_with(config, log, |runner| runner.register_with::<Act>(1))
    }

    fn start_with(config: Config, log: &Log, register: impl FnOnce(Runner<Log>) -> Runner<Log>) -> Self {
        let queue = Queue::start(config).unwrap();
        let stop = CancellationToken::new();
        let runner = register(Runner::new(queue.clone(), log.clone()));
        let runner = tokio::spawn(runner.run(stop.clone()));
        Self { queue, stop, runner }
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.runner).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub async fn put(database: &Database, job: &Act) -> bool {
    let mut tx = database.store.begin().await.unwrap();
    let new = tuberry_jobs::enqueue(&mut tx, job).await.unwrap();
    tx.commit().await.unwrap();
    new
}

pub async fn put_all(database: &Database, jobs: &[Act]) -> u64 {
    let mut tx = database.store.begin().await.unwrap();
    let new = tuberry_jobs::enqueue_all(&mut tx, jobs).await.unwrap();
    tx.commit().await.unwrap();
    new
}

/// The platform's administrator at work.
pub const HAND: Hand = Hand { user: UserId(1), client: None };

/// Retries a dead job by hand.
pub async fn retry(tx: &mut Tx, id: &str) -> bool {
    control::retry(tx, HAND, id).await.unwrap().expect("the job exists")
}

/// A row of the table, by the job's number.
#[derive(Debug, sqlx::FromRow)]
pub struct Row {
    pub id: String,
    pub status: String,
    pub attempts: i32,
    pub lost_leases: i32,
    pub gate: i16,
    pub error: Option<String>,
}

pub async fn row(pool: &PgPool, n: i64) -> Row {
    sqlx::query_as(
        "select id, status, attempts, lost_leases, gate, last_result ->> 'Err' as error from apalis.jobs
          where (convert_from(job, 'utf8')::jsonb ->> 'n')::bigint = $1 order by seq limit 1",
    )
    .bind(n)
    .fetch_one(pool)
    .await
    .unwrap()
}

pub async fn count(pool: &PgPool, condition: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from apalis.jobs where {condition}")))
        .fetch_one(pool)
        .await
        .unwrap()
}

pub async fn wait_count(pool: &PgPool, condition: &str, wanted: i64, patience: Duration) {
    let what = format!("{wanted} jobs with {condition}");
    wait_until(patience, &what, async || (count(pool, condition).await == wanted).then_some(())).await;
}

pub async fn wait_status(pool: &PgPool, n: i64, status: &str) -> Row {
    wait_until(Duration::from_secs(15), &format!("job {n} is {status}"), async || {
        Some(row(pool, n).await).filter(|row| row.status == status)
    })
    .await
}
