//! Managing bots as their owners and their webhooks see them. Tokens and webhook secrets leave this file wrapped only.

use crate::{Result, Tx, dialog_moves, words};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgExecutor, PgPool};
use tuberry_domain::ports::BotToken;
use tuberry_domain::{BotId, ChatId, ClientId, Secret};
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// A bot; serialised as the REST interface shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Bot {
    /// `bots.id`.
    #[schema(value_type = i32, example = 1)]
    pub id: BotId,
    /// Tenant.
    #[schema(value_type = i32, example = 1)]
    pub client_id: ClientId,
    /// Without `@`.
    #[schema(example = "romashka_bot")]
    pub bot_username: Option<String>,
    /// `active`, `inactive` or `error`.
    #[schema(schema_with = bot_status)]
    pub status: String,
    /// The working group, in marked form.
    #[schema(example = "-1001234567890")]
    pub group_chat_id: Option<String>,
    /// One topic per dialog.
    pub topic_mode: bool,
    /// The project that it serves (`projects.id`).
    pub project_id: Option<i32>,
    /// When it was connected.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: Option<DateTime<Utc>>,
}

fn bot_status() -> Object {
    words("Whether the bot is in service.", ["active", "inactive", "error"])
}

/// A bot to be connected.
#[derive(Clone, Debug)]
pub struct NewBot {
    /// Tenant.
    pub client: ClientId,
    /// Its token.
    pub token: BotToken,
    /// Without `@`.
    pub username: String,
    /// The working group.
    pub group: Option<ChatId>,
    /// Last part of its webhook's path, also `secret_token` of `setWebhook`.
    pub webhook_secret: Secret<String>,
}

/// A tenant's bots, oldest first.
pub async fn list(pool: &PgPool, client: ClientId) -> Result<Vec<Bot>> {
    let bots = sqlx::query_as!(
        Bot,
        r#"select b.id, b.client_id, b.bot_username, b.status::text as "status!", b.group_chat_id, b.topic_mode, p.id as "project_id?",
                  b.created_at at time zone 'utc' as "created_at!", b.updated_at at time zone 'utc' as updated_at
             from bots b left join projects p on p.bot_id = b.id
            where b.client_id = $1 order by b.id limit 1000"#,
        client.0
    );
    Ok(bots.fetch_all(pool).await?)
}

/// A tenant's bot.
pub async fn find(executor: impl PgExecutor<'_>, client: ClientId, bot: BotId) -> Result<Option<Bot>> {
    let bot = sqlx::query_as!(
        Bot,
        r#"select b.id, b.client_id, b.bot_username, b.status::text as "status!", b.group_chat_id, b.topic_mode, p.id as "project_id?",
                  b.created_at at time zone 'utc' as "created_at!", b.updated_at at time zone 'utc' as updated_at
             from bots b left join projects p on p.bot_id = b.id
            where b.id = $1 and b.client_id = $2"#,
        bot.0,
        client.0
    );
    Ok(bot.fetch_optional(executor).await?)
}

/// Whether a bot is known by this name (without `@`). One whose name nobody stored is known by any.
pub async fn is_called(pool: &PgPool, bot: BotId, name: &str) -> Result<bool> {
    let called = sqlx::query_scalar!(
        r#"select exists (select from bots where id = $1 and lower(coalesce(nullif(ltrim(bot_username, '@'), ''), $2)) = lower($2)) as "called!""#,
        bot.0,
        name
    );
    Ok(called.fetch_one(pool).await?)
}

/// The token of a tenant's bot.
pub async fn token(pool: &PgPool, client: ClientId, bot: BotId) -> Result<Option<BotToken>> {
    let token = sqlx::query_scalar!("select token from bots where id = $1 and client_id = $2", bot.0, client.0);
    Ok(token.fetch_optional(pool).await?.map(Secret::new))
}

/// Connects a bot. `None`: the same bot is connected already, here or at another tenant.
pub async fn create(tx: &mut Tx, bot: &NewBot) -> Result<Option<BotId>> {
    // The shared table has no unique constraint, and gets none from us. Two requests with one bot would both find it free.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('bot/' || split_part($1::text, ':', 1), 0))", bot.token.expose())
        .execute(tx.conn())
        .await?;
    let id = sqlx::query_scalar!(
        "insert into bots (created_at, client_id, token, bot_username, status, group_chat_id, topic_mode, webhook_secret)
         select now() at time zone 'utc', $1, $2::varchar, $3, 'active', $4, true, $5
         where not exists (select from bots where split_part(token, ':', 1) = split_part($2, ':', 1))
         returning id",
        bot.client.0,
        bot.token.expose(),
        bot.username,
        bot.group.map(|group| group.to_string()),
        bot.webhook_secret.expose()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(BotId))
}

/// Locks a tenant's bot, for a project to be bound to it: always before the project. False: there is no such bot.
pub async fn lock(tx: &mut Tx, client: ClientId, bot: BotId) -> Result<bool> {
    let locked = sqlx::query!("select id from bots where id = $1 and client_id = $2 for no key update", bot.0, client.0);
    Ok(locked.fetch_optional(tx.conn()).await?.is_some())
}

/// Gives a tenant's bot a working group, or takes it away.
pub async fn bind_group(tx: &mut Tx, client: ClientId, bot: BotId, group: Option<ChatId>) -> Result<()> {
    if !lock(tx, client, bot).await? {
        return Ok(());
    }
    dialog_moves::leave_group(tx, bot).await?;
    sqlx::query!(
        "update bots set group_chat_id = $3, status = 'active', updated_at = now() at time zone 'utc' where id = $1 and client_id = $2",
        bot.0,
        client.0,
        group.map(|group| group.to_string())
    )
    .execute(tx.conn())
    .await?;
    match group {
        Some(group) => dialog_moves::follow_group(tx, bot, group).await,
        None => Ok(()),
    }
}

/// The secret in a bot's webhook path; `None` where there is no such bot or it has no webhook.
pub async fn webhook_secret(pool: &PgPool, bot: BotId) -> Result<Option<Secret<String>>> {
    let secret = sqlx::query_scalar!("select webhook_secret from bots where id = $1 and webhook_secret <> ''", bot.0);
    Ok(secret.fetch_optional(pool).await?.flatten().map(Secret::new))
}
