//! Supergroups in which a bot works: members, topics, messages and the bot's rights. Everything here changes the group only; who is
//! told about it is decided in [`super::bot_view`].

mod posts;
mod topics;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use posts::{Draft, Post};
pub use topics::{GENERAL, Topic};

/// Why something cannot be done in a forum. The texts are the Bot API's, without `Bad Request: `.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "every text says what its variant means")]
pub enum ForumError {
    #[error("chat not found")]
    ChatNotFound,
    #[error("group chat was upgraded to a supergroup chat")]
    Migrated(i64),
    #[error("bot was kicked from the supergroup chat")]
    BotKicked,
    #[error("the chat is not a forum")]
    NotForum,
    #[error("message thread not found")]
    ThreadNotFound,
    #[error("TOPIC_ID_INVALID")]
    TopicInvalid,
    #[error("TOPIC_DELETED")]
    TopicDeleted,
    #[error("TOPIC_CLOSED")]
    TopicClosed,
    #[error("TOPIC_NOT_MODIFIED")]
    TopicNotModified,
    #[error("not enough rights to manage topics")]
    NoTopicRights,
    #[error("message to be replied not found")]
    RepliedNotFound,
    #[error("message to edit not found")]
    EditedNotFound,
    #[error("message can't be edited")]
    NotEditable,
    #[error(
        "message is not modified: specified new message content and reply markup are exactly the same as a current content and \
         reply markup of the message"
    )]
    MessageNotModified,
    #[error("message to delete not found")]
    DeletedNotFound,
    #[error("message can't be deleted")]
    NotDeletable,
    #[error("message to react not found")]
    ReactedNotFound,
}

/// All forums, by marked chat id.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Forums {
    list: BTreeMap<i64, Forum>,
    /// Old chat ids and the ids that replaced them.
    moved: BTreeMap<i64, i64>,
}

/// One supergroup.
#[derive(Serialize, Deserialize)]
pub struct Forum {
    /// Marked form, `-100…`.
    pub chat_id: i64,
    /// As shown.
    pub title: String,
    /// Without topics it is an ordinary supergroup that has the general thread only.
    pub is_forum: bool,
    /// People who may write; the first one is the owner.
    pub members: Vec<i64>,
    /// Its bot.
    pub bot: BotMember,
    topics: BTreeMap<i32, Topic>,
    /// Topics that are gone for good.
    deleted: BTreeSet<i32>,
    posts: BTreeMap<i32, Post>,
    last_id: i32,
}

/// The bot's place in a group.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct BotMember {
    /// The bot.
    pub id: i64,
    /// Telegram's name of its standing.
    pub status: BotStatus,
    /// What it may do as an administrator.
    pub rights: Rights,
}

/// How a bot stands in a group, in the Bot API's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BotStatus {
    /// With [`Rights`].
    Administrator,
    /// Without rights.
    Member,
    /// Thrown out: it can do nothing.
    Kicked,
}

/// An administrator's rights that matter here (core.telegram.org/bots/api#chatadministratorrights).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are Telegram's")]
pub struct Rights {
    pub can_manage_chat: bool,
    pub can_delete_messages: bool,
    pub can_manage_topics: bool,
    pub can_pin_messages: bool,
    pub can_invite_users: bool,
    pub can_restrict_members: bool,
    pub can_promote_members: bool,
    pub can_change_info: bool,
    pub can_manage_video_chats: bool,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            can_manage_chat: true,
            can_delete_messages: true,
            can_manage_topics: true,
            can_pin_messages: true,
            can_invite_users: true,
            can_restrict_members: true,
            can_promote_members: false,
            can_change_info: true,
            can_manage_video_chats: true,
        }
    }
}

impl BotMember {
    /// Whether it may delete messages of others.
    pub fn can_delete_messages(&self) -> bool {
        self.status == BotStatus::Administrator && self.rights.can_delete_messages
    }

    /// Whether it may create, rename, close, reopen and delete topics.
    pub fn can_manage_topics(&self) -> bool {
        self.status == BotStatus::Administrator && self.rights.can_manage_topics
    }
}

impl Forums {
    /// Adds a supergroup; its bot is an administrator with the default rights.
    pub fn add(&mut self, chat_id: i64, title: &str, is_forum: bool, members: Vec<i64>, bot_id: i64) -> &mut Forum {
        let forum = Forum {
            chat_id,
            title: title.to_owned(),
            is_forum,
            members,
            bot: BotMember { id: bot_id, status: BotStatus::Administrator, rights: Rights::default() },
            topics: BTreeMap::new(),
            deleted: BTreeSet::new(),
            posts: BTreeMap::new(),
            // Message 1 of every supergroup says that it was created.
            last_id: 1,
        };
        self.list.entry(chat_id).or_insert(forum)
    }

    /// The forum with this id.
    ///
    /// # Errors
    /// `Migrated` for an id that was replaced, `ChatNotFound` for any other.
    pub fn get(&self, chat_id: i64) -> Result<&Forum, ForumError> {
        self.list.get(&chat_id).ok_or_else(|| self.missing(chat_id))
    }

    /// The forum with this id, to change it.
    ///
    /// # Errors
    /// As [`Forums::get`].
    pub fn get_mut(&mut self, chat_id: i64) -> Result<&mut Forum, ForumError> {
        let missing = self.missing(chat_id);
        self.list.get_mut(&chat_id).ok_or(missing)
    }

    /// Every forum, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Forum> {
        self.list.values()
    }

    /// Gives a forum a new id, as when a basic group becomes a supergroup; the old one answers where it went.
    ///
    /// # Errors
    /// As [`Forums::get`].
    pub fn migrate(&mut self, from: i64, to: i64) -> Result<(), ForumError> {
        let mut forum = self.list.remove(&from).ok_or_else(|| self.missing(from))?;
        forum.chat_id = to;
        self.list.insert(to, forum);
        self.moved.insert(from, to);
        Ok(())
    }

    fn missing(&self, chat_id: i64) -> ForumError {
        self.moved.get(&chat_id).map_or(ForumError::ChatNotFound, |to| ForumError::Migrated(*to))
    }
}

impl Forum {
    /// Checks that the bot is in the group at all.
    ///
    /// # Errors
    /// `ChatNotFound` for a stranger, `BotKicked` for a bot that was thrown out.
    pub fn admit_bot(&self, bot_id: i64) -> Result<(), ForumError> {
        match self.bot.status {
            _ if self.bot.id != bot_id => Err(ForumError::ChatNotFound),
            BotStatus::Kicked => Err(ForumError::BotKicked),
            BotStatus::Administrator | BotStatus::Member => Ok(()),
        }
    }

    fn next_id(&mut self) -> i32 {
        self.last_id += 1;
        self.last_id
    }
}
