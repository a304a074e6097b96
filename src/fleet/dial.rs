//! Connecting to PostgreSQL for locks: directly, under a name, and without leaving an older session of ours behind.

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use std::time::Duration;
use tokio::time::timeout;
use tuberry_domain::Secret;
use tuberry_storage::{Error, Result, leases};

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
    async fn connect(&self) -> Result<PgConnection> {
        let options: PgConnectOptions = self.url.expose().parse()?;
        let options = options.options([("TimeZone", "UTC")]);
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

    /// A pooler gives an idle client's backend to the next one that has a transaction open.
    pub async fn leads_through_a_pooler(&self) -> Result<bool> {
        let (mut first, mut second) = (self.connect().await?, self.connect().await?);
        let first_pid = in_time(leases::backend_pid(&mut first)).await?;
        let mut transaction = sqlx::Connection::begin(&mut second).await?;
        let second_pid = in_time(leases::backend_pid(&mut transaction)).await?;
        transaction.rollback().await?;
        Ok(first_pid == second_pid || in_time(leases::backend_pid(&mut first)).await? != first_pid)
    }
}
