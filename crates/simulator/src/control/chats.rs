//! Basic groups, supergroups and channels: create and list.

use super::{Body, ControlError};
use crate::world::Shared;
use crate::world::chats::ChatKind;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new().route("/control/chats", get(list).post(create))
}

#[derive(Deserialize)]
struct Create {
    title: String,
    kind: ChatKind,
    members: Vec<i64>,
}

async fn create(State(shared): State<Shared>, Body(q): Body<Create>) -> Result<Json<Value>, ControlError> {
    let chat_id = shared.lock().add_chat(&q.title, q.kind, &q.members).map_err(ControlError::bad)?;
    Ok(Json(json!({ "chat_id": chat_id })))
}

async fn list(State(shared): State<Shared>) -> Json<Value> {
    let world = shared.lock();
    let one = |chat: &crate::world::chats::Chat| json!({ "chat_id": chat.id, "title": chat.title, "kind": chat.kind, "members": chat.members });
    Json(world.chats.values().map(one).collect())
}
