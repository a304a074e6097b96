//! People: create, list, let their phone scan a QR code, and look into their chats.

use super::{Body, ControlError, messages};
use crate::mtproto::push;
use crate::mtproto::srp::Verifier;
use crate::world::Shared;
use crate::world::login_tokens::parse_login_url;
use crate::world::users::{NewUser, Password, User};
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/control/users", get(list).post(create))
        .route("/control/users/{id}/scan", post(scan))
        .route("/control/users/{id}/messages", get(history))
        .route("/control/users/{id}/dialogs", get(dialogs))
}

#[derive(Deserialize)]
struct Create {
    first_name: String,
    last_name: Option<String>,
    username: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    hint: Option<String>,
    dc: Option<i32>,
}

async fn create(State(shared): State<Shared>, Body(q): Body<Create>) -> Result<Json<Value>, ControlError> {
    let password = match q.password.filter(|password| !password.is_empty()) {
        Some(text) => {
            let derived = tokio::task::spawn_blocking(move || Verifier::new(&text)).await;
            let verifier = derived.map_err(|e| ControlError::bad(e.to_string()))?;
            Some(Password { verifier, hint: q.hint })
        }
        None => None,
    };
    let new =
        NewUser { first_name: q.first_name, last_name: q.last_name, username: q.username, phone: q.phone, dc: q.dc, password };
    let id = shared.lock().add_user(new).map_err(ControlError::bad)?;
    Ok(Json(json!({ "id": id })))
}

async fn list(State(shared): State<Shared>) -> Json<Value> {
    let world = shared.lock();
    Json(world.users.values().map(describe).collect())
}

fn describe(user: &User) -> Value {
    json!({
        "id": user.id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "username": user.username,
        "phone": user.phone,
        "dc": user.home_dc,
        "has_password": user.password.is_some(),
        "hint": user.password.as_ref().and_then(|password| password.hint.as_ref()),
    })
}

#[derive(Deserialize)]
struct Scan {
    url: String,
}

async fn scan(State(shared): State<Shared>, Path(id): Path<i64>, Body(q): Body<Scan>) -> Result<Json<Value>, ControlError> {
    let token = parse_login_url(&q.url).ok_or_else(|| ControlError::bad("AUTH_TOKEN_INVALID"))?;
    let mut world = shared.lock();
    if world.user(id).is_none() {
        return Err(ControlError::missing("USER_ID_INVALID"));
    }
    let key = world.scan(id, &token).map_err(ControlError::bad)?;
    push::login_token(&world, key);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Peer {
    peer: i64,
}

async fn history(State(shared): State<Shared>, Path(id): Path<i64>, Query(q): Query<Peer>) -> Result<Json<Value>, ControlError> {
    let world = shared.lock();
    if world.user(id).is_none() {
        return Err(ControlError::missing("USER_ID_INVALID"));
    }
    let mailbox = world.mailbox_for(id, q.peer).ok_or_else(|| ControlError::missing("PEER_ID_INVALID"))?;
    Ok(Json(mailbox.history(q.peer).map(|stored| messages::shown(stored, id)).collect()))
}

async fn dialogs(State(shared): State<Shared>, Path(id): Path<i64>) -> Result<Json<Value>, ControlError> {
    let world = shared.lock();
    let user = world.user(id).ok_or_else(|| ControlError::missing("USER_ID_INVALID"))?;
    let own = user.mailbox.dialogs().map(|(peer, dialog, top)| {
        json!({ "peer": peer, "unread": user.mailbox.unread_after(peer, dialog.read_inbox), "last": messages::shown(top, id) })
    });
    let channels = world.channels_of(id).filter_map(|chat| {
        let top = chat.mailbox.history(chat.id).next_back()?;
        Some(json!({ "peer": chat.id, "unread": 0, "last": messages::shown(top, id) }))
    });
    Ok(Json(own.chain(channels).collect()))
}
