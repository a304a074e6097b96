//! Basic groups, supergroups and channels that people write in (forums with bots are in `forums`).

use super::World;
use super::mailbox::Mailbox;
use super::now;
use super::peer::Peer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most members of a chat.
const MEMBERS: usize = 1000;

/// What kind of chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// A basic group: its messages live in the members' mailboxes.
    Group,
    /// A supergroup: members write, messages have the chat's own numbers.
    Supergroup,
    /// A channel: only its creator posts.
    Channel,
}

/// A chat of several people.
#[derive(Serialize, Deserialize)]
pub struct Chat {
    /// Marked id.
    pub id: i64,
    /// Shown name.
    pub title: String,
    /// What kind.
    pub kind: ChatKind,
    /// In the order in which they joined; the first one created it.
    pub members: Vec<i64>,
    /// Unix seconds.
    pub created: i64,
    /// The messages, except of basic groups.
    pub mailbox: Mailbox,
    /// How far each member has read, except in basic groups.
    pub read: BTreeMap<i64, i32>,
}

impl Chat {
    /// Whether the user is in it.
    pub fn has(&self, user: i64) -> bool {
        self.members.contains(&user)
    }

    /// Who made it.
    pub fn creator(&self) -> i64 {
        self.members.first().copied().unwrap_or_default()
    }
}

impl World {
    /// Creates a chat. Errors: `CHAT_TITLE_EMPTY`, `USERS_TOO_FEW`, `USERS_TOO_MUCH`, `USER_ID_INVALID`.
    pub fn add_chat(&mut self, title: &str, kind: ChatKind, members: &[i64]) -> Result<i64, &'static str> {
        if title.trim().is_empty() || title.chars().count() > 128 {
            return Err("CHAT_TITLE_EMPTY");
        }
        if members.is_empty() {
            return Err("USERS_TOO_FEW");
        }
        if members.len() > MEMBERS {
            return Err("USERS_TOO_MUCH");
        }
        let mut unique = Vec::new();
        for member in members {
            if !self.users.contains_key(member) {
                return Err("USER_ID_INVALID");
            }
            if !unique.contains(member) {
                unique.push(*member);
            }
        }
        let id = if kind == ChatKind::Group { self.ids.next_group() } else { self.ids.next_channel() };
        let title = title.trim().to_owned();
        let (mailbox, read) = (Mailbox::default(), BTreeMap::new());
        self.chats.insert(id, Chat { id, title, kind, members: unique, created: now(), mailbox, read });
        self.touch();
        Ok(id)
    }

    /// Supergroups and channels of the user.
    pub fn channels_of(&self, user: i64) -> impl Iterator<Item = &Chat> {
        self.chats.values().filter(move |chat| chat.kind != ChatKind::Group && chat.has(user))
    }

    /// The messages of a chat as `user` sees them; none when the user has no such chat.
    pub fn mailbox_for(&self, user: i64, peer: i64) -> Option<&Mailbox> {
        match Peer::from_marked(peer)? {
            Peer::Channel(_) => self.chats.get(&peer).filter(|chat| chat.has(user)).map(|chat| &chat.mailbox),
            Peer::User(_) | Peer::Group(_) => self.users.get(&user).map(|user| &user.mailbox),
        }
    }
}
