//! Reading messages: `messages.getHistory`, `messages.getMessages`, `channels.getMessages`.

use super::{Call, RpcError, error};
use crate::mtproto::view::{Mentioned, messages};
use crate::world::mailbox::{Mailbox, Stored};
use crate::world::peer::Peer;
use grammers_tl_types::{enums, functions as f, types};

/// Messages per answer.
const PAGE: usize = 100;

/// `messages.getHistory` (<https://core.telegram.org/api/offsets>): newest first.
pub fn page(call: &mut Call, q: f::messages::GetHistory) -> Result<enums::messages::Messages, RpcError> {
    let me = call.me()?;
    let peer = call.peer(me, &q.peer)?.marked();
    let Some(mailbox) = call.world.mailbox_for(me, peer) else { return error(400, "PEER_ID_INVALID") };
    let all: Vec<&Stored> = mailbox.history(peer).rev().collect();
    let newer = |s: &Stored| {
        (q.offset_id > 0 && s.message.id >= q.offset_id) || (q.offset_date > 0 && s.message.date >= i64::from(q.offset_date))
    };
    let offset = all.partition_point(|stored| newer(stored)) as i64;
    let start = (offset + i64::from(q.add_offset)).clamp(0, all.len() as i64) as usize;
    let limit = q.limit.clamp(0, PAGE as i32) as usize;
    let in_range = |s: &&&Stored| (q.max_id <= 0 || s.message.id < q.max_id) && (q.min_id <= 0 || s.message.id > q.min_id);
    let page: Vec<&Stored> = all[start..].iter().take(limit).filter(in_range).copied().collect();
    let (total, whole) = (all.len() as i32, page.len() == all.len());
    let mut mentioned = Mentioned::default();
    mentioned.add(peer);
    let found = page.into_iter().map(|stored| messages::message(stored, me, &mut mentioned)).collect();
    Ok(answer(call, me, peer, found, mentioned, if whole { None } else { Some(total) }))
}

fn answer(
    call: &Call,
    me: i64,
    peer: i64,
    messages: Vec<enums::Message>,
    mentioned: Mentioned,
    total: Option<i32>,
) -> enums::messages::Messages {
    let (topics, users, chats) = (Vec::new(), mentioned.users(call.world, me), mentioned.chats(call.world, me));
    let count = total.unwrap_or(messages.len() as i32);
    if let (Some(Peer::Channel(_)), Some(chat)) = (Peer::from_marked(peer), call.world.chats.get(&peer)) {
        let pts = chat.mailbox.pts;
        return types::messages::ChannelMessages {
            inexact: false,
            pts,
            count,
            offset_id_offset: None,
            messages,
            topics,
            chats,
            users,
        }
        .into();
    }
    match total {
        None => types::messages::Messages { messages, topics, chats, users }.into(),
        Some(count) => types::messages::MessagesSlice {
            inexact: false,
            count,
            next_rate: None,
            offset_id_offset: None,
            search_flood: None,
            messages,
            topics,
            chats,
            users,
        }
        .into(),
    }
}

/// `messages.getMessages`: of the user's own mailbox.
pub fn by_id(call: &mut Call, q: f::messages::GetMessages) -> Result<enums::messages::Messages, RpcError> {
    let me = call.me()?;
    let Some(user) = call.world.user(me) else { return error(401, "AUTH_KEY_UNREGISTERED") };
    let mut mentioned = Mentioned::default();
    let found = pick(&user.mailbox, &q.id, me, &mut mentioned);
    Ok(answer(call, me, me, found, mentioned, None))
}

/// `channels.getMessages`.
pub fn by_id_in_channel(call: &mut Call, q: f::channels::GetMessages) -> Result<enums::messages::Messages, RpcError> {
    let me = call.me()?;
    let channel = call.channel(me, &q.channel)?;
    let Some(chat) = call.world.chats.get(&channel) else { return error(400, "CHANNEL_INVALID") };
    let mut mentioned = Mentioned::default();
    mentioned.add(channel);
    let found = pick(&chat.mailbox, &q.id, me, &mut mentioned);
    Ok(answer(call, me, channel, found, mentioned, None))
}

/// The messages asked for, in the order asked; `messageEmpty` for those that do not exist.
fn pick(mailbox: &Mailbox, ids: &[enums::InputMessage], me: i64, mentioned: &mut Mentioned) -> Vec<enums::Message> {
    let mut one = |input: &enums::InputMessage| {
        let (id, stored) = match input {
            enums::InputMessage::Id(input) => (input.id, mailbox.get(input.id)),
            enums::InputMessage::ReplyTo(input) => {
                let answered = mailbox.get(input.id).and_then(|stored| stored.message.reply_to);
                (answered.unwrap_or_default(), answered.and_then(|id| mailbox.get(id)))
            }
            _ => (0, None),
        };
        match stored {
            Some(stored) => messages::message(stored, me, mentioned),
            None => types::MessageEmpty { id, peer_id: None }.into(),
        }
    };
    ids.iter().take(PAGE).map(&mut one).collect()
}
