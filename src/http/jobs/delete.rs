//! `DELETE /api/jobs/{id}`: the job and its history.

use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use tuberry_jobs::queue::control::{self, Deleted};

/// Deletes a job and its history.
#[utoipa::path(
    delete,
    path = "/api/jobs/{id}",
    operation_id = "delete_job",
    tag = "jobs",
    params(JobId),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "No such job that the user may see: «Задание не найдено»."),
        (status = 409, description = "It runs: «Задание выполняется: сначала отмените его»."),
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    JobId(id): JobId,
) -> Result<StatusCode, Problem> {
    let mut tx = state.store.begin().await?;
    let deleted = control::delete(&mut tx, hand, &id).await?.ok_or_else(no_such_job)?;
    tx.commit().await?;
    match deleted {
        Deleted::Deleted => Ok(StatusCode::NO_CONTENT),
        Deleted::Running => Err(Problem::conflict("Задание выполняется: сначала отмените его")),
    }
}
