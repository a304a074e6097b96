//! `POST /api/jobs/{id}/retry` and `POST /api/jobs/retry`: dead jobs go back into line, ahead of what waits behind them.

use super::list::Wanted;
use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::extract::Json as Body;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tuberry_jobs::queue::control;
use utoipa::ToSchema;

/// How many jobs wait again.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Retried {
    #[schema(example = 3)]
    retried: u64,
}

/// Puts a dead job back into line, ahead of what waits behind it.
#[utoipa::path(
    post,
    path = "/api/jobs/{id}/retry",
    operation_id = "retry_job",
    tag = "jobs",
    params(JobId),
    responses(
        (status = 204, description = "It waits again."),
        (status = 404, description = "No such job that the user may see: «Задание не найдено»."),
        (status = 409, description = "It is not dead, or another job has taken its place: «Повторить можно только неудавшееся задание, вместо которого ещё не поставлено другое»."),
    )
)]
pub(in crate::http) async fn retry(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    JobId(id): JobId,
) -> Result<StatusCode, Problem> {
    let mut tx = state.store.begin().await?;
    let retried = control::retry(&mut tx, hand, &id).await?.ok_or_else(no_such_job)?;
    tx.commit().await?;
    if retried {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::conflict("Повторить можно только неудавшееся задание, вместо которого ещё не поставлено другое"))
    }
}

/// Puts all dead jobs that fit the filter back into line. The filter's `state` does not matter.
#[utoipa::path(
    post,
    path = "/api/jobs/retry",
    operation_id = "retry_jobs",
    tag = "jobs",
    request_body = Wanted,
    responses(
        (status = 200, description = "How many there were.", body = Retried),
    )
)]
pub(in crate::http) async fn retry_all(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    Body(wanted): Body<Wanted>,
) -> Result<Json<Retried>, Problem> {
    let retried = control::retry_all(&state.store, hand, &wanted.filter()?).await?;
    tracing::info!(retried, user = hand.user.0, "dead jobs retried");
    Ok(Json(Retried { retried }))
}
