//! Topics: `createForumTopic`, `editForumTopic`, `closeForumTopic`, `reopenForumTopic`, `deleteForumTopic`.

use serde_json::{Value, json};

use super::{
    ApiError, Call,
    chats::{admit_rate, admitted, count_rate},
};
use crate::world::{World, forums::ForumError};

/// The longest name of a topic, in characters.
const MAX_NAME: usize = 128;

/// `createForumTopic` → `ForumTopic`.
pub(super) fn create_forum_topic(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let name = name(call)?.ok_or_else(|| ApiError::bad_request("title must be non-empty"))?;
    let emoji = call.params.text("icon_custom_emoji_id").filter(|emoji| !emoji.is_empty());
    admit_rate(world, call, chat_id)?;
    let forum = world.forums.get_mut(chat_id)?;
    let thread_id = forum.create_topic(call.bot, &name, call.params.number("icon_color"), emoji)?;
    let topic = forum.topic(thread_id)?;
    let mut view = json!({"message_thread_id": thread_id, "name": name, "icon_color": topic.icon_color});
    if let Some(emoji) = &topic.icon_custom_emoji_id {
        view["icon_custom_emoji_id"] = json!(emoji);
    }
    announce(world, call, chat_id, thread_id)?;
    Ok(view)
}

/// `editForumTopic` → `true`. Posts `forum_topic_edited`, which the bot gets as an update.
pub(super) fn edit_forum_topic(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let name = name(call)?;
    let icon = call.params.text("icon_custom_emoji_id");
    let thread_id = thread_id(call)?;
    admit_rate(world, call, chat_id)?;
    let service = world.forums.get_mut(chat_id)?.edit_topic(call.bot, thread_id, name.as_deref(), icon.as_deref())?;
    announce(world, call, chat_id, service)?;
    Ok(json!(true))
}

/// `closeForumTopic` → `true`.
pub(super) fn close_forum_topic(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    set_closed(world, call, true)
}

/// `reopenForumTopic` → `true`.
pub(super) fn reopen_forum_topic(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    set_closed(world, call, false)
}

/// `deleteForumTopic` → `true`. The topic's messages go with it.
pub(super) fn delete_forum_topic(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let thread_id = thread_id(call)?;
    world.forums.get_mut(chat_id)?.delete_topic(call.bot, thread_id)?;
    Ok(json!(true))
}

fn set_closed(world: &mut World, call: &Call<'_>, closed: bool) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let thread_id = thread_id(call)?;
    admit_rate(world, call, chat_id)?;
    let service = world.forums.get_mut(chat_id)?.close_topic(call.bot, thread_id, closed)?;
    announce(world, call, chat_id, service)?;
    Ok(json!(true))
}

/// The service message that a change left: it counts as a message, and it is news for the bot.
fn announce(world: &mut World, call: &Call<'_>, chat_id: i64, service: i32) -> Result<(), ApiError> {
    count_rate(world, call, chat_id);
    world.announce_post(chat_id, service, "message")?;
    Ok(())
}

fn thread_id(call: &Call<'_>) -> Result<i32, ApiError> {
    let id = call.params.number("message_thread_id").unwrap_or(0);
    i32::try_from(id).map_err(|_| ForumError::TopicInvalid.into())
}

/// The parameter `name`, trimmed; none when it is missing or empty.
fn name(call: &Call<'_>) -> Result<Option<String>, ApiError> {
    let name = call.params.text("name").unwrap_or_default().trim().to_owned();
    if name.chars().count() > MAX_NAME {
        return Err(ApiError::bad_request("TOPIC_TITLE_INVALID"));
    }
    Ok(Some(name).filter(|name| !name.is_empty()))
}
