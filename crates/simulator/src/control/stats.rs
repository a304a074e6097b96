//! `GET /control/stats`.

use crate::world::Shared;
use axum::extract::State;
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new().route("/control/stats", get(stats))
}

async fn stats(State(shared): State<Shared>) -> Json<Value> {
    let world = shared.lock();
    let mut stats = json!(world.stats);
    stats["connections"] = world.live.connections.values().filter(|connection| connection.key != 0).count().into();
    Json(stats)
}
