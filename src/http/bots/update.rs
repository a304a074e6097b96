//! `PATCH /api/bots/{id}`: another working group, another project. In webhook mode the webhook is set anew, which repairs a lost one.

use super::{GivenChat, bind_project, described_chat, group, refusal, set_webhook, unknown};
use crate::http::auth::Tenant;
use crate::http::extract::{Json, PathId, RowId, given};
use crate::http::{AppState, Problem};
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::{BotId, ChatId, ProjectId};
use tuberry_storage::bots::{self, Bot};
use tuberry_storage::projects;
use utoipa::ToSchema;

/// What may be changed; absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BotChange)]
pub(in crate::http) struct Change {
    /// The working group: a forum in which the bot is administrator; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = described_chat)]
    group_chat_id: Option<Option<GivenChat>>,
    /// The project that it shall serve; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i32>, minimum = 1, example = 1)]
    project_id: Option<Option<RowId<ProjectId>>>,
}

/// Gives a bot another working group or another project.
///
/// In webhook mode the webhook is set anew, which repairs a lost one.
#[utoipa::path(
    patch,
    path = "/api/bots/{id}",
    operation_id = "update_bot",
    tag = "bots",
    params(PathId<BotId>),
    request_body = Change,
    responses(
        (status = 200, description = "The bot as it is now.", body = Bot),
        (status = 404, description = "No such bot, or no such project, of this client: «Бот не найден»."),
        (status = 409, description = "The bot serves another project: «Бот уже подключён к другому проекту»."),
        (status = 422, description = "The group will not do: «Группа не подходит: в ней не включены темы»."),
        (status = 503, description = "Telegram does not answer, or asks to wait: «Telegram не отвечает: попробуйте ещё раз»."),
    )
)]
pub(in crate::http) async fn update(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(bot): PathId<BotId>,
    Json(change): Json<Change>,
) -> Result<axum::Json<Bot>, Problem> {
    let pool = state.store.pool();
    let token = bots::token(pool, tenant.client, bot).await?.ok_or_else(unknown)?;
    let group: Option<Option<ChatId>> = match change.group_chat_id {
        None => None,
        Some(None) => Some(None),
        Some(Some(given)) => {
            let chat = given.id()?;
            let identity = state.bot_api.get_me(&token).await;
            let identity = identity.map_err(|error| refusal(&error, "Telegram больше не знает токена этого бота"))?;
            group::check(&state, &token, identity.id, chat).await?;
            Some(Some(chat))
        }
    };
    if let Some(secret) = bots::webhook_secret(pool, bot).await? {
        let set = set_webhook(&state, bot, &token, &secret).await;
        set.map_err(|error| refusal(&error, "Telegram не принял адрес вебхука"))?;
    }
    let mut tx = state.store.begin().await?;
    if let Some(group) = group {
        bots::bind_group(&mut tx, tenant.client, bot, group).await?;
    }
    match change.project_id {
        Some(Some(RowId(project))) => bind_project(&mut tx, tenant.client, bot, project).await?,
        Some(None) => projects::free_bot(&mut tx, bot).await?,
        None => {}
    }
    tx.commit().await?;
    bots::find(pool, tenant.client, bot).await?.map(axum::Json).ok_or_else(unknown)
}
