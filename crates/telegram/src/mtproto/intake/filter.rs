//! What is done to an update before `MessageBoxes` sees it: channels that nobody follows are left out, and what came without its
//! people is fetched as a difference instead.

use super::known::{Known, Seen};
use crate::mtproto::messages::message_chat;
use grammers_session::updates::UpdatesLike;
use grammers_tl_types::enums;
use tuberry_domain::{ChatId, ChatKind};

/// The update as `MessageBoxes` is to see it. `None`: it names a person whom neither it nor we know; a difference brings it again,
/// with them.
pub(crate) fn examine(update: UpdatesLike, known: &Known) -> Option<UpdatesLike> {
    let UpdatesLike::Updates(updates) = update else { return Some(update) };
    let updates = match updates {
        enums::Updates::UpdateShortMessage(ref short) if !known.is_complete(ChatId::user(short.user_id)) => {
            return None;
        }
        enums::Updates::UpdateShortChatMessage(ref short)
            if !known.is_met(ChatId::group(short.chat_id)) || !known.is_met(ChatId::user(short.from_id)) =>
        {
            return None;
        }
        enums::Updates::Updates(mut inner) => {
            let seen = Seen::new(std::mem::take(&mut inner.users), std::mem::take(&mut inner.chats));
            follow(&mut inner.updates, known, &seen);
            if !all_introduced(&inner.updates, known, &seen) {
                return None;
            }
            (inner.users, inner.chats) = seen.into_parts();
            enums::Updates::Updates(inner)
        }
        enums::Updates::Combined(mut inner) => {
            let seen = Seen::new(std::mem::take(&mut inner.users), std::mem::take(&mut inner.chats));
            follow(&mut inner.updates, known, &seen);
            if !all_introduced(&inner.updates, known, &seen) {
                return None;
            }
            (inner.users, inner.chats) = seen.into_parts();
            enums::Updates::Combined(inner)
        }
        enums::Updates::UpdateShort(mut short) => match channel_of(&short.update) {
            Some(id) if !known.takes(ChatId::channel(id), &Seen::default()) => {
                let nothing =
                    grammers_tl_types::types::Updates { updates: vec![], users: vec![], chats: vec![], date: short.date, seq: 0 };
                enums::Updates::Updates(nothing)
            }
            _ => {
                strip_pts(&mut short.update);
                enums::Updates::UpdateShort(short)
            }
        },
        other => other,
    };
    Some(UpdatesLike::Updates(updates))
}

/// Leaves out updates of channels that nobody follows, and takes the pts out of `updateChannelTooLong`: grammers would take it for
/// the state that we have, and skip what lies between.
pub(crate) fn follow(updates: &mut Vec<enums::Update>, known: &Known, seen: &Seen) {
    updates.retain(|update| channel_of(update).is_none_or(|id| known.takes(ChatId::channel(id), seen)));
    updates.iter_mut().for_each(strip_pts);
}

fn strip_pts(update: &mut enums::Update) {
    if let enums::Update::ChannelTooLong(update) = update {
        update.pts = None;
    }
}

/// The channel whose state an update moves.
fn channel_of(update: &enums::Update) -> Option<i64> {
    use enums::Update as U;
    let of_message =
        |message: &enums::Message| message_chat(message).filter(|chat| chat.kind() == ChatKind::Channel).map(ChatId::bare);
    match update {
        U::NewChannelMessage(update) => of_message(&update.message),
        U::EditChannelMessage(update) => of_message(&update.message),
        U::DeleteChannelMessages(update) => Some(update.channel_id),
        U::ReadChannelInbox(update) => Some(update.channel_id),
        U::ChannelWebPage(update) => Some(update.channel_id),
        U::PinnedChannelMessages(update) => Some(update.channel_id),
        U::ChannelTooLong(update) => Some(update.channel_id),
        _ => None,
    }
}

/// Whether everyone who writes privately is known or comes along with an access hash.
fn all_introduced(updates: &[enums::Update], known: &Known, seen: &Seen) -> bool {
    updates.iter().all(|update| {
        let enums::Update::NewMessage(update) = update else { return true };
        let chat = message_chat(&update.message).filter(|chat| chat.kind() == ChatKind::Private);
        chat.is_none_or(|chat| !known.takes(chat, seen) || known.is_complete(chat) || seen.has_whole(chat))
    })
}
