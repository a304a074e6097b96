//! The engine: what it hears, what it knows, and when it has to act. What it does then is in `step`.

mod step;

use super::connection::Reconnect;
use super::handle::{Config, Message, Shared};
use super::hot::{Hot, Pair};
use super::lease::Acknowledgement;
use super::slots::Kind;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tuberry_domain::AccountId;
use tuberry_storage::PendingWakeUps;

/// How long a stop tries to write the last outcomes.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Engine {
    config: Config,
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Message>,
    owned: watch::Receiver<BTreeSet<AccountId>>,
    /// Lanes that this process may run: the empty one and those of its accounts.
    lanes: HashSet<String>,
    kinds: BTreeMap<&'static str, Kind>,
    /// Where ready jobs may be.
    hot: Hot,
    outcomes: VecDeque<Acknowledgement>,
    /// Claimed and without a written outcome.
    known: HashSet<String>,
    /// Wake-ups for other processes.
    outgoing: PendingWakeUps,
    /// The next scheduled job that anybody told of.
    due: Option<Instant>,
    /// The database's time at a time of ours.
    clock: Option<(DateTime<Utc>, Instant)>,
    sweep_at: Instant,
    connection: Option<PgConnection>,
    /// The session of the last step, until it is known to be over.
    session: Option<i32>,
    /// The database refused a batch of outcomes: send them one by one.
    one_by_one: bool,
    stop: Option<(oneshot::Sender<()>, Instant)>,
}

impl Engine {
    pub(super) fn new(config: Config, shared: Arc<Shared>, inbox: mpsc::UnboundedReceiver<Message>) -> Self {
        Self {
            owned: shared.owned.subscribe(),
            config,
            shared,
            inbox,
            lanes: HashSet::from([String::new()]),
            kinds: BTreeMap::new(),
            hot: Hot::default(),
            outcomes: VecDeque::new(),
            known: HashSet::new(),
            outgoing: PendingWakeUps::default(),
            due: None,
            clock: None,
            sweep_at: Instant::now(),
            connection: None,
            session: None,
            one_by_one: false,
            stop: None,
        }
    }

