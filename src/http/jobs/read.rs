//! `GET /api/jobs/{id}`: one job, its runs, and what it waits for.

use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use tuberry_jobs::queue::LEASE;
use tuberry_jobs::queue::pages::{self, Detailed};

/// The job with its timeline.
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    JobId(id): JobId,
) -> Result<Json<Detailed>, Problem> {
    let job = pages::read(state.store.pool(), hand.client, &id, LEASE).await?;
    job.map(Json).ok_or_else(no_such_job)
}
