//! Messages of a forum: one ascending numbering for all its topics.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Forum, ForumError};
use crate::world::{
    message::{Entity, Media, Message, Reaction},
    now,
};

/// Messages kept per forum; the oldest give way.
const CAPACITY: usize = 200_000;

/// A message and the topic it stands in.
#[derive(Clone, Serialize, Deserialize)]
pub struct Post {
    /// The topic; none: the general one.
    pub thread: Option<i32>,
    /// The message itself.
    pub message: Message,
}

/// A message to be written.
#[derive(Default)]
pub struct Draft {
    /// The author: a member or the forum's bot.
    pub from: i64,
    /// The topic; none: the general one.
    pub thread: Option<i32>,
    /// Text or caption.
    pub text: String,
    /// Its formatting.
    pub entities: Vec<Entity>,
    /// An attachment.
    pub media: Option<Media>,
    /// The message that it answers.
    pub reply_to: Option<i32>,
    /// The Bot API fields of a service message.
    pub service: Option<Value>,
}

impl Draft {
    /// A service message.
    pub fn service(from: i64, thread: Option<i32>, service: Value) -> Self {
        Self { from, thread, service: Some(service), ..Self::default() }
    }
}

impl Forum {
    /// The message with this id.
    pub fn post(&self, id: i32) -> Option<&Post> {
        self.posts.get(&id)
    }

    /// All messages, oldest first.
    pub fn posts(&self) -> impl DoubleEndedIterator<Item = &Post> {
        self.posts.values()
    }

    /// Whether a message may answer this one.
    ///
    /// # Errors
    /// `RepliedNotFound`.
    pub fn admit_reply(&self, id: i32) -> Result<&Post, ForumError> {
        self.posts.get(&id).ok_or(ForumError::RepliedNotFound)
    }

    /// Adds a message that was admitted. Returns its id.
    pub fn write(&mut self, draft: Draft) -> i32 {
        let id = self.next_id();
        let message = Message {
            entities: draft.entities,
            media: draft.media,
            reply_to: draft.reply_to,
            service: draft.service,
            ..Message::text(id, draft.from, draft.text)
        };
        self.posts.insert(id, Post { thread: draft.thread, message });
        if self.posts.len() > CAPACITY {
            self.posts.pop_first();
        }
        id
    }

    /// Replaces the text of a message by its author.
    ///
    /// # Errors
    /// `EditedNotFound`, `NotEditable` (somebody else's, or a service message), `MessageNotModified`.
    pub fn edit(&mut self, by: i64, id: i32, text: String, entities: Vec<Entity>) -> Result<&Post, ForumError> {
        let post = self.posts.get_mut(&id).ok_or(ForumError::EditedNotFound)?;
        let message = &mut post.message;
        if message.from != by || message.service.is_some() {
            return Err(ForumError::NotEditable);
        }
        if message.text == text && message.entities == entities {
            return Err(ForumError::MessageNotModified);
        }
        message.text = text;
        message.entities = entities;
        message.edited = Some(now());
        Ok(post)
    }

    /// Deletes a message. The service message that began a topic stays as long as the topic does.
    ///
    /// # Errors
    /// `DeletedNotFound`; `NotDeletable` for a topic's beginning, and for others' messages without the right.
    pub fn delete(&mut self, by: i64, id: i32) -> Result<(), ForumError> {
        let post = self.posts.get(&id).ok_or(ForumError::DeletedNotFound)?;
        let allowed = by != self.bot.id || post.message.from == by || self.bot.can_delete_messages();
        if !allowed || self.topics.contains_key(&id) {
            return Err(ForumError::NotDeletable);
        }
        self.posts.remove(&id);
        Ok(())
    }

    /// Replaces somebody's reactions to a message.
    ///
    /// # Errors
    /// `ReactedNotFound`.
    pub fn react(&mut self, by: i64, id: i32, emoji: Vec<String>) -> Result<(), ForumError> {
        let post = self.posts.get_mut(&id).filter(|post| post.message.service.is_none());
        let reactions = &mut post.ok_or(ForumError::ReactedNotFound)?.message.reactions;
        reactions.retain(|reaction| reaction.from != by);
        reactions.extend(emoji.into_iter().map(|emoji| Reaction { from: by, emoji }));
        Ok(())
    }
}
