//! Control calls for what people do in a forum: writing, editing, deleting, reacting, and managing topics.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{patch, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, ControlError, messages::NewMedia};
use crate::{
    bot_api::text::{MAX_TEXT, find},
    world::{
        Shared, World,
        forums::{Draft, Forum, GENERAL},
        message::Entity,
    },
};

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/control/forums/{chat_id}/topics", post(create_topic))
        .route("/control/forums/{chat_id}/topics/{thread_id}", patch(change_topic).delete(remove_topic))
        .route("/control/forums/{chat_id}/topics/{thread_id}/messages", post(write))
        .route("/control/forums/{chat_id}/messages/{id}", patch(edit).delete(remove))
        .route("/control/forums/{chat_id}/messages/{id}/reactions", post(react))
}

/// Deletes a topic as a person would: the bot is not told. This is also the fault `delete_topic`.
///
/// # Errors
/// 404 for an unknown chat or topic.
pub fn delete_topic(world: &mut World, chat_id: i64, thread_id: i32) -> Result<(), ControlError> {
    let forum = world.forums.get_mut(chat_id)?;
    forum.delete_topic(owner(forum), thread_id)?;
    world.touch();
    Ok(())
}

fn owner(forum: &Forum) -> i64 {
    forum.members.first().copied().unwrap_or_default()
}

/// The member who acts: the one named, or else the owner.
fn member(forum: &Forum, from: Option<i64>) -> Result<i64, ControlError> {
    let from = from.unwrap_or_else(|| owner(forum));
    if forum.members.contains(&from) { Ok(from) } else { Err(ControlError::bad("USER_NOT_PARTICIPANT")) }
}

#[derive(Deserialize)]
struct NewTopic {
    from: Option<i64>,
    name: String,
}

/// `POST /control/forums/{chat_id}/topics {"from"?,"name"}` → `{"thread_id"}`.
async fn create_topic(
    State(shared): State<Shared>,
    Path(chat_id): Path<i64>,
    Body(new): Body<NewTopic>,
) -> Result<Json<Value>, ControlError> {
    let name = topic_name(&new.name)?;
    let mut world = shared.lock();
    let forum = world.forums.get_mut(chat_id)?;
    let from = member(forum, new.from)?;
    let thread_id = forum.create_topic(from, name, None, None)?;
    world.announce_post(chat_id, thread_id, "message")?;
    Ok(Json(json!({ "thread_id": thread_id })))
}

fn topic_name(name: &str) -> Result<&str, ControlError> {
    let name = name.trim();
    if (1..=128).contains(&name.chars().count()) { Ok(name) } else { Err(ControlError::bad("TOPIC_TITLE_EMPTY")) }
}

#[derive(Deserialize)]
struct TopicChange {
    from: Option<i64>,
    name: Option<String>,
    closed: Option<bool>,
}

/// `PATCH /control/forums/{chat_id}/topics/{thread_id} {"from"?,"name"?,"closed"?}`: the bot gets the service messages.
async fn change_topic(
    State(shared): State<Shared>,
    Path((chat_id, thread_id)): Path<(i64, i32)>,
    Body(change): Body<TopicChange>,
) -> Result<Json<Value>, ControlError> {
    let mut world = shared.lock();
    let forum = world.forums.get_mut(chat_id)?;
    let from = member(forum, change.from)?;
    let mut services = Vec::new();
    if let Some(name) = &change.name {
        services.push(forum.edit_topic(from, thread_id, Some(topic_name(name)?), None)?);
    }
    if let Some(closed) = change.closed {
        services.push(forum.close_topic(from, thread_id, closed)?);
    }
    for service in services {
        world.announce_post(chat_id, service, "message")?;
    }
    Ok(Json(json!({})))
}

