//! `messages.getDialogs` and `getPeerDialogs`: the chats of a user with their last messages.

use super::{Call, RpcError, updates};
use crate::mtproto::view::users::notify_settings;
use crate::mtproto::view::{Mentioned, messages, peer};
use crate::world::mailbox::Stored;
use crate::world::peer::Peer;
use grammers_tl_types::{enums, functions as f, types};

/// Chats per page.
const PAGE: usize = 100;

/// A chat of somebody's list: the last message and how far both sides have read.
struct Entry<'a> {
    peer: i64,
    top: Option<&'a Stored>,
    read_inbox: i32,
    read_outbox: i32,
    unread: i32,
    /// Of channels alone.
    pts: Option<i32>,
}

impl Entry<'_> {
    fn tl(&self) -> enums::Dialog {
        types::Dialog {
            pinned: false,
            unread_mark: false,
            view_forum_as_messages: false,
            peer: peer(self.peer),
            top_message: self.top.map_or(0, |stored| stored.message.id),
            read_inbox_max_id: self.read_inbox,
            read_outbox_max_id: self.read_outbox,
            unread_count: self.unread,
            unread_mentions_count: 0,
            unread_reactions_count: 0,
            unread_poll_votes_count: 0,
            notify_settings: notify_settings(),
            pts: self.pts,
            draft: None,
            folder_id: None,
            ttl_period: None,
        }
        .into()
    }

    /// Newest first: by date, then by id.
    fn rank(&self) -> (i64, i32) {
        self.top.map_or((0, 0), |stored| (stored.message.date, stored.message.id))
    }
}

fn entries<'a>(call: &'a Call, me: i64) -> Vec<Entry<'a>> {
    let Some(user) = call.world.user(me) else { return Vec::new() };
    let own = user.mailbox.dialogs().map(|(peer, dialog, top)| Entry {
        peer,
        top: Some(top),
        read_inbox: dialog.read_inbox,
        read_outbox: dialog.read_outbox,
        unread: user.mailbox.unread_after(peer, dialog.read_inbox),
        pts: None,
    });
    let channels = call.world.channels_of(me).filter_map(|chat| channel_entry(call, me, chat.id));
    let mut all: Vec<Entry> = own.chain(channels).collect();
    all.sort_by_key(|entry| std::cmp::Reverse(entry.rank()));
    all
}

fn channel_entry<'a>(call: &'a Call, me: i64, channel: i64) -> Option<Entry<'a>> {
    let chat = call.world.chats.get(&channel)?;
    let read_inbox = chat.read.get(&me).copied().unwrap_or_default();
    let unread = chat.mailbox.history(channel).rev().take_while(|s| s.message.id > read_inbox);
    Some(Entry {
        peer: channel,
        top: chat.mailbox.history(channel).next_back(),
        read_inbox,
        read_outbox: 0,
        unread: unread.filter(|stored| stored.message.from != me).count() as i32,
        pts: Some(chat.mailbox.pts),
    })
}

/// The dialog of a channel.
pub fn channel(call: &Call, me: i64, channel: i64) -> Option<enums::Dialog> {
    channel_entry(call, me, channel).map(|entry| entry.tl())
}

/// The vectors of an answer.
fn parts(call: &Call, me: i64, page: &[Entry]) -> (Vec<enums::Dialog>, Vec<enums::Message>, Vec<enums::Chat>, Vec<enums::User>) {
    let mut mentioned = Mentioned::default();
    mentioned.add(me);
    page.iter().for_each(|entry| mentioned.add(entry.peer));
    let tops = page.iter().filter_map(|entry| entry.top);
    let messages = tops.map(|stored| messages::message(stored, me, &mut mentioned)).collect();
    let dialogs = page.iter().map(Entry::tl).collect();
    (dialogs, messages, mentioned.chats(call.world, me), mentioned.users(call.world, me))
}

/// `messages.getDialogs`, newest first, in pages by the offset of the last one's date, message and peer.
pub fn all(call: &mut Call, q: f::messages::GetDialogs) -> Result<enums::messages::Dialogs, RpcError> {
    let me = call.me()?;
    let everything = entries(call, me);
    let count = everything.len();
    let after = |entry: &Entry| q.offset_date == 0 || entry.rank() < (i64::from(q.offset_date), q.offset_id.max(1));
    let limit = if q.limit <= 0 { PAGE } else { (q.limit as usize).min(PAGE) };
    let page: Vec<Entry> = everything.into_iter().filter(after).take(limit).collect();
    let (dialogs, messages, chats, users) = parts(call, me, &page);
    Ok(if page.len() == count {
        types::messages::Dialogs { dialogs, messages, chats, users }.into()
    } else {
        types::messages::DialogsSlice { count: count as i32, dialogs, messages, chats, users }.into()
    })
}

/// `messages.getPeerDialogs`.
pub fn of_peers(call: &mut Call, q: f::messages::GetPeerDialogs) -> Result<enums::messages::PeerDialogs, RpcError> {
    let me = call.me()?;
    let mut wanted = Vec::new();
    for input in q.peers.iter().take(PAGE) {
        if let enums::InputDialogPeer::Peer(input) = input {
            wanted.push(call.peer(me, &input.peer)?);
        }
    }
    let empty = |peer: i64| Entry { peer, top: None, read_inbox: 0, read_outbox: 0, unread: 0, pts: None };
    let mut all = entries(call, me);
    let page: Vec<Entry> = wanted
        .into_iter()
        .map(Peer::marked)
        .map(|peer| all.iter().position(|entry| entry.peer == peer).map_or_else(|| empty(peer), |at| all.swap_remove(at)))
        .collect();
    let (dialogs, messages, chats, users) = parts(call, me, &page);
    let state = updates::current(call, me).into();
    Ok(types::messages::PeerDialogs { dialogs, messages, chats, users, state }.into())
}
