//! Typed ids. Rows of the shared tables have `integer` keys; Telegram's ids are 64 bits wide.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    )*};
}

ids! {
    /// `clients.id`: the tenant.
    ClientId(i32);
    /// `users.id`: an owner, admin or manager in the portal.
    UserId(i32);
    /// `projects.id`.
    ProjectId(i32);
    /// `bots.id`: a project's managing bot.
    BotId(i32);
    /// `personal_telegram_accounts.id`.
    AccountId(i32);
    /// `dialogs.id`.
    DialogId(i32);
    /// `messages.id`.
    MessageId(i32);
    /// `personal_telegram_logins.number`: the short id of a login, small enough for an advisory lock.
    LoginNumber(i32);
    /// `personal_telegram_tombstones.id`: the session of a removed account that is still to be logged out.
    TombstoneId(i32);
    /// A Telegram user, as in `users.id` of its API.
    TelegramUserId(i64);
    /// A chat in Telethon's marked form: user `123`, basic group `-123`, channel or supergroup `-100123`.
    ChatId(i64);
    /// A message as MTProto numbers it: per mailbox for private chats and basic groups, per channel otherwise.
    TelegramMessageId(i32);
    /// A message as the Bot API numbers it in the working group.
    BotMessageId(i64);
    /// A forum topic's `message_thread_id`.
    ThreadId(i64);
}

/// What kind of chat a [`ChatId`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatKind {
    /// A user.
    Private,
    /// A basic group.
    Group,
    /// A supergroup or a broadcast channel; its id alone does not tell which.
    Channel,
}

impl ChatId {
    const CHANNEL_MARK: i64 = 1_000_000_000_000;

    /// The marked form of a user.
    pub fn user(id: i64) -> Self {
        Self(id)
    }

    /// The marked form of a basic group.
    pub fn group(id: i64) -> Self {
        Self(-id)
    }

    /// The marked form of a channel or supergroup.
    pub fn channel(id: i64) -> Self {
        Self(-Self::CHANNEL_MARK - id)
    }

    /// The kind that the marked form tells.
    pub fn kind(self) -> ChatKind {
        match self.0 {
            0.. => ChatKind::Private,
            id if id <= -Self::CHANNEL_MARK => ChatKind::Channel,
            _ => ChatKind::Group,
        }
    }

    /// The id without its mark, as MTProto has it.
    pub fn bare(self) -> i64 {
        match self.kind() {
            ChatKind::Private => self.0,
            ChatKind::Group => -self.0,
            ChatKind::Channel => -self.0 - Self::CHANNEL_MARK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_ids_round_trip() {
        for (id, kind, bare) in [
            (ChatId::user(123), ChatKind::Private, 123),
            (ChatId::group(123), ChatKind::Group, 123),
            (ChatId::channel(123), ChatKind::Channel, 123),
        ] {
            assert_eq!((id.kind(), id.bare()), (kind, bare));
        }
        assert_eq!(ChatId::channel(123).0, -1_000_000_000_123);
    }
}
