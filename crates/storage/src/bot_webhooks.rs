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

/// Active bots that have a webhook's secret, by id.
pub async fn list(store: &Store) -> Result<Vec<WebhookBot>> {
    let rows = sqlx::query!(
        r#"select id, token, webhook_secret as "secret!" from bots
            where status = 'active' and token <> '' and webhook_secret <> '' order by id"#
    )
    .fetch_all(store.pool())
    .await?;
    let bot = |(id, token, secret)| WebhookBot { id: BotId(id), token: Secret::new(token), secret: Secret::new(secret) };
    Ok(rows.into_iter().map(|row| bot((row.id, row.token, row.secret))).collect())
}
