//! How far each chat is known: where catching up by message id stops. What was seen counts once the batch that holds it is committed: a floor above
//! something that is not stored would hide it for good.

use super::backfill::Floor;
use super::beginning::Floors;
use std::collections::HashMap;
use tuberry_domain::{ChatId, ChatKind, TelegramMessageId};

/// The highest message ids, and dates up to which nothing is missing, in Unix seconds.
pub(super) struct Heights {
    committed: Ids,
    seen: Ids,
    /// The date of the state with which this intake began.
    began: i32,
    /// The date of the state when nothing was left to fetch last.
    caught_up: i32,
}

#[derive(Default)]
struct Ids {
    /// Private chats and basic groups share one sequence.
    common: Option<i32>,
    /// By bare channel id.
    channels: HashMap<i64, i32>,
}

impl Ids {
    fn raise(&mut self, chat: ChatId, id: i32) {
        match chat.kind() {
            ChatKind::Channel => {
                let last = self.channels.entry(chat.bare()).or_insert(id);
                *last = id.max(*last);
            }
            _ => self.common = self.common.max(Some(id)),
        }
    }
}

impl Heights {
    /// What is stored: the date of the state, the newest message of private chats and basic groups, and that of each channel.
    pub(super) fn new(date: i32, common: Option<TelegramMessageId>, floors: &Floors) -> Self {
        let mut committed = Ids { common: common.map(|id| id.0), ..Ids::default() };
        for (chat, id) in &floors.last {
            committed.raise(*chat, id.0);
        }
        Self { committed, seen: Ids::default(), began: date, caught_up: date }
    }

    /// An account without a state begins here.
    pub(super) fn begins_at(&mut self, date: i32) {
        (self.began, self.caught_up) = (date, date);
    }

    /// A message came.
    pub(super) fn saw(&mut self, chat: ChatId, id: i32) {
        self.seen.raise(chat, id);
    }

    /// What came is stored.
    pub(super) fn committed(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        self.committed.common = self.committed.common.max(seen.common);
        for (channel, id) in seen.channels {
            self.committed.raise(ChatId::channel(channel), id);
        }
    }

    /// What came since the last commit will come again, from a state of this date.
    pub(super) fn roll_back(&mut self, date: i32) {
        self.seen = Ids::default();
        self.caught_up = self.caught_up.min(date);
    }

    /// Nothing is left to fetch, and the state is of this date.
    pub(super) fn caught_up(&mut self, date: i32) {
        self.caught_up = date;
    }

    /// Private chats and basic groups; `date` is that of the state that is committed.
    pub(super) fn common_floor(&self, date: i32) -> Floor {
        Floor { id: self.committed.common, date }
    }

    /// A channel that is followed. Its state is older than the account's, which other chats have moved: where nothing of it is stored, all since this
    /// intake began.
    pub(super) fn channel_floor(&self, channel: i64) -> Floor {
        Floor { id: self.committed.channels.get(&channel).copied(), date: self.began }
    }

    /// A channel that is not followed yet: what came since all was there last.
    pub(super) fn news_floor(&self, channel: i64) -> Floor {
        Floor { id: self.committed.channels.get(&channel).copied(), date: self.caught_up }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_committed_raises_no_floor() {
        let stored = Floors { last: [(ChatId::channel(7), TelegramMessageId(5))].into(), since: None };
        let mut heights = Heights::new(100, None, &stored);
        heights.saw(ChatId::user(1), 30);
        heights.saw(ChatId::channel(7), 9);
        assert_eq!((heights.common_floor(100).id, heights.channel_floor(7).id), (None, Some(5)));
        heights.roll_back(100);
        heights.committed();
        assert_eq!((heights.common_floor(100).id, heights.channel_floor(7).id), (None, Some(5)));
        heights.saw(ChatId::group(2), 40);
        heights.saw(ChatId::user(1), 30);
        heights.committed();
        assert_eq!(heights.common_floor(100).id, Some(40));
    }

    #[test]
    fn a_silent_channel_is_not_judged_by_what_others_brought() {
        let mut heights = Heights::new(100, None, &Floors::default());
        assert_eq!((heights.channel_floor(7).date, heights.news_floor(8).date), (100, 100));
        heights.caught_up(500);
        assert_eq!((heights.channel_floor(7).date, heights.news_floor(8).date), (100, 500));
        heights.roll_back(400);
        assert_eq!(heights.news_floor(8).date, 400);
    }
}
