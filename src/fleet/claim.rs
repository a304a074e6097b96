//! Claims: the process' exclusive rights to use authorization keys. A claim is an advisory lock, held by one dedicated connection
//! (`lock_session`, on a thread of its own), and a lease row.

use super::held::{Held, Standing};
use super::lock_session::{LockSession, Request};
use super::takeover::FENCE;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tuberry_domain::Secret;
use tuberry_domain::ports::{Claim, ClaimError, KeyClaims, KeyClass, Lease, Reuse};
use tuberry_storage::leases::Room;

/// How often leases are looked at for being too old.
const FENCE_CHECK: Duration = Duration::from_millis(200);

/// Claims cannot be made over this database connection.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Advisory locks belong to a session, and a transaction pooler shares sessions.
    #[error("DATABASE_DIRECT_URL leads through a transaction pooler: it must lead straight to PostgreSQL")]
    Pooler,
    /// PostgreSQL cannot be reached.
    #[error(transparent)]
    Database(#[from] tuberry_storage::Error),
    /// No thread could be started.
    #[error("no thread for the locks: {0}")]
    Thread(#[from] std::io::Error),
}

/// Results of a claim of several objects, one for each.
pub type ClaimResults = Vec<(i32, Result<Claim, ClaimError>)>;

/// This process' claims. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Claims {
    held: Arc<Held>,
    requests: mpsc::UnboundedSender<Request>,
}

impl Claims {
    /// Starts the thread with the lock's connection to `url`, which must lead straight to PostgreSQL. `room`: what this process
    /// takes on as a worker; `None`: it is none.
    pub async fn start(url: Secret<String>, room: Option<Room>) -> Result<Self, Unfit> {
        let host: String = host_name().chars().filter(char::is_ascii_graphic).take(20).collect();
        // At most 63 bytes, so that it fits into application_name.
        let held = Arc::new(Held::new(format!("{host}-{}-{}", std::process::id(), ulid::Ulid::new())));
        let (requests, inbox) = mpsc::unbounded_channel();
        let session = LockSession::new(url, host, room, held.clone(), inbox);
        if session.dial.leads_through_a_pooler().await? {
            return Err(Unfit::Pooler);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("claims".into()).spawn({
            let held = held.clone();
            move || {
                runtime.spawn(async move {
                    loop {
                        tokio::time::sleep(FENCE_CHECK).await;
                        held.fence();
                    }
                });
                runtime.block_on(session.run());
            }
        })?;
        // The same from another thread: one that hangs with the locks must not keep its connections open.
        let watched = Arc::downgrade(&held);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FENCE_CHECK).await;
                match watched.upgrade() {
                    Some(held) => drop(held.fence()),
                    None => return,
                }
            }
        });
        Ok(Self { held, requests })
    }

    /// Name of this process as an owner, unique per start.
    pub fn name(&self) -> &str {
        self.held.owner()
    }

    /// Takes locks and leases for use beyond a job; they are held until they are given back or lost.
    pub async fn claim_all(&self, class: KeyClass, objects: Vec<i32>, reuse: Reuse) -> ClaimResults {
        self.request(class, objects, reuse, false).await
    }

    async fn request(&self, class: KeyClass, objects: Vec<i32>, reuse: Reuse, by_job: bool) -> ClaimResults {
        let (answer, answered) = oneshot::channel();
        let _ = self.requests.send(Request::Claim { class, objects: objects.clone(), reuse, by_job, answer });
        let results: ClaimResults = match answered.await {
            Ok(results) => results,
            Err(_) => {
                objects.into_iter().map(|object| (object, Err(ClaimError::Unavailable("claims have ended".into())))).collect()
            }
        };
        for (_, result) in &results {
            let result = match result {
                Ok(_) => "granted",
                Err(ClaimError::Busy { .. }) => "busy",
                Err(ClaimError::Unavailable(_)) => "unavailable",
            };
            metrics::counter!("tuberry_claims_total", "class" => class.label(), "result" => result).increment(1);
        }
        results
    }

    /// Shows to Prometheus how this process' leases stand now.
    pub fn show(&self) {
        let figures = self.held.figures();
        for class in KeyClass::ALL.map(KeyClass::label) {
            let held = figures.held.get(class).copied().unwrap_or_default();
            metrics::gauge!("tuberry_leases_held", "class" => class).set(held as f64);
        }
        metrics::gauge!("tuberry_leases_suspended").set(figures.suspended as f64);
        metrics::gauge!("tuberry_lease_renewal_age_seconds").set(figures.oldest_renewal);
    }

    /// Gives leases back whose connections are closed, each with the time for which its key must rest yet because Telegram may not have heard the
    /// close. One that cannot be written now is given back when PostgreSQL is there again.
    pub async fn give_back_all(&self, leases: Vec<(Lease, Duration)>) {
        if !leases.is_empty() {
            let (answer, answered) = oneshot::channel();
            let _ = self.requests.send(Request::GiveBack { leases, answer });
            let _ = answered.await;
        }
    }

    /// How a lease stands from now on. Connections must be closed while it is not in force.
    pub fn standing(&self, lease: &Lease) -> watch::Receiver<Standing> {
        self.held.watch(lease)
    }

    /// True while the connection to PostgreSQL holds every lease in force (for `/readyz`).
    pub fn all_in_force(&self) -> bool {
        self.held.fence() == 0
    }

    /// Ends being a worker: the others divide its accounts among themselves as they are given back.
    pub async fn leave(&self) {
        let (answer, answered) = oneshot::channel();
        let _ = self.requests.send(Request::Leave { answer });
        let _ = answered.await;
    }

    /// Gives back what is still held and ends the lock's connection. Every connection must be closed.
    pub async fn stop(&self) {
        let (answer, answered) = oneshot::channel();
        let _ = self.requests.send(Request::Stop { answer });
        let _ = tokio::time::timeout(FENCE, answered).await;
    }
}

fn host_name() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "host".into())
}

#[async_trait]
impl KeyClaims for Claims {
    async fn claim(&self, class: KeyClass, object: i32, reuse: Reuse) -> Result<Claim, ClaimError> {
        let results = self.request(class, vec![object], reuse, true).await;
        results.into_iter().next().map_or_else(|| Err(ClaimError::Unavailable("no answer".into())), |(_, result)| result)
    }

    async fn give_back(&self, lease: &Lease) {
        self.give_back_all(vec![(lease.clone(), Duration::ZERO)]).await;
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.held.in_force(lease)
    }
}
