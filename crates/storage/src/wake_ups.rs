//! Wake-ups of the queue: coalesced NOTIFYs, sent after the commits that caused them.
//!
//! A NOTIFY inside a transaction takes a cluster-wide lock at commit and serialises all writers. So each process has one task
//! that notifies for all of its transactions, outside of them. Where the process runs jobs itself, its own queue hears of them first, and
//! tells the others only what it does not take.

use sqlx::PgPool;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The channel that every queue process listens on.
pub const WAKE_UP_CHANNEL: &str = "tuberry_jobs";

/// Least time between two NOTIFYs of a process.
const PACE: Duration = Duration::from_millis(2);

/// Wake-ups that wait to be sent. Each is a subject, a tab and a number; of one subject the least number counts.
#[derive(Clone, Debug, Default)]
pub struct Pending(BTreeMap<String, i64>);

impl Pending {
    /// Adds a wake-up in the form in which it is sent. One without a number is dropped: nobody could read it.
    pub fn insert(&mut self, wake_up: &str) {
        if let Some((subject, number)) =
            wake_up.rsplit_once('\t').and_then(|(subject, number)| Some((subject, number.parse().ok()?)))
        {
            self.add(subject.to_owned(), number);
        }
    }

    fn add(&mut self, subject: String, number: i64) {
        self.0.entry(subject).and_modify(|known| *known = number.min(*known)).or_insert(number);
    }

    /// Adds all of `more`.
    pub fn extend(&mut self, more: Self) {
        for (subject, number) in more.0 {
            self.add(subject, number);
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is to be sent.
    pub fn payloads(&self) -> Vec<String> {
        self.0.iter().map(|(subject, number)| format!("{subject}\t{number}")).collect()
    }
}

/// Takes wake-ups over, or says that it cannot.
type Ear = Box<dyn Fn(Vec<String>) -> bool + Send + Sync>;

#[derive(Clone)]
pub(crate) struct WakeUps {
    channel: mpsc::UnboundedSender<Pending>,
    ear: Arc<OnceLock<Ear>>,
}

impl fmt::Debug for WakeUps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WakeUps").field("has_ear", &self.ear.get().is_some()).finish_non_exhaustive()
    }
}

impl WakeUps {
    /// Starts the notifying task on the current runtime; it ends with the last clone of the sender.
    pub(crate) fn start(pool: PgPool) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Pending>();
        tokio::spawn(async move {
            let mut sent_at: Option<Instant> = None;
            while let Some(mut pending) = receiver.recv().await {
                // The first one goes at once; under load they go together.
                if let Some(wait) = sent_at.and_then(|at| PACE.checked_sub(at.elapsed())) {
                    tokio::time::sleep(wait).await;
                }
                sent_at = Some(Instant::now());
                while let Ok(more) = receiver.try_recv() {
                    pending.extend(more);
                }
                // A wake-up is worth nothing after a crash of the server: its commit need not wait for the disk.
                let sent = sqlx::query(
                    "select set_config('synchronous_commit', 'off', true), pg_notify($1, payload) from unnest($2::text[]) payload",
                )
                .bind(WAKE_UP_CHANNEL)
                .bind(pending.payloads())
                .execute(&pool)
                .await;
                if let Err(error) = sent {
                    tracing::debug!(%error, "wake-up not sent; the queue's sweep will find the jobs");
                }
            }
        });
        Self { channel: sender, ear: Arc::default() }
    }

    pub(crate) fn first_tell(&self, ear: Ear) {
        let _ = self.ear.set(ear); // the first queue of the process
    }

    pub(crate) fn send(&self, pending: Pending) {
        if !pending.is_empty() && !self.ear.get().is_some_and(|hears| hears(pending.payloads())) {
            let _ = self.channel.send(pending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_wake_ups_with_one_subject_the_least_number_is_sent() {
        let mut pending = Pending::default();
        for wake_up in ["send-reply\t7\t0\t30", "@\t9", "send-reply\t7\t0\t20", "send-reply\t7\t1\t40", "no number"] {
            pending.insert(wake_up);
        }
        let mut more = Pending::default();
        more.insert("@\t8");
        pending.extend(more);
        assert_eq!(pending.payloads(), ["@\t8", "send-reply\t7\t0\t20", "send-reply\t7\t1\t40"]);
    }
}
