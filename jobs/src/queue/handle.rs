//! This process' handle to the queue, and what its parts share.

use super::buffer::KindBuffer;
use super::engine::Engine;
use super::heartbeat::Heartbeat;
use super::lease::Acknowledgement;
use super::tally::Counter;
use super::{heartbeat, listener};
use sqlx::postgres::PgConnectOptions;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tuberry_domain::AccountId;
use tuberry_storage::Store;

/// A process that was silent for longer loses its running jobs.
pub const LEASE: Duration = Duration::from_secs(9);

/// How this process takes part in the queue.
#[derive(Clone, Debug)]
pub struct Config {
    /// A direct connection: LISTEN does not pass a transaction pooler.
    pub database: PgConnectOptions,
    /// What this process' name begins with; the rest is unique per start.
    pub name: String,
    /// A process that was silent for longer loses its running jobs.
    pub lease: Duration,
    /// Between two renewals of the lease.
    pub renewal: Duration,
    /// Between two looks for jobs of silent processes.
    pub reaping: Duration,
    /// Between two looks for what no wake-up told.
    pub sweep: Duration,
}

impl Config {
    /// The product's timing: a killed process' jobs run again within 13 s, a lost wake-up costs 5 s, an idle process sends less than one
    /// statement a second.
    pub fn new(url: &str, name: impl Into<String>) -> sqlx::Result<Self> {
        Ok(Self {
            database: url.parse()?,
            name: name.into(),
            lease: LEASE,
            renewal: Duration::from_millis(2500),
            reaping: Duration::from_secs(4),
            sweep: Duration::from_secs(5),
        })
    }
}

/// What the queue has done in this process since its start.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Round trips of the engine.
    pub steps: AtomicU64,
    /// Statements of any kind, without LISTEN.
    pub statements: AtomicU64,
    /// Jobs claimed.
    pub claimed: AtomicU64,
    /// Outcomes written.
    pub acknowledged: AtomicU64,
    /// Outcomes refused: somebody else had taken the job.
    pub fenced: AtomicU64,
    /// Outcomes put off while a job of the same key was being enqueued.
    pub put_off: AtomicU64,
    /// Jobs of silent processes put back into line.
    pub reaped: AtomicU64,
}

/// What the engine is told.
#[derive(Debug)]
pub(super) enum Message {
    Ended(Acknowledgement),
    /// A wake-up as it came over the channel.
    WakeUp(String),
    /// As [`Message::WakeUp`], found out by this process: others do not know yet, and need not, where it takes the jobs itself.
    Found(Vec<String>),
    /// Wake-ups may have been missed.
    LookAgain,
    /// The lease is renewed, for these kinds.
    Renewed(Vec<&'static str>),
    Stop(oneshot::Sender<()>),
}

/// What the engine, the heartbeat, the listener, the workers and their leases share.
#[derive(Debug)]
pub(super) struct Shared {
    pub name: String,
    pub statistics: Statistics,
    pub tallies: Counter,
    pub owned: watch::Sender<BTreeSet<AccountId>>,
    pub renewed: watch::Sender<Instant>,
    /// Renew at once: there is a new kind, or the process ends.
    pub renew_now: Notify,
    inbox: mpsc::UnboundedSender<Message>,
    kinds: Mutex<BTreeMap<&'static str, Arc<KindBuffer>>>,
    /// Ends the handlers that run here, by job.
    handlers: Mutex<HashMap<String, CancellationToken>>,
    losses: watch::Sender<u64>,
    stopping: AtomicBool,
    stopped: AtomicBool,
    silence_limit: Duration,
}

impl Shared {
    /// False: the engine has ended.
    pub(super) fn tell(&self, message: Message) -> bool {
        self.inbox.send(message).is_ok()
    }

    pub(super) fn acknowledge(&self, acknowledgement: Acknowledgement) {
        self.tell(Message::Ended(acknowledgement));
    }

    pub(super) fn register(&self, kind: &'static str, concurrency: usize) -> Arc<KindBuffer> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = kinds.entry(kind).or_insert_with(|| Arc::new(KindBuffer::new(kind, concurrency))).clone();
        drop(kinds);
        self.renew_now.notify_one();
        buffer
    }

