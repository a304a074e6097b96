//! Who and where: `getMe`, `getChat`, `getChatMember`, `getChatAdministrators`.

use serde_json::{Value, json};

use super::{ApiError, Call};
use crate::world::{World, bot_view::view_chat, forums::Forum};

/// The chat that a call names, if the calling bot is in it.
pub(super) fn admitted(world: &World, call: &Call<'_>) -> Result<i64, ApiError> {
    if !call.params.has("chat_id") {
        return Err(ApiError::bad_request("chat_id is empty"));
    }
    let chat_id = call.params.number("chat_id").unwrap_or(0);
    let forum = world.forums.get(chat_id)?;
    forum.admit_bot(call.bot)?;
    Ok(chat_id)
}

/// Checks the group's limit before something is written into it.
pub(super) fn admit_rate(world: &mut World, call: &Call<'_>, chat_id: i64) -> Result<(), ApiError> {
    world.bots.limits.check(call.bot, chat_id, call.now).map_err(ApiError::too_many_requests)
}

/// Counts what was written into the group.
pub(super) fn count_rate(world: &mut World, call: &Call<'_>, chat_id: i64) {
    world.bots.limits.count(call.bot, chat_id, call.now);
}

/// `getMe` → `User`.
pub(super) fn get_me(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let mut me = world.view_user(call.bot);
    me["can_join_groups"] = json!(true);
    me["can_read_all_group_messages"] = json!(true);
    me["supports_inline_queries"] = json!(false);
    Ok(me)
}

/// `getChat` → `ChatFullInfo`.
pub(super) fn get_chat(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let mut chat = view_chat(world.forums.get(chat_id)?);
    chat["accent_color_id"] = json!(0);
    chat["max_reaction_count"] = json!(11);
    chat["accepted_gift_types"] = json!({
        "unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false,
        "premium_subscription": false, "gifts_from_channels": false,
    });
    chat["permissions"] = json!({"can_send_messages": true, "can_manage_topics": false});
    chat["join_to_send_messages"] = json!(true);
    Ok(chat)
}

/// `getChatMember` → `ChatMember`.
pub(super) fn get_chat_member(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let user = call.params.number("user_id").unwrap_or(0);
    let forum = world.forums.get(chat_id)?;
    if user == forum.bot.id {
        return Ok(world.view_bot_member(&forum.bot));
    }
    if let Some(place) = forum.members.iter().position(|member| *member == user) {
        return Ok(view_member(world, forum, place));
    }
    if world.user(user).is_none() && world.bots.get(user).is_none() {
        return Err(ApiError::bad_request("PARTICIPANT_ID_INVALID"));
    }
    Ok(json!({"status": "left", "user": world.view_user(user)}))
}

/// `getChatAdministrators` → the owner and the bot.
pub(super) fn get_chat_administrators(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let forum = world.forums.get(chat_id)?;
    let mut list = Vec::new();
    if !forum.members.is_empty() {
        list.push(view_member(world, forum, 0));
    }
    if forum.bot.status == crate::world::forums::BotStatus::Administrator {
        list.push(world.view_bot_member(&forum.bot));
    }
    Ok(Value::Array(list))
}

/// `ChatMember` of a person: the first one owns the group.
fn view_member(world: &World, forum: &Forum, place: usize) -> Value {
    let user = world.view_user(forum.members[place]);
    match place {
        0 => json!({"status": "creator", "user": user, "is_anonymous": false}),
        _ => json!({"status": "member", "user": user}),
    }
}
