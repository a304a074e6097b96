//! Customers and operators who write all the while, and the verdict: nothing lost, reordered, or doubled without a reason.

use super::trace::Trace;
use crate::support::{Person, Stack};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Messages per second, every fourth of them an operator's.
const RATE: u32 = 20;
const REPLY_EVERY: u32 = 4;
/// Every second message belongs to one of the first dialogs, so that there is an order to be kept.
const BUSY: usize = 40;
/// The longest time in which nothing at all may arrive: more than the longest that an account is without a worker.
const STILL: Duration = Duration::from_secs(240);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

struct Dialog {
    name: String,
    customer: Person,
    account: Person,
    topic: Value,
    written: usize,
    answered: usize,
}

/// All dialogs of a run.
pub struct Traffic<'a> {
    stack: &'a Stack,
    trace: &'a Trace,
    dialogs: Vec<Dialog>,
}

impl<'a> Traffic<'a> {
    /// One customer for each account, and two more for some; everybody's first message is in its topic when this returns.
    pub async fn open(stack: &'a Stack, trace: &'a Trace, accounts: &[Person]) -> Self {
        let more = accounts.iter().take(accounts.len() / 10);
        let mut dialogs = Vec::new();
        for (number, account) in accounts.iter().chain(more.clone()).chain(more).enumerate() {
            let name = format!("Клиент{number}.");
            let customer = stack.person(&name).await;
            stack.write(customer, *account, "0").await;
            dialogs.push(Dialog { name, customer, account: *account, topic: Value::Null, written: 1, answered: 0 });
        }
        let mut traffic = Self { stack, trace, dialogs };
        traffic.arrives().await;
        let mut topics = traffic.topics().await;
        for dialog in &mut traffic.dialogs {
            dialog.topic = topics.remove(&dialog.name).expect("a topic");
        }
        traffic
    }

    /// Writes and answers for so long.
    pub async fn flow(&mut self, seed: u64, length: Duration) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut ticks = interval(Duration::from_secs(1) / RATE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 1..=(length.as_secs_f64() * f64::from(RATE)) as u32 {
            ticks.tick().await;
            let those = if random.bool() { BUSY.min(self.dialogs.len()) } else { self.dialogs.len() };
            let dialog = &mut self.dialogs[random.usize(..those)];
            if number % REPLY_EVERY == 0 {
                self.stack.answer(&dialog.topic, &reply(dialog.answered)).await;
                dialog.answered += 1;
            } else {
                self.stack.write(dialog.customer, dialog.account, &dialog.written.to_string()).await;
                dialog.written += 1;
            }
        }
        let written: usize = self.dialogs.iter().map(|dialog| dialog.written).sum();
        let answered: usize = self.dialogs.iter().map(|dialog| dialog.answered).sum();
        self.trace.event(&format!("written {written} messages and {answered} replies"));
    }

    /// Waits until everything that was written has arrived, and judges it.
    pub async fn arrives(&self) {
        let mut last = (0, 0);
        let mut moved = Instant::now();
        loop {
            let ((mirrored, _), received) = (self.mirrored().await, self.received().await);
            let missing: usize =
                self.dialogs.iter().map(|dialog| dialog.written + dialog.answered).sum::<usize>() - mirrored - received;
            self.trace.sample(&format!("{missing} still to come"));
            if missing == 0 {
                break;
            }
            if last != (mirrored, received) {
                (last, moved) = ((mirrored, received), Instant::now());
            }
            assert!(moved.elapsed() < STILL, "{missing} messages and replies do not come: {}", self.late().await);
            sleep(LOOK).await;
        }
        // What comes twice may come late.
        sleep(LOOK).await;
        let (_, again) = self.mirrored().await;
        self.received().await;
        self.trace.event(&format!("{again} messages show twice in their topics, each with a reason"));
        assert_eq!(self.stack.topics().await.len(), self.dialogs.len(), "one topic for each customer");
    }

    /// How many messages stand in their topics, and how often one does so again. They must do so in order; one that is there twice must have a reason.
    async fn mirrored(&self) -> (usize, usize) {
        let topics = self.topics().await;
        let mut count = (0, 0);
        for Dialog { name, written, .. } in &self.dialogs {
            let shown = topics.get(name).map(|topic| numbers(topic, name)).unwrap_or_default();
            let (once, again) = first_and_again(&shown);
            let expected: Vec<usize> = (0..once.len()).collect();
            assert_eq!(once, expected, "{name}: lost or reordered");
            assert!(once.len() <= *written, "{name}: {once:?}");
            assert_are_provable(self.stack, name, &again).await;
            count.0 += once.len();
            count.1 += again.len();
        }
        count
    }

    /// How many replies their customers have; in order and once.
    async fn received(&self) -> usize {
        let mut count = 0;
        for Dialog { name, customer, account, answered, .. } in &self.dialogs {
            let received = self.stack.received(*customer, *account).await;
            let expected: Vec<String> = (0..received.len()).map(reply).collect();
            assert_eq!(received, expected, "replies to {name}: lost, doubled or reordered");
            assert!(received.len() <= *answered, "{name}: {received:?}");
            count += received.len();
        }
        count
    }

    /// The topics by the names of their customers.
    async fn topics(&self) -> BTreeMap<String, Value> {
        let topics = self.stack.topics().await.into_iter();
        topics
            .filter_map(|topic| Some((topic["name"].as_str()?.split_once("Клиент")?.1.to_owned(), topic)))
            .map(|(number, topic)| (format!("Клиент{number}"), topic))
            .collect()
    }

    /// Dialogs that lack something, a few of them.
    async fn late(&self) -> String {
        let topics = self.topics().await;
        let mut late = Vec::new();
        for Dialog { name, customer, account, written, answered, .. } in &self.dialogs {
            let shown = topics.get(name).map_or(0, |topic| numbers(topic, name).len());
            let received = self.stack.received(*customer, *account).await.len();
            if shown < *written || received < *answered {
                late.push(format!("{name} (account of {}): {shown} of {written}, {received} of {answered}", account.0));
            }
        }
        late.truncate(20);
        late.join("; ")
    }
}

fn reply(number: usize) -> String {
    format!("ответ {number}")
}

fn numbers(topic: &Value, name: &str) -> Vec<usize> {
    let prefix = format!("💬 {name}: ");
    Stack::mirrored(topic).iter().filter_map(|text| text.strip_prefix(&prefix)?.parse().ok()).collect()
}

/// What shows for the first time, and what shows again. The latter may come late: a call that the line held back while its process was stopped
/// is carried out when the line is open, and by then the message has long been sent by another process, and those after it, too.
fn first_and_again(shown: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut seen = BTreeSet::new();
    shown.iter().partition(|number| seen.insert(**number))
}

/// A message that shows twice had its call begun twice: its row said `sending` when its process died, or its answer was lost.
async fn assert_are_provable(stack: &Stack, name: &str, again: &[usize]) {
    for number in again {
        let attempts: Option<i32> = sqlx::query_scalar(
            "select p.attempts from personal_telegram_parts p
               join personal_telegram_messages o on o.message_id = p.message_id join dialogs d on d.id = o.dialog_id
              where o.incoming and d.external_display_name = $1 and o.text = $2",
        )
        .bind(name)
        .bind(number.to_string())
        .fetch_optional(stack.store().pool())
        .await
        .expect("a query");
        assert!(attempts.is_some_and(|attempts| attempts > 1), "{name}: message {number} shows twice without a reason");
    }
}
