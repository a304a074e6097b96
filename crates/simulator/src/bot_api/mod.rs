//! The Bot API, `/bot<token>/<method>`: from an HTTP request to a method and back (core.telegram.org/bots/api). One file per group of
//! methods; everything that they change is in [`crate::world`].

mod chats;
mod error;
mod html;
pub mod line;
mod messages;
mod multipart;
mod params;
pub mod text;
mod topics;
mod updates;
pub mod webhook;

use std::time::Instant;

use axum::{
    Router,
    body::to_bytes,
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::Value;

use crate::world::{Shared, World, faults::BotFault, forums::ForumError};
use error::ApiError;
use line::Line;
use params::Params;

/// All routes of the Bot API.
pub fn router() -> Router<Shared> {
    Router::new().route("/bot{token}/{method}", get(handle).post(handle))
}

/// One call of a known bot.
struct Call<'a> {
    bot: i64,
    params: &'a Params,
    now: Instant,
}

type Method = fn(&mut World, &Call<'_>) -> Result<Value, ApiError>;

/// Every method but `getUpdates`, which waits.
const METHODS: [(&str, Method); 16] = [
    ("getMe", chats::get_me),
    ("getChat", chats::get_chat),
    ("getChatMember", chats::get_chat_member),
    ("getChatAdministrators", chats::get_chat_administrators),
    ("setWebhook", updates::set_webhook),
    ("deleteWebhook", updates::delete_webhook),
    ("getWebhookInfo", updates::get_webhook_info),
    ("sendMessage", messages::send_message),
    ("editMessageText", messages::edit_message_text),
    ("deleteMessage", messages::delete_message),
    ("setMessageReaction", messages::set_message_reaction),
    ("createForumTopic", topics::create_forum_topic),
    ("editForumTopic", topics::edit_forum_topic),
    ("closeForumTopic", topics::close_forum_topic),
    ("reopenForumTopic", topics::reopen_forum_topic),
    ("deleteForumTopic", topics::delete_forum_topic),
];

/// The method that waits.
const GET_UPDATES: &str = "getUpdates";

/// A call's answer, and whether it must get lost.
struct Answer {
    status: StatusCode,
    body: String,
    lost: bool,
}

async fn handle(State(shared): State<Shared>, Path((token, method)): Path<(String, String)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, params::MAX_BODY).await else {
        return ApiError::new(413, "Request Entity Too Large").into_response();
    };
    let bot = shared.lock().bots.by_token(&token);
    let Some(bot) = bot else {
        let numbered = token.split_once(':').is_some_and(|(id, _)| id.parse::<u64>().is_ok());
        return if numbered { ApiError::unauthorized() } else { ApiError::not_found() }.into_response();
    };
    let params = match Params::read(parts.uri.query(), content_type(&parts.headers), &body) {
        Ok(params) => params,
        Err(error) => return error.into_response(),
    };
    let answer = perform(&shared, bot, &method, params).await;
    if answer.lost
        && let Some(ConnectInfo(line)) = parts.extensions.get::<ConnectInfo<Line>>()
    {
        line.cut();
    }
    (answer.status, [(header::CONTENT_TYPE, "application/json")], answer.body).into_response()
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Carries out a call, with the faults that are armed for it, and logs it.
async fn perform(shared: &Shared, bot: i64, method: &str, params: Params) -> Answer {
    let latency = shared.lock().faults.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let known = METHODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(method));
    let name = match known {
        Some((name, _)) => name,
        None if method.eq_ignore_ascii_case(GET_UPDATES) => GET_UPDATES,
        None => return Answer { status: StatusCode::NOT_FOUND, body: ApiError::not_found().body().to_string(), lost: false },
    };
    let fault = {
        let mut world = shared.lock();
        world.stats.count_bot(name);
        world.faults.take_bot_error(&format!("bot.{name}"))
    };
    let result = match (fault, known) {
        (Some(fault), _) => Err(injected(fault)),
        (None, Some((_, run))) => {
            let mut world = shared.lock();
            let result = run(&mut world, &Call { bot, params: &params, now: Instant::now() });
            if result.is_ok() && !name.starts_with("get") {
                world.touch();
            }
            result.map(|value| value.to_string())
        }
        (None, None) => updates::get_updates(shared, bot, &params).await,
    };
    let (status, body) = match result {
        Ok(result) => (200, format!(r#"{{"ok":true,"result":{result}}}"#)),
        Err(error) => (error.code, error.body().to_string()),
    };
    let mut world = shared.lock();
    let lost = world.faults.take_lost_answer(&format!("bot.{name}"));
    world.bots.log.add(bot, name, params.to_json(), status, lost);
    Answer { status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body, lost }
}

/// The error that a fault asks for; without a text of its own it gets Telegram's usual one.
fn injected(fault: BotFault) -> ApiError {
    let description = match (fault.description.is_empty(), fault.status, fault.retry_after) {
        (false, ..) => fault.description,
        (true, 429, Some(seconds)) => format!("Too Many Requests: retry after {seconds}"),
        (true, 400, _) if fault.migrate_to_chat_id.is_some() => {
            format!("Bad Request: {}", ForumError::Migrated(0))
        }
        (true, status, _) => {
            StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error").to_owned()
        }
    };
    ApiError { code: fault.status, description, retry_after: fault.retry_after, migrate_to_chat_id: fault.migrate_to_chat_id }
}
