//! One message as the simulator stores and shows it, independent of both wire protocols: private chats, groups, channels and
//! forum topics all use it. The JSON form is the one of the control API.

use serde::{Deserialize, Serialize};

/// A message in one mailbox, channel or topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Number in its mailbox (private chats, basic groups) or in its channel or forum; ascending from 1.
    pub id: i32,
    /// The author, in marked form.
    pub from: i64,
    /// Whether the mailbox's owner wrote it; always false in channels' and forums' own lists.
    pub out: bool,
    /// Unix seconds.
    pub date: i64,
    /// Plain text or caption, without markup.
    pub text: String,
    /// Formatting of `text`.
    #[serde(default)]
    pub entities: Vec<Entity>,
    /// What is attached, if anything.
    #[serde(default)]
    pub media: Option<Media>,
    /// The message that this one answers, as the same mailbox numbers it.
    #[serde(default)]
    pub reply_to: Option<i32>,
    /// Reactions in the order they were given.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
    /// When it was last edited, in Unix seconds.
    #[serde(default)]
    pub edited: Option<i64>,
    /// Messages of one album share this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album: Option<i64>,
    /// A service message (somebody joined, a topic was renamed) in the form of its Bot API fields, for example
    /// `{"forum_topic_created": {…}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<serde_json::Value>,
}

impl Message {
    /// A message with text alone, dated now.
    pub fn text(id: i32, from: i64, text: impl Into<String>) -> Self {
        Self {
            id,
            from,
            out: false,
            date: super::now(),
            text: text.into(),
            entities: Vec::new(),
            media: None,
            reply_to: None,
            reactions: Vec::new(),
            edited: None,
            album: None,
            service: None,
        }
    }
}

/// Formatting of a stretch of text, in the Bot API's JSON form (<https://core.telegram.org/bots/api#messageentity>).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// `bold`, `italic`, `text_link`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Start, in UTF-16 code units.
    pub offset: i32,
    /// Length, in UTF-16 code units.
    pub length: i32,
    /// Target of a `text_link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Programming language of a `pre`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Decimal id of a `custom_emoji`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_emoji_id: Option<String>,
    /// The person meant by a `text_mention`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<MentionedUser>,
}

/// The person behind a `text_mention`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MentionedUser {
    /// Telegram's user id.
    pub id: i64,
    /// Whether it is a bot.
    #[serde(default)]
    pub is_bot: bool,
    /// As shown.
    #[serde(default)]
    pub first_name: String,
}

/// An attachment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// `photo`, `video`, `voice`, `audio`, `document`, `sticker`, `animation`, `video_note`, `contact`, `location` or `poll`.
    pub kind: String,
    /// MIME type, `image/jpeg` and so on.
    #[serde(default)]
    pub mime: String,
    /// File name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Bytes.
    #[serde(default)]
    pub size: i64,
    /// Seconds, for what plays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<i32>,
    /// The file's number in this world: the id in MTProto, the base of `file_id` in the Bot API.
    #[serde(default)]
    pub file: i64,
}

/// One person's or bot's reaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reaction {
    /// Who reacted, in marked form.
    pub from: i64,
    /// The emoji itself.
    pub emoji: String,
}
