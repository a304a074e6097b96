//! What stands between us and PostgreSQL: nothing that matters, or a pooler that lends backends for single transactions.

use crate::Result;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::time::Duration;
use tokio::time::timeout;

/// How often a backend that changes is looked for: a pooler with others' traffic does not lend the same one each time.
const ROUNDS: usize = 3;
/// A pooler with a single backend lets the second client wait for the first one's transaction.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One client, one backend: advisory locks, LISTEN and prepared statements last. A pooler may be there, but by session.
    Direct,
    /// A backend for one transaction.
    Pooled {
        /// Prepared statements follow their client from backend to backend, as PgBouncer 1.21 and later do with `max_prepared_statements`.
        keeps_statements: bool,
    },
}

/// Finds out, with a few connections of its own: a pooler gives an idle client's backend to the next one that has a transaction open.
pub async fn way(options: &PgConnectOptions) -> Result<Way> {
    let mut client = options.connect().await?;
    let own = match backend(&mut client).await {
        Ok(pid) => pid,
        Err(error) if loses_statements(&error) => return Ok(Way::Pooled { keeps_statements: false }),
        Err(error) => return Err(error.into()),
    };
    let mut holders = Vec::new();
    let mut found = Way::Direct;
    for _ in 0..ROUNDS {
        let mut holder = options.connect().await?;
        // Raw, so that it ends with the connection however this ends.
        sqlx::raw_sql("begin").execute(&mut holder).await?;
        let held = backend(&mut holder).await;
        holders.push(holder);
        let again = timeout(PATIENCE, backend(&mut client)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        match (held, again) {
            (Err(error), _) | (_, Err(error)) if loses_statements(&error) => {
                found = Way::Pooled { keeps_statements: false };
                break;
            }
            (Ok(held), Err(sqlx::Error::PoolTimedOut)) if held == own => {
                found = Way::Pooled { keeps_statements: false };
                break;
            }
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
            (Ok(held), Ok(again)) if held == own || again != own => {
                found = Way::Pooled { keeps_statements: true };
                break;
            }
            _ => {}
        }
    }
    for holder in holders.into_iter().chain([client]) {
        let _ = timeout(PATIENCE, holder.close()).await;
    }
    Ok(found)
}

/// `pg_backend_pid()`, by a prepared statement that the connection keeps.
async fn backend(conn: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar!(r#"select pg_backend_pid() as "pid!""#).fetch_one(conn).await
}

/// The backend does not know a statement that its client has prepared, or knows another client's of the same name.
fn loses_statements(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("26000" | "42P05" | "08P01")) && !error.to_string().contains("startup parameter")
}
