//! What the managing bot is told (Bot API `Update`), as far as the service uses it. Parsing never fails on content that it does
//! not know: such an update is [`BotEvent::Ignored`], and its id still moves the offset of `getUpdates`.

mod wire;

use crate::content::Attachment;
use crate::text::FormattedText;
use crate::{BotMessageId, ChatId, ThreadId};
use chrono::{DateTime, Utc};

/// One update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotUpdate {
    /// `update_id`: ascending per bot.
    pub id: i64,
    /// What happened.
    pub event: BotEvent,
}

/// What an update tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BotEvent {
    /// A person wrote, in the working group or elsewhere.
    Message(BotMessage),
    /// Telegram itself wrote into a chat.
    Service(BotService),
    /// The bot's own membership in a chat changed (`my_chat_member`).
    Membership(BotMembership),
    /// Nothing of ours: bots' messages, edits, channel posts, updates of other kinds.
    Ignored,
}

/// The chat of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotUpdateChat {
    /// Marked id.
    pub id: ChatId,
    /// `private`, `group`, `supergroup` or `channel`.
    pub kind: String,
    /// Title; none for private chats.
    pub title: Option<String>,
    /// Public username without `@`.
    pub username: Option<String>,
    /// Has topics.
    pub is_forum: bool,
}

/// A message written by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotMessage {
    /// Where it stands.
    pub chat: BotUpdateChat,
    /// Its id there.
    pub id: BotMessageId,
    /// The topic; `None` in the general one and in chats without topics.
    pub thread: Option<ThreadId>,
    /// Who wrote it. An anonymous administrator of the group is the group itself.
    pub sender: ChatId,
    /// Their name as shown.
    pub sender_name: String,
    /// When, by Telegram's clock.
    pub date: DateTime<Utc>,
    /// Text or caption.
    pub text: FormattedText,
    /// What it carries besides text.
    pub attachment: Option<Attachment>,
    /// The message of the same chat that it answers; never the one that opened its topic.
    pub reply_to: Option<BotMessageId>,
}

/// A command at the beginning of a text: `/getid@our_bot rest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BotCommand<'a> {
    /// Without the slash.
    pub name: &'a str,
    /// The bot that it names, without `@`.
    pub bot: Option<&'a str>,
}

/// A message that Telegram wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotService {
    /// Where it stands.
    pub chat: BotUpdateChat,
    /// Its id there, to delete it by.
    pub id: BotMessageId,
    /// The topic.
    pub thread: Option<ThreadId>,
    /// What it says.
    pub kind: ServiceKind,
}

/// What a service message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// `forum_topic_created`.
    TopicCreated,
    /// `forum_topic_edited`: renamed, or another icon.
    TopicEdited,
    /// `forum_topic_closed`.
    TopicClosed,
    /// `forum_topic_reopened`.
    TopicReopened,
    /// `migrate_to_chat_id`: the group became a supergroup.
    MigratedTo(ChatId),
    /// Joins, pins and all the others.
    Other,
}

/// `my_chat_member`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotMembership {
    /// The chat.
    pub chat: BotUpdateChat,
    /// The new status: `administrator`, `member`, `restricted`, `left`, `kicked`.
    pub status: String,
    /// Whether the bot is in the chat now.
    pub is_member: bool,
    /// When, by Telegram's clock.
    pub date: DateTime<Utc>,
}

impl BotUpdate {
    /// Reads Telegram's JSON. `None`: this is no update at all, it has no `update_id`.
    pub fn parse(json: &serde_json::Value) -> Option<Self> {
        let id = json.get("update_id")?.as_i64()?;
        Some(Self { id, event: wire::event(json) })
    }
}

impl BotMessage {
    /// The command that the text begins with.
    pub fn command(&self) -> Option<BotCommand<'_>> {
        let word = self.text.text.strip_prefix('/')?.split_whitespace().next()?;
        if self.text.text[1..].starts_with(char::is_whitespace) {
            return None;
        }
        let (name, bot) = match word.split_once('@') {
            Some((name, bot)) => (name, Some(bot)),
            None => (word, None),
        };
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        valid.then_some(BotCommand { name, bot })
    }
}

#[cfg(test)]
mod tests;
