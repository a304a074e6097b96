//! The simulated Telegram's control calls, as far as the demo needs them (architecture, section 8), and the bot's webhook.

use super::seed::Seed;
use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A client of the simulator.
pub(super) struct Simulated {
    http: Client,
    base: String,
}

/// A topic of the working group.
#[derive(Debug, Deserialize)]
pub(super) struct Topic {
    pub(super) thread_id: i64,
    pub(super) name: String,
    /// The last message only.
    pub(super) messages: Vec<Message>,
}

/// A message of a topic.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) text: String,
}

impl Simulated {
    /// Waits until the simulator answers.
    pub(super) async fn new(base: &str, patience: Duration) -> Result<Self> {
        let http = Client::builder().timeout(Duration::from_secs(10)).build()?;
        let telegram = Self { http, base: base.to_owned() };
        let deadline = Instant::now() + patience;
        loop {
            match telegram.call(Method::GET, "/control/config", None).await {
                Ok(_) => return Ok(telegram),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// A new user.
    pub(super) async fn person(&self, first_name: &str, last_name: &str) -> Result<i64> {
        let user = self.post("/control/users", json!({ "first_name": first_name, "last_name": last_name })).await?;
        user["id"].as_i64().context("a user without id")
    }

    /// A new bot; its token.
    pub(super) async fn bot(&self, username: &str) -> Result<String> {
        let bot = self.post("/control/bots", json!({ "username": username })).await?;
        Ok(bot["token"].as_str().context("a bot without token")?.to_owned())
    }

    /// A new forum with the bot as its administrator; its id.
    pub(super) async fn forum(&self, title: &str, bot_token: &str, members: &[i64]) -> Result<i64> {
        let forum = json!({ "title": title, "bot_token": bot_token, "members": members });
        self.post("/control/forums", forum).await?["chat_id"].as_i64().context("a forum without id")
    }

    /// The user's phone scans a login's QR code.
    pub(super) async fn scan(&self, user: i64, url: &str) -> Result<()> {
        self.post(&format!("/control/users/{user}/scan"), json!({ "url": url })).await.map(drop)
    }

    /// A private message.
    pub(super) async fn write(&self, from: i64, to: i64, text: &str) -> Result<()> {
        self.post("/control/messages", json!({ "from": from, "to": to, "text": text })).await.map(drop)
    }

    /// The topics of a forum, each with its last message.
    pub(super) async fn topics(&self, forum: i64) -> Result<Vec<Topic>> {
        let topics = self.call(Method::GET, &format!("/control/forums/{forum}/topics?last=1"), None).await?;
        Ok(serde_json::from_value(topics)?)
    }

    /// An operator writes in a topic.
    pub(super) async fn answer(&self, forum: i64, topic: i64, operator: i64, text: &str) -> Result<()> {
        let path = format!("/control/forums/{forum}/topics/{topic}/messages");
        self.post(&path, json!({ "from": operator, "text": text })).await.map(drop)
    }

    /// Tells the Bot API where the bot's updates go: to our webhook, or nowhere, for polling. The address may have changed since the
    /// last run.
    pub(super) async fn point_bot(&self, seed: &Seed, api: &str, polling: bool) -> Result<()> {
        let (method, parameters) = if polling {
            ("deleteWebhook", json!({}))
        } else {
            let url = format!("{api}/api/webhooks/telegram/{}/{}", seed.bot_id, seed.webhook_secret);
            ("setWebhook", json!({ "url": url, "secret_token": seed.webhook_secret, "max_connections": 1 }))
        };
        self.post(&format!("/bot{}/{method}", seed.bot_token), parameters).await.map(drop)
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        // Paths of the Bot API hold the token: errors must not show the URL.
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        let text = answer.text().await.map_err(reqwest::Error::without_url)?;
        if !status.is_success() {
            bail!("the simulator answered {status}: {text}");
        }
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }
}
