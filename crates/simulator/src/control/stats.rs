//! `GET /control/stats` and `GET /control/config`.

use crate::world::Shared;
use axum::extract::State;
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new().route("/control/config", get(config))
}

async fn config(State(shared): State<Shared>) -> Json<Value> {
    let world = shared.lock();
    let dcs: Vec<Value> =
        world.live.dcs.iter().map(|(id, at)| json!({"id": id, "host": at.ip().to_string(), "port": at.port()})).collect();
    let http = world.live.http.map(|at| format!("http://{at}"));
    Json(json!({ "dcs": dcs, "bot_api_base": http }))
}
