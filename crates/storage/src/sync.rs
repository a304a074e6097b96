//! The cluster's tick.

use crate::{Result, Tx};

/// Takes a tick for the caller. False: somebody took it, or a later one.
pub async fn take_tick(tx: &mut Tx, tick: i64) -> Result<bool> {
    let done = sqlx::query!(
        "insert into personal_telegram_sync as s (tick) values ($1) on conflict (single) do update set tick = excluded.tick where s.tick < excluded.tick",
        tick
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
