//! `POST /api/jobs/{id}/retry` and `POST /api/jobs/retry`: dead jobs go back into line, ahead of what waits behind them.

use super::list::Wanted;
use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::extract::Json as Body;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tuberry_jobs::queue::control;

/// 204; 409 when it is not dead, or another job has taken its place.
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

/// Body: the filter of the list; its `state` does not matter. 200 `{"retried": n}`.
pub(in crate::http) async fn retry_all(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    Body(wanted): Body<Wanted>,
) -> Result<Json<Value>, Problem> {
    let retried = control::retry_all(&state.store, hand, &wanted.filter()).await?;
    tracing::info!(retried, user = hand.user.0, "dead jobs retried");
    Ok(Json(json!({ "retried": retried })))
}
