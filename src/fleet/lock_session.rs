//! The connection that holds the advisory locks: renews the leases, takes new ones by the rules of `takeover`, comes back when it is
//! lost. It runs alone on its thread, so that nothing else can delay a renewal.

use super::boot_clock;
use super::claim::ClaimResults;
use super::held::{Held, Holder};
use super::takeover::{self, Decision, GONE, GRACE, RENEWAL, SETTLED, SILENT};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tuberry_domain::Secret;
use tuberry_domain::ports::{Claim, ClaimError, KeyClass, Lease, Reuse};
use tuberry_storage::leases::{self, Found};
use tuberry_storage::{Error, Result, workers};

/// Longest wait for the answer to one statement, or for a connection.
const PATIENCE: Duration = Duration::from_millis(4500);
/// Between two attempts to get the lock of a lease of ours that somebody holds, and to connect.
const RETRY: Duration = Duration::from_millis(250);
/// A lock that a taker waits with is let go when nobody asked for it for so long.
const INTEREST: Duration = Duration::from_secs(5);
/// When to ask again for what another process uses.
const AGAIN: Duration = Duration::from_secs(1);

/// What the rest of the process wants.
#[derive(Debug)]
pub(super) enum Request {
    Claim { class: KeyClass, objects: Vec<i32>, reuse: Reuse, by_job: bool, answer: oneshot::Sender<ClaimResults> },
    GiveBack { leases: Vec<Lease>, answer: oneshot::Sender<()> },
    Leave { answer: oneshot::Sender<()> },
    Stop { answer: oneshot::Sender<()> },
}

/// Why a session ended.
enum End {
    Broken(Error),
    Stopped,
}

/// One connection's life.
struct Session {
    conn: PgConnection,
    opened: Duration,
    /// Locks held for leases that are not ours yet, and when somebody last asked for them.
    waiting: HashMap<(KeyClass, i32), Duration>,
}

/// Where the session goes to, under what name, and what is left there of the last one.
struct Dial {
    url: Secret<String>,
    tag: String,
    last_backend: Option<i32>,
}

/// The keeper of the locks.
pub(super) struct LockSession {
    dial: Dial,
    host: String,
    capacity: Option<u32>,
    held: Arc<Held>,
    requests: mpsc::UnboundedReceiver<Request>,
}

async fn in_time<T>(statement: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, statement).await.unwrap_or(Err(Error::Database(sqlx::Error::PoolTimedOut)))
}

fn busy(again_in: Duration) -> Result<Claim, ClaimError> {
    Err(ClaimError::Busy { again_in })
}

fn by_class(leases: impl IntoIterator<Item = Lease>) -> HashMap<KeyClass, Vec<i32>> {
    let mut classes: HashMap<KeyClass, Vec<i32>> = HashMap::new();
    leases.into_iter().for_each(|lease| classes.entry(lease.class).or_default().push(lease.object));
    classes
}

impl Dial {
    async fn connect(&self) -> Result<PgConnection> {
        let options: PgConnectOptions = self.url.expose().parse()?;
        let options = options.options([("TimeZone", "UTC")]);
        in_time(async { Ok(options.connect().await?) }).await
    }

    /// One attempt. A former backend of ours that still lives holds our locks: it is ended.
    async fn open_once(&self) -> Result<(PgConnection, i32)> {
        let mut conn = self.connect().await?;
        let pid = in_time(leases::open_session(&mut conn, &self.tag)).await?;
        if let Some(last) = self.last_backend {
            in_time(leases::end_session(&mut conn, last, &self.tag)).await?;
        }
        Ok((conn, pid))
    }
}

