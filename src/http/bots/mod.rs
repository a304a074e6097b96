//! `/api/bots`: the managing bots, the working group of each, and the project that it serves.

mod create;
mod group;
mod read;
mod update;

pub(super) use create::{__path_create, create};
pub(super) use read::{__path_list, __path_read, list, read};
pub(super) use update::{__path_update, update};

use super::{AppState, Problem};
use serde::Deserialize;
use std::time::Duration;
use tuberry_domain::ports::{BotError, BotToken};
use tuberry_domain::{BotId, ChatId, ClientId, ProjectId, Secret};
use tuberry_storage::{Tx, projects};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type};

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
            Self::Text(text) => whole_number(text.trim()),
        };
        id.map(ChatId).ok_or_else(|| Problem::invalid("group_chat_id должен быть числом"))
    }
}

/// Telegram's numbers have fewer digits than an `i64` can hold.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// How the description of the interface shows an optional [`GivenChat`].
fn described_chat() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^-?[0-9]{1,18}$")).examples(["-1001234567890"]);
    let number = ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    let description = "The working group: a forum in which the bot is administrator; null for none.";
    let null = ObjectBuilder::new().schema_type(Type::Null);
    Schema::OneOf(OneOfBuilder::new().description(Some(description)).item(text).item(number).item(null).build())
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
