//! Chats themselves: basic groups, supergroups and channels.

use super::{Call, RpcError, error};
use crate::mtproto::view::chats;
use crate::world::peer::Peer;
use grammers_tl_types::{enums, functions as f, types};

/// Chats named in one call.
const LIMIT: usize = 200;

/// `messages.getChats`: basic groups by id; 400 `CHAT_ID_INVALID` for strangers.
pub fn basic_groups(call: &mut Call, q: f::messages::GetChats) -> Result<enums::messages::Chats, RpcError> {
    let me = call.me()?;
    let mut list = Vec::new();
    for id in q.id.into_iter().take(LIMIT) {
        list.push(chats::chat(call.world, me, group(call, me, id)?));
    }
    Ok(types::messages::Chats { chats: list }.into())
}

fn group(call: &Call, me: i64, id: i64) -> Result<i64, RpcError> {
    let marked = Peer::Group(id).marked();
    match call.world.chats.get(&marked) {
        Some(chat) if chat.has(me) => Ok(marked),
        _ => error(400, "CHAT_ID_INVALID"),
    }
}

/// `messages.getFullChat`.
pub fn full_group(call: &mut Call, q: f::messages::GetFullChat) -> Result<enums::messages::ChatFull, RpcError> {
    let me = call.me()?;
    let marked = group(call, me, q.chat_id)?;
    match call.world.chats.get(&marked) {
        Some(chat) => Ok(chats::full_group(call.world, chat, me)),
        None => error(400, "CHAT_ID_INVALID"),
    }
}

/// `channels.getChannels`.
pub fn get(call: &mut Call, q: f::channels::GetChannels) -> Result<enums::messages::Chats, RpcError> {
    let me = call.me()?;
    let mut list = Vec::new();
    for input in q.id.iter().take(LIMIT) {
        list.push(chats::chat(call.world, me, call.channel(me, input)?));
    }
    Ok(types::messages::Chats { chats: list }.into())
}

/// `channels.getFullChannel`.
pub fn full(call: &mut Call, q: f::channels::GetFullChannel) -> Result<enums::messages::ChatFull, RpcError> {
    let me = call.me()?;
    let channel = call.channel(me, &q.channel)?;
    match call.world.chats.get(&channel) {
        Some(chat) => Ok(chats::full_channel(call.world, chat, me)),
        None => error(400, "CHANNEL_INVALID"),
    }
}
