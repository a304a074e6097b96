//! `GET /api/projects` and `GET /api/projects/{id}`.

use super::unknown;
use crate::http::auth::Tenant;
use crate::http::extract::PathId;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use tuberry_domain::ProjectId;
use tuberry_storage::projects::{self, Project};

/// The tenant's projects, oldest first.
pub(in crate::http) async fn list(State(state): State<AppState>, tenant: Tenant) -> Result<Json<Vec<Project>>, Problem> {
    Ok(Json(projects::list(state.store.pool(), tenant.client).await?))
}

/// One of them.
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(project): PathId<ProjectId>,
) -> Result<Json<Project>, Problem> {
    projects::find(state.store.pool(), tenant.client, project).await?.map(Json).ok_or_else(unknown)
}
