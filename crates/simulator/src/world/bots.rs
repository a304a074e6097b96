//! Bots: their tokens, webhooks and settings. What waits for them is in [`super::bot_updates`], what they may do in a group in
//! [`super::forums`].

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::Notify;

use super::{bot_limits::GroupLimits, bot_log::RequestLog, bot_updates::UpdateQueue};

/// Deliveries at once unless `setWebhook` says otherwise.
pub const DEFAULT_CONNECTIONS: usize = 40;

/// Kinds of updates that a bot gets when it never named any (those of them that exist here).
const DEFAULT_UPDATES: [&str; 3] = ["message", "edited_message", "my_chat_member"];

/// All bots, by id.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bots {
    list: BTreeMap<i64, Bot>,
    /// Wakes the webhook sender: there is something to deliver, or a setting changed.
    #[serde(skip)]
    pub wake: Arc<Notify>,
    /// The last calls of all bots.
    #[serde(skip)]
    pub log: RequestLog,
    /// How fast bots may write into groups.
    #[serde(skip)]
    pub limits: GroupLimits,
}

/// One bot. It has no `Debug`: its token and its webhook's secret are not for logs.
#[derive(Serialize, Deserialize)]
pub struct Bot {
    /// Telegram id, also the first half of the token.
    pub id: i64,
    /// Without `@`.
    pub username: String,
    token: String,
    /// Updates that nobody has confirmed yet.
    pub updates: UpdateQueue,
    /// Where updates are pushed; none: they wait for `getUpdates`.
    pub webhook: Option<Webhook>,
    /// Kinds of updates that the bot asked for; empty means the default ones.
    pub allowed_updates: Vec<String>,
    /// Number of the newest `getUpdates` call: an older one that still waits must give way.
    #[serde(skip)]
    pub poll: u64,
    /// Wakes a waiting `getUpdates`.
    #[serde(skip)]
    pub arrived: Arc<Notify>,
}

/// A webhook as `setWebhook` made it, and how its last deliveries went.
#[derive(Clone, Serialize, Deserialize)]
pub struct Webhook {
    /// Where updates are posted.
    pub url: String,
    /// Sent as `X-Telegram-Bot-Api-Secret-Token`.
    pub secret_token: Option<String>,
    /// Deliveries at once, 1–100.
    pub max_connections: usize,
    /// Unix time and text of the last failed delivery.
    pub last_error: Option<(i64, String)>,
}

impl Bots {
    /// Adds a bot. Its token has Telegram's form, `<id>:<35 characters>`.
    pub fn add(&mut self, id: i64, username: &str) -> &Bot {
        let token = format!("{id}:AA{}", &BASE64_URL_SAFE_NO_PAD.encode(super::random::<25>())[..33]);
        let bot = Bot {
            id,
            username: username.to_owned(),
            token,
            updates: UpdateQueue::default(),
            webhook: None,
            allowed_updates: Vec::new(),
            poll: 0,
            arrived: Arc::default(),
        };
        self.list.entry(id).or_insert(bot)
    }

    /// The bot with this id.
    pub fn get(&self, id: i64) -> Option<&Bot> {
        self.list.get(&id)
    }

    /// The bot with this id, to change it.
    pub fn get_mut(&mut self, id: i64) -> Option<&mut Bot> {
        self.list.get_mut(&id)
    }

    /// The id of the bot that owns this token.
    pub fn by_token(&self, token: &str) -> Option<i64> {
        let id = token.split_once(':')?.0.parse().ok()?;
        let bot = self.list.get(&id)?;
        bool::from(bot.token.as_bytes().ct_eq(token.as_bytes())).then_some(id)
    }

    /// Every bot, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Bot> {
        self.list.values()
    }

    /// Every bot, to deliver its updates.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Bot> {
        self.list.values_mut()
    }

    /// Queues an update unless the bot did not ask for its kind, and wakes whoever waits for it.
    pub fn push_update(&mut self, bot_id: i64, kind: &str, body: &serde_json::Value) {
        let Some(bot) = self.list.get_mut(&bot_id).filter(|bot| bot.wants(kind)) else { return };
        bot.updates.push(kind, body);
        if bot.webhook.is_some() {
            self.wake.notify_one();
        }
        bot.arrived.notify_waiters();
    }
}

impl Bot {
    /// The secret that its calls carry in their path.
    pub fn token(&self) -> &str {
        &self.token
    }

    fn wants(&self, kind: &str) -> bool {
        if self.allowed_updates.is_empty() {
            DEFAULT_UPDATES.contains(&kind)
        } else {
            self.allowed_updates.iter().any(|allowed| allowed == kind)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_names_its_bot_and_nothing_else_does() {
        let mut bots = Bots::default();
        let token = bots.add(42, "a_bot").token().to_owned();
        assert_eq!((bots.by_token(&token), token.len()), (Some(42), 38));
        for wrong in ["", "42", "42:", &token[..37], "43:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(bots.by_token(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn kinds_that_were_not_asked_for_are_not_queued() {
        let mut bots = Bots::default();
        bots.add(1, "b");
        bots.push_update(1, "message_reaction", &json!({}));
        bots.push_update(1, "message", &json!({}));
        assert_eq!(bots.get(1).unwrap().updates.len(), 1);
        bots.get_mut(1).unwrap().allowed_updates = vec!["my_chat_member".into()];
        bots.push_update(1, "message", &json!({}));
        assert_eq!(bots.get(1).unwrap().updates.len(), 1);
    }
}
