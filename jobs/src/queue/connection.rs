//! The engine's own connections: direct, never pooled, with a planner that must not scan the table, whatever its statistics say.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for an answer of the engine's statements; the server gives up a little earlier.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects as `application_name`, within 5 s.
pub(super) async fn connect(options: &PgConnectOptions, application_name: &str) -> sqlx::Result<PgConnection> {
    let options = options.clone().application_name(application_name).options([
        ("TimeZone", "UTC"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_bitmapscan", "off"),
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("statement_timeout", "8000"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
    ]);
    in_time(Duration::from_secs(5), options.connect()).await
}

/// `statement`, or [`sqlx::Error::PoolTimedOut`] when it takes longer than `limit`.
pub(super) async fn in_time<T>(limit: Duration, statement: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    timeout(limit, statement).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Waits between attempts to reach the database: 50 ms, doubled up to 2 s, with jitter. Speaks once per outage.
#[derive(Debug)]
pub(super) struct Reconnect {
    what: &'static str,
    delay: Duration,
    down: bool,
}

impl Reconnect {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(2);

    pub(super) fn new(what: &'static str) -> Self {
        Self { what, delay: Self::FIRST, down: false }
    }

    /// After a failure: says so once, then waits.
    pub(super) async fn wait(&mut self, error: &sqlx::Error) {
        if self.down {
            tracing::debug!(part = self.what, %error, "queue still waits for the database");
        } else {
            tracing::warn!(part = self.what, %error, "queue lost the database, will go on by itself");
            self.down = true;
        }
        tokio::time::sleep(self.delay.mul_f64(0.5 + f64::from(super::service::dice()) / f64::from(u32::MAX) / 2.0)).await;
        self.delay = (self.delay * 2).min(Self::LONGEST);
    }

    /// After a success.
    pub(super) fn succeeded(&mut self) {
        self.delay = Self::FIRST;
        if std::mem::take(&mut self.down) {
            tracing::info!(part = self.what, "queue has the database again");
        }
    }
}
