//! Chats that a bot is or was a member of (`telegram_chats`), kept current by `my_chat_member` updates.

use crate::{Result, Store, storable};
use tuberry_domain::{BotId, ChatId};

/// A bot's membership in a chat as an update told it.
#[derive(Debug)]
pub struct Membership<'a> {
    /// Marked id.
    pub chat: ChatId,
    /// `private`, `group`, `supergroup`, `channel`.
    pub kind: &'a str,
    /// Title.
    pub title: Option<&'a str>,
    /// Public username.
    pub username: Option<&'a str>,
    /// Has topics.
    pub is_forum: bool,
    /// The bot's status: `administrator`, `member`, `left`, `kicked`…
    pub status: &'a str,
    /// Whether the bot is in the chat now.
    pub is_member: bool,
}

/// Records a membership.
pub async fn record(store: &Store, bot: BotId, membership: &Membership<'_>) -> Result<()> {
    sqlx::query!(
        "insert into telegram_chats as c (created_at, bot_id, chat_id, chat_type, title, username, is_forum, is_active, last_status, joined_at, left_at)
         select now() at time zone 'utc', b.id, $2, $3, $4, $5, $6, $7, $8,
                case when $7 then now() at time zone 'utc' end, case when not $7 then now() at time zone 'utc' end
           from bots b where b.id = $1
         on conflict (bot_id, chat_id) do update set
           chat_type = excluded.chat_type, title = excluded.title, username = excluded.username, is_forum = excluded.is_forum,
           is_active = excluded.is_active, last_status = excluded.last_status, updated_at = now() at time zone 'utc',
           joined_at = case when excluded.is_active and not c.is_active then excluded.joined_at else c.joined_at end,
           left_at = case when excluded.is_active then null else coalesce(c.left_at, excluded.left_at) end",
        bot.0,
        membership.chat.to_string(),
        membership.kind,
        membership.title.map(storable::text),
        membership.username,
        membership.is_forum,
        membership.is_member,
        membership.status
    )
    .execute(store.pool())
    .await?;
    Ok(())
}