    /// Runs until told to stop and all outcomes are written; answers where to report that.
    pub(super) async fn run(mut self) -> oneshot::Sender<()> {
        let mut reconnect = Reconnect::new("engine");
        self.ownership_changed();
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                self.hear(message);
            }
            if self.owned.has_changed().unwrap_or(false) {
                self.ownership_changed();
            }
            if let Some((done, limit)) = self.stop.take() {
                if self.outcomes.is_empty() && self.known.is_empty() || Instant::now() > limit {
                    return done;
                }
                self.stop = Some((done, limit));
            }
            if !self.has_work() {
                self.rest().await;
                continue;
            }
            if self.kinds.values().any(Kind::is_rushing) {
                self.gather();
            }
            match self.act().await {
                Ok(()) => {
                    self.one_by_one = false;
                    reconnect.succeeded();
                }
                Err(error) => {
                    self.one_by_one = matches!(error, sqlx::Error::Database(_));
                    self.connection = None;
                    self.sweep_at = Instant::now();
                    reconnect.wait(&error).await;
                }
            }
        }
    }

    fn has_work(&self) -> bool {
        let now = Instant::now();
        !self.outgoing.is_empty()
            || self.due.is_some_and(|due| due <= now)
            || (!self.kinds.is_empty() && self.sweep_at <= now)
            || self.outcomes.iter().any(|o| o.not_before.is_none_or(|at| at <= now))
            || self.can_claim()
    }

    fn can_claim(&self) -> bool {
        !self.shared.stopping()
            && self.shared.lease_is_fresh()
            && self.hot.any(|pair| self.kinds.get(pair.kind).is_some_and(Kind::may_claim))
    }

    /// Waits until something is heard or due.
    async fn rest(&mut self) {
        let mut until = Instant::now() + Duration::from_secs(60);
        if !self.kinds.is_empty() {
            until = until.min(self.sweep_at);
        }
        for at in
            self.due.into_iter().chain(self.outcomes.iter().filter_map(|o| o.not_before)).chain(self.stop.iter().map(|s| s.1))
        {
            until = until.min(at);
        }
        tokio::select! {
            message = self.inbox.recv() => if let Some(message) = message { self.hear(message) },
            _ = self.owned.changed() => self.ownership_changed(),
            () = tokio::time::sleep_until(until.into()) => {}
        }
    }

    /// Under a rush of short jobs: lets outcomes of the next moments join this step.
    fn gather(&mut self) {
        let until = Instant::now() + Duration::from_micros(200);
        while Instant::now() < until && self.kinds.values().any(|kind| kind.buffer.load().1 > 0) {
            std::thread::yield_now();
            while let Ok(message) = self.inbox.try_recv() {
                self.hear(message);
            }
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Ended(outcome) => self.outcomes.push_back(outcome),
            Message::WakeUp(wake_up) => self.wake(&wake_up),
            Message::Found(wake_ups) => {
                for wake_up in wake_ups {
                    self.wake(&wake_up);
                    self.outgoing.insert(&wake_up);
                }
            }
            Message::LookAgain => self.sweep_at = Instant::now(),
            Message::Renewed(kinds) => {
                for name in kinds {
                    if !self.kinds.contains_key(name)
                        && let Some(buffer) = self.shared.buffers().into_iter().find(|buffer| buffer.kind == name)
                    {
                        self.kinds.insert(name, Kind::new(buffer));
                        self.sweep_at = Instant::now();
                    }
                }
                if self.kinds.values_mut().any(|kind| std::mem::take(&mut kind.stale)) {
                    self.kinds.values_mut().for_each(|kind| kind.stale = false);
                    self.sweep_at = Instant::now();
                }
            }
            Message::Stop(done) => self.stop = Some((done, Instant::now() + FLUSH_LIMIT)),
        }
    }

    /// The forms stand at the head of migration 0004. What is not ours costs no statement.
    fn wake(&mut self, wake_up: &str) {
        let Some((subject, number)) = wake_up.rsplit_once('\t') else { return };
        let Ok(number) = number.parse::<i64>() else { return };
        let mut parts = subject.split('\t');
        match (parts.next(), parts.next(), parts.next().map(str::parse)) {
            (Some("@"), None, _) => self.schedule(number),
            (Some("*"), None, _) => self.sweep_at = Instant::now(),
            (Some(job), None, _) => {
                if let Some(id) = job.strip_prefix('!') {
                    self.shared.interrupt(id);
                }
            }
            (Some(kind), Some(lane), Some(Ok(priority))) => {
                if let Some(floor) = DateTime::from_timestamp_micros(number) {
                    self.heat(kind, lane, priority, floor);
                }
            }
            _ => {}
        }
    }

    fn heat(&mut self, kind: &str, lane: &str, priority: i32, floor: DateTime<Utc>) -> bool {
        let ours = self.kinds.get_key_value(kind).filter(|_| self.lanes.contains(lane));
        let Some((&kind, _)) = ours else { return false };
        self.hot.insert(Pair { kind, lane: lane.to_owned(), priority }, floor);
        true
    }

    fn schedule(&mut self, microseconds: i64) {
        let due = match (&self.clock, DateTime::from_timestamp_micros(microseconds)) {
            (Some((clock, at)), Some(time)) => add(*at, time - clock),
            _ => Instant::now(),
        };
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    fn ownership_changed(&mut self) {
        let lanes: HashSet<String> =
            self.owned.borrow_and_update().iter().map(ToString::to_string).chain([String::new()]).collect();
        if lanes.difference(&self.lanes).next().is_some() {
            self.sweep_at = Instant::now();
        }
        self.lanes = lanes;
        let lanes = &self.lanes;
        drop(self.hot.take(|pair| !lanes.contains(&pair.lane)));
        for kind in self.kinds.values() {
            kind.buffer.give_back(|lease, _| !lanes.contains(&lease.lane));
        }
    }
}

/// `at` moved by what the database tells; the past is now.
fn add(at: Instant, delta: chrono::TimeDelta) -> Instant {
    delta.to_std().map_or(at, |ahead| at + ahead)
}
