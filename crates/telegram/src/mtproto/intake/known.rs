//! The peers that an account has met, as far as the intake needs them: who needs no introduction, which channels can be asked,
//! which chats are taken in.

use super::super::link::AcceptsNow;
use super::super::peers::{chat_chat, chat_peer, user_chat, user_peer};
use grammers_tl_types::enums;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use tuberry_domain::intake::Peer;
use tuberry_domain::{ChatId, ChatKind, TelegramUserId};

/// What is kept of a peer: storage has the rest.
#[derive(Clone, Copy)]
struct Entry {
    access_hash: Option<i64>,
    broadcast: bool,
    fingerprint: u64,
}

/// Peers by marked id.
pub(crate) struct Known {
    /// 0 where it is not known yet.
    self_chat: ChatId,
    accepts: AcceptsNow,
    entries: HashMap<ChatId, Entry>,
    /// What the entries were before batches that are not committed yet.
    uncommitted: Vec<(ChatId, Option<Entry>)>,
}

impl Known {
    pub(crate) fn new(self_id: Option<TelegramUserId>, peers: Vec<Peer>, accepts: AcceptsNow) -> Self {
        let entries = peers.iter().map(|peer| (peer.chat, entry(peer))).collect();
        Self { self_chat: ChatId::user(self_id.map_or(0, |id| id.0)), accepts, entries, uncommitted: Vec::new() }
    }

    /// Whether it is known whose account this is.
    pub(crate) fn knows_itself(&self) -> bool {
        self.self_chat.0 != 0
    }

    /// This is whose account it is.
    pub(crate) fn is_user(&mut self, id: TelegramUserId) {
        self.self_chat = ChatId::user(id.0);
    }

    pub(crate) fn self_chat(&self) -> ChatId {
        self.self_chat
    }

    /// Whether nothing more has to be learned of a peer to take its messages in.
    pub(crate) fn is_complete(&self, chat: ChatId) -> bool {
        let entry = self.entries.get(&chat);
        match chat.kind() {
            ChatKind::Group => entry.is_some(),
            ChatKind::Private | ChatKind::Channel => entry.is_some_and(|entry| entry.access_hash.is_some()),
        }
    }

    pub(crate) fn is_met(&self, chat: ChatId) -> bool {
        chat == self.self_chat || self.entries.contains_key(&chat)
    }

    /// Whether a chat's messages are taken in. The account's notes to itself and Telegram's service account are not.
    pub(crate) fn takes(&self, chat: ChatId, seen: &Seen) -> bool {
        let broadcast = || {
            let seen = seen.peer(chat).map(|peer| peer.broadcast);
            seen.or_else(|| self.entries.get(&chat).map(|entry| entry.broadcast))
        };
        let accepts = (self.accepts)();
        if chat == self.self_chat {
            return false;
        }
        match chat.kind() {
            ChatKind::Channel => match broadcast() {
                Some(broadcast) => accepts.takes(chat, broadcast),
                // Neither told nor known: take it where any channel is taken; its first message tells.
                None => accepts.groups || accepts.channels,
            },
            _ => accepts.takes(chat, false),
        }
    }

    /// The access hash of a channel, by bare id.
    pub(crate) fn channel_hash(&self, id: i64) -> Option<i64> {
        self.entries.get(&ChatId::channel(id)).and_then(|entry| entry.access_hash)
    }

    /// Remembers a peer. True: the caller's batch must tell it, it is new or has changed.
    pub(crate) fn learn(&mut self, peer: &Peer) -> bool {
        let mut new = entry(peer);
        let old = self.entries.get(&peer.chat).copied();
        if let Some(old) = old {
            if peer.access_hash.is_none() && (old.access_hash.is_some() || old.fingerprint == new.fingerprint) {
                // A `min` peer tells nothing that is not known better.
                return false;
            }
            new.access_hash = new.access_hash.or(old.access_hash);
            if old.fingerprint == new.fingerprint && old.access_hash == new.access_hash {
                return false;
            }
        }
        self.uncommitted.push((peer.chat, old));
        self.entries.insert(peer.chat, new);
        true
    }

