//! A numbered list of messages with a history of events by `pts`: a user's mailbox (all private chats and basic groups share one
//! numbering) or a channel's own. See <https://core.telegram.org/api/updates>.

use super::message::Message;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Messages, events and sent `random_id`s kept per mailbox; older ones are forgotten.
pub const LIMIT: usize = 120_000;

/// Messages, dialogs and the events that a client may have missed.
#[derive(Serialize, Deserialize)]
pub struct Mailbox {
    /// The number of the last event; 1 before the first.
    pub pts: i32,
    last_id: i32,
    messages: BTreeMap<i32, Stored>,
    dialogs: BTreeMap<i64, Dialog>,
    events: VecDeque<(i32, Event)>,
    sent: BTreeMap<i64, Sent>,
    sent_order: VecDeque<i64>,
}

/// A message in its mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// The chat, in marked form.
    pub peer: i64,
    /// Shared by all copies of the message in other mailboxes; ascending with time.
    pub origin: u64,
    /// The event that brought it.
    pub pts: i32,
    /// The sender's own number for it.
    pub random_id: Option<i64>,
    /// The message itself.
    pub message: Message,
}

/// Something that took a `pts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A gap in the numbers.
    Nothing,
    /// A message came.
    Message(i32),
    /// The owner read a chat up to a message; so many are left unread.
    ReadInbox {
        /// Marked.
        peer: i64,
        /// Last message read.
        max_id: i32,
        /// Messages left unread.
        unread: i32,
    },
    /// The other side read the owner's messages up to this one.
    ReadOutbox {
        /// Marked.
        peer: i64,
        /// Last message read.
        max_id: i32,
    },
}

/// One chat of a mailbox.
#[derive(Default, Serialize, Deserialize)]
pub struct Dialog {
    ids: VecDeque<i32>,
    /// The owner has read incoming messages up to this one.
    pub read_inbox: i32,
    /// The other side has read outgoing messages up to this one.
    pub read_outbox: i32,
}

/// Where a `random_id` went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The chat, in marked form.
    pub peer: i64,
    /// The message there.
    pub id: i32,
}

/// What lies behind a `pts`.
#[derive(Debug, PartialEq)]
pub enum Difference {
    /// Nothing.
    Empty,
    /// So much that it is forgotten: start over from this `pts`.
    TooLong(i32),
    /// Some events.
    Events {
        /// Oldest first.
        events: Vec<Event>,
        /// The `pts` after the last of them.
        pts: i32,
        /// Whether that is all.
        last: bool,
    },
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            pts: 1,
            last_id: 0,
            messages: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            events: VecDeque::new(),
            sent: BTreeMap::new(),
            sent_order: VecDeque::new(),
        }
    }
}

impl Mailbox {
    /// Stores a message of the chat `peer`; its `id` is set here. The answer is that id.
    pub fn append(&mut self, peer: i64, origin: u64, random_id: Option<i64>, mut message: Message) -> i32 {
        self.last_id += 1;
        let id = self.last_id;
        message.id = id;
        let pts = self.record(Event::Message(id));
        self.dialogs.entry(peer).or_default().ids.push_back(id);
        self.messages.insert(id, Stored { peer, origin, pts, random_id, message });
        if self.messages.len() > LIMIT
            && let Some((oldest, stored)) = self.messages.pop_first()
            && let Some(dialog) = self.dialogs.get_mut(&stored.peer)
            && dialog.ids.front() == Some(&oldest)
        {
            dialog.ids.pop_front();
        }
        id
    }

    /// Records an event; the answer is its `pts`.
    pub fn record(&mut self, event: Event) -> i32 {
        self.pts += 1;
        self.events.push_back((self.pts, event));
        if self.events.len() > LIMIT {
            self.events.pop_front();
        }
        self.pts
    }

    /// The message, unless it is forgotten.
    pub fn get(&self, id: i32) -> Option<&Stored> {
        self.messages.get(&id)
    }

    /// Every chat of the mailbox with its last message, unordered.
    pub fn dialogs(&self) -> impl Iterator<Item = (i64, &Dialog, &Stored)> {
        self.dialogs.iter().filter_map(|(peer, dialog)| {
            let top = self.messages.get(dialog.ids.back()?)?;
            Some((*peer, dialog, top))
        })
    }

    /// The chat, if there was ever a message in it.
    pub fn dialog(&self, peer: i64) -> Option<&Dialog> {
        self.dialogs.get(&peer)
    }

    /// The messages of a chat, oldest first; the other end gives the newest.
    pub fn history(&self, peer: i64) -> impl DoubleEndedIterator<Item = &Stored> {
        self.dialogs.get(&peer).into_iter().flat_map(|dialog| dialog.ids.iter()).filter_map(|id| self.messages.get(id))
    }

    /// The copy, in this chat, of a message that another mailbox has too.
    pub fn by_origin(&self, peer: i64, origin: u64) -> Option<&Stored> {
        let ids = &self.dialogs.get(&peer)?.ids;
        let at = ids.partition_point(|id| self.messages.get(id).is_some_and(|stored| stored.origin < origin));
        self.messages.get(ids.get(at)?).filter(|stored| stored.origin == origin)
    }

    /// How many incoming messages of the chat come after `read_up_to`.
    pub fn unread_after(&self, peer: i64, read_up_to: i32) -> i32 {
        self.history(peer).rev().take_while(|s| s.message.id > read_up_to).filter(|s| !s.message.out).count() as i32
    }

