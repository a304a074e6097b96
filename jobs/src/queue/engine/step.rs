//! What the engine does on its connection: one statement at a time for all kinds of the process. While a step is on its way, outcomes and
//! wake-ups gather for the next one, which is all the group commit there is.

use super::{Engine, add};
use crate::queue::buffer::Claimed;
use crate::queue::connection::{STATEMENT_TIMEOUT, connect, in_time};
use crate::queue::handle::{Message, Shared};
use crate::queue::hot::Pair;
use crate::queue::lease::{Acknowledgement, Lease};
use crate::queue::slots::Kind;
use crate::queue::statements::{self, ClaimedRow, Step, Stepped, Swept};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tuberry_storage::PendingWakeUps;

/// Name of the step connection's sessions.
const SESSION: &str = "tuberry-queue-step";
/// Outcomes in one step.
const BATCH: usize = 1000;
/// How `queue.finish` says that a job is dead.
const DEAD: i32 = 6;

impl Engine {
    /// Does all that is due now.
    pub(super) async fn act(&mut self) -> sqlx::Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        if self.sweep_at <= Instant::now() && !self.kinds.is_empty() {
            self.sweep(&mut connection).await?;
        }
        if !self.outgoing.is_empty() {
            in_time(STATEMENT_TIMEOUT, statements::notify(&mut connection, &self.outgoing.payloads())).await?;
            Shared::count(&self.shared.statistics.statements, 1);
            self.outgoing = PendingWakeUps::default();
        }
        let now = Instant::now();
        if self.can_claim()
            || self.due.is_some_and(|due| due <= now)
            || self.outcomes.iter().any(|o| o.not_before.is_none_or(|at| at <= now))
        {
            self.step(&mut connection).await?;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// After a broken step nobody knows whether it committed: its session is ended for sure, then what it may have claimed is given back.
    async fn connect(&mut self) -> sqlx::Result<PgConnection> {
        let mut connection = connect(&self.config.database, SESSION).await?;
        if let Some(pid) = self.session {
            let kinds: Vec<&str> = self.kinds.keys().copied().collect();
            let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
            in_time(STATEMENT_TIMEOUT, statements::end_session(&mut connection, pid, SESSION)).await?;
            let unanswered = statements::give_back_unanswered(&mut connection, &self.shared.name, &kinds, &known);
            let (given_back, wake_ups) = in_time(STATEMENT_TIMEOUT, unanswered).await?;
            if given_back > 0 {
                tracing::info!(given_back, "claims whose answer was lost are back in line");
            }
            self.session = None;
            self.hear(Message::Found(wake_ups));
        }
        self.session = Some(in_time(STATEMENT_TIMEOUT, statements::session_pid(&mut connection)).await?);
        Ok(connection)
    }

    /// Finds what no wake-up told, and gives back what has waited here too long.
    async fn sweep(&mut self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let asked = Instant::now();
        let Swept { pairs, next, clock } = in_time(STATEMENT_TIMEOUT, statements::sweep(connection)).await?;
        Shared::count(&self.shared.statistics.statements, 1);
        self.sweep_at = asked + self.config.sweep;
        self.clock = Some((clock, Instant::now()));
        self.due = next.map(|next| add(Instant::now(), next));
        for (kind, lane, priority, floor) in pairs {
            self.heat(&kind, &lane, priority, floor);
        }
        for kind in self.kinds.values_mut() {
            kind.give_back_old();
        }
        Ok(())
    }

    async fn step(&mut self, connection: &mut PgConnection) -> sqlx::Result<()> {
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
        let step = Step { worker: &self.shared.name, outcomes: &outcomes, slots, pairs: &pairs, lanes, lease: self.config.lease };
        let answer = in_time(STATEMENT_TIMEOUT, statements::step(connection, &step)).await;
        Shared::count(&self.shared.statistics.steps, 1);
        Shared::count(&self.shared.statistics.statements, 1);
        let stepped = match answer {
            Ok(stepped) => stepped,
            Err(error) => {
                self.step_failed(outcomes, pairs, &error);
                return Err(error);
            }
        };
        self.stepped(outcomes, stepped);
        Ok(())
    }

    fn step_failed(&mut self, outcomes: Vec<Acknowledgement>, pairs: Vec<(Pair, DateTime<Utc>)>, error: &sqlx::Error) {
        for (pair, floor) in pairs {
            self.hot.insert(pair, floor);
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

    fn stepped(&mut self, outcomes: Vec<Acknowledgement>, stepped: Stepped) {
        let now = Instant::now();
        if let Some(clock) = stepped.clock {
            self.clock = Some((clock, now));
        }
        // A job that is due already and was not taken up is held by somebody's transaction: do not spin on it.
        self.due = stepped.next.map(|next| add(now, next).max(now + Duration::from_millis(2)));
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
            self.heat(&kind, &lane, priority, reached.unwrap_or(floor));
        }
        for (kind, lane, priority, floor) in stepped.woken {
            let has_room = self.kinds.get(kind.as_str()).is_some_and(Kind::may_claim);
            if !(self.heat(&kind, &lane, priority, floor) && has_room) {
                self.outgoing.insert(&format!("{kind}\t{lane}\t{priority}\t{}", floor.timestamp_micros()));
            }
        }
        self.deliver(stepped.claimed);
    }

    fn deliver(&mut self, rows: Vec<ClaimedRow>) {
        Shared::count(&self.shared.statistics.claimed, rows.len() as u64);
        let mut by_kind: HashMap<&'static str, Vec<ClaimedRow>> = HashMap::new();
        for row in rows {
            self.known.insert(row.id.clone());
            if let Some((&kind, _)) = self.kinds.get_key_value(row.kind.as_str()) {
                by_kind.entry(kind).or_default().push(row);
            }
        }
        for (kind, mut rows) in by_kind {
            rows.sort_by_key(|row| row.run_at);
            let Some(kind) = self.kinds.get_mut(kind) else { continue };
            kind.delivered(rows.len());
            let claimed = rows
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
            kind.buffer.deliver(claimed);
        }
    }
}
