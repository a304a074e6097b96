//! Keeps the managing bots' webhooks at our address (`BOT_UPDATES=webhook`): `setWebhook` for every bot that is not `inactive`, at start and again from
//! time to time, because a process that still polls may have deleted one. To set a webhook that is set already changes nothing.

use crate::http::Webhooks;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tuberry_domain::ports::{BotApi, BotError};
use tuberry_jobs::Backoff;
use tuberry_storage::bot_webhooks::{self, WebhookBot};
use tuberry_storage::{Result, Store};

/// Between two rounds without failures.
const ROUND: Duration = Duration::from_secs(60);
/// Pauses after a round with failures.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: ROUND };
/// The longest pause that one bot may ask for before the next bot's turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sets the bots' webhooks, one after the other.
pub struct WebhookUpkeep {
    /// The database.
    pub store: Store,
    /// The Bot API.
    pub api: Arc<dyn BotApi>,
    /// Where the webhooks are.
    pub webhooks: Webhooks,
}

impl WebhookUpkeep {
    /// Runs until it is aborted, which it may be at any time.
    pub async fn run(self) {
        let mut failures = 0;
        loop {
            match self.round().await {
                Ok(0) => failures = 0,
                Ok(_) => failures += 1,
                Err(error) => {
                    tracing::warn!(%error, "bots with webhooks not read");
                    failures += 1;
                }
            }
            sleep(if failures == 0 { ROUND } else { BACKOFF.ceiling(failures) }).await;
        }
    }

    /// One call for every bot; returns how many failed.
    async fn round(&self) -> Result<usize> {
        let mut failed = 0;
        bot_webhooks::give_secrets(&self.store).await?;
        for bot in bot_webhooks::list(&self.store).await? {
            if let Err(error) = self.set(&bot).await {
                tracing::warn!(bot = bot.id.0, %error, "webhook not set");
                // A bot that Telegram does not let in is tried again with the others, but is no reason to hurry.
                failed += usize::from(!matches!(error, BotError::NoAccess(_) | BotError::Refused(_)));
                if let BotError::RetryAfter(pause) = error {
                    sleep(pause.min(PATIENCE)).await;
                }
            }
        }
        Ok(failed)
    }

    async fn set(&self, bot: &WebhookBot) -> std::result::Result<(), BotError> {
        self.api.set_webhook(&bot.token, self.webhooks.url(bot.id, &bot.secret).expose(), &bot.secret).await
    }
}
