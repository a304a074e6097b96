//! `DELETE /api/jobs/{id}`: the job and its history.

use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use tuberry_jobs::queue::control::{self, Deleted};

/// 204; 409 while it runs.
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
