//! `PATCH /api/projects/{id}`.

use super::{bind_bot, lock_bot, name, unknown};
use crate::http::auth::Tenant;
use crate::http::extract::{Json, PathId, RowId, given, line};
use crate::http::{AppState, Problem};
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::{BotId, ProjectId};
use tuberry_storage::projects::{self, Project, ProjectChange};
use utoipa::ToSchema;

/// What may be changed; absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ProjectChange)]
pub(in crate::http) struct Change {
    /// Not only white space.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*[^\\s\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F][^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$",
        example = "Ромашка"
    )]
    name: Option<String>,
    /// Free text.
    #[schema(max_length = 2000, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$", example = "Розница")]
    description: Option<String>,
    /// The managing bot; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i32>, minimum = 1, example = 1)]
    bot_id: Option<Option<RowId<BotId>>>,
}

/// Changes a project.
#[utoipa::path(
    patch,
    path = "/api/projects/{id}",
    operation_id = "update_project",
    tag = "projects",
    params(PathId<ProjectId>),
    request_body = Change,
    responses(
        (status = 200, description = "The project as it is now.", body = Project),
        (status = 404, description = "No such project, or no such bot, of this client: «Проект не найден»."),
        (status = 409, description = "The bot serves another project: «Бот уже подключён к другому проекту»."),
    )
)]
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
    if let Some(Some(RowId(bot))) = change.bot_id {
        lock_bot(&mut tx, tenant.client, bot).await?;
    }
    if !projects::update(&mut tx, tenant.client, project, &fields).await? {
        return Err(unknown());
    }
    match change.bot_id {
        Some(Some(RowId(bot))) => bind_bot(&mut tx, project, bot).await?,
        Some(None) => projects::take_bot(&mut tx, project).await?,
        None => {}
    }
    tx.commit().await?;
    projects::find(state.store.pool(), tenant.client, project).await?.map(axum::Json).ok_or_else(unknown)
}
