//! What a job is: its kind, its policy, where it stands in line, and how it can end. The queue itself is in [`crate::queue`].

use crate::queue::enqueue;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use tuberry_domain::{AccountId, BotId, ClientId, DialogId, LoginNumber, MessageId};
use tuberry_storage::{Store, Tx};

/// A durable action: one file per job, named after it. `C` is what jobs may use (the product's context; tests bring their own).
///
/// The serialised struct is the payload. It carries ids, never message text, phone numbers or passwords: the dashboard shows it.
pub trait Job<C = crate::Context>: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable name in the database, kebab-case: renaming it orphans what waits.
    const KIND: &'static str;
    /// Attempts, back-off, time-outs. Attempts, deadline and lost leases are written to the row when it is enqueued.
    const POLICY: Policy = Policy::DEFAULT;

    /// Jobs with the same key, of whatever kind, run one at a time in the order of their commit, across retries and snoozes.
    fn ordering_key(&self) -> Option<String> {
        None
    }

    /// Runs only in the process that owns this account now; without an owner it waits.
    fn affinity(&self) -> Option<AccountId> {
        None
    }

    /// Keeps a second job of this kind with the same key out.
    fn unique_key(&self) -> Option<Unique> {
        None
    }

    /// The higher ones start first among jobs that could start now. Within an ordering key it changes nothing.
    fn priority(&self) -> u16 {
        0
    }

    /// What the job is about: decides which tenant sees it.
    fn subject(&self) -> Subject {
        Subject::Service
    }

    /// Does the work. It may be run again after a crash: re-read state first, and take what is gone or finished for success.
    fn run(self, cx: &C) -> impl Future<Output = Result<(), JobError>> + Send;
}

/// What a job is about. The row keeps the tenant, the account and the dialog that follow from it when the job is enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nobody's in particular: only the platform's administrator sees it.
    Service,
    /// A dialog.
    Dialog(DialogId),
    /// A message of a dialog.
    Message(MessageId),
    /// An account.
    Account(AccountId),
    /// A login.
    Login(LoginNumber),
    /// A managing bot.
    Bot(BotId),
    /// Something of a tenant that has no row any more.
    Client(ClientId),
}

impl Subject {
    /// As `queue.whose` numbers them.
    pub(crate) fn numbers(self) -> (i16, i32) {
        match self {
            Self::Service => (0, 0),
            Self::Dialog(id) => (1, id.0),
            Self::Message(id) => (2, id.0),
            Self::Account(id) => (3, id.0),
            Self::Login(number) => (4, number.0),
            Self::Bot(id) => (5, id.0),
            Self::Client(id) => (6, id.0),
        }
    }
}

/// How often and how long a kind is tried.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Attempts that may end in [`JobError::Retry`], a panic or a time-out before the job is dead. `None`: never for a passing reason.
    pub max_attempts: Option<u32>,
    /// Dead when the next run would start later than this after the job was enqueued (or became due, if it was delayed).
    pub deadline: Option<Duration>,
    /// Longest single run.
    pub timeout: Duration,
    /// Delays between attempts.
    pub backoff: Backoff,
    /// How many times its process may die under it before it is taken for the cause.
    pub lost_leases: u32,
    /// Runs at the same time in one process.
    pub concurrency: usize,
}

impl Policy {
    /// Ten attempts within a day, a minute each.
    pub const DEFAULT: Self = Self {
        max_attempts: Some(10),
        deadline: Some(Duration::from_secs(24 * 3600)),
        timeout: Duration::from_secs(60),
        backoff: Backoff::DEFAULT,
        lost_leases: 20,
        concurrency: 16,
    };
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Exponential back-off with full jitter: attempt `n` waits a random time below `min(cap, base · 2ⁿ⁻¹)`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Ceiling of the first delay.
    pub base: Duration,
    /// Ceiling of every delay.
    pub cap: Duration,
}

