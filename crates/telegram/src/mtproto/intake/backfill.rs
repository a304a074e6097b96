//! Catching up by message id, for when Telegram no longer has the difference (`updates.differenceTooLong` and its channel form):
//! the dialogs that have something new, and their histories down to what is known. Bounded: what lies deeper stays unseen.

use super::known::{Known, Seen};
use crate::mtproto::calls::Calls;
use crate::mtproto::messages::{message_chat, message_id_and_date};
use crate::mtproto::peers::{chat_id, input_peer};
use grammers_tl_types::{enums, functions};
use tuberry_domain::intake::Peer;
use tuberry_domain::ports::CallError;
use tuberry_domain::reaction::RpcError;
use tuberry_domain::{ChatId, ChatKind};

/// Dialogs or messages per call, Telegram's maximum.
const PAGE: i32 = 100;
/// Pages of dialogs.
const MAX_DIALOG_PAGES: usize = 20;
/// Pages of one chat's history.
const MAX_HISTORY_PAGES: usize = 20;
/// Messages of all chats.
pub(super) const MAX_MESSAGES: usize = 10_000;
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
    /// Whether a message of this id and date is above.
    pub(crate) fn is_below(self, id: i32, date: i32) -> bool {
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
        unless_refused(history(calls, peer, floor, &mut found).await)?;
        if found.messages.len() >= MAX_MESSAGES {
            tracing::warn!(messages = found.messages.len(), "too much was missed: older messages stay unseen");
            break;
        }
    }
    Ok(found)
}

/// One channel or supergroup.
pub(crate) async fn channel(calls: &Calls, id: i64, access_hash: i64, floor: Floor, found: &mut Found) -> Result<(), CallError> {
    let peer = Peer {
        chat: ChatId::channel(id),
        access_hash: Some(access_hash),
        name: String::new(),
        username: None,
        broadcast: false,
        bot: false,
    };
    history(calls, peer, floor, found).await
}

/// Whether this answers for one chat, whatever is done: no outage, no flood wait, no trouble of the account's.
pub(super) fn concerns_the_chat(error: &RpcError) -> bool {
    matches!(error.code, 400 | 403 | 406) && error.account_problem().is_none()
}

/// A chat whose history Telegram refuses is left out, and holds nobody up.
pub(super) fn unless_refused<T>(asked: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match asked {
        Err(CallError::Rpc(error)) if concerns_the_chat(&error) => {
            tracing::warn!(%error, "a chat's history was refused: it is left out");
            Ok(None)
        }
        asked => asked.map(Some),
    }
}

/// The accepted private chats and basic groups whose last message is above the floor.
async fn chats_with_news(calls: &Calls, known: &Known, floor: Floor, seen: &mut Seen) -> Result<Vec<Peer>, CallError> {
    let mut chats: Vec<Peer> = Vec::new();
    let mut page = Some(DialogPage::default());
    while let Some(asked) = page {
        let (tops, next) = asked.fetch(calls, seen).await?;
        let mut below = false;
        for top in tops {
            // Dialogs come newest first, but the pinned ones before all others; channels number their messages by themselves.
            below = !top.pinned && top.date < floor.date.saturating_sub(DATE_SLACK);
            let chat = top.peer.chat;
            let new = floor.is_below(top.id, top.date) && chat.kind() != ChatKind::Channel && known.takes(chat, seen);
            if new && chats.iter().all(|other| other.chat != chat) {
                chats.push(top.peer);
            }
        }
        page = next.filter(|_| !below);
    }
    Ok(chats)
}

/// A chat's messages above the floor, newest first.
async fn history(calls: &Calls, peer: Peer, floor: Floor, found: &mut Found) -> Result<(), CallError> {
    let mut page = Some(HistoryPage::new(peer, floor));
    while let Some(asked) = page {
        page = asked.fetch(calls, found).await?;
    }
    Ok(())
}

