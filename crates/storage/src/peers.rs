//! Reading an account's peers as its connection needs them; `intake` writes them. Access hashes are valid for one account only.

use crate::{Result, Store};
use tuberry_domain::intake::Peer;
use tuberry_domain::{AccountId, ChatId};

/// All peers of an account.
pub async fn load(store: &Store, account: AccountId) -> Result<Vec<Peer>> {
    let rows = sqlx::query!(
        "select chat_id, access_hash, name, username, broadcast, bot from personal_telegram_peers where account_id = $1",
        account.0
    )
    .fetch_all(store.pool())
    .await?;
    let peers = rows.into_iter().map(|row| Peer {
        chat: ChatId(row.chat_id),
        access_hash: row.access_hash,
        name: row.name,
        username: row.username,
        broadcast: row.broadcast,
        bot: row.bot,
    });
    Ok(peers.collect())
}
