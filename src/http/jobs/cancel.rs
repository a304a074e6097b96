//! `POST /api/jobs/{id}/cancel` `{"reason"?}`: a waiting job is dead at once, a running one is asked to end.

use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::extract::{Json as Body, line};
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tuberry_jobs::queue::control::{self, Cancelled};
use tuberry_storage::words;
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// Longest reason, in characters.
const REASON_LIMIT: usize = 500;

/// Why a job shall end.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = JobCancellation)]
pub(in crate::http) struct Order {
    /// For whoever reads the job later.
    #[schema(max_length = 500, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$", example = "клиент попросил")]
    reason: Option<String>,
}

/// What became of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct CancelledJob {
    /// `killed`: it waited and is dead now. `asked`: it runs, and its process has been asked to end it.
    #[schema(schema_with = outcome)]
    result: Cancelled,
}

fn outcome() -> Object {
    words("`killed`: it waited and is dead now. `asked`: it runs, and its process has been asked to end it.", ["killed", "asked"])
}

/// Ends a job: one that waits is dead at once, one that runs is asked to end.
#[utoipa::path(
    post,
    path = "/api/jobs/{id}/cancel",
    operation_id = "cancel_job",
    tag = "jobs",
    params(JobId),
    request_body = Order,
    responses(
        (status = 200, description = "What became of it.", body = CancelledJob),
        (status = 404, description = "No such job that the user may see: «Задание не найдено»."),
        (status = 409, description = "It has ended: «Задание уже завершено»."),
    )
)]
pub(in crate::http) async fn cancel(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    JobId(id): JobId,
    Body(order): Body<Order>,
) -> Result<Json<CancelledJob>, Problem> {
    let reason = line(&order.reason.unwrap_or_default(), REASON_LIMIT)?;
    let reason = if reason.is_empty() {
        "отменено вручную".to_owned()
    } else {
        format!("отменено вручную: {reason}")
    };
    let mut tx = state.store.begin().await?;
    let cancelled = control::cancel(&mut tx, hand, &id, &reason).await?.ok_or_else(no_such_job)?;
    tx.commit().await?;
    match cancelled {
        Cancelled::Finished => Err(Problem::conflict("Задание уже завершено")),
        Cancelled::Killed | Cancelled::Asked => Ok(Json(CancelledJob { result: cancelled })),
    }
}
