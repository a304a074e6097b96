//! The connection pool and the transaction that wakes the queue after its commit.

use crate::pooling::{self, Way};
use crate::wake_ups::{Pending, WakeUps};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tracing::{Instrument, Span};
use tuberry_domain::ports::{StatusEvent, StatusEvents};

/// What can go wrong in the database. Every variant is transient from a job's point of view: it retries.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL refused, could not be reached, or answered something that the types forbid.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The caller no longer owns the account (or login) on whose behalf it writes: another worker took it over.
    #[error("the lease was taken over by another worker")]
    Fenced,
    /// A row holds what this version cannot read, for example a sealed value under an unknown key.
    #[error("unreadable row: {0}")]
    Unreadable(String),
    /// It comes before what it refers to was stored: the same again in a moment will find it.
    #[error("too early: {0}")]
    Early(&'static str),
}

impl Error {
    /// The database cannot be reached or is just starting: the same in a moment may succeed. Not a password that is wrong, or a database that
    /// does not exist.
    pub fn is_out_of_reach(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
            // The connection ended before the first answer, as behind a proxy: the driver takes the end for a zero byte.
            sqlx::Error::Protocol(text) => text.contains("SSLRequest: 0x00"),
            // Starting, stopping, or without a free connection.
            sqlx::Error::Database(error) => {
                matches!(error.code().as_deref(), Some("57P01" | "57P02" | "57P03" | "53300" | "08006" | "08001" | "08004"))
            }
            _ => false,
        }
    }
}

/// Result of a storage call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A connection that was idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// The pool. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    wake_ups: WakeUps,
    events: Option<Arc<dyn StatusEvents>>,
}

impl Store {
    /// Opens a pool of at most `max_connections` to `url`. Connections are made when first needed, in UTC.
    pub fn open(url: &str, max_connections: u32) -> Result<Self> {
        Self::open_with(url, max_connections, &[])
    }

    /// The same for a process that executes the same few statements all the time, none with filters that may be left out: each is
    /// planned once for a connection. (PostgreSQL would else plan some of those with arrays again and again.)
    pub fn open_for_work(url: &str, max_connections: u32) -> Result<Self> {
        Self::open_with(url, max_connections, &[("plan_cache_mode", "force_generic_plan")])
    }

    fn open_with(url: &str, max_connections: u32, settings: &[(&str, &str)]) -> Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        // A process that is stopped inside a transaction must not hold its locks for ever.
        // Every statement has its index; a plan that was made while a table was small must not scan it when it has grown.
        let options = options.options([
            ("TimeZone", "UTC"),
            ("idle_in_transaction_session_timeout", "60s"),
            ("enable_seqscan", "off"),
            ("jit", "off"),
        ]);
        let options = options.options(settings.iter().copied());
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            .max_lifetime(Duration::from_secs(3600))
            // A connection that was just used is not asked whether it is still there: that would cost a round trip before each statement.
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self { wake_ups: WakeUps::start(pool.clone()), pool, events: None })
    }

    /// The same store, whose transactions tell of status changes.
    #[must_use]
    pub fn with_events(self, events: Arc<dyn StatusEvents>) -> Self {
        Self { events: Some(events), ..self }
    }

    /// For reads and single statements.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What stands between the pool and PostgreSQL, found out with connections of its own.
    pub async fn way(&self) -> Result<Way> {
        pooling::way(&self.pool.connect_options()).await
    }

    /// A connection beside the pool, with the pool's settings.
    pub async fn dial(&self) -> Result<PgConnection> {
        Ok(self.pool.connect_options().connect().await?)
    }

    /// True when the database answers.
    pub async fn answers(&self) -> bool {
        match self.pool.acquire().await {
            Ok(mut connection) => connection.ping().await.is_ok(),
            Err(_) => false,
        }
    }

    /// From now on this process' queue hears of commits before the others do. `ear` takes payloads of the queue's channel over and tells the
    /// other processes what it leaves to them; false: it has ended, and everybody is told at once.
    pub fn wake_first(&self, ear: impl Fn(Vec<String>) -> bool + Send + Sync + 'static) {
        self.wake_ups.first_tell(Box::new(ear));
    }

    /// Wakes the queue for what has been committed.
    pub fn wake(&self, wake_ups: &[String]) {
        let mut pending = Pending::default();
        wake_ups.iter().for_each(|wake_up| pending.insert(wake_up));
        self.wake_ups.send(pending);
    }

    /// Begins a transaction, in which jobs are enqueued with the reason for them.
    pub async fn begin(&self) -> Result<Tx> {
        // The time until there is a connection shows here.
        let inner = self.pool.begin().instrument(span("db.begin")).await?;
        let (wake_ups, sink) = (self.wake_ups.clone(), self.events.clone());
        Ok(Tx { inner, wake: Pending::default(), wake_ups, events: Vec::new(), sink })
    }
}

/// A transaction. Dropped without [`Tx::commit`], it rolls back.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    wake: Pending,
    wake_ups: WakeUps,
    events: Vec<StatusEvent>,
    sink: Option<Arc<dyn StatusEvents>>,
}

impl Tx {
    /// The connection, for statements of this transaction.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Asks for a wake-up (a payload of the queue's channel) once this transaction has committed.
    pub fn wake_after_commit(&mut self, payload: &str) {
        self.wake.insert(payload);
    }

    /// Tells of a status change once this transaction has committed, where anybody is to be told.
    pub fn tell_after_commit(&mut self, event: StatusEvent) {
        if self.sink.is_some() {
            self.events.push(event);
        }
    }

    /// Commits, then wakes the queue and tells of what changed. A process killed in between delays its jobs until the next sweep (5 s at most).
    pub async fn commit(self) -> Result<()> {
        self.inner.commit().instrument(span("db.commit")).await?;
        self.wake_ups.send(self.wake);
        if let Some(sink) = self.sink {
            self.events.into_iter().for_each(|event| sink.note(event));
        }
        Ok(())
    }
}

/// A step of what runs now; what nobody asked for is no trace. Below the log's usual level: without a collector it costs nothing.
fn span(name: &'static str) -> Span {
    let cause = Span::current();
    if cause.is_disabled() { Span::none() } else { tracing::debug_span!(parent: &cause, "db", otel.name = name) }
}

/// Begins a transaction for reading what people look at: its plans fit its filters, and no statement takes longer than people wait (5 s).
pub async fn reading(pool: &PgPool) -> Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin().await?;
    sqlx::query!(
        "select set_config('statement_timeout', '5s', true) as patience, set_config('plan_cache_mode', 'force_custom_plan', true) as plans"
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(tx)
}
