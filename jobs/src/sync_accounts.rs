//! `sync-accounts`: the cluster's tick. Repairs what nobody else notices: logins past their time, replies without an owner, rows past their use.

use crate::account_ended::fail_waiting_replies;
use crate::context::Context;
use crate::meters::{self, Direction};
use crate::post_notice::{Notice, PostNotice};
use crate::queue::{self, census};
use crate::send_reply::{SendReply, announce_failure};
use crate::{Job, JobError, Policy, Unique, enqueue, old_sessions, retention};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use tuberry_domain::MessageId;
use tuberry_storage::{Store, leases, logins, replies, sync, workers};

/// Time between two ticks.
pub const INTERVAL: Duration = Duration::from_secs(15);

/// A worker that has not been heard of for so long is forgotten. Long after its leases could matter to anybody.
const SILENT_WORKER: Duration = Duration::from_secs(600);

/// How long an account may wait for a worker before its owner is told. Longer than any takeover.
const WORKER_PATIENCE: Duration = Duration::from_secs(120);

const WITHOUT_ROOM: &str =
    "Аккаунту не хватило места на рабочих процессах: администратору нужно запустить ещё один или увеличить WORKER_MAX_ACCOUNTS";

/// A lease that was given back so long ago, of something that is no more, is forgotten.
const SPENT_LEASE: Duration = Duration::from_secs(86_400);

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncAccounts {
    /// Number of the interval since 1970.
    pub tick: i64,
}

impl SyncAccounts {
    /// Enqueues the current tick, unless some process did already. Every worker calls it in every interval.
    pub async fn enqueue_tick(store: &Store) -> tuberry_storage::Result<()> {
        let mut tx = store.begin().await?;
        if let Some(tick) = sync::take_tick(&mut tx, INTERVAL).await? {
            enqueue(&mut tx, &Self { tick }).await?;
        }
        tx.commit().await
    }
}

impl Job<Context> for SyncAccounts {
    const KIND: &'static str = "sync-accounts";
    const POLICY: Policy = Policy { max_attempts: Some(1), concurrency: 1, ..Policy::DEFAULT };

    fn unique_key(&self) -> Option<Unique> {
        Some(Unique::WhileLive("tick".to_owned()))
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let pool = cx.store.pool();
        old_sessions::take_over(&cx.store, &cx.sealer).await?;
        logins::expire_overdue(pool).await?;
        fail_orphaned(&cx.store).await?;
        fail_abandoned(&cx.store).await?;
        announce_stranded(&cx.store).await?;
        workers::tell_without_room(&cx.store, workers::SILENT, WORKER_PATIENCE, WITHOUT_ROOM).await?;
        workers::forget_silent(&cx.store, SILENT_WORKER).await?;
        leases::forget_finished(&cx.store, SPENT_LEASE).await?;
        if let Err(error) = census::take(pool, queue::LEASE).await {
            tracing::warn!(%error, "jobs not counted for Prometheus");
        }
        let gone = retention::sweep(&cx.store, &cx.retention, INTERVAL / 3).await?;
        metrics::counter!("tuberry_retention_rows_total").increment(gone);
        sync::finished(pool).await?;
        Ok(())
    }
}

/// Replies that slipped past the end of their account.
async fn fail_orphaned(store: &Store) -> tuberry_storage::Result<()> {
    for (account, reason) in replies::orphans(store.pool()).await? {
        let mut tx = store.begin().await?;
        fail_waiting_replies(&mut tx, account, &reason).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Replies whose job was cancelled or deleted, or ran out of time: nobody sends them any more.
async fn fail_abandoned(store: &Store) -> Result<(), JobError> {
    const BATCH: i64 = 2000;
    let waiting = replies::waiting_long(store.pool(), BATCH).await?;
    let keys: BTreeSet<String> = waiting.iter().map(|(_, dialog)| SendReply::key(*dialog)).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let live = queue::control::live_payloads(store.pool(), <SendReply as Job<Context>>::KIND, &keys).await?;
    let live: BTreeSet<MessageId> =
        live.iter().filter_map(|payload| serde_json::from_slice::<SendReply>(payload).ok()).map(|job| job.message).collect();
    let abandoned: Vec<MessageId> =
        waiting.into_iter().map(|(message, _)| message).filter(|message| !live.contains(message)).collect();
    if abandoned.is_empty() {
        return Ok(());
    }
    let mut tx = store.begin().await?;
    let failed = replies::abandon(&mut tx, &abandoned).await?;
    for &message in &failed {
        announce_failure(&mut tx, message).await?;
    }
    tx.commit().await?;
    meters::failed(Direction::Out, failed.len());
    Ok(())
}

async fn announce_stranded(store: &Store) -> tuberry_storage::Result<()> {
    let mut tx = store.begin().await?;
    for message in replies::announce_stranded(&mut tx).await? {
        enqueue(&mut tx, &PostNotice { message, notice: Notice::Waiting }).await?;
    }
    tx.commit().await
}
