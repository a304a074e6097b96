//! Connecting to PostgreSQL for locks: directly, under a name, and without leaving an older session of ours behind.

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use std::time::Duration;
use tokio::time::timeout;
use tuberry_domain::Secret;
use tuberry_storage::{Error, Result, leases, pooling};

/// Longest wait for the answer to one statement, or for a connection.
const PATIENCE: Duration = Duration::from_millis(4500);
/// The answer of a statement, unless it takes too long.
pub(super) async fn in_time<T>(statement: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, statement).await.unwrap_or(Err(Error::Database(sqlx::Error::PoolTimedOut)))
}

/// Where the session goes to, under what name, and what is left there of the last one.
pub(super) struct Dial {
    pub url: Secret<String>,
    pub tag: String,
    pub last_backend: Option<i32>,
}

impl Dial {
    fn options(&self) -> Result<PgConnectOptions> {
        let options: PgConnectOptions = self.url.expose().parse()?;
        Ok(options.options([("TimeZone", "UTC")]))
    }

    async fn connect(&self) -> Result<PgConnection> {
        let options = self.options()?;
        in_time(async { Ok(options.connect().await?) }).await
    }

    /// One attempt. A former backend of ours that still lives holds our locks: it is ended.
    pub async fn open_once(&self) -> Result<(PgConnection, i32)> {
        let mut conn = self.connect().await?;
        let pid = in_time(leases::open_session(&mut conn, &self.tag)).await?;
        if let Some(last) = self.last_backend {
            in_time(leases::end_session(&mut conn, last, &self.tag)).await?;
        }
        Ok((conn, pid))
    }

    /// Whether a pooler lends sessions out for single transactions.
    pub async fn leads_through_a_pooler(&self) -> Result<bool> {
        let way = timeout(PATIENCE * 4, pooling::way(&self.options()?)).await;
        Ok(way.unwrap_or(Err(Error::Database(sqlx::Error::PoolTimedOut)))? != pooling::Way::Direct)
    }
}