/// The last message of a chat, as the list of chats tells it.
pub(crate) struct Top {
    pub(crate) peer: Peer,
    pub(crate) id: i32,
    pub(crate) date: i32,
    pub(crate) pinned: bool,
    /// Of channels alone.
    pub(crate) pts: Option<i32>,
}

/// A page of the list of chats (`messages.getDialogs`), by where it begins.
pub(crate) struct DialogPage {
    offset_id: i32,
    offset_date: i32,
    offset_peer: enums::InputPeer,
    number: usize,
}

impl Default for DialogPage {
    fn default() -> Self {
        Self { offset_id: 0, offset_date: 0, offset_peer: enums::InputPeer::Empty, number: 0 }
    }
}

impl DialogPage {
    /// Its chats, newest first, and the next page.
    pub(crate) async fn fetch(&self, calls: &Calls, seen: &mut Seen) -> Result<(Vec<Top>, Option<Self>), CallError> {
        let request = functions::messages::GetDialogs {
            exclude_pinned: self.number > 0,
            folder_id: None,
            offset_date: self.offset_date,
            offset_id: self.offset_id,
            offset_peer: self.offset_peer.clone(),
            limit: PAGE,
            hash: 0,
        };
        let (dialogs, tops, complete) = match calls.invoke(&request).await? {
            enums::messages::Dialogs::Dialogs(page) => {
                seen.extend(page.users, page.chats);
                (page.dialogs, page.messages, true)
            }
            enums::messages::Dialogs::Slice(page) => {
                seen.extend(page.users, page.chats);
                (page.dialogs, page.messages, false)
            }
            enums::messages::Dialogs::NotModified(_) => return Ok((Vec::new(), None)),
        };
        let found: Vec<Top> = dialogs
            .iter()
            .filter_map(|dialog| {
                let enums::Dialog::Dialog(dialog) = dialog else { return None };
                let chat = chat_id(&dialog.peer);
                let top = tops.iter().find(|top| message_chat(top) == Some(chat) && top.id() == dialog.top_message)?;
                let (id, date) = message_id_and_date(top);
                Some(Top { peer: seen.peer(chat)?, id, date, pinned: dialog.pinned, pts: dialog.pts })
            })
            .collect();
        let number = self.number + 1;
        let next = found.last().filter(|_| !complete && number < MAX_DIALOG_PAGES).map(|last| Self {
            offset_id: last.id,
            offset_date: last.date,
            offset_peer: input_peer(&last.peer),
            number,
        });
        Ok((found, next))
    }
}

/// A page of a chat's history (`messages.getHistory`), by where it begins.
pub(crate) struct HistoryPage {
    peer: Peer,
    floor: Floor,
    offset_id: i32,
    number: usize,
}

impl HistoryPage {
    /// The newest one.
    pub(crate) fn new(peer: Peer, floor: Floor) -> Self {
        Self { peer, floor, offset_id: 0, number: 0 }
    }

    /// Takes its messages that are above the floor, newest first; the next page.
    pub(crate) async fn fetch(&self, calls: &Calls, found: &mut Found) -> Result<Option<Self>, CallError> {
        let request = functions::messages::GetHistory {
            peer: input_peer(&self.peer),
            offset_id: self.offset_id,
            offset_date: 0,
            add_offset: 0,
            limit: PAGE,
            max_id: 0,
            min_id: self.floor.id.unwrap_or(0),
            hash: 0,
        };
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
            enums::messages::Messages::NotModified(_) => return Ok(None),
        };
        let count = messages.len();
        let Some(oldest) = messages.iter().map(enums::Message::id).min() else { return Ok(None) };
        found.messages.extend(messages.into_iter().filter(|message| {
            let (id, date) = message_id_and_date(message);
            self.floor.is_below(id, date)
        }));
        let reached = found.messages.last().is_none_or(|message| message.id() != oldest);
        let number = self.number + 1;
        if reached || count < PAGE as usize || number >= MAX_HISTORY_PAGES {
            return Ok(None);
        }
        Ok(Some(Self { peer: self.peer.clone(), floor: self.floor, offset_id: oldest, number }))
    }
}
