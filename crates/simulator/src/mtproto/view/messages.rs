//! Messages and events in TL: alone, and as the updates that carry them.

use super::{Mentioned, entities, media, minimal, no_flags, peer};
use crate::world::mailbox::{Event, Stored};
use crate::world::peer::Peer;
use grammers_tl_types::{Serializable, enums, types};

/// A message as `viewer` sees it. Whom it names goes into `mentioned`.
pub fn message(stored: &Stored, viewer: i64, mentioned: &mut Mentioned) -> enums::Message {
    let m = &stored.message;
    mentioned.add(stored.peer);
    mentioned.add(m.from);
    let mut tl: types::Message = minimal(|b| {
        no_flags(b);
        no_flags(b);
        m.id.serialize(b);
        peer(stored.peer).serialize(b);
        (m.date as i32).serialize(b);
        m.text.serialize(b);
    });
    let broadcast = m.from == stored.peer && m.from < 0;
    tl.out = m.out || m.from == viewer;
    tl.post = broadcast;
    // In private chats an incoming message's author is its peer; Telegram names authors in chats and of own messages.
    tl.from_id = (!broadcast && (stored.peer < 0 || tl.out)).then(|| peer(m.from));
    tl.views = broadcast.then_some(1);
    tl.forwards = broadcast.then_some(0);
    tl.entities = entities::to_tl(&m.entities);
    tl.media = m.media.as_ref().map(|attached| media::media(attached, m.date));
    tl.reply_to = m.reply_to.map(reply_header);
    tl.grouped_id = m.album;
    tl.edit_date = m.edited.map(|at| at as i32);
    for mentioned_user in m.entities.iter().filter_map(|entity| entity.user.as_ref()) {
        mentioned.add(mentioned_user.id);
    }
    enums::Message::Message(tl)
}

/// The header of a reply.
pub fn reply_header(id: i32) -> enums::MessageReplyHeader {
    let mut header: types::MessageReplyHeader = minimal(no_flags);
    header.reply_to_msg_id = Some(id);
    header.into()
}

/// The update that brings a new message: of a channel, or of a mailbox.
pub fn new_message(stored: &Stored, viewer: i64, mentioned: &mut Mentioned) -> enums::Update {
    let message = message(stored, viewer, mentioned);
    let (pts, pts_count) = (stored.pts, 1);
    match Peer::from_marked(stored.peer) {
        Some(Peer::Channel(_)) => types::UpdateNewChannelMessage { message, pts, pts_count }.into(),
        _ => types::UpdateNewMessage { message, pts, pts_count }.into(),
    }
}

/// The update of an event that is no message; `pts` is the event's.
pub fn read_event(event: &Event, pts: i32, mentioned: &mut Mentioned) -> Option<enums::Update> {
    match *event {
        Event::Nothing | Event::Message(_) => None,
        Event::ReadInbox { peer: marked, max_id, unread } => {
            mentioned.add(marked);
            let mut update: types::UpdateReadHistoryInbox = minimal(|b| {
                no_flags(b);
                peer(marked).serialize(b);
                max_id.serialize(b);
                unread.serialize(b);
                pts.serialize(b);
                1i32.serialize(b);
            });
            update.folder_id = None;
            Some(update.into())
        }
        Event::ReadOutbox { peer: marked, max_id } => {
            mentioned.add(marked);
            Some(types::UpdateReadHistoryOutbox { peer: peer(marked), max_id, pts, pts_count: 1 }.into())
        }
    }
}

/// The short form of a text message in a private chat or a basic group; none: it needs the long form.
pub fn short(stored: &Stored) -> Option<enums::Updates> {
    let m = &stored.message;
    if m.media.is_some() || m.album.is_some() || m.edited.is_some() || m.entities.iter().any(|e| e.user.is_some()) {
        return None;
    }
    let (id, message, pts, date) = (m.id, m.text.clone(), stored.pts, m.date as i32);
    let (reply_to, entities) = (m.reply_to.map(reply_header), entities::to_tl(&m.entities));
    match Peer::from_marked(stored.peer)? {
        Peer::User(user_id) => Some(
            types::UpdateShortMessage {
                out: m.out,
                mentioned: false,
                media_unread: false,
                silent: false,
                id,
                user_id,
                message,
                pts,
                pts_count: 1,
                date,
                fwd_from: None,
                via_bot_id: None,
                reply_to,
                entities,
                ttl_period: None,
            }
            .into(),
        ),
        Peer::Group(chat_id) => Some(
            types::UpdateShortChatMessage {
                out: m.out,
                mentioned: false,
                media_unread: false,
                silent: false,
                id,
                from_id: m.from,
                chat_id,
                message,
                pts,
                pts_count: 1,
                date,
                fwd_from: None,
                via_bot_id: None,
                reply_to,
                entities,
                ttl_period: None,
            }
            .into(),
        ),
        Peer::Channel(_) => None,
    }
}
