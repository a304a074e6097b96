//! Runs one job: every way it can end (well, badly, by panic, time-out, unreadable payload, lost lease) becomes one outcome.

use super::buffer::SharedLease;
use super::handle::Shared;
use super::lease::{Lease, Outcome};
use super::meters::Runs;
use crate::job::{Job, JobError};
use crate::origin::Origin;
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tracing::Instrument;
use tracing::field::Empty;

/// The service of one kind's apalis worker.
pub(super) struct JobService<C, J> {
    context: Arc<C>,
    shared: Arc<Shared>,
    runs: Runs,
    job: PhantomData<fn() -> J>,
}

impl<C, J: Job<C>> JobService<C, J> {
    pub(super) fn new(context: Arc<C>, shared: Arc<Shared>) -> Self {
        Self { context, shared, runs: Runs::of(J::KIND), job: PhantomData }
    }
}

/// A handler's own task; it ends with whoever waits for it.
struct Handler(JoinHandle<Result<(), JobError>>);

impl Drop for Handler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<C: Send + Sync + 'static, J: Job<C>> tower::Service<Task<Vec<u8>>> for JobService<C, J> {
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Vec<u8>>) -> Self::Future {
        let (payload, execution) = task.take();
        let Some(SharedLease(lease)) = execution.data().get::<SharedLease>().cloned() else {
            return async { Err(BoxDynError::from("a task without a lease")) }.boxed();
        };
        drop(execution);
        let lost = self.shared.lost();
        if !self.shared.lease_is_fresh() {
            // This process was stopped and others may have the job: it does not start.
            return async move {
                lease.end(Outcome::Lost, Duration::ZERO, Some("its process was silent"));
                Ok(())
            }
            .boxed();
        }
        lease.started.store(true, Ordering::SeqCst);
        let (context, runs) = (self.context.clone(), self.runs.clone());
        async move {
            let began = Instant::now();
            let ended = run::<C, J>(&lease, payload, context, lost).await;
            runs.ended(began.elapsed(), matches!(ended, Ok(Ok(()))).then_some(lease.attempts + 1));
            settle::<C, J>(&lease, ended)
        }
        .boxed()
    }
}

/// Why a run ended, other than by a word of the handler.
enum Broken {
    Payload(String),
    Panic(String),
    Timeout,
    LeaseLost,
    Interrupted,
    /// Somebody cancelled the job while it ran.
    Cancelled,
}

async fn run<C: Send + Sync + 'static, J: Job<C>>(
    lease: &Lease,
    payload: Vec<u8>,
    context: Arc<C>,
    mut lost: tokio::sync::watch::Receiver<u64>,
) -> Result<Result<(), JobError>, Broken> {
    let job: J = serde_json::from_slice(&payload).map_err(|error| Broken::Payload(error.to_string()))?;
    let entered = lease.shared.enter(&lease.id);
    let origin = Origin::from_metadata(&lease.metadata).unwrap_or_else(Origin::fresh);
    let span = tracing::info_span!(
        parent: None,
        "job",
        kind = J::KIND,
        id = %lease.id,
        attempt = lease.attempts + 1,
        request_id = origin.request_id,
        trace_id = origin.trace_id(),
        otel.name = Empty,
        otel.status_code = Empty
    );
    let origin = origin.begin(&span, &format!("job.{}", J::KIND));
    // A task of its own: a panic stays there, and handlers use all threads.
    let mut handler = Handler(tokio::spawn(origin.scope(async move { job.run(&context).await }).instrument(span.clone())));
    let ended = tokio::select! {
        joined = &mut handler.0 => match joined {
            Ok(result) => Ok(result),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => Err(Broken::Panic(
                    panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned())).unwrap_or_default(),
                )),
                Err(_) => Err(Broken::Interrupted),
            },
        },
        () = tokio::time::sleep(J::POLICY.timeout) => Err(Broken::Timeout),
        _ = lost.changed() => Err(Broken::LeaseLost),
        () = entered.asked_to_end.cancelled() => Err(Broken::Cancelled),
    };
    if !matches!(ended, Ok(Ok(()) | Err(JobError::Snooze(_)))) {
        span.record("otel.status_code", "ERROR");
    }
    ended
}

fn settle<C, J: Job<C>>(lease: &Lease, ended: Result<Result<(), JobError>, Broken>) -> Result<(), BoxDynError> {
    let backoff = || J::POLICY.backoff.delay(lease.attempts + 1, dice());
    let (outcome, delay, reason) = match ended {
        Ok(Ok(())) => {
            lease.end(Outcome::Done, Duration::ZERO, None);
            return Ok(());
        }
        Ok(Err(JobError::Retry(reason))) => (Outcome::Retry, backoff(), reason),
        Ok(Err(JobError::Snooze(delay))) => (Outcome::Snooze, delay, format!("snoozed for {delay:?}")),
        Ok(Err(JobError::Cancel(reason))) => (Outcome::Cancel, Duration::ZERO, reason),
        Err(Broken::Payload(error)) => (Outcome::Cancel, Duration::ZERO, format!("unreadable payload: {error}")),
        Err(Broken::Panic(message)) => (Outcome::Retry, backoff(), format!("panic: {message}")),
        Err(Broken::Timeout) => (Outcome::Retry, backoff(), format!("timed out after {:?}", J::POLICY.timeout)),
        Err(Broken::LeaseLost) => (Outcome::Lost, Duration::ZERO, "its process was silent".to_owned()),
        // The reason that the row gets is that of who cancelled it.
        Err(Broken::Cancelled) => (Outcome::Cancel, Duration::ZERO, "cancelled while it ran".to_owned()),
        Err(Broken::Interrupted) => (Outcome::GiveBack, Duration::ZERO, "the process stops".to_owned()),
    };
    match outcome {
        Outcome::Cancel => tracing::warn!(kind = J::KIND, id = %lease.id, reason, "job is dead"),
        Outcome::Retry => {
            tracing::info!(kind = J::KIND, id = %lease.id, reason, attempt = lease.attempts + 1, "job will be retried")
        }
        _ => tracing::debug!(kind = J::KIND, id = %lease.id, reason, "job put off"),
    }
    lease.end(outcome, delay, Some(&reason));
    Err(reason.into())
}

/// A random number, evenly spread.
pub(super) fn dice() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
