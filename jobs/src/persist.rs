//! What Telegram has just told is known in this process only: it is stored for as long as that takes.

use crate::{Backoff, JobError};
use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Between two attempts.
const PAUSES: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_millis(500) };

/// The longest outage that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is being stored by this process.
static STORING: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// Waits, before the process ends, until all is stored: for that long at most.
pub async fn all_stored(patience: Duration) {
    STORING.close();
    if timeout(patience, STORING.wait()).await.is_err() {
        tracing::warn!(left = STORING.len(), "what Telegram has done is not stored: it may be done again");
    }
}

/// Stores it, again and again while the database is away; `store` must be harmless when repeated. A run that is over before leaves it behind, still
/// trying: without it the next run would do again what Telegram has done.
pub(crate) async fn persist<T, F>(store: impl Fn() -> F + Send + 'static) -> Result<T, JobError>
where
    T: Send + 'static,
    F: Future<Output = tuberry_storage::Result<T>> + Send + 'static,
{
    let storing = async move {
        let (began, mut failures) = (Instant::now(), 0);
        loop {
            let error = match store().await {
                Err(error) if began.elapsed() < PATIENCE => error,
                stored => return stored,
            };
            failures += 1;
            tracing::warn!(%error, failures, "what Telegram has done is not stored yet");
            sleep(PAUSES.ceiling(failures)).await;
        }
    };
    Ok(STORING.spawn(storing.in_current_span()).await.map_err(JobError::retry)??)
}
