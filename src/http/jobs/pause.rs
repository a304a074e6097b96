//! `POST /api/jobs/kinds/{kind}/pause` and `…/resume`: for the whole cluster, until somebody resumes it.

use crate::http::auth::Platform;
use crate::http::{AppState, Problem};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use tuberry_jobs::queue::control;

/// The `{kind}` of a path. What cannot be one names nothing: 404.
#[derive(Debug)]
pub(in crate::http) struct Kind(String);

impl<S: Send + Sync> FromRequestParts<S> for Kind {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("Такого вида заданий нет");
        let Path(kind) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        let plain = (1..=64).contains(&kind.len())
            && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        plain.then_some(Self(kind)).ok_or_else(unknown)
    }
}

/// 204. No process starts a job of this kind any more; what runs goes on.
pub(in crate::http) async fn pause(
    State(state): State<AppState>,
    Platform(hand): Platform,
    Kind(kind): Kind,
) -> Result<StatusCode, Problem> {
    let mut tx = state.store.begin().await?;
    control::pause(&mut tx, hand, &kind).await?;
    tx.commit().await?;
    tracing::warn!(kind, user = hand.user.0, "kind paused");
    Ok(StatusCode::NO_CONTENT)
}

/// 204.
pub(in crate::http) async fn resume(
    State(state): State<AppState>,
    Platform(hand): Platform,
    Kind(kind): Kind,
) -> Result<StatusCode, Problem> {
    let mut tx = state.store.begin().await?;
    control::resume(&mut tx, hand, &kind).await?;
    tx.commit().await?;
    tracing::warn!(kind, user = hand.user.0, "kind resumed");
    Ok(StatusCode::NO_CONTENT)
}