    /// The owner reads a chat. The answer is the event's `pts`, or none when nothing was unread.
    pub fn read_inbox(&mut self, peer: i64, max_id: i32) -> Option<i32> {
        let max_id = max_id.min(self.last_id);
        let dialog = self.dialogs.get_mut(&peer)?;
        if dialog.read_inbox >= max_id {
            return None;
        }
        dialog.read_inbox = max_id;
        let unread = self.unread_after(peer, max_id);
        Some(self.record(Event::ReadInbox { peer, max_id, unread }))
    }

    /// The other side reads the owner's messages. The answer is the event's `pts`, or none when that is no news.
    pub fn read_outbox(&mut self, peer: i64, max_id: i32) -> Option<i32> {
        let dialog = self.dialogs.get_mut(&peer)?;
        if dialog.read_outbox >= max_id {
            return None;
        }
        dialog.read_outbox = max_id;
        Some(self.record(Event::ReadOutbox { peer, max_id }))
    }

    /// Remembers what was sent under a `random_id`.
    pub fn remember_sent(&mut self, random_id: i64, sent: Sent) {
        if self.sent.insert(random_id, sent).is_none() {
            self.sent_order.push_back(random_id);
        }
        if self.sent_order.len() > LIMIT
            && let Some(oldest) = self.sent_order.pop_front()
        {
            self.sent.remove(&oldest);
        }
    }

    /// What was sent earlier under this `random_id`.
    pub fn sent(&self, random_id: i64) -> Option<Sent> {
        self.sent.get(&random_id).copied()
    }

    /// At most `limit` events after `pts`.
    pub fn difference(&self, pts: i32, limit: usize) -> Difference {
        if pts >= self.pts {
            return Difference::Empty;
        }
        let start = self.events.partition_point(|(at, _)| *at <= pts);
        match self.events.get(start) {
            None => return Difference::TooLong(self.pts),
            Some((first, event)) if *first != pts + 1 && *event != Event::Nothing => return Difference::TooLong(self.pts),
            Some(_) => {}
        }
        let slice: Vec<&(i32, Event)> = self.events.range(start..).take(limit.max(1)).collect();
        let end = slice.last().map_or(pts, |(at, _)| *at);
        let events = slice.into_iter().map(|(_, event)| event.clone()).collect();
        Difference::Events { events, pts: end, last: end == self.pts }
    }

    /// Leaves a gap in the numbers, so that ids and `pts` given out just before a crash (and not yet saved) never come again. The gap in
    /// the `pts` is filled with one event that says nothing.
    pub fn skip_ahead(&mut self, by: i32) {
        self.last_id += by;
        self.pts += by - 1;
        self.record(Event::Nothing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(messages: i32) -> Mailbox {
        let mut mailbox = Mailbox::default();
        for n in 0..messages {
            mailbox.append(7, n as u64, None, Message::text(0, 7, format!("{n}")));
        }
        mailbox
    }

    #[test]
    fn a_difference_comes_in_slices_that_miss_nothing() {
        let mailbox = filled(250);
        let (mut pts, mut seen, mut slices) = (1, Vec::new(), 0);
        loop {
            let Difference::Events { events, pts: next, last } = mailbox.difference(pts, 100) else { panic!("no events") };
            seen.extend(events);
            pts = next;
            slices += 1;
            if last {
                break;
            }
        }
        assert_eq!(slices, 3);
        assert_eq!(seen, (1..=250).map(Event::Message).collect::<Vec<_>>());
        assert_eq!(mailbox.difference(pts, 100), Difference::Empty);
    }

    #[test]
    fn a_difference_that_reaches_into_the_forgotten_is_too_long() {
        let mailbox = filled(LIMIT as i32 + 10);
        assert_eq!(mailbox.difference(5, 100), Difference::TooLong(mailbox.pts));
        assert!(mailbox.get(10).is_none() && mailbox.get(11).is_some());
        assert!(matches!(mailbox.difference(11, 100), Difference::Events { last: false, .. }));
    }

    #[test]
    fn copies_of_a_message_are_found_by_their_origin() {
        let mailbox = filled(10);
        assert_eq!(mailbox.by_origin(7, 4).map(|s| s.message.id), Some(5));
        assert!(mailbox.by_origin(7, 99).is_none() && mailbox.by_origin(8, 4).is_none());
    }

    #[test]
    fn reading_counts_what_is_left_and_is_no_event_twice() {
        let mut mailbox = filled(5);
        assert_eq!(mailbox.read_inbox(7, 3), Some(7));
        assert_eq!(mailbox.read_inbox(7, 3), None);
        let Difference::Events { events, .. } = mailbox.difference(6, 10) else { panic!("no event") };
        assert_eq!(events, [Event::ReadInbox { peer: 7, max_id: 3, unread: 2 }]);
    }

    #[test]
    fn a_hundred_thousand_random_ids_are_remembered() {
        let mut mailbox = Mailbox::default();
        for n in 0..LIMIT as i64 + 5 {
            mailbox.remember_sent(n, Sent { peer: 1, id: n as i32 });
        }
        assert_eq!(mailbox.sent(4), None);
        assert_eq!(mailbox.sent(5), Some(Sent { peer: 1, id: 5 }));
    }
}
