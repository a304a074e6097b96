//! Peers: ids in the marked form, people and chats as one account knows them, and the way back to Telegram's `InputPeer`.

use grammers_tl_types::{enums, types};
use tuberry_domain::intake::{Peer, SelfUser};
use tuberry_domain::{ChatId, ChatKind, TelegramUserId};

/// The marked id.
pub(crate) fn chat_id(peer: &enums::Peer) -> ChatId {
    match peer {
        enums::Peer::User(peer) => ChatId::user(peer.user_id),
        enums::Peer::Chat(peer) => ChatId::group(peer.chat_id),
        enums::Peer::Channel(peer) => ChatId::channel(peer.channel_id),
    }
}

/// The marked id of a user.
pub(crate) fn user_chat(user: &enums::User) -> ChatId {
    match user {
        enums::User::Empty(user) => ChatId::user(user.id),
        enums::User::User(user) => ChatId::user(user.id),
    }
}

/// The marked id of a group or channel; `None` for what is no chat.
pub(crate) fn chat_chat(chat: &enums::Chat) -> Option<ChatId> {
    Some(match chat {
        enums::Chat::Empty(chat) => ChatId::group(chat.id),
        enums::Chat::Chat(chat) => ChatId::group(chat.id),
        enums::Chat::Forbidden(chat) => ChatId::group(chat.id),
        enums::Chat::Channel(chat) => ChatId::channel(chat.id),
        enums::Chat::ChannelForbidden(chat) => ChatId::channel(chat.id),
        _ => return None,
    })
}

/// A person. `min` users carry a hash that is no good outside of the message they came with.
pub(crate) fn user_peer(user: &enums::User) -> Option<Peer> {
    let enums::User::User(user) = user else { return None };
    Some(Peer {
        chat: ChatId::user(user.id),
        access_hash: user.access_hash.filter(|_| !user.min),
        name: user_name(user),
        username: username(user.username.as_deref(), user.usernames.as_deref()),
        broadcast: false,
        bot: user.bot,
    })
}

/// A group or channel.
pub(crate) fn chat_peer(chat: &enums::Chat) -> Option<Peer> {
    let named = |chat: ChatId, title: &str| Peer {
        chat,
        access_hash: None,
        name: title.to_owned(),
        username: None,
        broadcast: false,
        bot: false,
    };
    Some(match chat {
        enums::Chat::Chat(chat) => named(ChatId::group(chat.id), &chat.title),
        enums::Chat::Forbidden(chat) => named(ChatId::group(chat.id), &chat.title),
        enums::Chat::Channel(chat) => Peer {
            access_hash: chat.access_hash.filter(|_| !chat.min),
            username: username(chat.username.as_deref(), chat.usernames.as_deref()),
            broadcast: chat.broadcast,
            ..named(ChatId::channel(chat.id), &chat.title)
        },
        enums::Chat::ChannelForbidden(chat) => Peer {
            access_hash: Some(chat.access_hash),
            broadcast: chat.broadcast,
            ..named(ChatId::channel(chat.id), &chat.title)
        },
        _ => return None,
    })
}

/// Who the account is, out of `users.getUsers` of self.
pub(crate) fn self_user(user: &enums::User) -> Option<SelfUser> {
    let enums::User::User(user) = user else { return None };
    Some(SelfUser {
        id: TelegramUserId(user.id),
        name: user_name(user),
        username: username(user.username.as_deref(), user.usernames.as_deref()),
        phone: user.phone.clone(),
    })
}

fn user_name(user: &types::User) -> String {
    if user.deleted {
        return "Удалённый аккаунт".into();
    }
    let parts = [user.first_name.as_deref(), user.last_name.as_deref()];
    parts.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn username(single: Option<&str>, several: Option<&[enums::Username]>) -> Option<String> {
    let active = several.unwrap_or_default().iter().find_map(|name| {
        let enums::Username::Username(name) = name;
        name.active.then_some(name.username.as_str())
    });
    single.or(active).map(str::to_owned)
}

/// How Telegram addresses a peer. Without a hash it answers `PEER_ID_INVALID`.
pub(crate) fn input_peer(peer: &Peer) -> enums::InputPeer {
    let (id, access_hash) = (peer.chat.bare(), peer.access_hash.unwrap_or(0));
    match peer.chat.kind() {
        ChatKind::Private => types::InputPeerUser { user_id: id, access_hash }.into(),
        ChatKind::Group => types::InputPeerChat { chat_id: id }.into(),
        ChatKind::Channel => types::InputPeerChannel { channel_id: id, access_hash }.into(),
    }
}
