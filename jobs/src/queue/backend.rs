//! apalis' `Backend` of one kind. It never errs and never ends by itself: trouble with the database is the engine's business.

use super::buffer::KindBuffer;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::layer::util::Identity;

/// Feeds one apalis worker from the engine's buffer of its kind.
#[derive(Debug)]
pub(super) struct KindBackend(Arc<KindBuffer>);

impl KindBackend {
    pub(super) fn open(buffer: Arc<KindBuffer>) -> Self {
        buffer.open();
        Self(buffer)
    }
}

impl Drop for KindBackend {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Backend for KindBackend {
    type Task = Task<Vec<u8>>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        self.0.poll_take(cx.waker()).map(|task| Some(Ok(task)))
    }

    /// Gives back what has not started. The runner waits for the acknowledgements of all kinds together.
    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        self.0.close();
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for KindBackend {
    type Args = Vec<u8>;
    type Id = TaskId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
