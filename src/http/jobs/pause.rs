//! `POST /api/jobs/kinds/{kind}/pause` and `…/resume`: for the whole cluster, until somebody resumes it.

use crate::http::auth::Platform;
use crate::http::{AppState, Problem};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use tuberry_jobs::queue::control;

/// 404 for what cannot be a kind.
fn checked(kind: &str) -> Result<&str, Problem> {
    let plain = (1..=64).contains(&kind.len())
        && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain.then_some(kind).ok_or_else(|| Problem::not_found("Такого вида заданий нет"))
}

/// 204. No process starts a job of this kind any more; what runs goes on.
pub(in crate::http) async fn pause(
    State(state): State<AppState>,
    Platform(hand): Platform,
    Path(kind): Path<String>,
) -> Result<StatusCode, Problem> {
    let kind = checked(&kind)?;
    let mut tx = state.store.begin().await?;
    control::pause(&mut tx, hand, kind).await?;
    tx.commit().await?;
    tracing::warn!(kind, user = hand.user.0, "kind paused");
    Ok(StatusCode::NO_CONTENT)
}

/// 204.
pub(in crate::http) async fn resume(
    State(state): State<AppState>,
    Platform(hand): Platform,
    Path(kind): Path<String>,
) -> Result<StatusCode, Problem> {
    let kind = checked(&kind)?;
    let mut tx = state.store.begin().await?;
    control::resume(&mut tx, hand, kind).await?;
    tx.commit().await?;
    tracing::warn!(kind, user = hand.user.0, "kind resumed");
    Ok(StatusCode::NO_CONTENT)
}
