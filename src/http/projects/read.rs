//! `GET /api/projects` and `GET /api/projects/{id}`.

use super::unknown;
use crate::http::auth::Tenant;
use crate::http::extract::PathId;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use tuberry_domain::ProjectId;
use tuberry_storage::projects::{self, Project};

/// Lists the projects, oldest first.
#[utoipa::path(
    get,
    path = "/api/projects",
    operation_id = "list_projects",
    tag = "projects",
    responses(
        (status = 200, description = "At most 1,000 projects.", body = Vec<Project>),
    )
)]
pub(in crate::http) async fn list(State(state): State<AppState>, tenant: Tenant) -> Result<Json<Vec<Project>>, Problem> {
    Ok(Json(projects::list(state.store.pool(), tenant.client).await?))
}

/// Reads one project.
#[utoipa::path(
    get,
    path = "/api/projects/{id}",
    operation_id = "read_project",
    tag = "projects",
    params(PathId<ProjectId>),
    responses(
        (status = 200, description = "The project.", body = Project),
        (status = 404, description = "No such project of this client: «Проект не найден»."),
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(project): PathId<ProjectId>,
) -> Result<Json<Project>, Problem> {
    projects::find(state.store.pool(), tenant.client, project).await?.map(Json).ok_or_else(unknown)
}
