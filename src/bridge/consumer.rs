//! Takes the elements over: one process in the cluster at a time, by a lease of its own class. A batch is moved to the process' list, committed in
//! PostgreSQL under the lease, and removed. Whatever fails ends the session; the next one, here or elsewhere, begins by putting back what was taken.

use super::lists::{Element, Lists, StepError};
use super::{BACKOFF, LinkError, dead_letter};
use crate::fleet::{Claims, not_in_force};
use metrics::{counter, gauge};
use redis::Client;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tuberry_domain::personal_task::{Refusal, SendTask, Unreadable};
use tuberry_domain::ports::{KeyClass, Lease, Reuse};
use tuberry_jobs::personal_tasks;
use tuberry_storage::Store;

/// The bridge's object in its class: there is one bridge.
const OBJECT: i32 = 1;
/// Between two attempts to become the one that takes.
const CLAIM: Duration = Duration::from_secs(1);
/// Between two looks into an empty list.
const IDLE: Duration = Duration::from_millis(100);
/// Between two looks at how long the list is.
const MEASURE: Duration = Duration::from_secs(5);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Storage(#[from] tuberry_storage::Error),
    #[error("the lease is not in force any more")]
    Lease,
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        Self::Step(error.into())
    }
}

/// The bridge as one worker runs it.
pub struct Bridge {
    /// Redis.
    pub client: Client,
    /// The database.
    pub store: Store,
    /// This process' claims.
    pub claims: Claims,
}

impl Bridge {
    /// Runs until `stop`: the batch in hand is finished then, or left for the next worker.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        show_away();
        while !stop.is_cancelled() {
            let mut worked = false;
            let ended = self.session(&stop, &mut worked).await;
            show_away();
            let Err(error) = ended else { continue };
            failures = if worked { 1 } else { failures + 1 };
            if failures == 1 {
                tracing::warn!(%error, "the bridge's session ended, another will begin");
            } else {
                tracing::debug!(%error, failures, "the bridge's session ended");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(BACKOFF.ceiling(failures)) => {}
            }
        }
    }

    /// Connects, waits for the lease, and takes elements until `stop` or a failure. `worked`: it got so far as to find nothing left to do.
    async fn session(&self, stop: &CancellationToken, worked: &mut bool) -> Result<(), End> {
        let opened = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            opened = Lists::open(&self.client, self.claims.name()) => opened,
        };
        let mut lists = opened?;
        gauge!("tuberry_bridge_connected").set(1);
        let Some(lease) = self.claim(&mut lists, stop).await? else { return Ok(()) };
        let standing = self.claims.standing(&lease);
        let ended = tokio::select! {
            biased;
            () = not_in_force(standing) => Err(End::Lease),
            ended = self.consume(&mut lists, &lease, stop, worked) => ended,
        };
        self.claims.give_back_all(vec![(lease, Duration::ZERO)]).await;
        ended
    }

    /// Waits for the lease. `None`: told to stop.
    async fn claim(&self, lists: &mut Lists, stop: &CancellationToken) -> Result<Option<Lease>, End> {
        loop {
            let claims = self.claims.claim_all(KeyClass::Bridge, vec![OBJECT], Reuse::Optional).await;
            if let Some(claim) = claims.into_iter().find_map(|(_, claim)| claim.ok()) {
                return Ok(Some(claim.lease));
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = sleep(CLAIM) => lists.ping().await?,
            }
        }
    }

    async fn consume(&self, lists: &mut Lists, lease: &Lease, stop: &CancellationToken, worked: &mut bool) -> Result<(), End> {
        let recovered = lists.take_over().await?;
        tracing::info!(recovered, "this process takes the bridge's elements");
        gauge!("tuberry_bridge_consuming").set(1);
        counter!("tuberry_bridge_recovered_total").increment(recovered);
        let mut measured: Option<Instant> = None;
        while !stop.is_cancelled() {
            if measured.is_none_or(|at| at.elapsed() >= MEASURE) {
                gauge!("tuberry_bridge_backlog").set(lists.backlog().await? as f64);
                measured = Some(Instant::now());
            }
            let elements = lists.take().await?;
            if elements.is_empty() {
                *worked = true;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(IDLE) => {}
                }
                continue;
            }
            self.carry_out(lists, lease, &elements).await?;
        }
        Ok(())
    }

    /// Commits a batch, then removes it.
    async fn carry_out(&self, lists: &mut Lists, lease: &Lease, elements: &[Element]) -> Result<(), End> {
        counter!("tuberry_bridge_taken_total").increment(elements.len() as u64);
        let tasks: Vec<_> = elements.iter().map(read).collect();
        let refusals = personal_tasks::accept(&self.store, lease, &tasks).await?;
        let mut dead = Vec::new();
        for ((element, task), refusal) in elements.iter().zip(&tasks).zip(refusals) {
            let Some(refusal) = refusal else { continue };
            let message = task.as_ref().map_or_else(|unreadable| unreadable.message, |task| Some(task.message));
            tracing::warn!(reason = refusal.code(), message = message.map(|message| message.0), "element refused");
            counter!("tuberry_bridge_dead_total", "reason" => refusal.code()).increment(1);
            dead.push(dead_letter::letter(element, refusal, message));
        }
        lists.finish(elements.len(), &dead).await?;
        counter!("tuberry_bridge_done_total").increment((elements.len() - dead.len()) as u64);
        Ok(())
    }
}

/// What Prometheus sees of a worker without a session, also before its first: that nobody consumes is a 0, not a gap.
fn show_away() {
    for name in ["tuberry_bridge_connected", "tuberry_bridge_consuming", "tuberry_bridge_backlog"] {
        gauge!(name).set(0);
    }
}

fn read(element: &Element) -> Result<SendTask, Unreadable> {
    if element.too_large() {
        return Err(Unreadable { refusal: Refusal::TooLarge, message: None });
    }
    SendTask::parse(&element.bytes)
}
