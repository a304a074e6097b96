//! `GET /healthz`: the process is alive. `GET /readyz`: it can work.

use super::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tuberry_storage::workers::{self, Overview};
use utoipa::ToSchema;

/// How the process stands to its database.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// `ok` or `unreachable`.
    #[schema(example = "ok")]
    database: &'static str,
    /// `ok`, or how many are missing; null where the database does not answer.
    #[schema(example = "ok")]
    migrations: Option<String>,
    /// How the accounts are served; null where that is not known.
    accounts: Option<Accounts>,
}

/// Accounts and workers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accounts {
    /// To be served.
    #[schema(minimum = 0, example = 12)]
    active: i64,
    /// Without a worker now.
    #[schema(minimum = 0, example = 0)]
    unserved: i64,
    /// More than the workers can take.
    #[schema(minimum = 0, example = 0)]
    without_room: i64,
    /// Alive.
    #[schema(minimum = 0, example = 2)]
    workers: i64,
    /// Accounts that they can take.
    #[schema(minimum = 0, example = 400)]
    capacity: i64,
}

/// Says that the process is alive.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "alive",
    tag = "service",
    responses(
        (status = 200, description = "`ok`.", content_type = "text/plain; charset=utf-8", body = String),
    )
)]
pub(super) async fn alive() -> &'static str {
    "ok"
}

/// Says whether the process can work: the database answers and has every migration.
///
/// How the accounts stand is told beside it: without a worker this process still does its own work.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    tag = "service",
    responses(
        (status = 200, description = "It can.", body = Readiness),
        (status = 503, description = "It cannot.", body = Readiness),
    )
)]
pub(super) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let (status, database, migrations) = match tuberry_storage::migrations::missing(state.store.pool()).await {
        Ok(0) => (StatusCode::OK, "ok", Some("ok".to_owned())),
        Ok(missing) => (StatusCode::SERVICE_UNAVAILABLE, "ok", Some(format!("{missing} missing: run `tuberry migrate`"))),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "unreachable", None)
        }
    };
    let accounts = match status {
        StatusCode::OK => workers::overview(&state.store, workers::SILENT).await.ok().map(Accounts::from),
        _ => None,
    };
    (status, Json(Readiness { database, migrations, accounts }))
}

impl From<Overview> for Accounts {
    fn from(overview: Overview) -> Self {
        Self {
            active: overview.accounts,
            unserved: overview.unserved,
            without_room: overview.without_room(),
            workers: overview.workers,
            capacity: overview.capacity,
        }
    }
}