impl Backoff {
    /// 1 s, doubled up to a minute.
    pub const DEFAULT: Self = Self { base: Duration::from_secs(1), cap: Duration::from_secs(60) };

    /// The longest delay after `attempt` failed attempts (1 for the first).
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The delay for `dice`, evenly spread over 0..=`u32::MAX`.
    pub fn delay(&self, attempt: u32, dice: u32) -> Duration {
        self.ceiling(attempt).mul_f64(f64::from(dice) / f64::from(u32::MAX))
    }
}

/// How long a unique key keeps others of its kind out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// Until the job starts: what comes while it runs is enqueued (once). For work that re-reads state, as «bring the title up to date»:
    /// a waiting job that made a new one unnecessary does not start before the transaction that wanted it has ended.
    WhileWaiting(String),
    /// Until the job is done or dead.
    WhileLive(String),
    /// Always, also when the job has long been deleted.
    ForEver(String),
}

/// How a run ends other than well. Reasons are shown to operators: no message text, no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobError {
    /// Passing trouble: again after the back-off; counts an attempt.
    Retry(String),
    /// Not now, but after this time; counts no attempt (flood waits).
    Snooze(Duration),
    /// Final: dead at once.
    Cancel(String),
}

impl JobError {
    /// Passing trouble, described by an error.
    pub fn retry(error: impl std::fmt::Display) -> Self {
        Self::Retry(error.to_string())
    }

    /// A final error.
    pub fn cancel(reason: impl std::fmt::Display) -> Self {
        Self::Cancel(reason.to_string())
    }
}

impl From<tuberry_storage::Error> for JobError {
    fn from(error: tuberry_storage::Error) -> Self {
        Self::retry(error)
    }
}

/// When a job may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As soon as it is committed and its turn has come.
    Now,
    /// So long after the enqueueing statement, by the database's clock.
    In(Duration),
    /// Not before this time.
    At(chrono::DateTime<chrono::Utc>),
}

/// Enqueues in the caller's transaction. `false`: its unique key is taken, nothing was written, and the transaction goes on.
pub async fn enqueue<C, J: Job<C>>(tx: &mut Tx, job: &J) -> tuberry_storage::Result<bool> {
    Ok(enqueue::insert(tx, [job], When::Now).await? == 1)
}

/// Enqueues where nothing else is to be written: in a transaction of its own, for the least that a commit costs.
pub async fn enqueue_alone<C, J: Job<C>>(store: &Store, job: &J) -> tuberry_storage::Result<bool> {
    enqueue::insert_alone(store, job).await
}

/// As [`enqueue()`], to start after `delay`.
pub async fn enqueue_in<C, J: Job<C>>(tx: &mut Tx, job: &J, delay: Duration) -> tuberry_storage::Result<bool> {
    Ok(enqueue::insert(tx, [job], When::In(delay)).await? == 1)
}

/// As [`enqueue()`], to start not before `at`.
pub async fn enqueue_at<C, J: Job<C>>(tx: &mut Tx, job: &J, at: chrono::DateTime<chrono::Utc>) -> tuberry_storage::Result<bool> {
    Ok(enqueue::insert(tx, [job], When::At(at)).await? == 1)
}

/// Enqueues many in one statement, in this order. Returns how many were new.
pub async fn enqueue_all<C, J: Job<C>>(tx: &mut Tx, jobs: &[J]) -> tuberry_storage::Result<u64> {
    enqueue::insert(tx, jobs, When::Now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_its_cap() {
        let backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
        let ceilings: Vec<u64> = [1, 2, 3, 6, 7, 40, u32::MAX].iter().map(|&n| backoff.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn jitter_spreads_over_the_whole_range() {
        let backoff = Backoff::DEFAULT;
        assert_eq!(backoff.delay(3, 0), Duration::ZERO);
        assert_eq!(backoff.delay(3, u32::MAX), Duration::from_secs(4));
    }
}
