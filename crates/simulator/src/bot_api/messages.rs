//! Messages: `sendMessage`, `editMessageText`, `deleteMessage`, `setMessageReaction`.

use serde_json::{Value, json};

use super::{
    ApiError, Call,
    chats::{admit_rate, admitted, count_rate},
    params::Params,
    text,
};
use crate::world::{
    World,
    forums::{Draft, Forum, ForumError},
};

/// The emoji that may be reactions (core.telegram.org/bots/api#reactiontypeemoji), without variation selectors.
const REACTIONS: [&str; 73] = [
    "👍",
    "👎",
    "❤",
    "🔥",
    "🥰",
    "👏",
    "😁",
    "🤔",
    "🤯",
    "😱",
    "🤬",
    "😢",
    "🎉",
    "🤩",
    "🤮",
    "💩",
    "🙏",
    "👌",
    "🕊",
    "🤡",
    "🥱",
    "🥴",
    "😍",
    "🐳",
    "❤\u{200d}🔥",
    "🌚",
    "🌭",
    "💯",
    "🤣",
    "⚡",
    "🍌",
    "🏆",
    "💔",
    "🤨",
    "😐",
    "🍓",
    "🍾",
    "💋",
    "🖕",
    "😈",
    "😴",
    "😭",
    "🤓",
    "👻",
    "👨\u{200d}💻",
    "👀",
    "🎃",
    "🙈",
    "😇",
    "😨",
    "🤝",
    "✍",
    "🤗",
    "🫡",
    "🎅",
    "🎄",
    "☃",
    "💅",
    "🤪",
    "🗿",
    "🆒",
    "💘",
    "🙉",
    "🦄",
    "😘",
    "💊",
    "🙊",
    "😎",
    "👾",
    "🤷\u{200d}♂",
    "🤷",
    "🤷\u{200d}♀",
    "😡",
];

/// `sendMessage` → `Message`.
pub(super) fn send_message(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let (text, entities) = text::read(call.params)?;
    let forum = world.forums.get(chat_id)?;
    let reply_to = reply_to(call.params, forum)?;
    let given = call.params.number("message_thread_id").filter(|thread| *thread != 0);
    let thread = match given {
        Some(thread) => Some(i32::try_from(thread).map_err(|_| ForumError::ThreadNotFound)?),
        None => reply_to.and_then(|id| forum.post(id)).and_then(|post| post.thread),
    };
    if let Some(thread) = thread {
        forum.admit_thread(thread)?;
    }
    admit_rate(world, call, chat_id)?;
    let draft = Draft { from: call.bot, thread, text, entities, reply_to, ..Draft::default() };
    let id = world.forums.get_mut(chat_id)?.write(draft);
    count_rate(world, call, chat_id);
    view(world, chat_id, id)
}

/// `editMessageText` → `Message`.
pub(super) fn edit_message_text(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let (text, entities) = text::read(call.params)?;
    let id = message_id(call, ForumError::EditedNotFound)?;
    admit_rate(world, call, chat_id)?;
    world.forums.get_mut(chat_id)?.edit(call.bot, id, text, entities)?;
    count_rate(world, call, chat_id);
    view(world, chat_id, id)
}

/// `deleteMessage` → `true`.
pub(super) fn delete_message(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let id = message_id(call, ForumError::DeletedNotFound)?;
    world.forums.get_mut(chat_id)?.delete(call.bot, id)?;
    Ok(json!(true))
}

/// `setMessageReaction` → `true`. A bot may set one reaction; an empty list removes it.
pub(super) fn set_message_reaction(world: &mut World, call: &Call<'_>) -> Result<Value, ApiError> {
    let chat_id = admitted(world, call)?;
    let id = message_id(call, ForumError::ReactedNotFound)?;
    let given = call.params.json("reaction")?.unwrap_or_else(|| json!([]));
    let invalid = || ApiError::bad_request("REACTION_INVALID");
    let given = given.as_array().ok_or_else(invalid)?;
    if given.len() > 1 {
        return Err(ApiError::bad_request("REACTIONS_TOO_MANY"));
    }
    let mut emoji = Vec::new();
    for reaction in given {
        let text = reaction["emoji"].as_str().filter(|_| reaction["type"] == "emoji").ok_or_else(invalid)?;
        let bare = text.replace('\u{fe0f}', "");
        if !REACTIONS.contains(&bare.as_str()) {
            return Err(invalid());
        }
        emoji.push(text.to_owned());
    }
    world.forums.get_mut(chat_id)?.react(call.bot, id, emoji)?;
    Ok(json!(true))
}

fn message_id(call: &Call<'_>, missing: ForumError) -> Result<i32, ApiError> {
    let id = call.params.number("message_id").unwrap_or(0);
    i32::try_from(id).map_err(|_| missing.into())
}

/// The message to answer: `reply_parameters`, or the older `reply_to_message_id`.
fn reply_to(params: &Params, forum: &Forum) -> Result<Option<i32>, ApiError> {
    let (id, optional) = match params.json("reply_parameters")? {
        Some(reply) => {
            let id =
                reply["message_id"].as_i64().ok_or_else(|| ApiError::bad_request("can't parse reply parameters JSON object"))?;
            (id, reply["allow_sending_without_reply"].as_bool().unwrap_or(false))
        }
        None => match params.number("reply_to_message_id") {
            None | Some(0) => return Ok(None),
            Some(id) => (id, params.flag("allow_sending_without_reply")),
        },
    };
    let found = i32::try_from(id).map_err(|_| ForumError::RepliedNotFound).and_then(|id| forum.admit_reply(id).map(|_| id));
    match found {
        Ok(id) => Ok(Some(id)),
        Err(_) if optional => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn view(world: &World, chat_id: i64, id: i32) -> Result<Value, ApiError> {
    let forum = world.forums.get(chat_id)?;
    let post = forum.post(id).ok_or(ForumError::EditedNotFound)?;
    Ok(world.view_post(forum, post))
}
