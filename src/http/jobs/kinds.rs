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

/// Spans in one answer.
const SPANS: u32 = 60;
/// Longest look back: as long as finished jobs are kept.
const LONGEST_HOURS: u32 = 7 * 24;

/// The query.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Window {
    hours: Option<u32>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Kinds {
    kinds: Vec<KindCounts>,
    since: DateTime<Utc>,
    span_seconds: u64,
    throughput: Vec<Throughput>,
}

/// Counts and throughput of the last hours (one, if not asked otherwise), in at most 61 spans.
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
