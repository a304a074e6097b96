//! Keeps the accounts of this worker connected: compares what should run with what runs, every second and whenever something was
//! announced, and starts or stops connections. It holds no truth of its own.

use super::claim::Claims;
use super::connection::{Connection, Surroundings};
use super::links::Links;
use super::share::{self, View};
use super::takeover::SILENT;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tuberry_domain::account::Accepts;
use tuberry_domain::ports::{KeyClass, Lease, Reuse};
use tuberry_domain::{AccountId, Sealer, Secret};
use tuberry_storage::leases::Room;
use tuberry_storage::workers::{self, Served, Worker};
use tuberry_storage::{Result, Store, connections};
use tuberry_telegram::Network;

/// Between two looks when nothing is announced.
const TICK: Duration = Duration::from_secs(1);
/// Announcements within this time are one.
const GATHER: Duration = Duration::from_millis(20);
/// Between two notes of `last_connected_at`.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// A connection whose task broke is closed by being dropped; that is not seen, so its key rests for so long.
const UNSEEN_CLOSE: Duration = Duration::from_secs(3);

/// What a fleet is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// `DATABASE_DIRECT_URL`, to hear announcements.
    pub direct_url: Secret<String>,
    /// This process' claims.
    pub claims: Claims,
    /// The connections as jobs use them.
    pub links: Links,
    /// Telegram.
    pub network: Arc<Network>,
    /// Opens the sessions.
    pub sealer: Arc<Sealer>,
    /// What this worker takes on.
    pub room: Room,
}

/// How the fleet is seen from this worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// Accounts that this worker owns.
    pub owned: usize,
    /// Those of them whose connection is up.
    pub connected: usize,
    /// Accounts of the whole cluster that no worker has room for.
    pub without_room: usize,
    /// What this worker takes on.
    pub room: Room,
}

/// The running supervisor.
pub struct Fleet {
    stop_claiming: CancellationToken,
    stop: CancellationToken,
    census: watch::Receiver<Census>,
    tasks: (JoinHandle<()>, JoinHandle<()>),
}

impl Fleet {
    /// Starts to serve this worker's share of the accounts.
    pub fn start(parts: Parts) -> Self {
        let (stop_claiming, stop, announced) = (CancellationToken::new(), CancellationToken::new(), Arc::new(Notify::new()));
        let (publish, census) = watch::channel(Census { owned: 0, connected: 0, without_room: 0, room: parts.room });
        let me = Worker {
            name: parts.claims.name().to_owned(),
            capacity: parts.room.capacity,
            weight: parts.room.weight,
            started_at: Utc::now(),
        };
        let around = Surroundings {
            store: parts.store,
            claims: parts.claims,
            links: parts.links,
            network: parts.network,
            sealer: parts.sealer,
        };
        let supervisor = Supervisor {
            around,
            me,
            running: BTreeMap::new(),
            taken: 0,
            tasks: JoinSet::new(),
            stop_claiming: stop_claiming.clone(),
            stop: stop.clone(),
            announced: announced.clone(),
            census: publish,
        };
        let tasks = (tokio::spawn(supervisor.run()), tokio::spawn(listen(parts.direct_url, announced)));
        Self { stop_claiming, stop, census, tasks }
    }

    /// What this worker serves, from now on.
    pub fn census(&self) -> watch::Receiver<Census> {
        self.census.clone()
    }

    /// Takes no further accounts; those that are connected stay so.
    pub fn stop_claiming(&self) {
        self.stop_claiming.cancel();
    }

    /// Closes all connections, sees the closes, and gives the leases back.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.1.abort();
        if let Err(error) = self.tasks.0.await {
            tracing::error!(%error, "the fleet's supervisor ended badly");
        }
    }
}

/// Wakes the supervisor when something is announced.
async fn listen(url: Secret<String>, announced: Arc<Notify>) {
    loop {
        match workers::listen(url.expose()).await {
            Ok(mut listener) => {
                announced.notify_one();
                while listener.recv().await.is_ok() {
                    announced.notify_one();
                }
            }
            Err(error) => tracing::debug!(%error, "announcements are not heard"),
        }
        sleep(TICK).await;
    }
}

/// A connection's task as the supervisor knows it.
struct Running {
    /// Counts what was taken: the latest has the highest.
    number: u64,
    stop: CancellationToken,
    session_from: DateTime<Utc>,
    accepts: Arc<Mutex<Accepts>>,
}

