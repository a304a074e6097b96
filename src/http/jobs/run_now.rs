//! `POST /api/jobs/{id}/run-now`: a job that waits for a time does not wait any longer.

use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use tuberry_jobs::queue::control;

/// Lets a job that waits for a time start now.
#[utoipa::path(
    post,
    path = "/api/jobs/{id}/run-now",
    operation_id = "run_job_now",
    tag = "jobs",
    params(JobId),
    responses(
        (status = 204, description = "It may start."),
        (status = 404, description = "No such job that the user may see: «Задание не найдено»."),
        (status = 409, description = "It does not wait: «Задание не ждёт: оно выполняется или завершено»."),
    )
)]
pub(in crate::http) async fn run_now(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    JobId(id): JobId,
) -> Result<StatusCode, Problem> {
    let mut tx = state.store.begin().await?;
    let moved = control::run_now(&mut tx, hand, &id).await?.ok_or_else(no_such_job)?;
    tx.commit().await?;
    if moved {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::conflict("Задание не ждёт: оно выполняется или завершено"))
    }
}
