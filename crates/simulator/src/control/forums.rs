//! Control calls about forums: creating them, the bot's standing in them, and reading their topics. What operators do in them is in
//! [`super::operators`].

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, ControlError};
use crate::world::{
    Shared, World,
    forums::{BotStatus, Forum, ForumError, GENERAL, Rights},
};

/// The most members of a forum.
const MAX_MEMBERS: usize = 1000;

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/control/forums", post(add).get(list))
        .route("/control/forums/{chat_id}/bot", post(set_bot))
        .route("/control/forums/{chat_id}/migrate", post(migrate))
        .route("/control/forums/{chat_id}/topics", get(topics))
}

impl From<ForumError> for ControlError {
    fn from(error: ForumError) -> Self {
        match error {
            ForumError::ChatNotFound
            | ForumError::Migrated(_)
            | ForumError::ThreadNotFound
            | ForumError::TopicInvalid
            | ForumError::TopicDeleted
            | ForumError::RepliedNotFound
            | ForumError::EditedNotFound
            | ForumError::DeletedNotFound
            | ForumError::ReactedNotFound => Self::missing(error.to_string()),
            _ => Self::bad(error.to_string()),
        }
    }
}

#[derive(Deserialize)]
struct NewForum {
    title: String,
    bot_token: String,
    #[serde(default)]
    members: Vec<i64>,
    #[serde(default = "yes")]
    is_forum: bool,
}

fn yes() -> bool {
    true
}

/// `POST /control/forums {"title","bot_token","members":[…],"is_forum"?}` → `{"chat_id"}`. The first member owns the group, the bot is
/// its administrator and learns that by `my_chat_member`. `is_forum: false` makes an ordinary supergroup.
async fn add(State(shared): State<Shared>, Body(new): Body<NewForum>) -> Result<Json<Value>, ControlError> {
    if new.title.trim().is_empty() || new.title.chars().count() > 128 {
        return Err(ControlError::bad("CHAT_TITLE_EMPTY"));
    }
    let mut world = shared.lock();
    let bot = world.bots.by_token(&new.bot_token).ok_or_else(|| ControlError::bad("BOT_INVALID"))?;
    if new.members.len() > MAX_MEMBERS {
        return Err(ControlError::bad("USERS_TOO_MUCH"));
    }
    if new.members.iter().any(|member| world.user(*member).is_none()) {
        return Err(ControlError::bad("USER_ID_INVALID"));
    }
    let chat_id = world.ids.next_channel();
    world.forums.add(chat_id, new.title.trim(), new.is_forum, new.members, bot);
    world.announce_bot_member(chat_id, None)?;
    Ok(Json(json!({ "chat_id": chat_id })))
}

/// `GET /control/forums` → `[{"chat_id","title","is_forum","members","bot":{"id","username","status","rights"},"topics"}]`, `topics` a
/// number.
async fn list(State(shared): State<Shared>) -> Json<Value> {
    let world = shared.lock();
    let view = |forum: &Forum| {
        json!({
            "chat_id": forum.chat_id, "title": forum.title, "is_forum": forum.is_forum, "members": forum.members,
            "bot": view_bot(&world, forum), "topics": forum.topics().count(),
        })
    };
    Json(world.forums.iter().map(view).collect())
}

fn view_bot(world: &World, forum: &Forum) -> Value {
    let bot = &forum.bot;
    let username = world.bots.get(bot.id).map(|bot| bot.username.as_str());
    json!({"id": bot.id, "username": username, "status": bot.status, "rights": bot.rights})
}

#[derive(Deserialize)]
struct Standing {
    status: Option<BotStatus>,
    rights: Option<serde_json::Map<String, Value>>,
}

/// `POST /control/forums/{chat_id}/bot {"status"?,"rights"?}` changes the bot's standing; rights that are not named stay. The bot is
/// told by `my_chat_member`. → its standing.
async fn set_bot(
    State(shared): State<Shared>,
    Path(chat_id): Path<i64>,
    Body(given): Body<Standing>,
) -> Result<Json<Value>, ControlError> {
    let mut world = shared.lock();
    let forum = world.forums.get_mut(chat_id)?;
    let before = forum.bot.clone();
    if let Some(rights) = given.rights {
        let mut merged = json!(before.rights);
        for (right, granted) in rights {
            merged[right] = granted;
        }
        forum.bot.rights = serde_json::from_value::<Rights>(merged).map_err(|e| ControlError::bad(e.to_string()))?;
    }
    forum.bot.status = given.status.unwrap_or(before.status);
    if forum.bot != before {
        world.announce_bot_member(chat_id, Some(&before))?;
    }
    Ok(Json(view_bot(&world, world.forums.get(chat_id)?)))
}

/// `POST /control/forums/{chat_id}/migrate` gives the group a new id, as when a basic group becomes a supergroup: the old id answers
/// with `migrate_to_chat_id`. → `{"chat_id"}`, the new one.
async fn migrate(State(shared): State<Shared>, Path(chat_id): Path<i64>) -> Result<Json<Value>, ControlError> {
    let mut world = shared.lock();
    world.forums.get(chat_id)?;
    let to = world.ids.next_channel();
    world.forums.migrate(chat_id, to)?;
    world.touch();
    Ok(Json(json!({ "chat_id": to })))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    general: bool,
    last: Option<usize>,
}

/// `GET /control/forums/{chat_id}/topics[?general=true][&last=N]` →
/// `[{"thread_id","name","closed","messages":[{"id","from","text",…}],"service":[…]}]`: topics and messages in the order of their
/// creation; service messages stand apart. The general topic (thread 1) is shown on demand only; `last` shows the last so many
/// messages of each topic.
async fn topics(
    State(shared): State<Shared>,
    Path(chat_id): Path<i64>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, ControlError> {
    let world = shared.lock();
    let forum = world.forums.get(chat_id)?;
    let mut topics: Vec<Value> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    let mut show = |thread: Option<i32>, view: Value| {
        places.insert(thread, topics.len());
        topics.push(view);
    };
    if wanted.general {
        show(None, json!({"thread_id": GENERAL, "name": "General", "closed": false, "messages": [], "service": []}));
    }
    for topic in forum.topics() {
        let view = json!({
            "thread_id": topic.thread_id, "name": topic.name, "closed": topic.closed, "messages": [], "service": [],
        });
        show(Some(topic.thread_id), view);
    }
    // Newest first, so that `last` can stop early; turned round at the end.
    for post in forum.posts().rev() {
        let Some(place) = places.get(&post.thread) else { continue };
        let list = if post.message.service.is_some() { "service" } else { "messages" };
        if let Some(list) = topics[*place][list].as_array_mut()
            && wanted.last.is_none_or(|last| list.len() < last)
        {
            list.push(json!(post.message));
        }
    }
    for topic in &mut topics {
        for list in ["messages", "service"] {
            if let Some(list) = topic[list].as_array_mut() {
                list.reverse();
            }
        }
    }
    Ok(Json(Value::Array(topics)))
}
