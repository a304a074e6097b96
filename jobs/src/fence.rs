//! Work on the strength of a claim ends with the claim: a job that holds the right to a key keeps its connection open only while its lease is
//! renewed. Otherwise another process could be the key's second user, and Telegram would kill the key.

use crate::JobError;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tuberry_domain::ports::Lease;

/// How often the lease is looked at while the work waits for something.
const GLANCE: Duration = Duration::from_millis(200);

/// Runs `work` for as long as `may_go_on`: the lease is in force, or is not needed any more. That is asked before every step of the work
/// too, so that a process that was stopped for a while does nothing more on a right that it has lost meanwhile. Then the work is dropped,
/// its connection closes with it, and the job is to be run again.
pub(crate) async fn while_held<T>(
    lease: &Lease,
    may_go_on: impl Fn() -> bool,
    work: impl Future<Output = T>,
) -> Result<T, JobError> {
    let mut glance = interval(GLANCE);
    glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lost = poll_fn(|cx| {
        loop {
            if !may_go_on() {
                return Poll::Ready(());
            }
            if glance.poll_tick(cx).is_pending() {
                return Poll::Pending;
            }
        }
    });
    tokio::select! {
        biased;
        () = lost => {
            tracing::warn!(class = ?lease.class, object = lease.object, "claim not renewed in time: connection closed");
            Err(JobError::retry("the claim was not renewed in time"))
        }
        done = work => Ok(done),
    }
}
