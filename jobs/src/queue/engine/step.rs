//! What the engine does on its connections: one statement for all kinds of the process. While steps are on their way, outcomes and wake-ups gather
//! for the next one, which is all the group commit there is.

use super::{Engine, LONGEST_REST, add, wake_up};
use crate::queue::buffer::Claimed;
use crate::queue::connection::{STATEMENT_TIMEOUT, connect, in_time};
use crate::queue::handle::{Message, Shared};
use crate::queue::hot::Pair;
use crate::queue::lease::{Acknowledgement, Lease};
use crate::queue::statements::{self, ClaimedRow, Step, Stepped, Swept};
use chrono::{DateTime, Utc};
use futures::FutureExt;
use sqlx::PgConnection;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Name of the step connection's sessions.
const SESSION: &str = "tuberry-queue-step";
/// Outcomes in one step.
const BATCH: usize = 1000;
/// How `queue.finish` says that a job is dead.
const DEAD: i32 = 6;

/// What a connection is busy with.
pub(super) enum Work {
    Step {
        outcomes: Vec<Acknowledgement>,
        pairs: Vec<(Pair, DateTime<Utc>)>,
        slots: Vec<(&'static str, i32)>,
        lanes: Vec<String>,
        due: bool,
    },
    Sweep,
    Notify(Vec<String>),
}

enum Answer {
    Stepped(Stepped),
    Swept(Swept),
    Notified,
}

/// A statement that has ended.
pub(super) struct Finished {
    connection: PgConnection,
    work: Work,
    answer: sqlx::Result<Answer>,
    asked_at: Instant,
}

async fn perform(mut connection: PgConnection, work: Work, worker: Arc<Shared>, lease: Duration) -> Finished {
    let asked_at = Instant::now();
    let statement = async {
        match &work {
            Work::Step { outcomes, pairs, slots, lanes, due } => {
                let step = Step { worker: &worker.name, outcomes, due: *due, slots, pairs, lanes, lease };
                statements::step(&mut connection, &step).await.map(Answer::Stepped)
            }
            Work::Sweep => statements::sweep(&mut connection).await.map(Answer::Swept),
            Work::Notify(wake_ups) => statements::notify(&mut connection, wake_ups).await.map(|()| Answer::Notified),
        }
    };
    let answer = in_time(STATEMENT_TIMEOUT, statement).await;
    Finished { connection, work, answer, asked_at }
}

impl Engine {
    /// Begins what is most urgent on a connection without work.
    pub(super) async fn begin(&mut self) -> sqlx::Result<()> {
        let connection = match self.idle.pop() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let work = if self.sweep_is_due() {
            self.sweeping = true;
            Work::Sweep
        } else if self.step_is_due() {
            self.steps_in_flight += 1;
            self.next_step()
        } else {
            Work::Notify(std::mem::take(&mut self.outgoing).payloads())
        };
        Shared::count(&self.shared.statistics.statements, 1);
        self.in_flight.push(perform(connection, work, self.shared.clone(), self.config.lease).boxed());
        Ok(())
    }

    pub(super) fn finished(&mut self, Finished { connection, work, answer, asked_at }: Finished) {
        match &work {
            Work::Step { slots, .. } => {
                self.steps_in_flight -= 1;
                self.rested_at = Instant::now() + asked_at.elapsed().min(LONGEST_REST);
                let more = |name: &str| matches!(&answer, Ok(Answer::Stepped(stepped)) if stepped.more.iter().any(|pair| pair.0 == name));
                for (name, asked) in slots {
                    if let Some(kind) = self.kinds.get_mut(name) {
                        kind.answered(usize::try_from(*asked).unwrap_or_default(), more(name));
                    }
                }
                Shared::count(&self.shared.statistics.steps, 1);
            }
            Work::Sweep => self.sweeping = false,
            Work::Notify(_) => {}
        }
        match (answer, work) {
            (Ok(answer), work) => {
                match (answer, work) {
                    (Answer::Stepped(stepped), Work::Step { outcomes, .. }) => {
                        self.one_by_one = false;
                        self.stepped(outcomes, stepped, asked_at);
                    }
                    (Answer::Swept(swept), _) => self.swept(swept, asked_at),
                    _ => {}
                }
                self.idle.push(connection);
                self.reconnect.succeeded();
            }
            (Err(error), work) => {
                match work {
                    Work::Step { outcomes, pairs, .. } => self.step_failed(outcomes, pairs, &error),
                    Work::Notify(wake_ups) => wake_ups.iter().for_each(|wake_up| self.outgoing.insert(wake_up)),
                    Work::Sweep => {}
                }
                self.broken = Some(error);
            }
        }
    }