    pub(super) fn buffers(&self) -> Vec<Arc<KindBuffer>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn stop_claiming(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.tell(Message::LookAgain);
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The engine has ended.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(super) fn has_running_jobs(&self) -> bool {
        self.buffers().iter().any(|buffer| buffer.load().1 > 0)
    }

    /// Whether nobody else can have this process' jobs yet.
    pub(super) fn lease_is_fresh(&self) -> bool {
        self.renewed.borrow().elapsed() < self.silence_limit
    }

    /// How long this process may be silent before it lets go of its jobs by itself: well before the others take them.
    pub(super) fn silence_limit(&self) -> Duration {
        self.silence_limit
    }

    /// Changes when the running jobs have to end because the lease could not be renewed in time.
    pub(super) fn lost(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    pub(super) fn declare_lost(&self) {
        self.losses.send_modify(|losses| *losses += 1);
        for buffer in self.buffers() {
            buffer.give_back(|_, _| true);
        }
    }

    /// A handler starts.
    pub(super) fn enter(self: &Arc<Self>, id: &str) -> Entered {
        let asked_to_end = CancellationToken::new();
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), asked_to_end.clone());
        Entered { shared: self.clone(), id: id.to_owned(), asked_to_end }
    }

    /// Somebody wants this job to end. It may be another process' job, or have ended.
    pub(super) fn interrupt(&self, id: &str) {
        if let Some(token) = self.handlers.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            token.cancel();
        }
    }

    pub(super) fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// A handler that runs here, until this is dropped.
pub(super) struct Entered {
    shared: Arc<Shared>,
    id: String,
    /// Cancelled when somebody wants the job to end.
    pub asked_to_end: CancellationToken,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.shared.handlers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// The queue of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) shared: Arc<Shared>,
}

impl Queue {
    /// Starts the engine on a thread of its own, so that no handler can starve its heartbeat. It connects, and reconnects, by itself.
    ///
    /// # Errors
    /// When the operating system has no thread left.
    pub fn start(config: Config) -> std::io::Result<Self> {
        let (inbox, messages) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            name: format!("{}-{}", config.name, ulid::Ulid::new()),
            statistics: Statistics::default(),
            tallies: Counter::default(),
            owned: watch::channel(BTreeSet::new()).0,
            renewed: watch::channel(Instant::now()).0,
            renew_now: Notify::new(),
            inbox,
            kinds: Mutex::default(),
            handlers: Mutex::default(),
            losses: watch::channel(0).0,
            stopping: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            silence_limit: config.lease.mul_f64(0.7),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let engine = shared.clone();
        std::thread::Builder::new().name("queue".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::spawn(listener::listen(config.database.clone(), engine.clone()));
                let watchdog = tokio::spawn(heartbeat::watch_silence(engine.clone()));
                let beating = tokio::spawn(Heartbeat::new(config.clone(), engine.clone()).run());
                let stopped = Engine::new(config, engine.clone(), messages).run().await;
                listener.abort();
                watchdog.abort();
                engine.stopped.store(true, Ordering::SeqCst);
                engine.renew_now.notify_one();
                let _ = tokio::time::timeout(Duration::from_secs(3), beating).await;
                let _ = stopped.send(());
            });
        })?;
        Ok(Self { shared })
    }

    /// This process' name in the database, unique per start.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Sets the accounts that this process owns now: their jobs run here, those of others are given back unless they run already.
    pub fn own(&self, accounts: BTreeSet<AccountId>) {
        self.shared.owned.send_if_modified(|owned| {
            let changed = *owned != accounts;
            *owned = accounts;
            changed
        });
    }

    /// What this process enqueues through `store` is offered to itself first; the others are told what it has no room for, or may not run.
    /// Not for a process that runs no jobs.
    pub fn hear_first(&self, store: &Store) {
        let shared = self.shared.clone();
        store.wake_first(move |wake_ups| shared.tell(Message::Found(wake_ups)));
    }

    /// Counters since the start.
    pub fn statistics(&self) -> &Statistics {
        &self.shared.statistics
    }

    /// Writes the outcomes that are still to be written and ends the engine; waits 12 s at most.
    pub(super) async fn stop(&self) {
        self.shared.stop_claiming();
        let (done, stopped) = oneshot::channel();
        self.shared.tell(Message::Stop(done));
        if tokio::time::timeout(Duration::from_secs(12), stopped).await.is_err() {
            tracing::warn!("queue stopped without the database: running jobs start again when the lease has run out");
        }
    }
}
