//! `GET /api/jobs/{id}`: one job, its runs, and what it waits for.

use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use tuberry_jobs::queue::LEASE;
use tuberry_jobs::queue::pages::{self, Detailed};

/// Reads one job, with its runs and what it waits for.
#[utoipa::path(
    get,
    path = "/api/jobs/{id}",
    operation_id = "read_job",
    tag = "jobs",
    params(JobId),
    responses(
        (status = 200, description = "The job.", body = Detailed),
        (status = 404, description = "No such job that the user may see: «Задание не найдено»."),
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    JobId(id): JobId,
) -> Result<Json<Detailed>, Problem> {
    let job = pages::read(state.store.pool(), hand.client, &id, LEASE).await?;
    job.map(Json).ok_or_else(no_such_job)
}