impl LockSession {
    pub fn new(
        url: Secret<String>,
        host: String,
        capacity: Option<u32>,
        held: Arc<Held>,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Self {
        let dial = Dial { url, tag: held.owner().to_owned(), last_backend: None };
        Self { dial, host, capacity, held, requests }
    }

    /// A pooler gives an idle client's backend to the next one that has a transaction open.
    pub async fn leads_through_a_pooler(&self) -> Result<bool> {
        let (mut first, mut second) = (self.dial.connect().await?, self.dial.connect().await?);
        let first_pid = in_time(leases::backend_pid(&mut first)).await?;
        let mut transaction = sqlx::Connection::begin(&mut second).await?;
        let second_pid = in_time(leases::backend_pid(&mut transaction)).await?;
        transaction.rollback().await?;
        Ok(first_pid == second_pid || in_time(leases::backend_pid(&mut first)).await? != first_pid)
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
                            // What is not in the registry is given back by the first renewal.
                            Request::GiveBack { leases, answer } => {
                                for lease in &leases {
                                    self.held.remove(lease);
                                }
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
                        let own = self.held.own().into_iter().map(|own| own.lease).collect();
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
                self.capacity = None;
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
            self.give_back(session, overdue).await?;
        }
        let unlocked = self.held.own().into_iter().filter(|own| !own.locked).map(|own| own.lease);
        for (class, objects) in by_class(unlocked) {
            let locked = in_time(leases::try_lock(&mut session.conn, class, &objects)).await?;
            self.held.locked(class, &locked);
        }
        let own = self.held.own();
        let began = boot_clock::now();
        let name = self.held.owner();
        let renewed = in_time(leases::renew(&mut session.conn, name, &self.host, self.capacity, &own)).await?;
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

    async fn give_back(&mut self, session: &mut Session, leases: Vec<Lease>) -> Result<()> {
        let locked: Vec<Lease> = leases.iter().filter(|lease| self.held.remove(lease)).cloned().collect();
        in_time(leases::give_back(&mut session.conn, &leases)).await?;
        for (class, objects) in by_class(locked) {
            in_time(leases::unlock(&mut session.conn, class, &objects)).await?;
        }
        if leases.iter().any(|lease| lease.class == KeyClass::Account) {
            workers::announce(&mut session.conn, "given back").await;
        }
        Ok(())
    }

    /// Claims objects of one class, each by itself.
    async fn claim(
        &mut self,
        session: &mut Session,
        class: KeyClass,
        objects: &[i32],
        reuse: Reuse,
        by_job: bool,
    ) -> Result<ClaimResults> {
        let mut results: ClaimResults = Vec::with_capacity(objects.len());
        // What this process holds is in use, unless a job claimed it: its run has ended when the next one asks.
        let (mut free, mut reclaimed) = (Vec::new(), HashSet::new());
        for &object in objects {
            match self.held.holder(class, object) {
                None => free.push(object),
                Some(Holder { by_job: true, locked: true }) if by_job => {
                    reclaimed.insert(object);
                    free.push(object);
                }
                Some(_) => results.push((object, busy(AGAIN))),
            }
        }
        let locked = self.lock(session, class, free, &reclaimed, &mut results).await?;
        let found = in_time(leases::find(&mut session.conn, class, &locked)).await?;
        let orphaned: Vec<(i32, i64)> = found
            .iter()
            .filter(|found| takeover::proves_orphaned(found) && !found.orphaned && !reclaimed.contains(&found.object))
            .map(|found| (found.object, found.epoch))
            .collect();
        in_time(leases::mark_orphaned(&mut session.conn, class, &orphaned, SETTLED)).await?;
        self.take(session, class, &found, reuse, by_job, &mut results).await?;
        Ok(results)
    }

    /// Gets the locks of objects that may be tried for; answers for the others. Returns those whose locks we hold.
    async fn lock(
        &mut self,
        session: &mut Session,
        class: KeyClass,
        objects: Vec<i32>,
        reclaimed: &HashSet<i32>,
        results: &mut ClaimResults,
    ) -> Result<Vec<i32>> {
        let (now, me) = (boot_clock::now(), self.held.owner().to_owned());
        let settled = now.saturating_sub(session.opened) >= GRACE;
        let found = in_time(leases::find(&mut session.conn, class, &objects)).await?;
        let (mut wanted, mut ours): (HashMap<i32, &Found>, Vec<i32>) = (HashMap::new(), Vec::new());
        for found in &found {
            let waits = session.waiting.contains_key(&(class, found.object));
            if !takeover::may_try(found, &me, settled) {
                if waits {
                    session.waiting.remove(&(class, found.object));
                    in_time(leases::unlock(&mut session.conn, class, &[found.object])).await?;
                }
                results.push((found.object, busy(AGAIN)));
            } else if waits || reclaimed.contains(&found.object) {
                ours.push(found.object);
            } else {
                wanted.insert(found.object, found);
            }
        }
        let objects: Vec<i32> = wanted.keys().copied().collect();
        for object in in_time(leases::try_lock(&mut session.conn, class, &objects)).await? {
            wanted.remove(&object);
            session.waiting.insert((class, object), now);
            ours.push(object);
        }
        for (object, found) in wanted {
            results.push((object, busy(AGAIN)));
            if let Some(owner) = found.owner.as_deref().filter(|_| found.age >= GONE)
                && in_time(leases::end_holder(&mut session.conn, class, object, owner)).await?
            {
                tracing::warn!(?class, object, owner, "a silent owner's session was ended");
            }
        }
        Ok(ours)
    }

    /// Decides on leases whose locks we hold, and takes those that are free.
    async fn take(
        &mut self,
        session: &mut Session,
        class: KeyClass,
        found: &[Found],
        reuse: Reuse,
        by_job: bool,
        results: &mut ClaimResults,
    ) -> Result<()> {
        let me = self.held.owner().to_owned();
        let began = boot_clock::now();
        let mut taken: HashMap<i32, (i64, bool)> = HashMap::new();
        for found in found {
            match takeover::decide(found, &me, reuse) {
                Decision::Take { key_is_free } => drop(taken.insert(found.object, (found.epoch, key_is_free))),
                Decision::Wait(left) => {
                    session.waiting.insert((class, found.object), began);
                    results.push((found.object, busy(left.min(SETTLED) + Duration::from_millis(50))));
                }
            }
        }
        let rows: Vec<(i32, i64)> = taken.iter().map(|(&object, &(epoch, _))| (object, epoch)).collect();
        for lease in in_time(leases::take(&mut session.conn, class, &rows, &me, SILENT)).await? {
            let (_, key_is_free) = taken.remove(&lease.object).unwrap_or_default();
            session.waiting.remove(&(class, lease.object));
            self.held.insert(&lease, by_job, began);
            results.push((lease.object, Ok(Claim { lease, key_is_free })));
        }
        // Renewed at the last moment, or held by a last write of the old owner: the lock stays with us, the rest at the next attempt.
        results.extend(taken.into_keys().map(|object| (object, busy(RETRY))));
        Ok(())
    }
}
