//! Long polling of the managing bots (`BOT_UPDATES=polling`): one process per bot, by a claim of its own class. An update is taken
//! in durably before the next `getUpdates` confirms it to Telegram. A webhook that somebody set meanwhile is deleted, its updates kept.
//!
//! Telegram numbers updates anew after a week without any (core.telegram.org/bots/api#update), another server from the start. So an offset
//! counts only until it has confirmed what is before it: an empty answer says so, and from then on none is named.

use crate::fleet::{Claims, not_in_force};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;
use tuberry_domain::BotId;
use tuberry_domain::bot_update::BotUpdate;
use tuberry_domain::ports::{BotApi, BotError, KeyClass, Lease, Reuse};
use tuberry_jobs::{Backoff, Origin, bot_updates};
use tuberry_storage::Store;
use tuberry_storage::bot_polling::{self, PolledBot};

/// Between two looks for bots that nobody polls.
const LOOK: Duration = Duration::from_secs(1);
/// How long Telegram may keep a `getUpdates` open.
const WAIT: Duration = Duration::from_secs(25);
/// Pauses after failures.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(30) };

/// Polls the bots that this process could claim.
pub struct BotPolling {
    /// The database.
    pub store: Store,
    /// This process' claims.
    pub claims: Claims,
    /// The Bot API.
    pub api: Arc<dyn BotApi>,
}

impl BotPolling {
    /// Runs until `stop`; what was claimed is given back then.
    pub async fn run(self, stop: CancellationToken) {
        let mut polled: BTreeMap<BotId, (PolledBot, CancellationToken)> = BTreeMap::new();
        let mut pollers = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(Ok(ended)) = pollers.join_next() => {
                    polled.remove(&ended);
                    continue;
                }
                () = sleep(LOOK) => {}
            }
            let bots = match bot_polling::list(&self.store).await {
                Ok(bots) => bots,
                Err(error) => {
                    tracing::debug!(%error, "bots not looked at");
                    continue;
                }
            };
            let current: BTreeMap<BotId, PolledBot> = bots.into_iter().map(|bot| (bot.id, bot)).collect();
            for (id, (bot, stop)) in &polled {
                if current.get(id).is_none_or(|now| now.token.expose() != bot.token.expose()) {
                    stop.cancel();
                }
            }
            let wanted: Vec<i32> = current.keys().filter(|id| !polled.contains_key(id)).map(|id| id.0).collect();
            if wanted.is_empty() {
                continue;
            }
            for (id, claim) in self.claims.claim_all(KeyClass::Bot, wanted, Reuse::Optional).await {
                if let (Ok(claim), Some(bot)) = (claim, current.get(&BotId(id))) {
                    let poller = self.poller(bot.clone(), claim.lease, &stop);
                    polled.insert(bot.id, (bot.clone(), poller.stop.clone()));
                    pollers.spawn(poller.run());
                }
            }
        }
        while pollers.join_next().await.is_some() {}
    }

    fn poller(&self, bot: PolledBot, lease: Lease, stop: &CancellationToken) -> Poller {
        let (store, claims, api) = (self.store.clone(), self.claims.clone(), self.api.clone());
        Poller { store, claims, api, bot, lease, stop: stop.child_token() }
    }
}

struct Poller {
    store: Store,
    claims: Claims,
    api: Arc<dyn BotApi>,
    bot: PolledBot,
    lease: Lease,
    stop: CancellationToken,
}

impl Poller {
    async fn run(self) -> BotId {
        let standing = self.claims.standing(&self.lease);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = not_in_force(standing) => tracing::info!(bot = self.bot.id.0, "this process does not poll the bot any more"),
            () = self.poll() => {}
        }
        self.claims.give_back_all(vec![(self.lease, Duration::ZERO)]).await;
        self.bot.id
    }

    async fn poll(&self) {
        let (bot, token) = (self.bot.id, &self.bot.token);
        self.delete_webhook().await;
        let mut failures = 0;
        loop {
            let pause = match bot_polling::next_update(&self.store, bot).await {
                Err(error) => Err(error.to_string()),
                Ok(offset) => match self.api.get_updates(token, offset, WAIT).await {
                    Ok(updates) => self.accept(offset, &updates).await,
                    Err(BotError::RetryAfter(pause)) => {
                        sleep(pause).await;
                        Ok(())
                    }
                    Err(error @ BotError::Conflict(_)) => {
                        self.delete_webhook().await;
                        Err(error.to_string())
                    }
                    Err(error) => Err(error.to_string()),
                },
            };
            match pause {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    tracing::warn!(bot = bot.0, %error, failures, "updates not taken in, will be asked for again");
                    sleep(BACKOFF.ceiling(failures)).await;
                }
            }
        }
    }

    /// Telegram answers no `getUpdates` while there is a webhook. One that is not deleted now is met by the next call.
    async fn delete_webhook(&self) {
        if let Err(error) = self.api.delete_webhook(&self.bot.token).await {
            tracing::warn!(bot = self.bot.id.0, %error, "webhook not deleted");
        }
    }

    /// Takes updates in, one transaction each, in order. Those behind one that failed are asked for again.
    async fn accept(&self, offset: i64, updates: &[serde_json::Value]) -> Result<(), String> {
        let mut next = if updates.is_empty() { 0 } else { offset };
        let mut done = Ok(());
        for update in updates {
            if let Some(update) = BotUpdate::parse(update) {
                done = self.accept_one(&update).await.map_err(|error| error.to_string());
                if done.is_err() {
                    break;
                }
            }
            next = update["update_id"].as_i64().map_or(next, |id| id + 1);
        }
        if next != offset {
            let advanced = bot_polling::advance(&self.store, self.bot.id, &self.lease, next).await;
            advanced.map_err(|error| error.to_string())?;
        } else if done.is_ok() && !updates.is_empty() {
            return Err("the same updates came again".into());
        }
        done
    }

    /// One update is one trace: what an operator wrote is followed to the customer.
    async fn accept_one(&self, update: &BotUpdate) -> tuberry_storage::Result<()> {
        let origin = Origin::fresh();
        let span =
            tracing::info_span!(parent: None, "update", bot = self.bot.id.0, trace_id = origin.trace_id(), otel.name = Empty);
        let origin = origin.begin(&span, "update");
        origin.scope(bot_updates::accept(&self.store, self.bot.id, update)).instrument(span).await
    }
}
