//! Basic groups, supergroups and channels in TL.

use super::{minimal, no_flags, users};
use crate::world::World;
use crate::world::chats::{Chat, ChatKind};
use crate::world::peer::Peer;
use grammers_tl_types::{Serializable, enums, types};

/// A chat as the viewer sees it; strangers get the `forbidden` form.
pub fn chat(world: &World, viewer: i64, marked: i64) -> enums::Chat {
    let id = bare(marked);
    let Some(chat) = world.chats.get(&marked) else {
        return types::ChatEmpty { id }.into();
    };
    match chat.kind {
        ChatKind::Group if !chat.has(viewer) => types::ChatForbidden { id, title: chat.title.clone() }.into(),
        ChatKind::Group => group(chat, viewer, id),
        _ if !chat.has(viewer) => types::ChannelForbidden {
            broadcast: chat.kind == ChatKind::Channel,
            megagroup: chat.kind == ChatKind::Supergroup,
            monoforum: false,
            id,
            access_hash: world.access_hash(viewer, marked),
            title: chat.title.clone(),
            until_date: None,
        }
        .into(),
        _ => channel(world, chat, viewer, id),
    }
}

fn bare(marked: i64) -> i64 {
    match Peer::from_marked(marked) {
        Some(Peer::User(id) | Peer::Group(id) | Peer::Channel(id)) => id,
        None => 0,
    }
}

fn group(chat: &Chat, viewer: i64, id: i64) -> enums::Chat {
    let mut tl: types::Chat = minimal(|b| {
        no_flags(b);
        id.serialize(b);
        chat.title.serialize(b);
        enums::ChatPhoto::Empty.serialize(b);
        (chat.members.len() as i32).serialize(b);
        (chat.created as i32).serialize(b);
        1i32.serialize(b);
    });
    tl.creator = chat.creator() == viewer;
    enums::Chat::Chat(tl)
}

fn channel(world: &World, chat: &Chat, viewer: i64, id: i64) -> enums::Chat {
    let mut tl: types::Channel = minimal(|b| {
        no_flags(b);
        no_flags(b);
        id.serialize(b);
        chat.title.serialize(b);
        enums::ChatPhoto::Empty.serialize(b);
        (chat.created as i32).serialize(b);
    });
    tl.creator = chat.creator() == viewer;
    tl.broadcast = chat.kind == ChatKind::Channel;
    tl.megagroup = chat.kind == ChatKind::Supergroup;
    tl.access_hash = Some(world.access_hash(viewer, chat.id));
    tl.participants_count = Some(chat.members.len() as i32);
    enums::Chat::Channel(tl)
}

/// `messages.getFullChat` of a basic group.
pub fn full_group(world: &World, chat: &Chat, viewer: i64) -> enums::messages::ChatFull {
    let chat_id = bare(chat.id);
    let creator = chat.creator();
    let participants = chat.members.iter().map(|&user_id| {
        if user_id == creator {
            types::ChatParticipantCreator { user_id, rank: None }.into()
        } else {
            types::ChatParticipant { user_id, inviter_id: creator, date: chat.created as i32, rank: None }.into()
        }
    });
    let participants: enums::ChatParticipants =
        types::ChatParticipants { chat_id, participants: participants.collect(), version: 1 }.into();
    let full: types::ChatFull = minimal(|b| {
        no_flags(b);
        chat_id.serialize(b);
        String::new().serialize(b);
        participants.serialize(b);
        users::notify_settings().serialize(b);
    });
    with_chat(world, chat, viewer, full.into())
}

/// `channels.getFullChannel`.
pub fn full_channel(world: &World, chat: &Chat, viewer: i64) -> enums::messages::ChatFull {
    let read = chat.read.get(&viewer).copied().unwrap_or_default();
    let mut full: types::ChannelFull = minimal(|b| {
        no_flags(b);
        no_flags(b);
        bare(chat.id).serialize(b);
        String::new().serialize(b);
        read.serialize(b);
        0i32.serialize(b);
        chat.mailbox.unread_after(chat.id, read).serialize(b);
        enums::Photo::Empty(types::PhotoEmpty { id: 0 }).serialize(b);
        users::notify_settings().serialize(b);
        Vec::<enums::BotInfo>::new().serialize(b);
        chat.mailbox.pts.serialize(b);
    });
    full.participants_count = Some(chat.members.len() as i32);
    with_chat(world, chat, viewer, full.into())
}

fn with_chat(world: &World, chat: &Chat, viewer: i64, full_chat: enums::ChatFull) -> enums::messages::ChatFull {
    let users = chat.members.iter().take(200).map(|id| users::user(world, viewer, *id)).collect();
    types::messages::ChatFull { full_chat, chats: vec![self::chat(world, viewer, chat.id)], users }.into()
}
