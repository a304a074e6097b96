//! `POST /api/jobs/{id}/run-now`: a job that waits for a time does not wait any longer.

use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use tuberry_jobs::queue::control;

/// 204; 409 when it does not wait.
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
