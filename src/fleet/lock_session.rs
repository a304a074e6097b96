//! The connection that holds the advisory locks: renews the leases, takes new ones (`taking`), comes back when it is lost (`dial`).
//! It runs alone on its thread, so that nothing else can delay a renewal.

use super::boot_clock;
use super::claim::ClaimResults;
use super::dial::{Dial, in_time};
use super::held::Held;
use super::takeover::RENEWAL;
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tuberry_domain::Secret;
use tuberry_domain::ports::{ClaimError, KeyClass, Lease, Reuse};
use tuberry_storage::leases::Room;
use tuberry_storage::{Error, Result, leases, workers};

/// Between two attempts to get the lock of a lease of ours that somebody holds, and to connect.
pub(super) const RETRY: Duration = Duration::from_millis(250);
/// A lock that a taker waits with is let go when nobody asked for it for so long.
const INTEREST: Duration = Duration::from_secs(5);
/// What the rest of the process wants.
#[derive(Debug)]
pub(super) enum Request {
    Claim { class: KeyClass, objects: Vec<i32>, reuse: Reuse, by_job: bool, answer: oneshot::Sender<ClaimResults> },
    GiveBack { leases: Vec<(Lease, Duration)>, answer: oneshot::Sender<()> },
    Leave { answer: oneshot::Sender<()> },
    Stop { answer: oneshot::Sender<()> },
}

/// Why a session ended.
enum End {
    Broken(Error),
    Stopped,
}

/// One connection's life.
pub(super) struct Session {
    pub conn: PgConnection,
    pub opened: Duration,
    /// Locks held for leases that are not ours yet, and when somebody last asked for them.
    pub waiting: HashMap<(KeyClass, i32), Duration>,
}

/// The keeper of the locks.
pub(super) struct LockSession {
    pub(super) dial: Dial,
    host: String,
    room: Option<Room>,
    pub(super) held: Arc<Held>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// Leases to be given back when PostgreSQL is there again, and until when their keys rest.
    later: Vec<(Lease, Duration)>,
}

fn by_class(leases: impl IntoIterator<Item = Lease>) -> HashMap<KeyClass, Vec<i32>> {
    let mut classes: HashMap<KeyClass, Vec<i32>> = HashMap::new();
    leases.into_iter().for_each(|lease| classes.entry(lease.class).or_default().push(lease.object));
    classes
}

/// Remembers what could not be given back yet, and until when each key rests.
fn keep_for_later(held: &Held, later: &mut Vec<(Lease, Duration)>, leases: Vec<(Lease, Duration)>) {
    let now = boot_clock::now();
    for (lease, _) in &leases {
        held.remove(lease);
    }
    later.extend(leases.into_iter().map(|(lease, rest)| (lease, now + rest)));
}

