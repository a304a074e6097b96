//! Writing and reading along: `messages.sendMessage` with its `random_id`, `readHistory`, `setTyping`.

use super::{Call, RpcError, error};
use crate::mtproto::push;
use crate::mtproto::view::{Mentioned, entities, messages, peer};
use crate::world::chats::ChatKind;
use crate::world::delivery::{Draft, ReplyTo};
use crate::world::mailbox::{Event, Sent};
use crate::world::now;
use crate::world::peer::Peer;
use grammers_tl_types::{enums, functions as f, types};

/// `messages.sendMessage`. A repeated `random_id` answers the message of the first call and sends nothing.
pub fn send(call: &mut Call, q: f::messages::SendMessage) -> Result<enums::Updates, RpcError> {
    let me = call.me()?;
    let to = call.peer(me, &q.peer)?;
    if let Some(sent) = call.world.user(me).and_then(|user| user.mailbox.sent(q.random_id)) {
        return sent_message(call, me, sent, q.random_id);
    }
    if let Some(chat) = call.world.chats.get(&to.marked())
        && chat.kind == ChatKind::Channel
        && chat.creator() != me
    {
        return error(403, "CHAT_WRITE_FORBIDDEN");
    }
    let reply_to = match q.reply_to {
        Some(enums::InputReplyTo::Message(reply)) => Some(ReplyTo { user: me, id: reply.reply_to_msg_id }),
        _ => None,
    };
    let draft = Draft {
        text: q.message,
        entities: entities::from_tl(q.entities.unwrap_or_default(), me),
        reply_to,
        random_id: Some(q.random_id),
        ..Draft::default()
    };
    let short = matches!(to, Peer::User(_));
    let delivery = match push::send(call.world, me, to, draft, Some(call.connection)) {
        Ok(delivery) => delivery,
        Err("CHAT_WRITE_FORBIDDEN") => return error(403, "CHAT_WRITE_FORBIDDEN"),
        Err(name) => return error(400, name),
    };
    let sent = Sent { peer: to.marked(), id: delivery.own.id };
    let stored = call.world.mailbox_for(me, sent.peer).and_then(|mailbox| mailbox.get(sent.id));
    match stored {
        Some(stored) if short => Ok(types::UpdateShortSentMessage {
            out: true,
            id: sent.id,
            pts: stored.pts,
            pts_count: 1,
            date: stored.message.date as i32,
            media: None,
            entities: entities::to_tl(&stored.message.entities),
            ttl_period: None,
        }
        .into()),
        _ => sent_message(call, me, sent, q.random_id),
    }
}

/// The long answer: which id the `random_id` got, and the message.
fn sent_message(call: &Call, me: i64, sent: Sent, random_id: i64) -> Result<enums::Updates, RpcError> {
    let mut mentioned = Mentioned::default();
    let mut updates = vec![types::UpdateMessageId { id: sent.id, random_id }.into()];
    let stored = call.world.mailbox_for(me, sent.peer).and_then(|mailbox| mailbox.get(sent.id));
    updates.extend(stored.map(|stored| messages::new_message(stored, me, &mut mentioned)));
    let (users, chats) = (mentioned.users(call.world, me), mentioned.chats(call.world, me));
    Ok(types::Updates { updates, users, chats, date: now() as i32, seq: 0 }.into())
}

/// `messages.readHistory`: the other side of a private chat learns of it.
pub fn read(call: &mut Call, q: f::messages::ReadHistory) -> Result<enums::messages::AffectedMessages, RpcError> {
    let me = call.me()?;
    let with = call.peer(me, &q.peer)?;
    if matches!(with, Peer::Channel(_)) {
        return error(400, "PEER_ID_INVALID");
    }
    let max_id = if q.max_id <= 0 { i32::MAX } else { q.max_id };
    let connection = call.connection;
    let Some(user) = call.world.users.get_mut(&me) else { return error(401, "AUTH_KEY_UNREGISTERED") };
    let Some(pts) = user.mailbox.read_inbox(with.marked(), max_id) else {
        return Ok(types::messages::AffectedMessages { pts: user.mailbox.pts, pts_count: 0 }.into());
    };
    let read_up_to = user.mailbox.dialog(with.marked()).map_or(0, |dialog| dialog.read_inbox);
    let unread = user.mailbox.unread_after(with.marked(), read_up_to);
    let newest = user.mailbox.history(with.marked()).rev().find(|s| s.message.id <= read_up_to).map(|s| s.origin);
    let event = Event::ReadInbox { peer: with.marked(), max_id: read_up_to, unread };
    push::event(call.world, me, &event, pts, Some(connection));
    if let (Peer::User(other), Some(origin)) = (with, newest)
        && other != me
        && let Some(other_user) = call.world.users.get_mut(&other)
        && let Some(max_id) = other_user.mailbox.by_origin(me, origin).map(|stored| stored.message.id)
        && let Some(pts) = other_user.mailbox.read_outbox(me, max_id)
    {
        push::event(call.world, other, &Event::ReadOutbox { peer: me, max_id }, pts, None);
    }
    call.world.touch();
    Ok(types::messages::AffectedMessages { pts, pts_count: 1 }.into())
}

/// `channels.readHistory`.
pub fn read_channel(call: &mut Call, q: f::channels::ReadHistory) -> Result<bool, RpcError> {
    let me = call.me()?;
    let channel = call.channel(me, &q.channel)?;
    let Some(chat) = call.world.chats.get_mut(&channel) else { return error(400, "CHANNEL_INVALID") };
    let newest = chat.mailbox.history(channel).next_back().map_or(0, |stored| stored.message.id);
    let read = chat.read.entry(me).or_default();
    let up_to = if q.max_id <= 0 { newest } else { q.max_id.min(newest) };
    let news = up_to > *read;
    *read = up_to.max(*read);
    call.world.touch();
    Ok(news)
}

/// `messages.setTyping`: shown to the other side of a private chat.
pub fn typing(call: &mut Call, q: f::messages::SetTyping) -> Result<bool, RpcError> {
    let me = call.me()?;
    match call.peer(me, &q.peer)? {
        Peer::User(other) if other != me => {
            let mut mentioned = Mentioned::default();
            mentioned.add(me);
            let update = types::UpdateUserTyping { user_id: me, top_msg_id: None, action: q.action }.into();
            push::update(call.world, other, update, &mentioned, None);
        }
        Peer::Group(chat_id) => {
            let members = call.world.chats.get(&Peer::Group(chat_id).marked()).map(|chat| chat.members.clone());
            for other in members.unwrap_or_default().into_iter().filter(|member| *member != me) {
                let mut mentioned = Mentioned::default();
                mentioned.add(me);
                let update = types::UpdateChatUserTyping { chat_id, from_id: peer(me), action: q.action.clone() }.into();
                push::update(call.world, other, update, &mentioned, None);
            }
        }
        Peer::User(_) | Peer::Channel(_) => {}
    }
    Ok(true)
}
