//! Control calls about bots themselves: creating them, their limits and the log of their calls.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, ControlError};
use crate::world::Shared;

/// The highest limit that may be set.
const MAX_PER_MINUTE: usize = 100_000;

/// The routes, with their full paths (`/control/bots` …).
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/control/bots", post(add).get(list))
        .route("/control/bots/{id}/next-update", post(renumber))
        .route("/control/bot-log", get(log))
        .route("/control/limits", post(set_limits).get(limits).delete(clear_limits))
}

#[derive(Deserialize)]
struct NewBot {
    username: String,
}

/// `POST /control/bots {"username"}` → `{"id","token"}`.
async fn add(State(shared): State<Shared>, Body(new): Body<NewBot>) -> Result<Json<Value>, ControlError> {
    let name = new.username.trim_start_matches('@');
    if !(3..=64).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(ControlError::bad("USERNAME_INVALID"));
    }
    let mut world = shared.lock();
    if world.bots.iter().any(|bot| bot.username.eq_ignore_ascii_case(name)) {
        return Err(ControlError::bad("USERNAME_OCCUPIED"));
    }
    let id = world.ids.next_user();
    let token = world.bots.add(id, name).token().to_owned();
    world.touch();
    Ok(Json(json!({"id": id, "token": token})))
}

/// `GET /control/bots` → `[{"id","username","webhook","pending"}]`.
async fn list(State(shared): State<Shared>) -> Json<Value> {
    let world = shared.lock();
    let bot = |bot: &crate::world::bots::Bot| {
        json!({
            "id": bot.id, "username": bot.username, "pending": bot.updates.len(),
            "webhook": bot.webhook.is_some(),
        })
    };
    Json(world.bots.iter().map(bot).collect())
}

#[derive(Deserialize)]
struct Wanted {
    method: Option<String>,
}

/// `GET /control/bot-log[?method=sendMessage]` → `[{"bot","method","params","status","lost","at"}]`, `at` in Unix milliseconds.
async fn log(State(shared): State<Shared>, Query(wanted): Query<Wanted>) -> Json<Value> {
    Json(shared.lock().bots.log.to_json(wanted.method.as_deref()))
}

#[derive(Deserialize)]
struct NextUpdate {
    id: i64,
}

/// `POST /control/bots/{id}/next-update {"id"}`: the bot's next update has this id, lower than the last, too. Refused while updates wait.
async fn renumber(
    State(shared): State<Shared>,
    Path(bot): Path<i64>,
    Body(next): Body<NextUpdate>,
) -> Result<Json<Value>, ControlError> {
    if !(1..1 << 31).contains(&next.id) {
        return Err(ControlError::bad("an update's id is 1 to 2147483647"));
    }
    let mut world = shared.lock();
    let bot = world.bots.get_mut(bot).ok_or_else(|| ControlError::missing("BOT_INVALID"))?;
    if !bot.updates.renumber(next.id) {
        return Err(ControlError::bad("updates wait"));
    }
    world.touch();
    Ok(Json(json!({ "id": next.id })))
}

#[derive(Deserialize)]
struct Limits {
    bot_group_per_minute: Option<usize>,
}

/// `POST /control/limits {"bot_group_per_minute"}`: what a bot may write into one group in any 60 seconds; null lifts the limit.
async fn set_limits(State(shared): State<Shared>, Body(limits): Body<Limits>) -> Result<Json<Value>, ControlError> {
    let per_minute = limits.bot_group_per_minute;
    if per_minute.is_some_and(|number| number == 0 || number > MAX_PER_MINUTE) {
        return Err(ControlError::bad(format!("bot_group_per_minute is 1 to {MAX_PER_MINUTE}")));
    }
    shared.lock().bots.limits.set(per_minute);
    Ok(Json(json!({ "bot_group_per_minute": per_minute })))
}

/// `GET /control/limits`.
async fn limits(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({ "bot_group_per_minute": shared.lock().bots.limits.per_minute() }))
}

/// `DELETE /control/limits`.
async fn clear_limits(State(shared): State<Shared>) -> Json<Value> {
    shared.lock().bots.limits.set(None);
    Json(json!({ "bot_group_per_minute": null }))
}