/// `DELETE /control/forums/{chat_id}/topics/{thread_id}`.
async fn remove_topic(
    State(shared): State<Shared>,
    Path((chat_id, thread_id)): Path<(i64, i32)>,
) -> Result<Json<Value>, ControlError> {
    delete_topic(&mut shared.lock(), chat_id, thread_id)?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct NewMessage {
    from: i64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    entities: Vec<Entity>,
    media: Option<NewMedia>,
    reply_to: Option<i32>,
}

/// `POST /control/forums/{chat_id}/topics/{thread_id}/messages {"from","text"?,"entities"?,"media"?,"reply_to"?}` → `{"id"}`: a member
/// writes, and the bot gets it. Thread 1 is the general topic.
async fn write(
    State(shared): State<Shared>,
    Path((chat_id, thread_id)): Path<(i64, i32)>,
    Body(new): Body<NewMessage>,
) -> Result<Json<Value>, ControlError> {
    if new.text.trim().is_empty() && new.media.is_none() {
        return Err(ControlError::bad("MESSAGE_EMPTY"));
    }
    let (text, entities) = checked(new.text, new.entities)?;
    let mut world = shared.lock();
    let media = new.media.map(|media| media.media(&mut world)).transpose()?;
    let forum = world.forums.get_mut(chat_id)?;
    let from = member(forum, Some(new.from))?;
    let thread = (thread_id != GENERAL).then_some(thread_id);
    if let Some(thread) = thread {
        forum.admit_thread(thread)?;
    }
    if let Some(id) = new.reply_to {
        forum.admit_reply(id)?;
    }
    let id = forum.write(Draft { from, thread, text, entities, media, reply_to: new.reply_to, service: None });
    world.announce_post(chat_id, id, "message")?;
    Ok(Json(json!({ "id": id })))
}

/// A person's text within Telegram's limit, with the links and commands that Telegram finds.
fn checked(text: String, mut entities: Vec<Entity>) -> Result<(String, Vec<Entity>), ControlError> {
    if text.chars().count() > MAX_TEXT {
        return Err(ControlError::bad("MESSAGE_TOO_LONG"));
    }
    find(&text, &mut entities);
    Ok((text, entities))
}

#[derive(Deserialize)]
struct Edit {
    text: String,
    #[serde(default)]
    entities: Vec<Entity>,
}

/// `PATCH /control/forums/{chat_id}/messages/{id} {"text","entities"?}`: the author edits; the bot gets `edited_message`.
async fn edit(
    State(shared): State<Shared>,
    Path((chat_id, id)): Path<(i64, i32)>,
    Body(edit): Body<Edit>,
) -> Result<Json<Value>, ControlError> {
    if edit.text.trim().is_empty() {
        return Err(ControlError::bad("MESSAGE_EMPTY"));
    }
    let (text, entities) = checked(edit.text, edit.entities)?;
    let mut world = shared.lock();
    let forum = world.forums.get_mut(chat_id)?;
    let author = forum.admit_reply(id)?.message.from;
    let author = member(forum, Some(author))?;
    forum.edit(author, id, text, entities)?;
    world.announce_post(chat_id, id, "edited_message")?;
    Ok(Json(json!({})))
}

/// `DELETE /control/forums/{chat_id}/messages/{id}`: bots see no deletions.
async fn remove(State(shared): State<Shared>, Path((chat_id, id)): Path<(i64, i32)>) -> Result<Json<Value>, ControlError> {
    let mut world = shared.lock();
    let forum = world.forums.get_mut(chat_id)?;
    forum.delete(owner(forum), id)?;
    world.touch();
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Reactions {
    from: i64,
    emoji: Vec<String>,
}

/// `POST /control/forums/{chat_id}/messages/{id}/reactions {"from","emoji":[…]}` replaces a member's reactions (at most three).
async fn react(
    State(shared): State<Shared>,
    Path((chat_id, id)): Path<(i64, i32)>,
    Body(given): Body<Reactions>,
) -> Result<Json<Value>, ControlError> {
    if given.emoji.len() > 3 || given.emoji.iter().any(|emoji| emoji.len() > 64) {
        return Err(ControlError::bad("REACTIONS_TOO_MANY"));
    }
    let mut world = shared.lock();
    let forum = world.forums.get_mut(chat_id)?;
    let from = member(forum, Some(given.from))?;
    forum.react(from, id, given.emoji)?;
    world.touch();
    Ok(Json(json!({})))
}
