//! Wake-ups of the queue: coalesced NOTIFYs, sent after the commits that caused them.
//!
//! A NOTIFY inside a transaction takes a cluster-wide lock at commit and serialises all writers. So each process has one task
//! that notifies for all of its transactions, outside of them.

use sqlx::PgPool;
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// The channel that every queue process listens on.
pub const WAKE_UP_CHANNEL: &str = "tuberry_jobs";

#[derive(Clone, Debug)]
pub(crate) struct WakeUps(mpsc::UnboundedSender<BTreeSet<String>>);

impl WakeUps {
    /// Starts the notifying task on the current runtime; it ends with the last clone of the sender.
    pub(crate) fn start(pool: PgPool) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel::<BTreeSet<String>>();
        tokio::spawn(async move {
            while let Some(mut payloads) = receiver.recv().await {
                while let Ok(more) = receiver.try_recv() {
                    payloads.extend(more);
                }
                let payloads: Vec<String> = payloads.into_iter().collect();
                let sent = sqlx::query("select pg_notify($1, payload) from unnest($2::text[]) payload")
                    .bind(WAKE_UP_CHANNEL)
                    .bind(&payloads)
                    .execute(&pool)
                    .await;
                if let Err(error) = sent {
                    tracing::debug!(%error, "wake-up not sent; the queue's sweep will find the jobs");
                }
            }
        });
        Self(sender)
    }

    pub(crate) fn send(&self, payloads: BTreeSet<String>) {
        if !payloads.is_empty() {
            let _ = self.0.send(payloads);
        }
    }
}
