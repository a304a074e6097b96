//! The cluster's tick.

use crate::{Result, Tx};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::time::Duration;

/// Takes the current tick for the caller: the number of the interval since 1970, by the database's clock. `None`: somebody has taken it.
pub async fn take_tick(tx: &mut Tx, interval: Duration) -> Result<Option<i64>> {
    let tick = sqlx::query_scalar!(
        "insert into personal_telegram_sync as s (tick) values (floor(extract(epoch from now())::float8 / $1)::bigint)
         on conflict (single) do update set tick = excluded.tick where s.tick <> excluded.tick returning tick",
        interval.as_secs_f64()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(tick)
}

/// A tick has run to its end.
pub async fn finished(pool: &PgPool) -> Result<()> {
    sqlx::query!("update personal_telegram_sync set finished_at = now()").execute(pool).await?;
    Ok(())
}

/// When a tick last ran to its end. `None`: none did yet.
pub async fn last_finished(pool: &PgPool) -> Result<Option<DateTime<Utc>>> {
    let finished = sqlx::query_scalar!("select finished_at from personal_telegram_sync").fetch_optional(pool).await?;
    Ok(finished.flatten())
}
