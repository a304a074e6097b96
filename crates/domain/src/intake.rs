//! What an account's connection brings in: batches of messages and peers with the update state that belongs to them.

use crate::content::Attachment;
use crate::text::FormattedText;
use crate::{ChatId, TelegramMessageId, TelegramUserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A chat partner, group or channel as one account knows it. Access hashes are valid for that account only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Marked id.
    pub chat: ChatId,
    /// MTProto access hash; `None` for basic groups and for `min` peers, which never overwrite a known hash.
    pub access_hash: Option<i64>,
    /// Name of the person, or the title.
    pub name: String,
    /// Public `@username` without the `@`.
    pub username: Option<String>,
    /// A broadcast channel (not a supergroup).
    pub broadcast: bool,
    /// A bot.
    pub bot: bool,
}

/// One message out of an account's updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The chat it stands in.
    pub chat: ChatId,
    /// Its id there.
    pub id: TelegramMessageId,
    /// Sent by the account itself (from a phone, or by us).
    pub out: bool,
    /// Who wrote it; the chat itself for channel posts and anonymous admins.
    pub sender: ChatId,
    /// When, by Telegram's clock.
    pub date: DateTime<Utc>,
    /// Text or caption.
    pub text: FormattedText,
    /// What it carries besides text.
    pub attachment: Option<Attachment>,
    /// The message of the same chat that it answers.
    pub reply_to: Option<TelegramMessageId>,
}

/// `updates.state` of the common box and the channels' pts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Telegram's own")]
pub struct UpdateState {
    pub pts: i32,
    pub qts: i32,
    pub date: i32,
    pub seq: i32,
    /// Bare channel id and pts.
    pub channels: Vec<(i64, i32)>,
}

/// The unit of a transaction: everything that one step of the connection brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Messages in the order in which they are to be mirrored.
    pub messages: Vec<Incoming>,
    /// Peers seen on the way.
    pub peers: Vec<Peer>,
    /// The state after this batch; `None` where it did not move.
    pub state: Option<UpdateState>,
    /// Who the account is, where that was not known.
    pub owner: Option<SelfUser>,
}

/// Who an account is, as Telegram tells after the login (`users.getUsers` of self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfUser {
    /// Telegram id.
    pub id: TelegramUserId,
    /// First and last name.
    pub name: String,
    /// Public `@username` without the `@`.
    pub username: Option<String>,
    /// Phone number, digits only.
    pub phone: Option<String>,
}
