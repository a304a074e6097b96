//! The right to run one job once, and the one outcome that it ends with.

use super::buffer::KindBuffer;
use super::handle::Shared;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a claim ends; the numbers are those of `queue.finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub(super) enum Outcome {
    Done = 0,
    Retry = 1,
    Snooze = 2,
    Cancel = 3,
    /// Back into line without an attempt.
    GiveBack = 4,
    /// This process was silent for so long that others may have taken the job.
    Lost = 5,
}

/// An outcome on its way to the database.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    pub id: String,
    pub kind: &'static str,
    pub lane: String,
    pub ordering_key: Option<String>,
    pub token: DateTime<Utc>,
    pub outcome: Outcome,
    pub delay: Duration,
    /// JSON as apalis writes it: `{"Ok":null}` or `{"Err":"reason"}`.
    pub result: Option<String>,
    /// How often the database refused or put it off.
    pub tries: u32,
    /// It was in a step whose answer got lost.
    pub uncertain: bool,
    pub not_before: Option<Instant>,
}

/// A claimed job. Acknowledges exactly once: explicitly, or when it is dropped, whatever dropped it.
#[derive(Debug)]
pub(super) struct Lease {
    pub id: String,
    pub lane: String,
    pub ordering_key: Option<String>,
    /// `lock_at` of the claim: together with the worker's name it tells this claim from every other.
    pub token: DateTime<Utc>,
    /// Attempts before this one.
    pub attempts: u32,
    /// What the row says of the job's origin, names and values in turn.
    pub metadata: Vec<String>,
    pub buffer: Arc<KindBuffer>,
    pub shared: Arc<Shared>,
    pub taken: AtomicBool,
    pub started: AtomicBool,
    pub ended: AtomicBool,
}

impl Lease {
    /// Longest reason that is kept, in characters.
    const REASON_LIMIT: usize = 1000;

    /// Longest delay that is written.
    const LONGEST_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

    /// The only way out; later calls do nothing.
    pub(super) fn end(&self, outcome: Outcome, delay: Duration, reason: Option<&str>) {
        if self.ended.swap(true, Ordering::SeqCst) {
            return;
        }
        if self.taken.load(Ordering::SeqCst) {
            self.buffer.finished();
        }
        let result = match (outcome, reason) {
            (Outcome::GiveBack, _) => None,
            (Outcome::Done, _) => Some(r#"{"Ok":null}"#.to_owned()),
            (_, reason) => {
                // PostgreSQL's jsonb has no U+0000.
                let reason: String = reason.unwrap_or_default().chars().filter(|&c| c != '\0').take(Self::REASON_LIMIT).collect();
                Some(serde_json::json!({ "Err": reason }).to_string())
            }
        };
        self.shared.acknowledge(Acknowledgement {
            id: self.id.clone(),
            kind: self.buffer.kind,
            lane: self.lane.clone(),
            ordering_key: self.ordering_key.clone(),
            token: self.token,
            outcome,
            delay: delay.min(Self::LONGEST_DELAY),
            result,
            tries: 0,
            uncertain: false,
            not_before: None,
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.started.load(Ordering::SeqCst) || self.shared.stopping() {
            self.end(Outcome::GiveBack, Duration::ZERO, None);
        } else {
            self.end(Outcome::Retry, Duration::from_secs(1), Some("dropped while running"));
        }
    }
}
