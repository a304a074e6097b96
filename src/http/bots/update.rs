//! `PATCH /api/bots/{id}`: another working group, another project. In webhook mode the webhook is set anew, which repairs a lost one.

use super::{GivenChat, bind_project, group, refusal, set_webhook, unknown};
use crate::http::auth::Tenant;
use crate::http::extract::{Json, PathId, given};
use crate::http::{AppState, Problem};
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::{BotId, ChatId, ProjectId};
use tuberry_storage::bots::{self, Bot};
use tuberry_storage::projects;

/// Absent fields stay as they are; null takes the group or the project away.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Change {
    #[serde(default, deserialize_with = "given")]
    group_chat_id: Option<Option<GivenChat>>,
    #[serde(default, deserialize_with = "given")]
    project_id: Option<Option<ProjectId>>,
}

/// Answers with the changed bot.
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
        Some(Some(project)) => bind_project(&mut tx, tenant.client, bot, project).await?,
        Some(None) => projects::free_bot(&mut tx, bot).await?,
        None => {}
    }
    tx.commit().await?;
    bots::find(pool, tenant.client, bot).await?.map(axum::Json).ok_or_else(unknown)
}