impl LockSession {
    pub fn new(
        url: Secret<String>,
        host: String,
        room: Option<Room>,
        held: Arc<Held>,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Self {
        let dial = Dial { url, tag: held.owner().to_owned(), last_backend: None };
        Self { dial, host, room, held, requests, later: Vec::new() }
    }

    /// Runs until it is told to stop, or nobody is left who could tell.
    pub async fn run(mut self) {
        let mut outage = false;
        let mut pause = Duration::ZERO;
        while let Some(mut session) = self.open_session(pause).await {
            if std::mem::take(&mut outage) {
                tracing::info!("claims have the database again");
            }
            let end = self.serve(&mut session).await;
            self.held.session_lost();
            match end {
                End::Stopped => return,
                End::Broken(error) => {
                    tracing::warn!(%error, "claims lost the database");
                    (outage, pause) = (true, RETRY.mul_f64(0.2));
                }
            }
        }
    }

    /// Connects, however long it takes; but for a first attempt without `pause`, requests meanwhile are told so. `None`: told to stop.
    async fn open_session(&mut self, mut pause: Duration) -> Option<Session> {
        loop {
            let opened = {
                let attempt = async {
                    sleep(pause).await;
                    self.dial.open_once().await
                };
                tokio::pin!(attempt);
                loop {
                    tokio::select! {
                        opened = &mut attempt => break opened,
                        request = self.requests.recv(), if !pause.is_zero() => match request? {
                            Request::Claim { objects, answer, .. } => {
                                let refused = |object| (object, Err(ClaimError::Unavailable("no connection to PostgreSQL".into())));
                                let _ = answer.send(objects.into_iter().map(refused).collect());
                            }
                            // Written first thing on the next session.
                            Request::GiveBack { leases, answer } => {
                                keep_for_later(&self.held, &mut self.later, leases);
                                let _ = answer.send(());
                            }
                            Request::Leave { answer } => drop(answer.send(())),
                            Request::Stop { answer } => {
                                let _ = answer.send(());
                                return None;
                            }
                        },
                    }
                }
            };
            match opened {
                Ok((conn, pid)) => {
                    self.dial.last_backend = Some(pid);
                    return Some(Session { conn, opened: boot_clock::now(), waiting: HashMap::new() });
                }
                Err(error) => tracing::debug!(%error, "claims still wait for the database"),
            }
            pause = RETRY;
        }
    }

    async fn serve(&mut self, session: &mut Session) -> End {
        let mut renewal = interval(RENEWAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut retry = interval(RETRY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                biased;
                _ = renewal.tick() => self.renew(session).await,
                _ = retry.tick(), if self.held.any_unlocked() => self.renew(session).await,
                request = self.requests.recv() => match request {
                    None => return End::Stopped,
                    Some(Request::Stop { answer }) => {
                        let own = self.held.own().into_iter().map(|own| (own.lease, Duration::ZERO)).collect();
                        let _ = self.give_back(session, own).await;
                        let _ = answer.send(());
                        return End::Stopped;
                    }
                    Some(request) => self.handle(session, request).await,
                },
            };
            if let Err(error) = done {
                return End::Broken(error);
            }
        }
    }

    async fn handle(&mut self, session: &mut Session, request: Request) -> Result<()> {
        match request {
            Request::Claim { class, objects, reuse, by_job, answer } => {
                let results = self.claim(session, class, &objects, reuse, by_job).await;
                let (results, done) = match results {
                    Ok(results) => (results, Ok(())),
                    Err(error) => {
                        let unavailable = |object| (object, Err(ClaimError::Unavailable(error.to_string())));
                        (objects.into_iter().map(unavailable).collect(), Err(error))
                    }
                };
                let _ = answer.send(results);
                done
            }
            Request::GiveBack { leases, answer } => {
                let done = self.give_back(session, leases).await;
                let _ = answer.send(());
                done
            }
            Request::Leave { answer } => {
                self.room = None;
                let done = in_time(workers::leave(&mut session.conn, self.held.owner())).await;
                let _ = answer.send(());
                done
            }
            Request::Stop { .. } => Ok(()),
        }
    }

    /// Takes missing locks of our own leases again, renews those whose locks we have, and forgets what was taken over.
    async fn renew(&mut self, session: &mut Session) -> Result<()> {
        let overdue = self.held.overdue();
        if !overdue.is_empty() {
            tracing::warn!(count = overdue.len(), "claims of jobs that did not give them back are ended");
            self.give_back(session, overdue.into_iter().map(|lease| (lease, Duration::ZERO)).collect()).await?;
        }
        let unlocked = self.held.own().into_iter().filter(|own| !own.locked).map(|own| own.lease);
        for (class, objects) in by_class(unlocked) {
            let locked = in_time(leases::try_lock(&mut session.conn, class, &objects)).await?;
            self.held.locked(class, &locked);
        }
        // Before the renewal, which would give them back without their rest.
        self.give_back_late(session).await?;
        let own = self.held.own();
        let began = boot_clock::now();
        let name = self.held.owner();
        let renewed = in_time(leases::renew(&mut session.conn, name, &self.host, self.room, &own)).await?;
        self.held.confirm(&renewed, began);
        let renewed: HashSet<(KeyClass, i32)> = renewed.iter().map(|lease| (lease.class, lease.object)).collect();
        let lost = own.into_iter().filter(|own| own.locked && !renewed.contains(&(own.lease.class, own.lease.object)));
        let lost: Vec<Lease> = lost.map(|own| own.lease).collect();
        self.lose(session, &lost).await?;
        self.lose_what_others_took(session).await?;
        self.let_go_of_unwanted(session, began).await
    }

    async fn lose(&mut self, session: &mut Session, lost: &[Lease]) -> Result<()> {
        for lease in lost {
            tracing::warn!(class = ?lease.class, object = lease.object, "lease taken over by another process");
            metrics::counter!("tuberry_leases_lost_total", "class" => lease.class.label()).increment(1);
        }
        let locked: Vec<Lease> = lost.iter().filter(|lease| self.held.remove(lease)).cloned().collect();
        for (class, objects) in by_class(locked) {
            in_time(leases::unlock(&mut session.conn, class, &objects)).await?;
        }
        Ok(())
    }

    /// A lease whose lock another process holds is lost when its row says so, too.
    async fn lose_what_others_took(&mut self, session: &mut Session) -> Result<()> {
        let unlocked: Vec<Lease> = self.held.own().into_iter().filter(|own| !own.locked).map(|own| own.lease).collect();
        for (class, objects) in by_class(unlocked.clone()) {
            let found = in_time(leases::find(&mut session.conn, class, &objects)).await?;
            let taken: HashSet<i32> = found
                .iter()
                .filter(|found| found.owner.as_deref() != Some(self.held.owner()))
                .map(|found| found.object)
                .collect();
            let lost: Vec<Lease> =
                unlocked.iter().filter(|lease| lease.class == class && taken.contains(&lease.object)).cloned().collect();
            self.lose(session, &lost).await?;
        }
        Ok(())
    }

    async fn let_go_of_unwanted(&mut self, session: &mut Session, now: Duration) -> Result<()> {
        let unwanted: Vec<(KeyClass, i32)> =
            session.waiting.iter().filter(|(_, asked)| now.saturating_sub(**asked) > INTEREST).map(|(&key, _)| key).collect();
        for (class, object) in unwanted {
            session.waiting.remove(&(class, object));
            in_time(leases::unlock(&mut session.conn, class, &[object])).await?;
        }
        Ok(())
    }

    async fn give_back_late(&mut self, session: &mut Session) -> Result<()> {
        let now = boot_clock::now();
        let late: Vec<(Lease, Duration)> =
            self.later.iter().map(|(lease, until)| (lease.clone(), until.saturating_sub(now))).collect();
        in_time(leases::give_back(&mut session.conn, &late, self.room.is_none())).await?;
        self.later.clear();
        Ok(())
    }

    async fn give_back(&mut self, session: &mut Session, leases: Vec<(Lease, Duration)>) -> Result<()> {
        let locked: Vec<Lease> = leases.iter().map(|(lease, _)| lease).filter(|lease| self.held.remove(lease)).cloned().collect();
        if let Err(error) = in_time(leases::give_back(&mut session.conn, &leases, self.room.is_none())).await {
            keep_for_later(&self.held, &mut self.later, leases);
            return Err(error);
        }
        for (class, objects) in by_class(locked) {
            in_time(leases::unlock(&mut session.conn, class, &objects)).await?;
        }
        if leases.iter().any(|(lease, _)| lease.class == KeyClass::Account) {
            let announced = async {
                workers::announce(&mut session.conn, "given back").await;
                Ok(())
            };
            in_time(announced).await?;
        }
        Ok(())
    }
}
