//! Runs registered kinds: one apalis worker each, on the runtime of the caller, until told to stop.

use super::backend::KindBackend;
use super::handle::Queue;
use super::service::JobService;
use crate::job::Job;
use apalis_core::error::WorkerError;
use apalis_core::worker::Worker;
use apalis_core::worker::context::WorkerContext;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::layer::util::Identity;

type Kind<C> = Box<dyn FnOnce(Queue, Arc<C>, CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// The kinds that this process runs, and what they may use.
pub struct Runner<C> {
    queue: Queue,
    context: Arc<C>,
    kinds: Vec<Kind<C>>,
    patience: Duration,
}

impl<C: Send + Sync + 'static> Runner<C> {
    /// A runner without kinds.
    pub fn new(queue: Queue, context: impl Into<Arc<C>>) -> Self {
        Self { queue, context: context.into(), kinds: Vec::new(), patience: Duration::from_secs(30) }
    }

    /// Runs jobs of this kind here.
    #[must_use]
    pub fn register<J: Job<C>>(self) -> Self {
        self.register_with::<J>(J::POLICY.concurrency)
    }

    /// Runs jobs of this kind here, so many at the same time.
    #[must_use]
    pub fn register_with<J: Job<C>>(mut self, concurrency: usize) -> Self {
        self.kinds.push(Box::new(move |queue, context, shutdown| work::<C, J>(queue, context, concurrency, shutdown).boxed()));
        self
    }

    /// How long a stop waits for running jobs (30 s if not set); then they are interrupted and given back.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs until `shutdown`: then claims nothing more, gives back without an attempt what has not started, waits for what runs, writes the
    /// outcomes, takes this process off the list and returns. The queue is stopped then.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut workers = JoinSet::new();
        for kind in self.kinds {
            workers.spawn(kind(self.queue.clone(), self.context.clone(), shutdown.clone()));
        }
        shutdown.cancelled().await;
        self.queue.shared.stop_claiming();
        let stopped = tokio::time::timeout(self.patience, async { while workers.join_next().await.is_some() {} }).await;
        if stopped.is_err() {
            tracing::warn!("jobs still run after {:?}: interrupted", self.patience);
            workers.shutdown().await;
        }
        self.queue.stop().await;
    }
}

/// One kind's worker, started again should it ever end by itself.
async fn work<C: Send + Sync + 'static, J: Job<C>>(
    queue: Queue,
    context: Arc<C>,
    concurrency: usize,
    shutdown: CancellationToken,
) {
    let buffer = queue.shared.register(J::KIND, concurrency);
    while !shutdown.is_cancelled() {
        let worker = Worker::<Vec<u8>, _, _, _>::new(
            WorkerContext::new(&format!("{}/{}", queue.name(), J::KIND)),
            KindBackend::open(buffer.clone()),
            JobService::<C, J>::new(context.clone(), queue.shared.clone()),
            Identity::new(),
        );
        let stop = shutdown.clone();
        let signal = async move {
            stop.cancelled().await;
            Ok::<(), WorkerError>(())
        };
        let ended = worker.run_until(signal).await;
        if !shutdown.is_cancelled() {
            tracing::error!(kind = J::KIND, ?ended, "worker ended by itself, starts again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
