//! What Prometheus sees (docs/operations.md lists it). Handlers and calls count as they go, each with an atomic; what is known anyhow – the
//! queue's counters, leases, the pool, the cluster's jobs – is looked up when somebody scrapes, none of it by reading through a table.

use crate::fleet::Claims;
use chrono::Utc;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{interval, timeout};
use tuberry_domain::ports::KeyClass;
use tuberry_jobs::queue::{self, Queue, census, lag};
use tuberry_storage::{Result, Store, sync};

/// Between two times that the samples of histograms are added up, whoever scrapes or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long a scrape waits for the database.
const PATIENCE: Duration = Duration::from_secs(3);

/// Calls and runs, in seconds.
const SHORT: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// What may wait for a flood wait, a worker or a person.
const LONG: [f64; 16] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0];
const ATTEMPTS: [f64; 8] = [1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// The recorder of this process. Install it before anything counts.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

impl Recorder {
    /// From now on this process counts. Once per process, on its runtime.
    ///
    /// # Errors
    /// When there is one already.
    pub fn install() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SHORT)?
            .set_buckets_for_metric(Matcher::Full("tuberry_job_wait_seconds".into()), &LONG)?
            .set_buckets_for_metric(Matcher::Full("tuberry_message_seconds".into()), &LONG)?
            .set_buckets_for_metric(Matcher::Full("tuberry_job_attempts".into()), &ATTEMPTS)?;
        let handle = builder.install_recorder()?;
        describe();
        gauge!("tuberry_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
        let upkeep = handle.clone();
        tokio::spawn(async move {
            let mut times = interval(UPKEEP);
            loop {
                times.tick().await;
                upkeep.run_upkeep();
            }
        });
        Ok(Self(handle))
    }
}

/// What a scrape looks at. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    recorder: Recorder,
    store: Store,
    worker: Option<(Queue, Claims)>,
    /// Kinds that were shown: one that is gone shows zeroes.
    kinds: Arc<Mutex<BTreeSet<String>>>,
}

impl Metrics {
    /// Of a process that has this database and, where it is a worker, this queue and these claims.
    pub fn new(recorder: Recorder, store: Store, worker: Option<(Queue, Claims)>) -> Self {
        Self { recorder, store, worker, kinds: Arc::default() }
    }

    /// Everything in Prometheus' text format.
    pub async fn render(&self) -> String {
        if let Some((queue, claims)) = &self.worker {
            queue.show();
            claims.show();
        }
        let pool = self.store.pool();
        let (all, idle) = (pool.size(), u32::try_from(pool.num_idle()).unwrap_or_default());
        gauge!("tuberry_pool_connections", "state" => "idle").set(idle);
        gauge!("tuberry_pool_connections", "state" => "busy").set(all.saturating_sub(idle));
        gauge!("tuberry_pool_connections_max").set(pool.options().get_max_connections());
        let answered = matches!(timeout(PATIENCE, self.show_cluster()).await, Ok(Ok(())));
        gauge!("tuberry_database_up").set(u32::from(answered));
        self.recorder.0.render()
    }

    /// The cluster's jobs: the same from every process.
    async fn show_cluster(&self) -> Result<()> {
        let (census, lags) = (census::last(self.store.pool()).await?, lag::lags(self.store.pool()).await?);
        let mut gone = {
            let mut known = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend(lags.iter().map(|lag| lag.kind.clone()));
            known.extend(census.iter().flat_map(|census| &census.kinds).map(|kind| kind.kind.clone()));
            known.clone()
        };
        for kind in &gone {
            let lag = lags.iter().find(|lag| lag.kind == *kind);
            let seconds = lag.and_then(|lag| (Utc::now() - lag.since).to_std().ok()).unwrap_or_default();
            gauge!("tuberry_job_oldest_ready_seconds", "kind" => kind.clone()).set(seconds);
        }
        if let Some(finished) = sync::last_finished(self.store.pool()).await? {
            gauge!("tuberry_sync_finished_timestamp_seconds").set(finished.timestamp() as f64);
        }
        let Some(census) = census else { return Ok(()) };
        gauge!("tuberry_jobs_counted_timestamp_seconds").set(census.counted_at.timestamp() as f64);
        for kind in census.kinds {
            gone.remove(&kind.kind);
            show_kind(&kind.kind, [kind.ready, kind.held, kind.scheduled, kind.running, kind.dead]);
            gauge!("tuberry_job_kind_paused", "kind" => kind.kind.clone()).set(u32::from(kind.paused));
            gauge!("tuberry_job_kind_known", "kind" => kind.kind).set(u32::from(kind.known));
        }
        for kind in gone {
            show_kind(&kind, [0; 5]);
            gauge!("tuberry_job_kind_paused", "kind" => kind).set(0);
        }
        Ok(())
    }
}

