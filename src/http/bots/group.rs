//! Whether a group can be a bot's working group: a forum in which the bot has the rights that it needs.

use super::refusal;
use crate::http::{AppState, Problem};
use tuberry_domain::ChatId;
use tuberry_domain::ports::{BotChat, BotMember, BotToken};

/// Asks Telegram; 422 names everything that is missing.
pub(super) async fn check(state: &AppState, token: &BotToken, bot_user: i64, group: ChatId) -> Result<(), Problem> {
    let no_access = "Бот не видит эту группу: добавьте его в группу администратором";
    let chat = state.bot_api.get_chat(token, group).await.map_err(|error| refusal(&error, no_access))?;
    let member = state.bot_api.get_chat_member(token, group, bot_user).await.map_err(|error| refusal(&error, no_access))?;
    let missing = missing(&chat, &member);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(format!("Группа не подходит: {}", missing.join("; "))))
    }
}

fn missing(chat: &BotChat, member: &BotMember) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if chat.kind != "supergroup" {
        missing.push("это не супергруппа");
    } else if !chat.is_forum {
        missing.push("в ней не включены темы");
    }
    if !matches!(member.status.as_str(), "administrator" | "creator") {
        missing.push("бот в ней не администратор");
        return missing;
    }
    if !member.can_manage_topics {
        missing.push("боту не хватает права «Управление темами»");
    }
    if !member.can_delete_messages {
        missing.push("боту не хватает права «Удаление сообщений»");
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(kind: &str, is_forum: bool) -> BotChat {
        BotChat { id: ChatId(-1_000_000_000_001), kind: kind.into(), title: None, is_forum }
    }

    fn member(status: &str, can_manage_topics: bool, can_delete_messages: bool) -> BotMember {
        BotMember { status: status.into(), can_manage_topics, can_delete_messages }
    }

    #[test]
    fn a_forum_with_all_rights_will_do() {
        assert!(missing(&chat("supergroup", true), &member("administrator", true, true)).is_empty());
    }

    #[test]
    fn everything_that_is_missing_is_named() {
        assert_eq!(missing(&chat("supergroup", false), &member("administrator", false, false)).len(), 3);
        assert_eq!(missing(&chat("channel", false), &member("left", false, false)).len(), 2);
        assert_eq!(
            missing(&chat("supergroup", true), &member("administrator", true, false)),
            ["боту не хватает права «Удаление сообщений»"]
        );
    }
}
