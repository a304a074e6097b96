//! `GET /healthz`: the process is alive. `GET /readyz`: it can work.

use super::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tuberry_storage::workers;

/// Alive.
pub(super) async fn alive() -> &'static str {
    "ok"
}

/// The database answers and has every migration: 200, else 503. How the accounts stand is told beside it: without a worker this process still
/// does its own work.
pub(super) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
    match tuberry_storage::migrations::missing(state.store.pool()).await {
        Ok(0) => {
            let accounts = workers::overview(&state.store, workers::SILENT).await.map_or(Value::Null, |overview| {
                json!({
                    "active": overview.accounts, "unserved": overview.unserved, "without_room": overview.without_room(),
                    "workers": overview.workers, "capacity": overview.capacity,
                })
            });
            (StatusCode::OK, Json(json!({ "database": "ok", "migrations": "ok", "accounts": accounts })))
        }
        Ok(missing) => {
            let body = json!({ "database": "ok", "migrations": format!("{missing} missing: run `tuberry migrate`") });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "database": "unreachable" })))
        }
    }
}
