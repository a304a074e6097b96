//! Long polling of the managing bots: which are to be polled, and from which update on.

use crate::{Result, Store, leases};
use tuberry_domain::BotId;
use tuberry_domain::ports::{BotToken, Lease};

/// A bot to poll.
#[derive(Clone, Debug)]
pub struct PolledBot {
    /// The bot.
    pub id: BotId,
    /// Its token.
    pub token: BotToken,
}

/// Bots that are bound to a project, by id.
pub async fn list(store: &Store) -> Result<Vec<PolledBot>> {
    let rows = sqlx::query!(
        "select b.id, b.token from bots b join projects p on p.bot_id = b.id where b.status <> 'inactive' and b.token <> '' order by b.id"
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| PolledBot { id: BotId(row.id), token: BotToken::new(row.token) }).collect())
}

/// `offset` for `getUpdates`: the first update that was not taken in yet; 0: whatever Telegram still has.
pub async fn next_update(store: &Store, bot: BotId) -> Result<i64> {
    let next = sqlx::query_scalar!("select next_update_id from personal_telegram_bot_offsets where bot_id = $1", bot.0)
        .fetch_optional(store.pool())
        .await?;
    Ok(next.unwrap_or(0))
}

/// Moves to `next`, after the transactions that took in everything before it. It may be lower than the last: Telegram's numbers begin anew.
/// Only who polls the bot, by this `lease`, moves it.
pub async fn advance(store: &Store, bot: BotId, lease: &Lease, next: i64) -> Result<()> {
    let mut tx = store.begin().await?;
    leases::check(&mut tx, lease).await?;
    sqlx::query!(
        "insert into personal_telegram_bot_offsets (bot_id, next_update_id) values ($1, $2)
         on conflict (bot_id) do update set next_update_id = excluded.next_update_id",
        bot.0,
        next
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await
}