    /// After a broken step nobody knows whether it committed: all sessions are ended for sure, then what it may have claimed is given back.
    /// Nothing is in flight then.
    async fn connect(&mut self) -> sqlx::Result<PgConnection> {
        let mut connection = connect(&self.config.database, SESSION).await?;
        if self.idle.is_empty() && self.in_flight.is_empty() && !self.sessions.is_empty() {
            let kinds: Vec<&str> = self.kinds.keys().copied().collect();
            let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
            for pid in &self.sessions {
                if !in_time(STATEMENT_TIMEOUT, statements::end_session(&mut connection, *pid, SESSION)).await? {
                    return Err(sqlx::Error::Protocol(format!("session {pid} does not end")));
                }
            }
            let unanswered = statements::give_back_unanswered(&mut connection, &self.shared.name, &kinds, &known);
            let (given_back, wake_ups) = in_time(STATEMENT_TIMEOUT, unanswered).await?;
            if given_back > 0 {
                tracing::info!(given_back, "claims whose answer was lost are back in line");
            }
            self.sessions.clear();
            self.hear(Message::Found(wake_ups));
        }
        self.sessions.push(in_time(STATEMENT_TIMEOUT, statements::session_pid(&mut connection)).await?);
        Ok(connection)
    }

    /// What no wake-up told; and what has waited here too long goes back.
    fn swept(&mut self, Swept { pairs, next, clock }: Swept, asked_at: Instant) {
        self.sweep_at = asked_at + self.config.sweep;
        self.clock = Some((clock, Instant::now()));
        self.looked(asked_at, next.map(|next| add(Instant::now(), next)));
        for (kind, lane, priority, floor) in pairs {
            self.heat(&kind, &lane, priority, floor, true);
        }
        for kind in self.kinds.values_mut() {
            kind.give_back_old();
        }
    }

    fn next_step(&mut self) -> Work {
        let now = Instant::now();
        let limit = if self.one_by_one { 1 } else { BATCH };
        let mut outcomes = Vec::new();
        for outcome in std::mem::take(&mut self.outcomes) {
            if outcomes.len() < limit && outcome.not_before.is_none_or(|at| at <= now) {
                outcomes.push(outcome);
            } else {
                self.outcomes.push_back(outcome);
            }
        }
        let mut slots = Vec::new();
        if !self.shared.stopping() && self.shared.lease_is_fresh() {
            for (&name, kind) in &mut self.kinds {
                let free = kind.slots(self.hot.any(|pair| pair.kind == name));
                if free > 0 {
                    kind.asked += free;
                    slots.push((name, i32::try_from(free).unwrap_or(i32::MAX)));
                }
            }
        }
        let pairs = self.hot.take(|pair| slots.iter().any(|(kind, _)| *kind == pair.kind));
        let lanes: HashSet<&str> = outcomes
            .iter()
            .map(|outcome| outcome.lane.as_str())
            .filter(|lane| self.lanes.contains(*lane))
            .chain(pairs.iter().map(|(pair, _)| pair.lane.as_str()))
            .chain([""])
            .collect();
        let lanes = lanes.into_iter().map(str::to_owned).collect();
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = None; // the answer tells the next one
        }
        Work::Step { outcomes, pairs, slots, lanes, due }
    }

    fn step_failed(&mut self, outcomes: Vec<Acknowledgement>, pairs: Vec<(Pair, DateTime<Utc>)>, error: &sqlx::Error) {
        for (pair, floor) in pairs {
            self.hot.insert(pair, floor, false);
        }
        let refused = self.one_by_one && matches!(error, sqlx::Error::Database(_));
        for mut outcome in outcomes.into_iter().rev() {
            // The step may have been committed all the same: then this one will be told that it comes too late.
            outcome.uncertain |= !matches!(error, sqlx::Error::Database(_));
            if refused {
                outcome.tries += 1;
                outcome.not_before = Some(Instant::now() + Duration::from_millis(500));
            }
            if outcome.tries > 20 {
                // The lease keeps it ours as long as this process lives; after that somebody else runs it again.
                tracing::error!(id = outcome.id, %error, "the database keeps refusing an outcome");
                outcome.not_before = Some(Instant::now() + Duration::from_secs(60));
            }
            self.outcomes.push_front(outcome);
        }
    }

