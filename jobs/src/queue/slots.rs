//! How many jobs of a kind to claim: as many as may run, and while workers starve between two steps, some ahead.

use super::buffer::KindBuffer;
use std::sync::Arc;
use std::time::Duration;

/// Most jobs that wait in one process.
const MOST_AHEAD: usize = 1024;
/// Jobs that wait for less are so short that the worker would wait for the database.
const TURNOVER: Duration = Duration::from_millis(20);
/// A job that has waited in the process for so long had better been claimed by somebody else.
const TOO_LONG: Duration = Duration::from_secs(1);

/// One kind, as the engine sees it.
#[derive(Debug)]
pub(super) struct Kind {
    pub buffer: Arc<KindBuffer>,
    /// The database says that this process' lease must be renewed before it may claim.
    pub stale: bool,
    /// Jobs that steps on their way may bring.
    pub asked: usize,
    /// Jobs claimed beyond those that may run.
    ahead: usize,
    /// The last step brought all that it was asked for.
    full: bool,
}

impl Kind {
    pub(super) fn new(buffer: Arc<KindBuffer>) -> Self {
        Self { buffer, stale: false, asked: 0, ahead: 0, full: false }
    }

    /// How many more jobs have room here, if steps on their way bring all that they asked for.
    pub(super) fn free(&self) -> usize {
        self.room().saturating_sub(self.asked)
    }

    fn room(&self) -> usize {
        let (waiting, running) = self.buffer.load();
        (self.buffer.concurrency + self.ahead).saturating_sub(waiting + running)
    }

    /// Whether jobs have room here, as far as is known.
    pub(super) fn has_room(&self) -> bool {
        !self.stale && self.buffer.is_open() && self.room() > 0
    }

    /// Whether a claim makes sense now.
    pub(super) fn may_claim(&self) -> bool {
        !self.stale && self.buffer.is_open() && self.free() > 0
    }

    /// How many to claim in this step. `more`: there are ready jobs.
    pub(super) fn slots(&mut self, more: bool) -> usize {
        if self.stale || !self.buffer.is_open() {
            return 0;
        }
        let (waiting, running) = self.buffer.load();
        let oldest = self.buffer.oldest();
        if oldest > TOO_LONG / 5 {
            self.ahead /= 2;
        } else if more && self.full && oldest < TURNOVER {
            self.ahead = (self.ahead * 2).clamp(self.buffer.concurrency, MOST_AHEAD);
        } else if !more && waiting == 0 && running == 0 {
            self.ahead = 0;
        }
        self.free()
    }

    /// A step that asked for jobs of this kind has ended; `full`: there may be more than it brought.
    pub(super) fn answered(&mut self, asked: usize, full: bool) {
        self.asked = self.asked.saturating_sub(asked);
        self.full = full;
    }

    /// Lets others have what has waited here for too long.
    pub(super) fn give_back_old(&mut self) {
        if self.buffer.oldest() > TOO_LONG {
            self.ahead = 0;
            self.buffer.give_back(|_, since| since.elapsed() > TOO_LONG);
        }
    }
}
