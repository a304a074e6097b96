//! The Bot API as the service uses it: a managing bot in one forum.

use crate::text::FormattedText;
use crate::{BotMessageId, ChatId, Secret, ThreadId};
use async_trait::async_trait;
use std::time::Duration;

/// A bot's token.
pub type BotToken = Secret<String>;

/// One message into a topic.
#[derive(Clone, Debug)]
pub struct SendTopicMessage {
    /// The working group.
    pub chat: ChatId,
    /// The topic; `None` is the general one.
    pub thread: Option<ThreadId>,
    /// The text, at most [`crate::text::MESSAGE_LIMIT`] units. Sent with entities, never as HTML.
    pub text: FormattedText,
    /// The message of the group that it answers; ignored by Telegram where that is gone.
    pub reply_to: Option<BotMessageId>,
    /// No sound.
    pub silent: bool,
}

/// `getMe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotIdentity {
    /// The bot's user id.
    pub id: i64,
    /// Its username without `@`.
    pub username: String,
}

/// `getChat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotChat {
    /// Marked id.
    pub id: ChatId,
    /// `private`, `group`, `supergroup` or `channel`.
    pub kind: String,
    /// Title.
    pub title: Option<String>,
    /// Has topics.
    pub is_forum: bool,
}

/// `getChatMember`, as far as a managing bot needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotMember {
    /// `administrator`, `member`, `left`, `kicked`…
    pub status: String,
    /// May create, rename and reopen topics.
    pub can_manage_topics: bool,
    /// May delete the rename's service message.
    pub can_delete_messages: bool,
}

/// `getWebhookInfo`, as far as somebody who looks for trouble needs it.
#[derive(Clone, Debug)]
pub struct WebhookInfo {
    /// Where updates go; it may hold a secret. `None`: nowhere, they are to be asked for.
    pub url: Option<Secret<String>>,
    /// Updates that wait.
    pub pending: u64,
    /// The last failure: when (Unix time) and what.
    pub last_error: Option<(i64, String)>,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BotError {
    /// 429: nothing was done; again after that long.
    #[error("too many requests: retry after {} s", .0.as_secs())]
    RetryAfter(Duration),
    /// The topic was deleted.
    #[error("topic not found")]
    TopicNotFound,
    /// The topic is closed.
    #[error("topic closed")]
    TopicClosed,
    /// The message is as it should be already (also `TOPIC_NOT_MODIFIED`).
    #[error("not modified")]
    NotModified,
    /// The message to edit, delete or react to is gone.
    #[error("message not found")]
    MessageNotFound,
    /// The group became a supergroup with another id.
    #[error("the group moved to {0}")]
    Migrated(ChatId),
    /// The bot was removed, its token is wrong, or it lacks rights: an owner has to act.
    #[error("no access: {0}")]
    NoAccess(String),
    /// 409: updates are asked for by two, or by one although a webhook is set.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Any other 4xx: a repeat will not help.
    #[error("refused: {0}")]
    Refused(String),
    /// Telegram could not be reached at all: nothing was done.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The connection broke or timed out after the request was sent, or a 5xx came back: nobody knows whether it was executed.
    #[error("the answer was lost: {0}")]
    Lost(String),
}

/// The Bot API. Method names are Telegram's.
#[async_trait]
pub trait BotApi: Send + Sync {
    /// `getMe`.
    async fn get_me(&self, bot: &BotToken) -> Result<BotIdentity, BotError>;
    /// `getChat`.
    async fn get_chat(&self, bot: &BotToken, chat: ChatId) -> Result<BotChat, BotError>;
    /// `getChatMember` of a user or bot.
    async fn get_chat_member(&self, bot: &BotToken, chat: ChatId, user: i64) -> Result<BotMember, BotError>;
    /// `sendMessage`.
    async fn send_message(&self, bot: &BotToken, message: &SendTopicMessage) -> Result<BotMessageId, BotError>;
    /// `deleteMessage`.
    async fn delete_message(&self, bot: &BotToken, chat: ChatId, message: BotMessageId) -> Result<(), BotError>;
    /// `setMessageReaction` with one emoji, or none.
    async fn set_reaction(
        &self,
        bot: &BotToken,
        chat: ChatId,
        message: BotMessageId,
        emoji: Option<&str>,
    ) -> Result<(), BotError>;
    /// `createForumTopic`.
    async fn create_topic(&self, bot: &BotToken, chat: ChatId, name: &str) -> Result<ThreadId, BotError>;
    /// `editForumTopic`, the name.
    async fn rename_topic(&self, bot: &BotToken, chat: ChatId, thread: ThreadId, name: &str) -> Result<(), BotError>;
    /// `reopenForumTopic`.
    async fn reopen_topic(&self, bot: &BotToken, chat: ChatId, thread: ThreadId) -> Result<(), BotError>;
    /// `setWebhook` with `max_connections = 1` and the updates that the service uses.
    async fn set_webhook(&self, bot: &BotToken, url: &str, secret_token: &Secret<String>) -> Result<(), BotError>;
    /// `getWebhookInfo`.
    async fn get_webhook_info(&self, bot: &BotToken) -> Result<WebhookInfo, BotError>;
    /// `deleteWebhook`, pending updates kept.
    async fn delete_webhook(&self, bot: &BotToken) -> Result<(), BotError>;
    /// `getUpdates` from `offset`, waiting at most `wait`. Each update as Telegram's JSON, in order.
    async fn get_updates(&self, bot: &BotToken, offset: i64, wait: Duration) -> Result<Vec<serde_json::Value>, BotError>;
}