struct Supervisor {
    around: Surroundings,
    me: Worker,
    running: BTreeMap<AccountId, Running>,
    /// How many accounts were taken since the start.
    taken: u64,
    /// Each ends when its connection is closed and its lease given back.
    tasks: JoinSet<AccountId>,
    stop_claiming: CancellationToken,
    stop: CancellationToken,
    announced: Arc<Notify>,
    census: watch::Sender<Census>,
}

impl Supervisor {
    async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(ended) = self.tasks.join_next() => {
                    self.forget(ended);
                    continue;
                }
                () = self.announced.notified() => sleep(GATHER).await,
                _ = tick.tick() => {}
            }
            if let Err(error) = self.reconcile().await {
                tracing::debug!(%error, "accounts not looked at");
            }
        }
        self.running.values().for_each(|running| running.stop.cancel());
        while let Some(ended) = self.tasks.join_next().await {
            self.forget(ended);
        }
    }

    fn forget(&mut self, ended: std::result::Result<AccountId, tokio::task::JoinError>) {
        match ended {
            Ok(account) => drop(self.running.remove(&account)),
            Err(error) => tracing::error!(%error, "an account's task was lost"),
        }
    }

    async fn reconcile(&mut self) -> Result<()> {
        let store = &self.around.store.clone();
        let (workers, served) = (workers::list(store, SILENT).await?, workers::served(store, SILENT).await?);
        self.stop_what_changed(&served);
        connections::mark_alive(store, &self.around.links.proofs_of_life(NOTE_EVERY)).await?;
        let mut mine: Vec<AccountId> = self.running.keys().copied().collect();
        mine.sort_unstable_by_key(|account| self.running[account].number);
        let plan = share::plan(View { me: &self.me, workers: &workers, served: &served, mine: &mine });
        self.publish(mine.len(), plan.without_room);
        if self.stop_claiming.is_cancelled() {
            return Ok(());
        }
        for account in plan.give_back {
            if let Some(running) = self.running.get(&account) {
                running.stop.cancel();
            }
        }
        if !plan.claim.is_empty() {
            let wanted: Vec<i32> = plan.claim.iter().map(|account| account.0).collect();
            let results = self.around.claims.claim_all(KeyClass::Account, wanted, Reuse::Required).await;
            let granted = results.into_iter().filter_map(|(_, result)| result.ok()).map(|claim| claim.lease);
            let by_id: BTreeMap<i32, &Served> = served.iter().map(|served| (served.account.0, served)).collect();
            for lease in granted {
                if let Some(served) = by_id.get(&lease.object) {
                    self.serve(served, lease);
                }
            }
        }
        Ok(())
    }

    fn publish(&self, owned: usize, without_room: usize) {
        let connected = self.around.links.connected().len();
        let room = self.census.borrow().room;
        self.census.send_replace(Census { owned, connected, without_room, room });
        let gauge = |name: &'static str, value: usize| metrics::gauge!(name).set(value as f64);
        gauge("tuberry_accounts_owned", owned);
        gauge("tuberry_accounts_connected", connected);
        gauge("tuberry_accounts_capacity", room.capacity as usize);
        gauge("tuberry_cluster_accounts_without_room", without_room);
    }

    /// Stops connections of accounts that are gone or have a new session; passes on what they accept now.
    fn stop_what_changed(&mut self, served: &[Served]) {
        let served: BTreeMap<AccountId, &Served> = served.iter().map(|served| (served.account, served)).collect();
        for (account, running) in &self.running {
            match served.get(account).filter(|served| served.session_from == running.session_from) {
                Some(served) => *running.accepts.lock().unwrap_or_else(PoisonError::into_inner) = served.accepts,
                None => running.stop.cancel(),
            }
        }
    }

    fn serve(&mut self, served: &Served, lease: Lease) {
        let (account, stop, accepts) = (served.account, CancellationToken::new(), Arc::new(Mutex::new(served.accepts)));
        self.taken += 1;
        let running =
            Running { number: self.taken, stop: stop.clone(), session_from: served.session_from, accepts: accepts.clone() };
        let session_from = served.session_from;
        let connection = Connection { around: self.around.clone(), account, lease: lease.clone(), session_from, accepts, stop };
        let (claims, links) = (self.around.claims.clone(), self.around.links.clone());
        self.running.insert(account, running);
        self.tasks.spawn(async move {
            let rest = match tokio::spawn(connection.run()).await {
                Ok(rest) => rest,
                Err(error) => {
                    tracing::error!(account = account.0, %error, "an account's connection broke");
                    links.remove(account);
                    sleep(UNSEEN_CLOSE).await;
                    Duration::ZERO
                }
            };
            claims.give_back_all(vec![(lease, rest)]).await;
            account
        });
    }
}
