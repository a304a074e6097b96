//! A worker's own port (`WORKER_LISTEN`), for whoever runs it: `/healthz`, `/readyz`, `/metrics`. Nothing secret, no sign-in: it belongs on a
//! private address.

use crate::fleet::{Census, Claims};
use crate::telemetry::metrics::Metrics;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;
use tuberry_storage::Store;

/// What the port tells of.
#[derive(Clone)]
pub struct WorkerPort {
    /// The database.
    pub store: Store,
    /// The leases.
    pub claims: Claims,
    /// The accounts.
    pub census: watch::Receiver<Census>,
    /// What this process counts.
    pub metrics: Metrics,
}

/// The routes.
pub fn router(port: WorkerPort) -> Router {
    let metrics = async |State(port): State<WorkerPort>| port.metrics.render().await;
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(port)
}

/// The database answers and every lease is in force: 200, else 503. Accounts without room do not make this worker unready, but stand there.
async fn ready(State(port): State<WorkerPort>) -> (StatusCode, Json<Value>) {
    let database = port.store.answers().await;
    let leases = port.claims.all_in_force();
    let Census { owned, connected, without_room, room } = port.census.borrow().clone();
    let body = json!({
        "name": port.claims.name(),
        "database": if database { "ok" } else { "unreachable" },
        "leases": if leases { "in force" } else { "not renewed in time" },
        "accounts": { "owned": owned, "connected": connected, "capacity": room.capacity, "weight": room.weight },
        "cluster": { "accounts_without_room": without_room },
    });
    let status = if database && leases { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body))
}
