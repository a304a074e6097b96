//! Webhooks of the managing bots: which bots are to have one.

use crate::{Result, Store};
use tuberry_domain::ports::BotToken;
use tuberry_domain::{BotId, Secret};

/// A bot with a webhook.
#[derive(Clone, Debug)]
pub struct WebhookBot {
    /// The bot.
    pub id: BotId,
    /// Its token.
    pub token: BotToken,
    /// Last part of the webhook's path, also `secret_token` of `setWebhook`.
    pub secret: Secret<String>,
}

/// Gives a secret to projects' bots that have none: an old system that polls needs none.
pub async fn give_secrets(store: &Store) -> Result<()> {
    sqlx::query!(
        "update bots b set webhook_secret = replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), updated_at = now() at time zone 'utc'
          where coalesce(b.webhook_secret, '') = '' and b.status <> 'inactive' and b.token <> '' and exists (select from projects p where p.bot_id = b.id)"
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

/// Bots that are not `inactive` and have a webhook's secret, by id: one that is marked `error` for what happened in its group hears its operators.
pub async fn list(store: &Store) -> Result<Vec<WebhookBot>> {
    let rows = sqlx::query!(
        r#"select id, token, webhook_secret as "secret!" from bots
            where status <> 'inactive' and token <> '' and webhook_secret <> '' order by id"#
    )
    .fetch_all(store.pool())
    .await?;
    let bot = |(id, token, secret)| WebhookBot { id: BotId(id), token: Secret::new(token), secret: Secret::new(secret) };
    Ok(rows.into_iter().map(|row| bot((row.id, row.token, row.secret))).collect())
}
