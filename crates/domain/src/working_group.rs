//! Whether a group can be a bot's working group: a forum in which the bot has the rights that it needs.

use crate::ports::{BotChat, BotMember};

/// What a group lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It is a private chat, a basic group or a channel.
    Supergroup,
    /// Its topics are switched off.
    Topics,
    /// The bot is not its administrator.
    Administrator,
    /// The bot may not manage topics.
    ManageTopics,
    /// The bot may not delete messages, such as the one that Telegram posts when a topic is renamed.
    DeleteMessages,
}

/// Everything that the group lacks for a bot that is this member of it.
pub fn lacks(chat: &BotChat, member: &BotMember) -> Vec<Lack> {
    let mut lacks = Vec::new();
    if chat.kind != "supergroup" {
        lacks.push(Lack::Supergroup);
    } else if !chat.is_forum {
        lacks.push(Lack::Topics);
    }
    if !matches!(member.status.as_str(), "administrator" | "creator") {
        lacks.push(Lack::Administrator);
        return lacks;
    }
    if !member.can_manage_topics {
        lacks.push(Lack::ManageTopics);
    }
    if !member.can_delete_messages {
        lacks.push(Lack::DeleteMessages);
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChatId;

    fn chat(kind: &str, is_forum: bool) -> BotChat {
        BotChat { id: ChatId(-1_000_000_000_001), kind: kind.into(), title: None, is_forum }
    }

    fn member(status: &str, can_manage_topics: bool, can_delete_messages: bool) -> BotMember {
        BotMember { status: status.into(), can_manage_topics, can_delete_messages }
    }

    #[test]
    fn a_forum_with_all_rights_will_do() {
        assert!(lacks(&chat("supergroup", true), &member("administrator", true, true)).is_empty());
    }

    #[test]
    fn everything_that_is_missing_is_named() {
        assert_eq!(lacks(&chat("supergroup", false), &member("administrator", false, false)).len(), 3);
        assert_eq!(lacks(&chat("channel", false), &member("left", false, false)), [Lack::Supergroup, Lack::Administrator]);
        assert_eq!(lacks(&chat("supergroup", true), &member("administrator", true, false)), [Lack::DeleteMessages]);
    }
}
