//! What a client must know before it connects: addresses, and a key where it cannot make one by itself.

use super::{Body, ControlError};
use crate::mtproto::key_exchange;
use crate::world::{Shared, random};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/control/config", get(config))
        .route("/control/auth-keys", post(auth_key))
        .route("/control/rsa-key", get(async || Json(key_exchange::public_key())))
}

async fn config(State(shared): State<Shared>) -> Json<Value> {
    let world = shared.lock();
    let dcs: Vec<Value> =
        world.live.dcs.iter().map(|(id, at)| json!({ "id": id, "host": at.ip().to_string(), "port": at.port() })).collect();
    let http = world.live.http.map(|at| format!("http://{at}"));
    Json(json!({ "dcs": dcs, "bot_api_base": http }))
}

#[derive(Deserialize)]
struct Dc {
    dc_id: i32,
}

async fn auth_key(State(shared): State<Shared>, Body(q): Body<Dc>) -> Result<Json<Value>, ControlError> {
    let mut world = shared.lock();
    if !world.live.dcs.contains_key(&q.dc_id) {
        return Err(ControlError::bad("DC_ID_INVALID"));
    }
    let key = random::<256>();
    world.add_key(q.dc_id, key).ok_or_else(|| ControlError::bad("too many keys"))?;
    Ok(Json(json!({ "auth_key": STANDARD.encode(key) })))
}