fn show_kind(kind: &str, numbers: [u64; 5]) {
    for (state, number) in ["ready", "held", "scheduled", "running", "dead"].into_iter().zip(numbers) {
        gauge!("tuberry_jobs", "kind" => kind.to_owned(), "state" => state).set(number as f64);
    }
}

/// What the task bridge shows, in workers that have a `REDIS_URL`.
pub const BRIDGE: [(&str, &str); 9] = [
    ("tuberry_bridge_connected", "Whether Redis is connected"),
    ("tuberry_bridge_consuming", "Whether this worker is the one that takes elements over"),
    ("tuberry_bridge_backlog", "Elements in tuberry:personal:tasks"),
    ("tuberry_bridge_taken_total", "Elements taken from the list"),
    ("tuberry_bridge_done_total", "Elements that became jobs"),
    ("tuberry_bridge_dead_total", "Elements that cannot be used, by reason"),
    ("tuberry_bridge_recovered_total", "Elements of a consumer that died, taken up again"),
    ("tuberry_bridge_events_published_total", "Status changes told to Redis"),
    ("tuberry_bridge_events_dropped_total", "Status changes that Redis was not told"),
];

fn describe() {
    for (name, help) in BRIDGE {
        if name.ends_with("_total") {
            describe_counter!(name, help);
        } else {
            describe_gauge!(name, help);
        }
    }
    queue::meters::describe();
    tuberry_jobs::meters::describe();
    tuberry_telegram::describe_metrics();
    describe_gauge!("tuberry_build_info", "This version");
    describe_gauge!("tuberry_database_up", "Whether the database answered this scrape");
    describe_gauge!("tuberry_pool_connections", "Connections of this process' pool");
    describe_gauge!("tuberry_pool_connections_max", "Connections that the pool may have");
    describe_gauge!("tuberry_jobs", "Live and dead jobs of the whole cluster when they were last counted");
    describe_gauge!("tuberry_jobs_counted_timestamp_seconds", Unit::Seconds, "When the jobs were last counted");
    describe_gauge!("tuberry_sync_finished_timestamp_seconds", Unit::Seconds, "When sync-accounts last ran to its end");
    describe_gauge!("tuberry_job_oldest_ready_seconds", Unit::Seconds, "How long a kind's oldest job has been able to start");
    describe_gauge!("tuberry_job_kind_paused", "Whether the kind is paused");
    describe_gauge!("tuberry_job_kind_known", "Whether a living process runs the kind");
    describe_gauge!("tuberry_accounts_owned", "Accounts that this worker owns");
    describe_gauge!("tuberry_accounts_connected", "Those of them whose connection is up");
    describe_gauge!("tuberry_accounts_capacity", "Accounts that this worker takes on");
    describe_gauge!("tuberry_cluster_accounts_without_room", "Accounts that no worker has room for");
    describe_counter!("tuberry_claims_total", "Claims of keys, by class and result");
    describe_counter!("tuberry_leases_lost_total", "Leases that another process took over");
    describe_gauge!("tuberry_leases_held", "Leases of this process");
    describe_gauge!("tuberry_leases_suspended", "Leases that were not renewed in time");
    describe_gauge!("tuberry_lease_renewal_age_seconds", Unit::Seconds, "Since the oldest renewal among the leases");
    describe_counter!("tuberry_http_requests_total", "Requests by method, route and status");
    describe_histogram!("tuberry_http_request_seconds", Unit::Seconds, "Time of a request");
    // Shown from the start, so that the first one is a rise.
    counter!("tuberry_retention_rows_total").absolute(0);
    for class in KeyClass::ALL {
        counter!("tuberry_leases_lost_total", "class" => class.label()).absolute(0);
    }
    tuberry_jobs::meters::begin();
}
