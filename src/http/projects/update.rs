//! `PATCH /api/projects/{id}`.

use super::{bind_bot, lock_bot, name, unknown};
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
    if let Some(Some(bot)) = change.bot_id {
        lock_bot(&mut tx, tenant.client, bot).await?;
    }
    if !projects::update(&mut tx, tenant.client, project, &fields).await? {
        return Err(unknown());
    }
    match change.bot_id {
        Some(Some(bot)) => bind_bot(&mut tx, project, bot).await?,
        Some(None) => projects::take_bot(&mut tx, project).await?,
        None => {}
    }
    tx.commit().await?;
    projects::find(state.store.pool(), tenant.client, project).await?.map(axum::Json).ok_or_else(unknown)
}
