//! `POST /control/faults` and `DELETE /control/faults`: arm faults, do the immediate ones, forget all.

use super::{Body, ControlError, operators};
use crate::mtproto::push;
use crate::world::faults::{BotFault, LostAnswer, RpcFault, once};
use crate::world::{Shared, World};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new().route("/control/faults", post(arm).delete(clear))
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Fault {
    /// Close MTProto connections now.
    DropConnections { user: Option<i64> },
    /// Close new MTProto connections at once, for a while.
    RefuseConnections { seconds: f64 },
    /// Answer 420 `FLOOD_WAIT_x`.
    FloodWait {
        user: Option<i64>,
        method: String,
        seconds: u32,
        #[serde(default = "once")]
        times: u32,
    },
    /// Answer any error.
    RpcError(RpcFault),
    /// Answer an error of the Bot API.
    BotError(BotFault),
    /// Delay every answer.
    Latency { ms: u64 },
    /// Execute, then lose the answer.
    LoseAnswer(LostAnswer),
    /// End all sessions of a user, with this error from now on.
    Revoke {
        user: i64,
        #[serde(default = "unregistered")]
        error: String,
    },
    /// Forget all keys of a user: transport error −404.
    ForgetKeys { user: i64 },
    /// Somebody deletes a topic.
    DeleteTopic { chat_id: i64, thread_id: i32 },
    /// The next live updates of a user are lost on the way; `getDifference` still has them.
    LoseUpdates {
        user: i64,
        #[serde(default = "once")]
        times: u32,
    },
    /// The user's present connections get no updates any more; calls are answered, and a new connection hears again.
    Deafen { user: i64 },
    /// Nothing at all is written to the user's present connections any more, not even pongs; what comes from them is read.
    Mute { user: i64 },
    /// The user's next `getDifference` answers `differenceTooLong`.
    DifferenceTooLong { user: i64 },
    /// Members are sent `updateChannelTooLong`, and the next `getChannelDifference` answers `channelDifferenceTooLong`.
    ChannelTooLong { chat_id: i64 },
}

fn unregistered() -> String {
    "AUTH_KEY_UNREGISTERED".into()
}

async fn arm(State(shared): State<Shared>, Body(fault): Body<Fault>) -> Result<Json<Value>, ControlError> {
    let mut world = shared.lock();
    let armed = match fault {
        Fault::DropConnections { user } => return Ok(Json(json!({ "dropped": world.drop_connections(user) }))),
        Fault::RefuseConnections { seconds } => {
            let period = Duration::try_from_secs_f64(seconds).map_err(|e| ControlError::bad(e.to_string()))?;
            world.faults.refuse_connections(period);
            true
        }
        Fault::FloodWait { user, method, seconds, times } => world.faults.add_flood_wait(user, method, seconds, times),
        Fault::RpcError(fault) => world.faults.add_rpc_error(fault),
        Fault::BotError(fault) => world.faults.add_bot_error(fault),
        Fault::Latency { ms } => {
            world.faults.set_latency(Duration::from_millis(ms.min(600_000)));
            true
        }
        Fault::LoseAnswer(fault) => world.faults.add_lost_answer(fault),
        Fault::Revoke { user, error } => {
            known(&world, user)?;
            return Ok(Json(json!({ "revoked": world.revoke(user, &error) })));
        }
        Fault::ForgetKeys { user } => {
            known(&world, user)?;
            world.drop_connections(Some(user));
            return Ok(Json(json!({ "forgotten": world.forget_keys(user) })));
        }
        Fault::DeleteTopic { chat_id, thread_id } => {
            operators::delete_topic(&mut world, chat_id, thread_id)?;
            true
        }
        Fault::LoseUpdates { user, times } => {
            known(&world, user)?;
            world.live.lost_updates.insert(user, times);
            true
        }
        Fault::Deafen { user } => return Ok(Json(json!({ "deafened": world.deafen(user) }))),
        Fault::Mute { user } => return Ok(Json(json!({ "muted": world.mute(user) }))),
        Fault::DifferenceTooLong { user } => {
            known(&world, user)?;
            world.live.difference_too_long.insert(user);
            true
        }
        Fault::ChannelTooLong { chat_id } => {
            if !world.chats.contains_key(&chat_id) {
                return Err(ControlError::missing("CHANNEL_INVALID"));
            }
            world.live.channel_too_long.insert(chat_id);
            push::channel_too_long(&mut world, chat_id);
            true
        }
    };
    if armed { Ok(Json(json!({}))) } else { Err(ControlError::bad("too many faults")) }
}

fn known(world: &World, user: i64) -> Result<(), ControlError> {
    world.user(user).map(|_| ()).ok_or_else(|| ControlError::missing("USER_ID_INVALID"))
}

async fn clear(State(shared): State<Shared>) -> Json<Value> {
    let mut world = shared.lock();
    world.faults.clear();
    world.live.lost_updates.clear();
    world.live.difference_too_long.clear();
    world.live.channel_too_long.clear();
    Json(json!({}))
}
