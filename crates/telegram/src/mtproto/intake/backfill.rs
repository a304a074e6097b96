//! Catching up by message id, for when Telegram no longer has the difference (`updates.differenceTooLong` and its channel form):
//! the dialogs that have something new, and their histories down to what is known. Bounded: what lies deeper stays unseen.

use super::known::{Known, Seen};
use crate::mtproto::calls::Calls;
use crate::mtproto::messages::{message_chat, message_id_and_date};
use crate::mtproto::peers::{chat_id, input_peer};
use grammers_tl_types::{enums, functions};
use tuberry_domain::intake::Peer;
use tuberry_domain::ports::CallError;
use tuberry_domain::{ChatId, ChatKind};

/// Dialogs or messages per call, Telegram's maximum.
const PAGE: i32 = 100;
/// Pages of dialogs.
const MAX_DIALOG_PAGES: usize = 20;
/// Pages of one chat's history.
const MAX_HISTORY_PAGES: usize = 20;
/// Messages of all chats.
const MAX_MESSAGES: usize = 10_000;
/// Without a known id, messages from so many seconds before the state's date are taken again: what is there already is dropped.
const DATE_SLACK: i32 = 2;

/// Where catching up stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// The highest id that is known.
    pub(crate) id: Option<i32>,
    /// The date of the last state.
    pub(crate) date: i32,
}

impl Floor {
    fn is_above(self, message: &enums::Message) -> bool {
        let (id, date) = message_id_and_date(message);
        match self.id {
            Some(known) => id > known,
            None => date >= self.date.saturating_sub(DATE_SLACK),
        }
    }
}

/// Messages that were missed, and whom they came with.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) messages: Vec<enums::Message>,
    pub(crate) seen: Seen,
}

/// Private chats and basic groups.
pub(crate) async fn common(calls: &Calls, known: &Known, floor: Floor) -> Result<Found, CallError> {
    let mut found = Found::default();
    for peer in chats_with_news(calls, known, floor, &mut found.seen).await? {
        history(calls, &peer, floor, &mut found).await?;
        if found.messages.len() >= MAX_MESSAGES {
            tracing::warn!(messages = found.messages.len(), "too much was missed: older messages stay unseen");
            break;
        }
    }
    Ok(found)
}

/// One channel or supergroup.
pub(crate) async fn channel(calls: &Calls, id: i64, access_hash: i64, floor: Floor) -> Result<Found, CallError> {
    let peer = Peer {
        chat: ChatId::channel(id),
        access_hash: Some(access_hash),
        name: String::new(),
        username: None,
        broadcast: false,
        bot: false,
    };
    let mut found = Found::default();
    history(calls, &peer, floor, &mut found).await?;
    Ok(found)
}

/// The accepted private chats and basic groups whose last message is above the floor.
async fn chats_with_news(calls: &Calls, known: &Known, floor: Floor, seen: &mut Seen) -> Result<Vec<Peer>, CallError> {
    let mut request = functions::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date: 0,
        offset_id: 0,
        offset_peer: enums::InputPeer::Empty,
        limit: PAGE,
        hash: 0,
    };
    let mut chats: Vec<Peer> = Vec::new();
    for _ in 0..MAX_DIALOG_PAGES {
        let (dialogs, tops, complete) = match calls.invoke(&request).await? {
            enums::messages::Dialogs::Dialogs(page) => {
                seen.extend(page.users, page.chats);
                (page.dialogs, page.messages, true)
            }
            enums::messages::Dialogs::Slice(page) => {
                seen.extend(page.users, page.chats);
                (page.dialogs, page.messages, false)
            }
            enums::messages::Dialogs::NotModified(_) => break,
        };
        let mut last = None;
        let mut below = false;
        for dialog in &dialogs {
            let enums::Dialog::Dialog(dialog) = dialog else { continue };
            let chat = chat_id(&dialog.peer);
            let top = tops.iter().find(|message| message_chat(message) == Some(chat) && message.id() == dialog.top_message);
            let Some(top) = top else { continue };
            let (id, date) = message_id_and_date(top);
            // Dialogs come newest first, but the pinned ones before all others; channels number their messages by themselves.
            let by_date = date >= floor.date.saturating_sub(DATE_SLACK);
            below = !dialog.pinned && !by_date;
            if let Some(peer) = seen.peer(chat) {
                last = Some((id, date, input_peer(&peer)));
                let new = floor.is_above(top) && chat.kind() != ChatKind::Channel && known.takes(chat, seen);
                if new && chats.iter().all(|other| other.chat != chat) {
                    chats.push(peer);
                }
            }
        }
        let Some((id, date, peer)) = last.filter(|_| !complete && !below) else { break };
        (request.offset_id, request.offset_date, request.offset_peer) = (id, date, peer);
        request.exclude_pinned = true;
    }
    Ok(chats)
}

/// A chat's messages above the floor, newest first.
async fn history(calls: &Calls, peer: &Peer, floor: Floor, found: &mut Found) -> Result<(), CallError> {
    let mut request = functions::messages::GetHistory {
        peer: input_peer(peer),
        offset_id: 0,
        offset_date: 0,
        add_offset: 0,
        limit: PAGE,
        max_id: 0,
        min_id: floor.id.unwrap_or(0),
        hash: 0,
    };
    for _ in 0..MAX_HISTORY_PAGES {
        let messages = match calls.invoke(&request).await? {
            enums::messages::Messages::Messages(page) => {
                found.seen.extend(page.users, page.chats);
                page.messages
            }
            enums::messages::Messages::Slice(page) => {
                found.seen.extend(page.users, page.chats);
                page.messages
            }
            enums::messages::Messages::ChannelMessages(page) => {
                found.seen.extend(page.users, page.chats);
                page.messages
            }
            enums::messages::Messages::NotModified(_) => break,
        };
        let count = messages.len();
        let Some(oldest) = messages.iter().map(enums::Message::id).min() else { break };
        found.messages.extend(messages.into_iter().filter(|message| floor.is_above(message)));
        let reached = found.messages.last().is_none_or(|message| message.id() != oldest);
        if reached || count < PAGE as usize {
            break;
        }
        request.offset_id = oldest;
    }
    Ok(())
}
