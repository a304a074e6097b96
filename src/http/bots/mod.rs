//! `/api/bots`: the managing bots, the working group of each, and the project that it serves.

mod create;
mod group;
mod read;
mod update;

pub(super) use create::create;
pub(super) use read::{list, read};
pub(super) use update::update;

use super::{AppState, Problem};
use serde::Deserialize;
use std::time::Duration;
use tuberry_domain::ports::{BotError, BotToken};
use tuberry_domain::{BotId, ChatId, ClientId, ProjectId, Secret};
use tuberry_storage::{Tx, projects};

fn unknown() -> Problem {
    Problem::not_found("Бот не найден")
}

/// A chat id in marked form, as a number or as text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum GivenChat {
    Number(i64),
    Text(String),
}

impl GivenChat {
    fn id(&self) -> Result<ChatId, Problem> {
        let id = match self {
            Self::Number(id) => Some(*id),
            Self::Text(text) => text.trim().parse().ok(),
        };
        id.map(ChatId).ok_or_else(|| Problem::invalid("group_chat_id должен быть числом"))
    }
}

/// Binds the bot to a project of the tenant.
async fn bind_project(tx: &mut Tx, client: ClientId, bot: BotId, project: ProjectId) -> Result<(), Problem> {
    let known = projects::find(tx.conn(), client, project).await?;
    known.ok_or_else(|| Problem::not_found("Проект не найден"))?;
    match projects::bind_bot(tx, project, bot).await? {
        true => Ok(()),
        false => Err(Problem::conflict("Бот уже подключён к другому проекту")),
    }
}

/// Tells Telegram where the bot's updates go, in webhook mode.
async fn set_webhook(state: &AppState, bot: BotId, token: &BotToken, secret: &Secret<String>) -> Result<(), BotError> {
    let Some(webhooks) = &state.webhooks else { return Ok(()) };
    state.bot_api.set_webhook(token, webhooks.url(bot, secret).expose(), secret).await
}

/// What a failed call means to the user. `refused` says what Telegram does not allow.
fn refusal(error: &BotError, refused: &'static str) -> Problem {
    match error {
        BotError::RetryAfter(wait) => Problem::unavailable("Telegram просит подождать: попробуйте позже").retry_after(*wait),
        BotError::Unavailable(_) | BotError::Lost(_) => {
            Problem::unavailable("Telegram не отвечает: попробуйте ещё раз").retry_after(Duration::from_secs(5))
        }
        error => {
            tracing::info!(%error, "the Bot API refused");
            Problem::invalid(refused)
        }
    }
}