    fn stepped(&mut self, outcomes: Vec<Acknowledgement>, stepped: Stepped, asked_at: Instant) {
        let now = Instant::now();
        if let Some(clock) = stepped.clock {
            self.clock = Some((clock, now));
        }
        // A job that is due already and was not taken up is held by somebody's transaction: do not spin on it.
        self.looked(asked_at, stepped.next.map(|next| add(now, next).max(now + Duration::from_millis(2))));
        let statistics = &self.shared.statistics;
        Shared::count(&statistics.acknowledged, stepped.applied.len() as u64);
        let applied: HashMap<String, i32> = stepped.applied.into_iter().collect();
        let put_off: HashSet<String> = stepped.put_off.into_iter().collect();
        for mut outcome in outcomes {
            if put_off.contains(&outcome.id) {
                Shared::count(&statistics.put_off, 1);
                outcome.tries = (outcome.tries + 1).min(40);
                outcome.not_before = Some(now + Duration::from_millis(5) * outcome.tries);
                self.outcomes.push_back(outcome);
                continue;
            }
            self.known.remove(&outcome.id);
            if let Some(&number) = applied.get(&outcome.id) {
                self.shared.tallies.count(outcome.kind, outcome.outcome, number == DEAD);
            } else if !outcome.uncertain {
                Shared::count(&statistics.fenced, 1);
                tracing::warn!(kind = outcome.kind, id = outcome.id, outcome = ?outcome.outcome, "outcome came too late");
            }
        }
        for kind in self.kinds.values_mut() {
            kind.stale |= stepped.stale;
        }
        if stepped.stale {
            self.shared.renew_now.notify_one();
        }
        for (kind, lane, priority, floor) in stepped.more {
            // The next claim goes on where this one ended.
            let of_pair = |row: &&ClaimedRow| row.kind == kind && row.lane == lane && row.priority == priority;
            let reached = stepped.claimed.iter().filter(of_pair).map(|row| row.run_at).max();
            self.heat(&kind, &lane, priority, reached.unwrap_or(floor), false);
        }
        for (kind, lane, priority, floor) in stepped.woken {
            if !self.heat(&kind, &lane, priority, floor, false) {
                self.outgoing.insert(&wake_up(&kind, &lane, priority, floor));
            }
        }
        self.deliver(stepped.claimed, stepped.clock);
    }

    fn deliver(&mut self, rows: Vec<ClaimedRow>, clock: Option<DateTime<Utc>>) {
        Shared::count(&self.shared.statistics.claimed, rows.len() as u64);
        let mut by_kind: HashMap<&'static str, Vec<ClaimedRow>> = HashMap::new();
        for row in rows {
            self.known.insert(row.id.clone());
            if let Some((&kind, _)) = self.kinds.get_key_value(row.kind.as_str()) {
                by_kind.entry(kind).or_default().push(row);
            }
        }
        for (kind, mut rows) in by_kind {
            rows.sort_by_key(|row| (Reverse(row.priority), row.run_at));
            let Some(kind) = self.kinds.get_mut(kind) else { continue };
            for waited in rows.iter().filter_map(|row| (clock? - row.run_at).to_std().ok()) {
                kind.waits.record(waited);
            }
            // An account may have gone while the step was on its way: a lease that is dropped gives itself back.
            let mut claimed: Vec<Claimed> = rows
                .into_iter()
                .map(|row| Claimed {
                    payload: row.payload,
                    lease: Lease {
                        id: row.id,
                        lane: row.lane,
                        ordering_key: row.ordering_key,
                        token: row.token,
                        attempts: row.attempts,
                        metadata: row.metadata,
                        buffer: kind.buffer.clone(),
                        shared: self.shared.clone(),
                        taken: AtomicBool::new(false),
                        started: AtomicBool::new(false),
                        ended: AtomicBool::new(false),
                    },
                })
                .collect();
            claimed.retain(|one| self.lanes.contains(&one.lease.lane));
            kind.buffer.deliver(claimed);
        }
    }
}
