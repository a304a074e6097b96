//! Claimed jobs of one kind on their way from the engine to the worker, which takes no more than may run at the same time.

use super::lease::Lease;
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::status::Status;
use apalis_core::task::task_id::TaskId;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// A claimed job: its payload and the right to run it.
#[derive(Debug)]
pub(super) struct Claimed {
    pub payload: Vec<u8>,
    pub lease: Lease,
}

/// What a task carries to the service.
#[derive(Clone, Debug)]
pub(super) struct SharedLease(pub Arc<Lease>);

#[derive(Debug)]
pub(super) struct KindBuffer {
    pub kind: &'static str,
    /// Runs at the same time.
    pub concurrency: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Instant, Claimed)>,
    running: usize,
    open: bool,
    waker: Option<Waker>,
}

impl KindBuffer {
    pub(super) fn new(kind: &'static str, concurrency: usize) -> Self {
        Self { kind, concurrency: concurrency.max(1), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker is there.
    pub(super) fn open(&self) {
        self.state().open = true;
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().open
    }

    /// No worker any more: what waits goes back.
    pub(super) fn close(&self) {
        self.state().open = false;
        self.give_back(|_, _| true);
    }

    /// Jobs that wait here, and jobs that run.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.waiting.len(), state.running)
    }

    /// How long the oldest has waited here.
    pub(super) fn oldest(&self) -> Duration {
        self.state().waiting.front().map(|(since, _)| since.elapsed()).unwrap_or_default()
    }

    pub(super) fn deliver(&self, claimed: Vec<Claimed>) {
        let mut state = self.state();
        if !state.open {
            drop(state);
            drop(claimed); // the leases give themselves back
            return;
        }
        let now = Instant::now();
        state.waiting.extend(claimed.into_iter().map(|one| (now, one)));
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Gives back the waiting jobs for which `which(lease, since)` holds.
    pub(super) fn give_back(&self, which: impl Fn(&Lease, Instant) -> bool) {
        let mut back = Vec::new();
        let mut state = self.state();
        for (since, one) in std::mem::take(&mut state.waiting) {
            if which(&one.lease, since) {
                back.push(one);
            } else {
                state.waiting.push_back((since, one));
            }
        }
        drop(state);
        drop(back); // outside of the lock: leases acknowledge when dropped
    }

    /// The next job, as soon as one waits and fewer than `concurrency` run.
    pub(super) fn poll_take(&self, waker: &Waker) -> Poll<Task<Vec<u8>>> {
        let mut state = self.state();
        if state.running < self.concurrency
            && let Some((_, Claimed { payload, lease })) = state.waiting.pop_front()
        {
            state.running += 1;
            drop(state);
            lease.taken.store(true, Ordering::SeqCst);
            return Poll::Ready(into_task(payload, lease));
        }
        state.waker = Some(waker.clone());
        Poll::Pending
    }

    /// A taken job has ended.
    pub(super) fn finished(&self) {
        let mut state = self.state();
        state.running = state.running.saturating_sub(1);
        let waker = if state.waiting.is_empty() { None } else { state.waker.take() };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn into_task(payload: Vec<u8>, lease: Lease) -> Task<Vec<u8>> {
    // A fresh id per run: apalis panics on an id that it still tracks, and a job can be back before its last run has left the tracker.
    TaskBuilder::new(payload)
        .task_id(TaskId::from_string(ulid::Ulid::new().to_string()))
        .attempt(lease.attempts as usize)
        .status(Status::Running)
        .queue(lease.buffer.kind.into())
        .data(SharedLease(Arc::new(lease)))
        .build()
}
