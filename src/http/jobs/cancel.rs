//! `POST /api/jobs/{id}/cancel` `{"reason"?}`: a waiting job is dead at once, a running one is asked to end.

use super::{JobId, no_such_job};
use crate::http::auth::JobsReach;
use crate::http::extract::{Json as Body, line};
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use tuberry_jobs::queue::control::{self, Cancelled};

/// Longest reason, in characters.
const REASON_LIMIT: usize = 500;

/// The body.
#[derive(Debug, Default, Deserialize)]
pub(in crate::http) struct Order {
    reason: Option<String>,
}

/// 200 `{"result": "killed" | "asked"}`; 409 for a job that has ended.
pub(in crate::http) async fn cancel(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    JobId(id): JobId,
    Body(order): Body<Option<Order>>,
) -> Result<Json<Value>, Problem> {
    let reason = line(&order.unwrap_or_default().reason.unwrap_or_default(), REASON_LIMIT)?;
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
        Cancelled::Killed | Cancelled::Asked => Ok(Json(json!({ "result": cancelled }))),
    }
}
