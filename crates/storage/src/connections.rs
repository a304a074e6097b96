//! What an account's connection begins with.

use crate::{Result, Store};
use chrono::{DateTime, Utc};
use tuberry_domain::{AccountId, ChatId, TelegramMessageId, TelegramUserId};

/// An account as its connection needs it, besides its peers and its update state.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Who the account is.
    pub self_id: Option<TelegramUserId>,
    /// Telegram has said whose the session is.
    pub shown: bool,
    /// The session, sealed.
    pub sealed: String,
    /// The account's own proxy, sealed.
    pub proxy: Option<String>,
    /// The highest id among its stored messages of private chats and basic groups, which share one sequence.
    pub last_message: Option<TelegramMessageId>,
    /// Chats of its dialogs that it was never introduced to: the old system kept no access hashes.
    pub strangers: Vec<ChatId>,
    /// When it was last known to be connected.
    pub last_connected: Option<DateTime<Utc>>,
}

/// Loads it; `None` when the account is not active any more or has no session.
pub async fn beginning(store: &Store, account: AccountId) -> Result<Option<Beginning>> {
    let row = sqlx::query!(
        r#"select a.telegram_user_id, s.shown, s.sealed, p.sealed as "proxy?",
             (select max(m.telegram_id) from personal_telegram_messages m
              where m.account_id = a.id and m.incoming and m.chat_id > -1000000000000) as last_message,
             array(select o.chat_id from personal_telegram_dialogs o
                   where o.account_id = a.id and not exists (
                     select from personal_telegram_peers k where k.account_id = a.id and k.chat_id = o.chat_id)) as "strangers!",
             a.last_connected_at at time zone 'utc' as last_connected
           from personal_telegram_accounts a join personal_telegram_sessions s on s.account_id = a.id
             left join personal_telegram_proxies p on p.account_id = a.id
           where a.id = $1 and a.status = 'active'"#,
        account.0
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| Beginning {
        self_id: row.telegram_user_id.and_then(|id| id.trim().parse().ok()).map(TelegramUserId),
        shown: row.shown,
        sealed: row.sealed,
        proxy: row.proxy,
        last_message: row.last_message.map(TelegramMessageId),
        strangers: row.strangers.into_iter().map(ChatId).collect(),
        last_connected: row.last_connected,
    }))
}

/// The newest stored message of each of an account's chats: what an account without an update state has.
pub async fn last_messages(store: &Store, account: AccountId) -> Result<Vec<(ChatId, TelegramMessageId)>> {
    let rows = sqlx::query!(
        r#"select chat_id, max(telegram_id) as "last!" from personal_telegram_messages
            where account_id = $1 and incoming and telegram_id is not null group by chat_id"#,
        account.0
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (ChatId(row.chat_id), TelegramMessageId(row.last))).collect())
}

/// The newest stored message of each of these chats.
pub async fn last_messages_in(store: &Store, account: AccountId, chats: &[ChatId]) -> Result<Vec<(ChatId, TelegramMessageId)>> {
    let chats: Vec<i64> = chats.iter().map(|chat| chat.0).collect();
    let rows = sqlx::query!(
        r#"select u.chat_id as "chat_id!", m.last as "last!" from unnest($2::bigint[]) as u(chat_id)
            cross join lateral (select max(m.telegram_id) as last from personal_telegram_messages m
                                 where m.account_id = $1 and m.chat_id = u.chat_id and m.incoming) m
            where m.last is not null"#,
        account.0,
        &chats
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (ChatId(row.chat_id), TelegramMessageId(row.last))).collect())
}

/// Seals a session, or a proxy, anew that was opened under another key than the current one. Another value meanwhile: nothing is changed.
pub async fn reseal(store: &Store, account: AccountId, old: &str, new: &str) -> Result<()> {
    sqlx::query!(
        "with proxy as (update personal_telegram_proxies set sealed = $3 where account_id = $1 and sealed = $2)
         update personal_telegram_sessions set sealed = $3 where account_id = $1 and sealed = $2",
        account.0,
        old,
        new
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

/// Notes a proof of life of these accounts: a probe has just passed through their intakes. A trouble noted before is over, unless it is a
/// restriction that still holds.
pub async fn mark_alive(store: &Store, accounts: &[AccountId]) -> Result<()> {
    if accounts.is_empty() {
        return Ok(());
    }
    let ids: Vec<i32> = accounts.iter().map(|account| account.0).collect();
    sqlx::query!(
        "update personal_telegram_accounts set last_connected_at = now() at time zone 'utc',
                last_error = (select r.text from personal_telegram_restrictions r
                               where r.account_id = personal_telegram_accounts.id and r.until > now() order by r.until desc limit 1)
         where id = any($1) and status = 'active'",
        &ids
    )
    .execute(store.pool())
    .await?;
    Ok(())
}
