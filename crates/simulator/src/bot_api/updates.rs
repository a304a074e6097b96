//! How a bot gets its updates: `getUpdates`, `setWebhook`, `deleteWebhook`, `getWebhookInfo`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ApiError, Call, params::Params};
use crate::world::{
    Shared, World,
    bots::{Bot, DEFAULT_CONNECTIONS, Webhook},
};

/// The longest that a call waits for an update.
const MAX_WAIT: i64 = 50;
const BY_WEBHOOK: &str = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
const BY_SET_WEBHOOK: &str = "terminated by setWebhook request";
const BY_POLLER: &str = "terminated by other getUpdates request; make sure that only one bot instance is running";

/// `getUpdates` → a JSON array. Waits up to `timeout` seconds; a newer call ends an older one with 409.
pub(super) async fn get_updates(shared: &Shared, bot_id: i64, params: &Params) -> Result<String, ApiError> {
    let offset = params.number("offset").unwrap_or(0);
    let limit = params.number("limit").map_or(100, |limit| limit.clamp(1, 100) as usize);
    let wait = params.number("timeout").unwrap_or(0).clamp(0, MAX_WAIT);
    let deadline = Instant::now() + Duration::from_secs(wait.unsigned_abs());
    let (arrived, stop, turn) = {
        let mut world = shared.lock();
        let stop = world.live.stop.clone();
        let bot = world.bots.get_mut(bot_id).ok_or_else(ApiError::unauthorized)?;
        if bot.webhook.is_some() {
            return Err(ApiError::conflict(BY_WEBHOOK));
        }
        take_allowed_updates(bot, params)?;
        bot.poll += 1;
        bot.arrived.notify_waiters();
        (bot.arrived.clone(), stop, bot.poll)
    };
    loop {
        let news = arrived.notified();
        {
            let mut world = shared.lock();
            let bot = world.bots.get_mut(bot_id).ok_or_else(ApiError::unauthorized)?;
            if bot.poll != turn {
                return Err(ApiError::conflict(if bot.webhook.is_some() { BY_SET_WEBHOOK } else { BY_POLLER }));
            }
            let before = bot.updates.len();
            let updates = bot.updates.read(offset, limit);
            let confirmed = before != bot.updates.len();
            if confirmed {
                world.touch();
            }
            if !updates.is_empty() || Instant::now() >= deadline || stop.is_cancelled() {
                return Ok(format!("[{}]", updates.join(",")));
            }
        }
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// `setWebhook` → `true`. An empty URL removes the webhook.
pub(super) fn set_webhook(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let url = call.params.text("url").unwrap_or_default();
    if url.is_empty() {
        return delete_webhook(world, call);
    }
    let good = reqwest::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !good || url.len() > 2048 {
        return Err(ApiError::bad_request("bad webhook: invalid URL specified"));
    }
    let secret_token = call.params.text("secret_token").filter(|secret| !secret.is_empty());
    if let Some(secret) = &secret_token {
        if secret.len() > 256 {
            return Err(ApiError::bad_request("secret token is too long"));
        }
        if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
            return Err(ApiError::bad_request("secret token contains unallowed characters"));
        }
    }
    let max_connections = match call.params.number("max_connections") {
        None | Some(..=0) => DEFAULT_CONNECTIONS,
        Some(number) => number.min(100) as usize,
    };
    let bot = world.bots.get_mut(call.bot).ok_or_else(ApiError::unauthorized)?;
    take_allowed_updates(bot, call.params)?;
    if call.params.flag("drop_pending_updates") {
        bot.updates.clear();
    }
    bot.webhook = Some(Webhook { url, secret_token, max_connections, last_error: None });
    bot.poll += 1;
    bot.arrived.notify_waiters();
    world.bots.wake.notify_one();
    Ok(json!(true))
}

/// `deleteWebhook` → `true`.
pub(super) fn delete_webhook(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let bot = world.bots.get_mut(call.bot).ok_or_else(ApiError::unauthorized)?;
    if call.params.flag("drop_pending_updates") {
        bot.updates.clear();
    }
    bot.webhook = None;
    Ok(json!(true))
}

/// `getWebhookInfo` → `WebhookInfo`.
pub(super) fn get_webhook_info(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let bot = world.bots.get(call.bot).ok_or_else(ApiError::unauthorized)?;
    let mut info = json!({"url": "", "has_custom_certificate": false, "pending_update_count": bot.updates.len()});
    if let Some(webhook) = &bot.webhook {
        info["url"] = json!(webhook.url);
        info["max_connections"] = json!(webhook.max_connections);
        if let Some((date, message)) = &webhook.last_error {
            info["last_error_date"] = json!(date);
            info["last_error_message"] = json!(message);
        }
    }
    if !bot.allowed_updates.is_empty() {
        info["allowed_updates"] = json!(bot.allowed_updates);
    }
    Ok(info)
}

/// Takes over `allowed_updates` when it is given; otherwise the last setting stays.
fn take_allowed_updates(bot: &mut Bot, params: &Params) -> Result<(), ApiError> {
    if let Some(given) = params.json("allowed_updates")? {
        let kinds: Vec<String> =
            serde_json::from_value(given).map_err(|_| ApiError::bad_request("can't parse allowed updates JSON object"))?;
        bot.allowed_updates = kinds.into_iter().filter(|kind| kind.len() <= 64).take(64).collect();
    }
    Ok(())
}
