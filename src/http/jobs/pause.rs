//! `POST /api/jobs/kinds/{kind}/pause` and `…/resume`: for the whole cluster, until somebody resumes it.

use super::is_kind;
use crate::http::auth::Platform;
use crate::http::extract::in_path;
use crate::http::{AppState, Problem};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use tuberry_jobs::queue::control;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// The `{kind}` of a path. What cannot be one names nothing: 404.
#[derive(Debug)]
pub(in crate::http) struct Kind(String);

impl<S: Send + Sync> FromRequestParts<S> for Kind {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("Такого вида заданий нет");
        let Path(kind) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        if is_kind(&kind) { Ok(Self(kind)) } else { Err(unknown()) }
    }
}

impl utoipa::IntoParams for Kind {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path("kind", ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z0-9-]{1,64}$")))]
    }
}

/// Pauses a kind of job in the whole cluster, until somebody resumes it: no process starts one any more, what runs goes on.
///
/// For the platform's administrator.
#[utoipa::path(
    post,
    path = "/api/jobs/kinds/{kind}/pause",
    operation_id = "pause_kind",
    tag = "jobs",
    params(Kind),
    responses(
        (status = 204, description = "It is paused."),
        (status = 404, description = "That cannot be a kind: «Такого вида заданий нет»."),
    )
)]
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

/// Resumes a kind of job.
///
/// For the platform's administrator.
#[utoipa::path(
    post,
    path = "/api/jobs/kinds/{kind}/resume",
    operation_id = "resume_kind",
    tag = "jobs",
    params(Kind),
    responses(
        (status = 204, description = "It is resumed."),
        (status = 404, description = "That cannot be a kind: «Такого вида заданий нет»."),
    )
)]
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
