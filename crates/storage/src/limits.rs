//! Limits that Telegram imposed, durable and shared by all workers: nothing of a scope is called before its time.

use crate::Result;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::time::Duration;

/// Nothing of `scope` is called for `wait` from now on. A longer limit that is known stays.
pub async fn impose(pool: &PgPool, scope: &str, wait: Duration) -> Result<()> {
    sqlx::query!(
        "insert into personal_telegram_send_limits as l (scope, not_before) values ($1, now() + make_interval(secs => $2))
         on conflict (scope) do update set not_before = greatest(l.not_before, excluded.not_before)",
        scope,
        wait.as_secs_f64()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The latest limit among `scopes` that still holds.
pub async fn not_before(pool: &PgPool, scopes: &[String]) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar!(
        "select max(not_before) from personal_telegram_send_limits where scope = any($1) and not_before > now()",
        scopes
    )
    .fetch_one(pool)
    .await?)
}

/// Forgets limits that have passed.
pub async fn purge(pool: &PgPool) -> Result<u64> {
    let done = sqlx::query!("delete from personal_telegram_send_limits where not_before < now() - interval '1 minute'")
        .execute(pool)
        .await?;
    Ok(done.rows_affected())
}
