//! Pushing updates to webhooks: one task for all bots, one short task per delivery. Which update goes when is decided by
//! [`crate::world::bot_updates`].

use std::time::{Duration, Instant};

use reqwest::{Client, header::CONTENT_TYPE};
use std::sync::Arc;
use tokio::task::JoinSet;

use super::{Params, perform};
use crate::world::{Shared, World, bot_updates::Next, now};

/// How long a webhook may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long nothing may happen before the queues are looked at anyway.
const IDLE: Duration = Duration::from_secs(60);
/// How much of a webhook's answer is read.
const MAX_ANSWER: usize = 64 * 1024;
/// The header that carries `secret_token`.
const SECRET_HEADER: &str = "X-Telegram-Bot-Api-Secret-Token";

/// One update on its way.
struct Delivery {
    bot: i64,
    id: i64,
    body: Arc<str>,
    url: String,
    secret_token: Option<String>,
}

/// Delivers updates until the simulator stops.
pub async fn run(shared: Shared) {
    let (wake, stop) = {
        let world = shared.lock();
        (world.bots.wake.clone(), world.live.stop.clone())
    };
    let client = match Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "no webhooks: the HTTP client does not start");
            return;
        }
    };
    let mut deliveries = JoinSet::new();
    loop {
        let (due, next) = due(&mut shared.lock(), Instant::now());
        for delivery in due {
            deliveries.spawn(deliver(client.clone(), shared.clone(), delivery));
        }
        let pause = next.unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep_until(pause.into()) => {}
            Some(_) = deliveries.join_next() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Everything that can be posted now, and when to look again.
fn due(world: &mut World, now: Instant) -> (Vec<Delivery>, Option<Instant>) {
    let mut due = Vec::new();
    let mut earliest: Option<Instant> = None;
    for bot in world.bots.iter_mut() {
        let Some(webhook) = &bot.webhook else { continue };
        loop {
            match bot.updates.next_post(webhook.max_connections, now) {
                Next::Post { id, body } => due.push(Delivery {
                    bot: bot.id,
                    id,
                    body,
                    url: webhook.url.clone(),
                    secret_token: webhook.secret_token.clone(),
                }),
                Next::Wait(at) => {
                    earliest = Some(earliest.map_or(at, |other| other.min(at)));
                    break;
                }
                Next::Idle => break,
            }
        }
    }
    (due, earliest)
}

/// Posts one update, notes how it went, and carries out the call that the answer may hold.
async fn deliver(client: Client, shared: Shared, delivery: Delivery) {
    let answer = post(&client, &delivery).await;
    let call = {
        let mut world = shared.lock();
        let Some(bot) = world.bots.get_mut(delivery.bot) else { return };
        match answer {
            Ok(call) => {
                bot.updates.delivered(delivery.id);
                world.touch();
                call
            }
            Err(error) => {
                tracing::debug!(bot = delivery.bot, update = delivery.id, error, "webhook");
                bot.updates.failed(delivery.id, Instant::now());
                if let Some(webhook) = bot.webhook.as_mut().filter(|webhook| webhook.url == delivery.url) {
                    webhook.last_error = Some((now(), error));
                }
                None
            }
        }
    };
    if let Some((method, params)) = call {
        perform(&shared, delivery.bot, &method, params).await;
    }
}

/// Posts an update. The result is the method call in the webhook's answer, if there is one, or what went wrong.
async fn post(client: &Client, delivery: &Delivery) -> Result<Option<(String, Params)>, String> {
    let mut request = client.post(&delivery.url).header(CONTENT_TYPE, "application/json").body(delivery.body.to_string());
    if let Some(secret) = &delivery.secret_token {
        request = request.header(SECRET_HEADER, secret);
    }
    let mut response = request.send().await.map_err(|error| failure(&error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("Wrong response from the webhook: {status}"));
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    // Like a request, the call may be JSON or a form; anything else just means that there is none.
    let call = Params::read(None, &content_type, &body.into()).ok();
    Ok(call.and_then(|params| params.text("method").map(|method| (method, params))))
}

/// Telegram's names for what went wrong.
fn failure(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "Read timeout expired".to_owned()
    } else if error.is_connect() {
        "Connection refused".to_owned()
    } else {
        "Connection closed".to_owned()
    }
}
