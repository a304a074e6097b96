//! `GET /healthz`: the process is alive. `GET /readyz`: it can work.

use super::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// Alive.
pub(super) async fn alive() -> &'static str {
    "ok"
}

/// The database answers and has every migration: 200, else 503.
pub(super) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Value>) {
    match tuberry_storage::migrations::missing(state.store.pool()).await {
        Ok(0) => (StatusCode::OK, Json(json!({ "database": "ok", "migrations": "ok" }))),
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
