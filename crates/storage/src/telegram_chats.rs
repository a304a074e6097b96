//! The chats that a tenant's bots are or were members of, for choosing a working group.

use crate::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use tuberry_domain::{BotId, ClientId};
use utoipa::ToSchema;

/// A bot's chat; serialised as the REST interface shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TelegramChat {
    /// `telegram_chats.id`.
    pub id: i32,
    /// The bot.
    #[schema(value_type = i32, example = 1)]
    pub bot_id: BotId,
    /// In marked form.
    #[schema(example = "-1001234567890")]
    pub chat_id: String,
    /// `private`, `group`, `supergroup` or `channel`.
    #[schema(example = "supergroup")]
    pub chat_type: Option<String>,
    /// Title.
    #[schema(example = "Ромашка: клиенты")]
    pub title: Option<String>,
    /// Public username.
    #[schema(example = json!(null))]
    pub username: Option<String>,
    /// Has topics.
    pub is_forum: Option<bool>,
    /// The bot is a member now.
    pub is_active: bool,
    /// The bot's status there, in Telegram's words.
    #[schema(example = "administrator")]
    pub last_status: Option<String>,
    /// When the bot came.
    pub joined_at: Option<DateTime<Utc>>,
    /// When the bot went.
    #[schema(example = json!(null))]
    pub left_at: Option<DateTime<Utc>>,
}

/// Chats of one bot, or of all bots of the tenant: where the bot is now first.
pub async fn list(pool: &PgPool, client: ClientId, bot: Option<BotId>) -> Result<Vec<TelegramChat>> {
    let chats = sqlx::query_as!(
        TelegramChat,
        r#"select c.id, c.bot_id, c.chat_id, c.chat_type, c.title, c.username, c.is_forum, c.is_active, c.last_status,
                  c.joined_at at time zone 'utc' as joined_at, c.left_at at time zone 'utc' as left_at
             from telegram_chats c join bots b on b.id = c.bot_id
            where b.client_id = $1 and ($2::int is null or b.id = $2)
            order by c.is_active desc, c.id desc limit 500"#,
        client.0,
        bot.map(|bot| bot.0)
    );
    Ok(chats.fetch_all(pool).await?)
}
