//! Updates that wait for a bot: confirmed by `getUpdates` with a higher offset, or by a webhook's 2xx answer. Pure bookkeeping;
//! the times are given by the caller.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Updates kept for one bot. Telegram drops what is older than a day; here the oldest give way.
const CAPACITY: usize = 100_000;
/// How far behind the newest id an offset may lie (`TQueue::get` of Telegram's own server).
const FAR: i64 = 10;
/// The pause after the first failed delivery of an update; every further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two deliveries of an update.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Unconfirmed updates of one bot, oldest first.
#[derive(Default, Serialize, Deserialize)]
pub struct UpdateQueue {
    last_id: i64,
    pending: VecDeque<Pending>,
}

#[derive(Serialize, Deserialize)]
struct Pending {
    id: i64,
    /// The whole `Update` object as JSON.
    body: Arc<str>,
    #[serde(skip)]
    delivery: Delivery,
}

#[derive(Default)]
struct Delivery {
    outstanding: bool,
    failures: u32,
    not_before: Option<Instant>,
}

/// What the webhook sender shall do next for a bot.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Post this update; it is marked as outstanding until [`UpdateQueue::delivered`] or [`UpdateQueue::failed`].
    Post {
        /// `update_id`.
        id: i64,
        /// The `Update` object as JSON.
        body: Arc<str>,
    },
    /// Nothing before this moment.
    Wait(Instant),
    /// Nothing until something changes.
    Idle,
}

impl UpdateQueue {
    /// How many updates wait, outstanding ones included.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether no update waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds an update of this kind and gives it the next id.
    pub fn push(&mut self, kind: &str, body: &Value) {
        if self.last_id == 0 {
            // Telegram begins with a random number; nobody may take it for an index.
            self.last_id = 100_000_000 + i64::from(u16::from_le_bytes(super::random()));
        }
        self.last_id += 1;
        if self.pending.len() == CAPACITY {
            self.pending.pop_front();
        }
        let body = format!(r#"{{"update_id":{},"{kind}":{body}}}"#, self.last_id).into();
        self.pending.push_back(Pending { id: self.last_id, body, delivery: Delivery::default() });
    }

    /// Gives the next update this id, as Telegram does after a week without updates. False: some still wait.
    pub fn renumber(&mut self, next: i64) -> bool {
        let empty = self.pending.is_empty();
        if empty {
            self.last_id = next - 1;
        }
        empty
    }

    /// Answers `getUpdates`: a positive offset confirms all updates before it, a negative one all but the last so many. One that is too far in
    /// the future counts as none.
    pub fn read(&mut self, offset: i64, limit: usize) -> Vec<Arc<str>> {
        let confirmed = match offset {
            0 => 0,
            _ if offset > self.last_id.saturating_add(FAR) => 0,
            1.. => self.pending.partition_point(|update| update.id < offset),
            _ => self.pending.len().saturating_sub(usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX)),
        };
        self.pending.drain(..confirmed);
        self.pending.iter().take(limit).map(|update| update.body.clone()).collect()
    }

    /// Forgets everything that waits (`drop_pending_updates`).
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// Chooses what to post next. Only the oldest `connections` updates are looked at: so at most that many are outstanding,
    /// and with one connection nothing overtakes a failing update.
    pub fn next_post(&mut self, connections: usize, now: Instant) -> Next {
        let mut earliest: Option<Instant> = None;
        for update in self.pending.iter_mut().take(connections).filter(|update| !update.delivery.outstanding) {
            match update.delivery.not_before.filter(|at| *at > now) {
                Some(at) => earliest = Some(earliest.map_or(at, |other| other.min(at))),
                None => {
                    update.delivery.outstanding = true;
                    return Next::Post { id: update.id, body: update.body.clone() };
                }
            }
        }
        earliest.map_or(Next::Idle, Next::Wait)
    }

    /// The webhook took the update.
    pub fn delivered(&mut self, id: i64) {
        if let Ok(at) = self.pending.binary_search_by_key(&id, |update| update.id) {
            self.pending.remove(at);
        }
    }

