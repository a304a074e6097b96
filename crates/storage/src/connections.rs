//! What an account's connection begins with.

use crate::{Result, Store};
use tuberry_domain::{AccountId, TelegramMessageId, TelegramUserId};

/// An account as its connection needs it, besides its peers and its update state.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Who the account is.
    pub self_id: Option<TelegramUserId>,
    /// The session, sealed.
    pub sealed: String,
    /// The account's own proxy, sealed.
    pub proxy: Option<String>,
    /// The highest id among its stored messages of private chats and basic groups, which share one sequence.
    pub last_message: Option<TelegramMessageId>,
}

/// Loads it; `None` when the account is not active any more or has no session.
pub async fn beginning(store: &Store, account: AccountId) -> Result<Option<Beginning>> {
    let row = sqlx::query!(
        r#"select a.telegram_user_id, s.sealed, p.sealed as "proxy?",
             (select max(m.telegram_id) from personal_telegram_messages m
              where m.account_id = a.id and m.incoming and m.chat_id > -1000000000000) as last_message
           from personal_telegram_accounts a join personal_telegram_sessions s on s.account_id = a.id
             left join personal_telegram_proxies p on p.account_id = a.id
           where a.id = $1 and a.status = 'active'"#,
        account.0
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| Beginning {
        self_id: row.telegram_user_id.and_then(|id| id.trim().parse().ok()).map(TelegramUserId),
        sealed: row.sealed,
        proxy: row.proxy,
        last_message: row.last_message.map(TelegramMessageId),
    }))
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
