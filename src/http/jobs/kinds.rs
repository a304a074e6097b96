//! `GET /api/jobs/kinds[?hours=]`: how many jobs of each kind are where, and what ended in the last hours.

use crate::http::auth::JobsReach;
use crate::http::extract::Params;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tuberry_jobs::queue::LEASE;
use tuberry_jobs::queue::pages::{self, KindCounts, Throughput};
use utoipa::ToSchema;

/// Spans in one answer.
const SPANS: u32 = 60;
/// Longest look back: as long as finished jobs are kept.
const LONGEST_HOURS: u32 = 7 * 24;

/// The query.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Window {
    /// How far to look back; 1 if not given.
    #[param(minimum = 1, maximum = 168)]
    hours: Option<u32>,
}

/// Jobs of each kind.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Kinds {
    /// How many are where now.
    kinds: Vec<KindCounts>,
    /// Begin of the first span.
    since: DateTime<Utc>,
    /// Length of a span.
    span_seconds: u64,
    /// What ended in each span, where anything did.
    throughput: Vec<Throughput>,
}

/// Counts the jobs of each kind, and what ended in the last hours, in at most 61 spans.
#[utoipa::path(
    get,
    path = "/api/jobs/kinds",
    operation_id = "list_kinds",
    tag = "jobs",
    params(Window),
    responses(
        (status = 200, description = "Counts and throughput.", body = Kinds),
    )
)]
pub(in crate::http) async fn kinds(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    Params(window): Params<Window>,
) -> Result<Json<Kinds>, Problem> {
    let hours = window.hours.unwrap_or(1);
    if !(1..=LONGEST_HOURS).contains(&hours) {
        return Err(Problem::invalid(format!("hours: от 1 до {LONGEST_HOURS}")));
    }
    let span = Duration::from_secs(u64::from(hours) * 3600) / SPANS;
    let since = Utc::now() - TimeDelta::hours(i64::from(hours));
    let pool = state.store.pool();
    let kinds = pages::counts(pool, hand.client, LEASE).await?;
    let throughput = pages::throughput(pool, hand.client, since, span).await?;
    Ok(Json(Kinds { kinds, since, span_seconds: span.as_secs(), throughput }))
}