    /// The webhook did not take the update: it waits for a growing while.
    pub fn failed(&mut self, id: i64, now: Instant) {
        if let Ok(at) = self.pending.binary_search_by_key(&id, |update| update.id) {
            let delivery = &mut self.pending[at].delivery;
            let pause = FIRST_PAUSE.saturating_mul(1 << delivery.failures.min(10)).min(LONGEST_PAUSE);
            *delivery =
                Delivery { outstanding: false, failures: delivery.failures.saturating_add(1), not_before: Some(now + pause) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn queue(count: usize) -> (UpdateQueue, i64) {
        let mut queue = UpdateQueue::default();
        for n in 0..count {
            queue.push("message", &json!({"n": n}));
        }
        let first = queue.last_id + 1 - count as i64;
        (queue, first)
    }

    fn numbers(bodies: &[Arc<str>]) -> Vec<u64> {
        let read = |body: &Arc<str>| serde_json::from_str::<Value>(body).unwrap()["message"]["n"].as_u64().unwrap();
        bodies.iter().map(read).collect()
    }

    fn posted(next: Next) -> i64 {
        match next {
            Next::Post { id, .. } => id,
            other => panic!("nothing to post: {other:?}"),
        }
    }

    #[test]
    fn updates_repeat_until_a_higher_offset_confirms_them() {
        let (mut queue, first) = queue(5);
        assert_eq!(numbers(&queue.read(0, 2)), [0, 1]);
        assert_eq!(numbers(&queue.read(0, 100)), [0, 1, 2, 3, 4]);
        assert_eq!(numbers(&queue.read(first + 3, 100)), [3, 4]);
        assert_eq!(numbers(&queue.read(first, 100)), [3, 4]);
        assert!(queue.read(first + 5, 100).is_empty() && queue.is_empty());
    }

    #[test]
    fn a_negative_offset_keeps_the_last_ones_only() {
        let (mut queue, _) = queue(5);
        assert_eq!(numbers(&queue.read(-2, 100)), [3, 4]);
        assert_eq!(queue.len(), 2);
        assert_eq!(numbers(&queue.read(i64::MIN, 100)), [3, 4]);
    }

    #[test]
    fn an_offset_far_in_the_future_confirms_nothing() {
        let (mut queue, first) = queue(3);
        assert_eq!(numbers(&queue.read(first + 2 + FAR + 1, 100)), [0, 1, 2]);
        assert!(!queue.renumber(7), "what waits keeps its id");
        assert!(queue.read(first + 2 + FAR, 100).is_empty() && queue.is_empty());
        assert!(queue.renumber(7));
        queue.push("message", &json!({"n": 3}));
        assert_eq!(numbers(&queue.read(first + 3, 100)), [3], "the offset is of the numbers before");
        assert!(queue.read(8, 100).is_empty() && queue.is_empty());
    }

    #[test]
    fn with_one_connection_a_failing_update_holds_all_behind_it() {
        let (mut queue, first) = queue(2);
        let start = Instant::now();
        assert_eq!(posted(queue.next_post(1, start)), first);
        assert_eq!(queue.next_post(1, start), Next::Idle);
        queue.failed(first, start);
        assert_eq!(queue.next_post(1, start), Next::Wait(start + FIRST_PAUSE));
        let later = start + FIRST_PAUSE;
        assert_eq!(posted(queue.next_post(1, later)), first);
        queue.failed(first, later);
        assert_eq!(queue.next_post(1, later), Next::Wait(later + FIRST_PAUSE * 2));
        assert_eq!(posted(queue.next_post(1, later + FIRST_PAUSE * 2)), first);
        queue.delivered(first);
        assert_eq!(posted(queue.next_post(1, later)), first + 1);
    }

    #[test]
    fn many_connections_post_many_updates_but_each_only_once() {
        let (mut queue, first) = queue(5);
        let now = Instant::now();
        let out: Vec<i64> = (0..3).map(|_| posted(queue.next_post(3, now))).collect();
        assert_eq!(out, [first, first + 1, first + 2]);
        assert_eq!(queue.next_post(3, now), Next::Idle);
        queue.delivered(first + 1);
        assert_eq!(posted(queue.next_post(3, now)), first + 3);
        assert_eq!(queue.next_post(3, now), Next::Idle);
    }

    #[test]
    fn the_pause_stops_growing_and_the_queue_stays_bounded() {
        let (mut queue, first) = queue(CAPACITY + 10);
        assert_eq!(queue.len(), CAPACITY);
        let now = Instant::now();
        for _ in 0..100 {
            queue.failed(first + 10, now);
        }
        assert_eq!(queue.next_post(1, now), Next::Wait(now + LONGEST_PAUSE));
    }
}
