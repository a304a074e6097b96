//! Customers who write to accounts, and the moments at which it stands in topics.
//!
//! A latency runs from the moment at which the simulator has the message to the moment at which it has answered the bot's call. Both
//! ends are in this process, and writing costs no HTTP.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use telegram_simulator::mtproto::push;
use telegram_simulator::world::Shared;
use telegram_simulator::world::delivery::Draft;
use telegram_simulator::world::peer::Peer;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Between two looks at what has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest wait for messages to arrive.
const PATIENCE: Duration = Duration::from_secs(120);

/// Numbers of messages, one sequence for everybody: they are found again by them.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Some chats with traffic in them.
pub struct Traffic {
    shared: Shared,
    /// Customer and account, by their Telegram ids.
    chats: Vec<(i64, i64)>,
    /// The topic of each chat that has been seen in one.
    topics: Mutex<BTreeMap<usize, i64>>,
}

/// A message on its way.
struct Sent {
    chat: usize,
    at: f64,
}

impl Traffic {
    /// Traffic of these chats (customer, account).
    pub fn new(shared: Shared, chats: Vec<(i64, i64)>) -> Self {
        Self { shared, chats, topics: Mutex::default() }
    }

    /// `count` messages, `rate` a second, the chats in turn. Returns their latencies in ms when all have arrived.
    pub async fn paced(&self, rate: usize, count: usize) -> Vec<f64> {
        let seen = self.shared.lock().bots.log.added();
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let mut ticks = interval(Duration::from_secs_f64(1.0 / rate as f64));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut sent = HashMap::new();
        for index in 0..count {
            ticks.tick().await;
            self.write(index % self.chats.len(), &mut sent);
        }
        self.arrive(sent, seen).await
    }

    /// `each` messages in every chat, all at once. Returns their latencies in ms when all have arrived.
    pub async fn burst(&self, each: usize) -> Vec<f64> {
        let seen = self.shared.lock().bots.log.added();
        let mut sent = HashMap::new();
        for chat in (0..each).flat_map(|_| 0..self.chats.len()) {
            self.write(chat, &mut sent);
        }
        self.arrive(sent, seen).await
    }

    /// Topics of the chats that had traffic, by `message_thread_id`.
    pub fn topics(&self) -> Vec<i64> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }

    fn write(&self, chat: usize, sent: &mut HashMap<usize, Sent>) {
        let (number, at) = (NEXT.fetch_add(1, Ordering::Relaxed), now());
        let ((customer, account), text) = (self.chats[chat], format!("#{number}"));
        let draft = Draft { text, ..Draft::default() };
        push::send(&mut self.shared.lock(), customer, Peer::User(account), draft, None).expect("a message that is taken");
        sent.insert(number, Sent { chat, at });
    }

    /// Waits for the bot's calls after the first `seen` that carry what was sent. One that comes twice counts when it comes first.
    async fn arrive(&self, mut sent: HashMap<usize, Sent>, mut seen: u64) -> Vec<f64> {
        let (began, mut latencies) = (Instant::now(), Vec::with_capacity(sent.len()));
        loop {
            let calls: Vec<(String, f64)> = {
                let world = self.shared.lock();
                let calls = world.bots.log.after(seen).filter(|call| call.method == "sendMessage" && call.status == 200);
                #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits")]
                // The log rounds down to whole milliseconds: half of one makes up for it on average.
                let calls = calls.map(|call| (call.params.to_string(), call.at as f64 + 0.5)).collect();
                seen = world.bots.log.added();
                calls
            };
            for (call, at) in calls {
                let call: serde_json::Value = serde_json::from_str(&call).expect("JSON");
                let Some(found) = call["text"].as_str().and_then(number).and_then(|number| sent.remove(&number)) else {
                    continue;
                };
                latencies.push((at - found.at).max(0.0));
                if let Some(topic) =
                    call["message_thread_id"].as_i64().or_else(|| call["message_thread_id"].as_str()?.parse().ok())
                {
                    self.topics.lock().unwrap_or_else(PoisonError::into_inner).insert(found.chat, topic);
                }
            }
            if sent.is_empty() {
                return latencies;
            }
            assert!(began.elapsed() < PATIENCE, "{} messages did not arrive within {PATIENCE:?}", sent.len());
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Unix milliseconds.
pub fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1_000.0)
}

/// The number in a text like «💬 Клиент: #17».
pub fn number(text: &str) -> Option<usize> {
    text.rsplit_once('#')?.1.parse().ok()
}