    pub(crate) fn committed(&mut self) {
        self.uncommitted.clear();
    }

    /// Forgets what was learned since the last commit, so that it is told again.
    pub(crate) fn roll_back(&mut self) {
        while let Some((chat, old)) = self.uncommitted.pop() {
            match old {
                Some(old) => self.entries.insert(chat, old),
                None => self.entries.remove(&chat),
            };
        }
    }
}

fn entry(peer: &Peer) -> Entry {
    let mut hasher = DefaultHasher::new();
    (&peer.name, &peer.username, peer.bot, peer.broadcast).hash(&mut hasher);
    Entry { access_hash: peer.access_hash, broadcast: peer.broadcast, fingerprint: hasher.finish() }
}

/// The people and chats that came with one answer or update.
#[derive(Default)]
pub(crate) struct Seen {
    users: Vec<enums::User>,
    chats: Vec<enums::Chat>,
}

impl Seen {
    pub(crate) fn new(users: Vec<enums::User>, chats: Vec<enums::Chat>) -> Self {
        Self { users, chats }
    }

    pub(crate) fn peer(&self, chat: ChatId) -> Option<Peer> {
        match chat.kind() {
            ChatKind::Private => self.users.iter().find(|user| user_chat(user) == chat).and_then(user_peer),
            _ => self.chats.iter().find(|found| chat_chat(found) == Some(chat)).and_then(chat_peer),
        }
    }

    /// Whether the peer came whole, with its access hash.
    pub(crate) fn has_whole(&self, chat: ChatId) -> bool {
        self.peer(chat).is_some_and(|peer| peer.access_hash.is_some() || chat.kind() == ChatKind::Group)
    }

    pub(crate) fn into_parts(self) -> (Vec<enums::User>, Vec<enums::Chat>) {
        (self.users, self.chats)
    }

    pub(crate) fn extend(&mut self, users: Vec<enums::User>, chats: Vec<enums::Chat>) {
        self.users.extend(users);
        self.chats.extend(chats);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tuberry_domain::account::Accepts;
    use tuberry_domain::account::SERVICE_ACCOUNT;

    fn peer(access_hash: Option<i64>, name: &str) -> Peer {
        Peer { chat: ChatId::user(5), access_hash, name: name.into(), username: None, broadcast: false, bot: false }
    }

    fn known(peers: Vec<Peer>) -> Known {
        let accepts = Accepts { private: true, groups: true, channels: false };
        Known::new(Some(TelegramUserId(1)), peers, Arc::new(move || accepts))
    }

    #[test]
    fn a_peer_is_told_once_and_again_when_it_changes() {
        let mut known = known(vec![peer(Some(9), "Ann")]);
        assert!(!known.learn(&peer(Some(9), "Ann")));
        assert!(!known.learn(&peer(None, "Anna")), "a min peer does not overwrite a whole one");
        assert!(known.learn(&peer(Some(9), "Anna")));
        assert!(!known.learn(&peer(Some(9), "Anna")));
        assert!(known.learn(&peer(Some(10), "Anna")));
    }

    #[test]
    fn what_was_not_committed_is_told_again() {
        let mut known = known(vec![]);
        assert!(known.learn(&peer(None, "Ann")) && known.learn(&peer(Some(9), "Ann")));
        known.roll_back();
        assert!(!known.is_met(ChatId::user(5)));
        assert!(known.learn(&peer(Some(9), "Ann")));
        known.committed();
        known.roll_back();
        assert!(known.is_complete(ChatId::user(5)));
    }

    #[test]
    fn notes_to_oneself_and_login_codes_are_not_taken() {
        let known = known(vec![]);
        let nothing = Seen::default();
        assert!(known.takes(ChatId::user(5), &nothing) && known.takes(ChatId::channel(5), &nothing));
        assert!(!known.takes(ChatId::user(1), &nothing) && !known.takes(SERVICE_ACCOUNT, &nothing));
    }
}
