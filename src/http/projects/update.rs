//! `PATCH /api/projects/{id}`.

use super::{bind_bot, name, unknown};
use crate::http::auth::Tenant;
use crate::http::extract::{Json, PathId, given, line};
use crate::http::{AppState, Problem};
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::{BotId, ProjectId};
use tuberry_storage::projects::{self, Project, ProjectChange};

/// Absent fields stay as they are; `"bot_id": null` takes the bot away.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Change {
    name: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    bot_id: Option<Option<BotId>>,
}

/// Answers with the changed project.
pub(in crate::http) async fn update(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(project): PathId<ProjectId>,
    Json(change): Json<Change>,
) -> Result<axum::Json<Project>, Problem> {
    let fields = ProjectChange {
        name: change.name.map(|text| name(&text)).transpose()?,
        description: change.description.map(|text| line(&text, 2000)).transpose()?,
    };
    let mut tx = state.store.begin().await?;
    if !projects::update(&mut tx, tenant.client, project, &fields).await? {
        return Err(unknown());
    }
    if let Some(bot) = change.bot_id {
        bind_bot(&state, &mut tx, tenant.client, project, bot).await?;
    }
    tx.commit().await?;
    projects::find(state.store.pool(), tenant.client, project).await?.map(axum::Json).ok_or_else(unknown)
}
