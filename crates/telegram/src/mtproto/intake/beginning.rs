//! What an account begins with that has no update state, or dialogs whose people it never met: both come from an old system, which kept
//! neither. The list of chats tells the people with their access hashes; histories tell what came since each dialog's last stored message.
//!
//! One call at a time, and what it brought is kept: a flood wait or a lost connection repeats that call only.

use super::backfill::{DialogPage, Floor, Found, HistoryPage, MAX_MESSAGES, unless_refused};
use super::known::Known;
use crate::mtproto::calls::Calls;
use grammers_tl_types::types;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tuberry_domain::intake::Peer;
use tuberry_domain::ports::CallError;
use tuberry_domain::{ChatId, ChatKind, TelegramMessageId};

/// What storage knows of an account's chats.
#[derive(Clone, Debug, Default)]
pub struct Floors {
    /// The newest stored message of each chat; of an account with an update state, of the channels that are followed.
    pub last: BTreeMap<ChatId, TelegramMessageId>,
    /// When the account was last connected, in Unix seconds: where nothing at all is stored, what is newer was missed.
    pub since: Option<i32>,
}

impl Floors {
    /// Where catching up with a chat stops. `None`: it begins now. Private chats and basic groups share one sequence of ids.
    fn of(&self, chat: ChatId) -> Option<Floor> {
        let id = self.last.get(&chat).copied().or_else(|| match chat.kind() {
            ChatKind::Channel => None,
            _ => self.last.iter().filter(|(other, _)| other.kind() != ChatKind::Channel).map(|(_, id)| *id).max(),
        });
        match (id, self.since) {
            (Some(id), _) => Some(Floor { id: Some(id.0), date: 0 }),
            (None, Some(since)) if chat.kind() != ChatKind::Channel => Some(Floor { id: None, date: since }),
            (None, _) => None,
        }
    }
}

/// A beginning under way.
pub(super) struct Beginning {
    /// The state to begin with, as it was before anything else was asked; `None`: the account has one.
    state: Option<types::updates::State>,
    floors: Floors,
    strangers: BTreeSet<ChatId>,
    pages: Option<DialogPage>,
    histories: VecDeque<HistoryPage>,
    /// Channels that are followed from now on.
    channels: Vec<(i64, i32)>,
    found: Found,
}

/// What a beginning brought.
pub(super) struct Begun {
    pub(super) state: Option<types::updates::State>,
    pub(super) channels: Vec<(i64, i32)>,
    pub(super) found: Found,
    /// The people that were wanted; without an access hash those whom the list of chats does not have.
    pub(super) introduced: Vec<Peer>,
}

impl Beginning {
    /// An account that begins at `state`.
    pub(super) fn from_floors(state: types::updates::State, floors: Floors, strangers: BTreeSet<ChatId>) -> Self {
        let pages = Some(DialogPage::default());
        Self {
            state: Some(state),
            floors,
            strangers,
            pages,
            histories: VecDeque::new(),
            channels: Vec::new(),
            found: Found::default(),
        }
    }

    /// An account that only has to meet people.
    pub(super) fn of_strangers(strangers: BTreeSet<ChatId>) -> Self {
        let (floors, pages) = (Floors::default(), Some(DialogPage::default()));
        Self { state: None, floors, strangers, pages, histories: VecDeque::new(), channels: Vec::new(), found: Found::default() }
    }

    /// One call. True: there is nothing left to ask.
    pub(super) async fn step(&mut self, calls: &Calls, known: &Known) -> Result<bool, CallError> {
        if let Some(page) = &self.pages {
            let (tops, next) = page.fetch(calls, &mut self.found.seen).await?;
            for top in tops {
                let Some(floor) = self.floors.of(top.peer.chat).filter(|_| self.state.is_some()) else { continue };
                if !known.takes(top.peer.chat, &self.found.seen) {
                    continue;
                }
                self.channels.extend(top.pts.map(|pts| (top.peer.chat.bare(), pts)));
                if floor.is_below(top.id, top.date) {
                    self.histories.push_back(HistoryPage::new(top.peer, floor));
                }
            }
            self.pages = next;
        } else if let Some(page) = self.histories.front() {
            let next = unless_refused(page.fetch(calls, &mut self.found).await)?;
            self.histories.pop_front();
            self.histories.extend(next.flatten());
            if self.found.messages.len() >= MAX_MESSAGES {
                tracing::warn!(messages = self.found.messages.len(), "too much was missed: older messages stay unseen");
                self.histories.clear();
            }
        }
        Ok(self.pages.is_none() && self.histories.is_empty())
    }

    /// The end of it.
    pub(super) fn finish(self) -> Begun {
        let introduced = self.strangers.iter().map(|&chat| self.found.seen.peer(chat).unwrap_or_else(|| unknown(chat))).collect();
        Begun { state: self.state, channels: self.channels, found: self.found, introduced }
    }
}

fn unknown(chat: ChatId) -> Peer {
    Peer { chat, access_hash: None, name: String::new(), username: None, broadcast: false, bot: false }
}

/// The people whom an account does not know although it has dialogs with them.
pub(super) fn strangers(chats: &[ChatId], known: &Known) -> BTreeSet<ChatId> {
    chats.iter().copied().filter(|chat| !known.is_met(*chat)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_caught_up_from_its_own_last_message_or_from_the_newest_of_all() {
        let last = BTreeMap::from([
            (ChatId::user(5), TelegramMessageId(10)),
            (ChatId::user(6), TelegramMessageId(90)),
            (ChatId::channel(7), TelegramMessageId(500)),
        ]);
        let floors = Floors { last, since: Some(1000) };
        let id = |chat| floors.of(chat).and_then(|floor| floor.id);
        assert_eq!((id(ChatId::user(5)), id(ChatId::user(8)), id(ChatId::group(9))), (Some(10), Some(90), Some(90)));
        assert_eq!((id(ChatId::channel(7)), floors.of(ChatId::channel(8)).is_none()), (Some(500), true));
        let nothing_stored = Floors { since: Some(1000), ..Floors::default() };
        assert_eq!(nothing_stored.of(ChatId::user(5)).map(|floor| (floor.id, floor.date)), Some((None, 1000)));
        assert!(Floors::default().of(ChatId::user(5)).is_none(), "an account that never was connected begins now");
    }
}
