//! Topics of a forum. Each begins with a service message whose id is the topic's `message_thread_id`; renaming, closing and
//! reopening leave service messages too.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Draft, Forum, ForumError};

/// The general topic: it always exists, and its messages carry no thread id.
pub const GENERAL: i32 = 1;

/// The colour of a topic that was created without one.
const DEFAULT_COLOUR: i64 = 0x6F_B9_F0;

/// One topic.
#[derive(Clone, Serialize, Deserialize)]
pub struct Topic {
    /// Id of its first service message.
    pub thread_id: i32,
    /// 1–128 characters.
    pub name: String,
    /// RGB.
    pub icon_color: i64,
    /// Custom emoji shown instead of the coloured bubble.
    pub icon_custom_emoji_id: Option<String>,
    /// Who made it: its creator may manage it without the right to manage topics.
    pub creator: i64,
    /// Nobody writes into a closed topic.
    pub closed: bool,
}

impl Forum {
    /// The topics in the order of their creation.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.values()
    }

    /// A topic that exists.
    ///
    /// # Errors
    /// `TopicDeleted` if it did, `TopicInvalid` if it never was, `NotForum`.
    pub fn topic(&self, thread_id: i32) -> Result<&Topic, ForumError> {
        match self.topics.get(&thread_id) {
            _ if !self.is_forum => Err(ForumError::NotForum),
            Some(topic) => Ok(topic),
            None if self.deleted.contains(&thread_id) => Err(ForumError::TopicDeleted),
            None => Err(ForumError::TopicInvalid),
        }
    }

    /// Checks that a message may be written into this thread.
    ///
    /// # Errors
    /// `ThreadNotFound` (also for a deleted topic, as Telegram says it), `TopicClosed`.
    pub fn admit_thread(&self, thread_id: i32) -> Result<(), ForumError> {
        match self.topics.get(&thread_id) {
            Some(topic) if topic.closed => Err(ForumError::TopicClosed),
            Some(_) => Ok(()),
            None => Err(ForumError::ThreadNotFound),
        }
    }

    /// Creates a topic; its id is the id of the service message that must be announced.
    ///
    /// # Errors
    /// `NotForum`; `NoTopicRights` for a bot without the right.
    pub fn create_topic(
        &mut self,
        by: i64,
        name: &str,
        icon_color: Option<i64>,
        icon_custom_emoji_id: Option<String>,
    ) -> Result<i32, ForumError> {
        if !self.is_forum {
            return Err(ForumError::NotForum);
        }
        if by == self.bot.id && !self.bot.can_manage_topics() {
            return Err(ForumError::NoTopicRights);
        }
        let icon_color = icon_color.unwrap_or(DEFAULT_COLOUR);
        let mut created = json!({"name": name, "icon_color": icon_color});
        if let Some(emoji) = &icon_custom_emoji_id {
            created["icon_custom_emoji_id"] = json!(emoji);
        }
        let thread_id = self.write(Draft::service(by, None, json!({ "forum_topic_created": created })));
        if let Some(root) = self.posts.get_mut(&thread_id) {
            root.thread = Some(thread_id);
        }
        let name = name.to_owned();
        let topic = Topic { thread_id, name, icon_color, icon_custom_emoji_id, creator: by, closed: false };
        self.topics.insert(thread_id, topic);
        Ok(thread_id)
    }

    /// Renames a topic or changes its icon (an empty emoji id removes it). Returns the service message.
    ///
    /// # Errors
    /// As [`Forum::topic`]; `NoTopicRights`; `TopicNotModified` when nothing would change.
    pub fn edit_topic(&mut self, by: i64, thread_id: i32, name: Option<&str>, icon: Option<&str>) -> Result<i32, ForumError> {
        let topic = self.managed_topic(by, thread_id)?;
        let name = name.filter(|name| *name != topic.name);
        let icon = icon.filter(|icon| *icon != topic.icon_custom_emoji_id.as_deref().unwrap_or_default());
        if name.is_none() && icon.is_none() {
            return Err(ForumError::TopicNotModified);
        }
        let mut edited = json!({});
        if let Some(name) = name {
            topic.name = name.to_owned();
            edited["name"] = json!(name);
        }
        if let Some(icon) = icon {
            topic.icon_custom_emoji_id = Some(icon.to_owned()).filter(|icon| !icon.is_empty());
            edited["icon_custom_emoji_id"] = json!(icon);
        }
        Ok(self.write(Draft::service(by, Some(thread_id), json!({ "forum_topic_edited": edited }))))
    }

    /// Closes or reopens a topic. Returns the service message.
    ///
    /// # Errors
    /// As [`Forum::edit_topic`].
    pub fn close_topic(&mut self, by: i64, thread_id: i32, closed: bool) -> Result<i32, ForumError> {
        let topic = self.managed_topic(by, thread_id)?;
        if topic.closed == closed {
            return Err(ForumError::TopicNotModified);
        }
        topic.closed = closed;
        let service = if closed { json!({"forum_topic_closed": {}}) } else { json!({"forum_topic_reopened": {}}) };
        Ok(self.write(Draft::service(by, Some(thread_id), service)))
    }

    /// Deletes a topic with all its messages. Nobody is told: bots see no deletions.
    ///
    /// # Errors
    /// As [`Forum::topic`]; `NoTopicRights`.
    pub fn delete_topic(&mut self, by: i64, thread_id: i32) -> Result<(), ForumError> {
        self.topic(thread_id)?;
        if by == self.bot.id && !self.bot.can_delete_messages() {
            return Err(ForumError::NoTopicRights);
        }
        self.topics.remove(&thread_id);
        self.deleted.insert(thread_id);
        self.posts.retain(|_, post| post.thread != Some(thread_id));
        Ok(())
    }

    fn managed_topic(&mut self, by: i64, thread_id: i32) -> Result<&mut Topic, ForumError> {
        let creator = self.topic(thread_id)?.creator;
        if by == self.bot.id && by != creator && !self.bot.can_manage_topics() {
            return Err(ForumError::NoTopicRights);
        }
        self.topics.get_mut(&thread_id).ok_or(ForumError::TopicInvalid)
    }
}
