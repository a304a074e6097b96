//! Whether a group can be a bot's working group: a forum in which the bot has the rights that it needs.

use super::refusal;
use crate::http::{AppState, Problem};
use tuberry_domain::ChatId;
use tuberry_domain::ports::BotToken;
use tuberry_domain::working_group::{Lack, lacks};

/// Asks Telegram; 422 names everything that is missing.
pub(super) async fn check(state: &AppState, token: &BotToken, bot_user: i64, group: ChatId) -> Result<(), Problem> {
    let no_access = "Бот не видит эту группу: добавьте его в группу администратором";
    let chat = state.bot_api.get_chat(token, group).await.map_err(|error| refusal(&error, no_access))?;
    let member = state.bot_api.get_chat_member(token, group, bot_user).await.map_err(|error| refusal(&error, no_access))?;
    let lacks: Vec<_> = lacks(&chat, &member).into_iter().map(text).collect();
    if lacks.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(format!("Группа не подходит: {}", lacks.join("; "))))
    }
}

fn text(lack: Lack) -> &'static str {
    match lack {
        Lack::Supergroup => "это не супергруппа",
        Lack::Topics => "в ней не включены темы",
        Lack::Administrator => "бот в ней не администратор",
        Lack::ManageTopics => "боту не хватает права «Управление темами»",
        Lack::DeleteMessages => "боту не хватает права «Удаление сообщений»",
    }
}
