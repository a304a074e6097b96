//! The engine: what it hears, what it knows, and when it has to act. What it does then is in `step`.
//!
//! Statements run on two connections: while PostgreSQL works on one, the answer of the other is dealt with, and under load both of its processes
//! are busy. Everything that the engine knows changes in its own loop only.

mod step;

use self::step::Finished;
use super::connection::Reconnect;
use super::handle::{Config, Message, Shared};
use super::hot::{Hot, Pair};
use super::lease::Acknowledgement;
use super::slots::Kind;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tuberry_domain::AccountId;
use tuberry_storage::PendingWakeUps;

/// Connections for statements.
const CONNECTIONS: usize = 2;
/// So many outcomes, or free slots, are worth a second step beside the one that is on its way.
const CROWD: usize = 64;
/// After a step the next one waits as long as that one took, but no longer than this, unless there is a crowd: what gathers meanwhile costs no
/// statement and no commit of its own.
const LONGEST_REST: Duration = Duration::from_millis(20);
/// The wake-up that makes every process look for what nobody told.
pub(super) const LOOK: &str = "*\t0";
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
    /// Times of scheduled jobs, and when they were heard of: a statement that began before does not know them.
    told: Vec<(Instant, Instant)>,
    /// When the latest statement began of which the answer said what is scheduled next.
    looked_at: Option<Instant>,
    /// The database's time at a time of ours.
    clock: Option<(DateTime<Utc>, Instant)>,
    sweep_at: Instant,
    sweeping: bool,
    /// Connections without work.
    idle: Vec<PgConnection>,
    in_flight: FuturesUnordered<BoxFuture<'static, Finished>>,
    steps_in_flight: usize,
    /// No small step begins before.
    rested_at: Instant,
    /// Why the connections cannot be used: nothing new begins until what is in flight has ended.
    broken: Option<sqlx::Error>,
    /// Sessions of which nobody knows whether their last statement committed, or may still do.
    sessions: Vec<i32>,
    reconnect: Reconnect,
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
            told: Vec::new(),
            looked_at: None,
            clock: None,
            sweep_at: Instant::now(),
            sweeping: false,
            idle: Vec::new(),
            in_flight: FuturesUnordered::new(),
            steps_in_flight: 0,
            rested_at: Instant::now(),
            broken: None,
            sessions: Vec::new(),
            reconnect: Reconnect::new("engine"),
            one_by_one: false,
            stop: None,
        }
    }

    /// Runs until told to stop and all outcomes are written; answers where to report that.
    pub(super) async fn run(mut self) -> oneshot::Sender<()> {
        self.ownership_changed();
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                self.hear(message);
            }
            self.tell_others();
            if self.owned.has_changed().unwrap_or(false) {
                self.ownership_changed();
            }
            if let Some((done, limit)) = self.stop.take() {
                let written = self.outcomes.is_empty() && self.known.is_empty() && self.in_flight.is_empty();
                let told = self.outgoing.is_empty();
                if (written && told) || Instant::now() > limit {
                    return done;
                }
                self.stop = Some((done, limit));
            }
            if self.in_flight.is_empty()
                && let Some(error) = self.broken.take()
            {
                self.one_by_one = matches!(error, sqlx::Error::Database(_));
                self.idle.clear();
                self.sweep_at = Instant::now();
                self.reconnect.wait(&error).await;
            } else if self.broken.is_none() && self.in_flight.len() < CONNECTIONS && self.has_work() {
                if let Err(error) = self.begin().await {
                    self.broken = Some(error);
                }
            } else {
                self.rest().await;
            }
        }
    }

    fn has_work(&self) -> bool {
        !self.outgoing.is_empty() || self.sweep_is_due() || self.step_is_due()
    }

    fn sweep_is_due(&self) -> bool {
        !self.sweeping && !self.kinds.is_empty() && self.sweep_at <= Instant::now()
    }

    fn step_is_due(&self) -> bool {
        let now = Instant::now();
        let writable = || self.outcomes.iter().filter(|outcome| outcome.not_before.is_none_or(|at| at <= now));
        let crowd = || writable().nth(CROWD - 1).is_some();
        match self.steps_in_flight {
            0 if now < self.rested_at => crowd(),
            0 => self.due.is_some_and(|due| due <= now) || writable().next().is_some() || self.can_claim(),
            _ => !self.one_by_one && (crowd() || (self.can_claim() && self.has_many_free_slots())),
        }
    }

    fn has_many_free_slots(&self) -> bool {
        self.hot.any(|pair| self.kinds.get(pair.kind).is_some_and(|kind| kind.free() >= CROWD))
    }

    fn can_claim(&self) -> bool {
        self.may_claim() && self.hot.any(|pair| self.kinds.get(pair.kind).is_some_and(Kind::may_claim))
    }

    fn may_claim(&self) -> bool {
        !self.shared.stopping() && self.shared.lease_is_fresh()
    }

    /// What this process found out and has no room for now is for whoever has. (An account's jobs are for nobody else.)
    fn tell_others(&mut self) {
        let claims = self.may_claim();
        let has_room = |kind: &str| claims && self.kinds.get(kind).is_some_and(Kind::has_room);
        for (pair, floor) in self.hot.tell(|pair| pair.lane.is_empty() && !has_room(pair.kind)) {
            self.outgoing.insert(&wake_up(pair.kind, &pair.lane, pair.priority, floor));
        }
    }

    /// Waits until something is heard or due.
    async fn rest(&mut self) {
        let mut until = Instant::now() + Duration::from_secs(60);
        if !self.kinds.is_empty() && !self.sweeping {
            until = until.min(self.sweep_at);
        }
        for at in
            self.due.into_iter().chain(self.outcomes.iter().filter_map(|o| o.not_before)).chain(self.stop.iter().map(|s| s.1))
        {
            until = until.min(at);
        }
        // What is due already waits for a connection, or for the end of the rest.
        let now = Instant::now();
        let rested = if self.rested_at > now { self.rested_at } else { now + Duration::from_secs(1) };
        let until = if until <= now { rested } else { until.min(rested) };
        tokio::select! {
            Some(finished) = self.in_flight.next() => self.finished(finished),
            message = self.inbox.recv() => if let Some(message) = message { self.hear(message) },
            _ = self.owned.changed() => self.ownership_changed(),
            () = tokio::time::sleep_until(until.into()) => {}
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Ended(outcome) => self.outcomes.push_back(outcome),
            Message::WakeUp(wake_up) => {
                self.wake(&wake_up, true);
            }
            Message::Found(wake_ups) => {
                for wake_up in wake_ups {
                    if !self.wake(&wake_up, false) {
                        self.outgoing.insert(&wake_up);
                    }
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
            Message::Stop(done) => {
                self.stop = Some((done, Instant::now() + FLUSH_LIMIT));
                // What only this process knew of, ready or scheduled, the others look for.
                self.outgoing.insert(LOOK);
            }
        }
    }

    /// The forms stand at the head of migration 0004. What is not ours costs no statement. True: this process sees to it.
    fn wake(&mut self, wake_up: &str, told: bool) -> bool {
        let Some((subject, number)) = wake_up.rsplit_once('\t') else { return false };
        let Ok(number) = number.parse::<i64>() else { return false };
        let mut parts = subject.split('\t');
        match (parts.next(), parts.next(), parts.next().map(str::parse)) {
            (Some("@"), None, _) => {
                self.schedule(number);
                return self.may_claim() && !self.kinds.is_empty();
            }
            (Some("*"), None, _) => self.sweep_at = Instant::now(),
            (Some(job), None, _) => {
                if let Some(id) = job.strip_prefix('!') {
                    self.shared.interrupt(id);
                }
            }
            (Some(kind), Some(lane), Some(Ok(priority))) => {
                let floor = DateTime::from_timestamp_micros(number);
                return floor.is_some_and(|floor| self.heat(kind, lane, priority, floor, told));
            }
            _ => {}
        }
        false
    }

    /// False: not a kind, or not an account, of this process. `told`: others know too.
    fn heat(&mut self, kind: &str, lane: &str, priority: i32, floor: DateTime<Utc>, told: bool) -> bool {
        let ours = self.kinds.get_key_value(kind).filter(|_| self.lanes.contains(lane));
        let Some((&kind, _)) = ours else { return false };
        self.hot.insert(Pair { kind, lane: lane.to_owned(), priority }, floor, told);
        true
    }

    fn schedule(&mut self, microseconds: i64) {
        let due = match (&self.clock, DateTime::from_timestamp_micros(microseconds)) {
            (Some((clock, at)), Some(time)) => add(*at, time - clock),
            _ => Instant::now(),
        };
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
        if !self.in_flight.is_empty() {
            self.told.push((Instant::now(), due));
        }
    }

    /// A statement that began at `asked_at` answered what is scheduled next.
    fn looked(&mut self, asked_at: Instant, next: Option<Instant>) {
        if self.looked_at.is_some_and(|latest| latest > asked_at) {
            // A later one has answered already and knew more.
            self.due = self.due.into_iter().chain(next).min();
            return;
        }
        self.looked_at = Some(asked_at);
        self.told.retain(|(heard, _)| *heard >= asked_at);
        self.due = self.told.iter().map(|(_, due)| *due).chain(next).min();
    }

    fn ownership_changed(&mut self) {
        let lanes: HashSet<String> =
            self.owned.borrow_and_update().iter().map(ToString::to_string).chain([String::new()]).collect();
        if lanes.difference(&self.lanes).next().is_some() {
            self.sweep_at = Instant::now();
        }
        self.lanes = lanes;
        let lanes = &self.lanes;
        for (pair, floor) in self.hot.take(|pair| !lanes.contains(&pair.lane)) {
            self.outgoing.insert(&wake_up(pair.kind, &pair.lane, pair.priority, floor));
        }
        for kind in self.kinds.values() {
            kind.buffer.give_back(|lease, _| !lanes.contains(&lease.lane));
        }
    }
}

/// The wake-up for jobs of a kind, lane and priority that may have been ready since `floor`.
fn wake_up(kind: &str, lane: &str, priority: i32, floor: DateTime<Utc>) -> String {
    format!("{kind}\t{lane}\t{priority}\t{}", floor.timestamp_micros())
}

/// `at` moved by what the database tells; the past is now.
fn add(at: Instant, delta: chrono::TimeDelta) -> Instant {
    delta.to_std().map_or(at, |ahead| at + ahead)
}
