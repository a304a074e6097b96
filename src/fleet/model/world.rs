//! A run: workers, PostgreSQL and Telegram in simulated time, under the faults of a schedule, judged all the while.

use super::database::Database;
use super::rules::{Rules, Window};
use super::schedule::{Fault, Midst, Schedule, Weather};
use super::telegram::Telegram;
use super::worker::{Body, Worker};
use super::{Ms, Name, Slot, as_ms};
use crate::fleet::takeover::{GONE, SETTLED};

/// The workers have the account before the first fault.
const CALM_BEFORE: Ms = 3000;
/// How much longer than the times of `takeover` it may take until the account is served: looks, statements, some of them slow.
const SLACK: Ms = 15_000;

/// What is between the workers, and what all of them need.
pub struct World {
    pub now: Ms,
    pub rules: Rules,
    pub dice: fastrand::Rng,
    pub database: Database,
    pub telegram: Telegram,
    weather: Weather,
    trace: Option<Vec<String>>,
}

impl World {
    /// How long a statement, or its answer, is under way.
    pub fn latency(&mut self) -> Ms {
        let slow_one_of = if self.weather == Weather::SlowStops { 4 } else { 50 };
        let slowest = if self.weather == Weather::KillsOfOne { 500 } else { 3500 };
        match self.dice.u8(..slow_one_of) {
            0 => self.dice.u64(100..slowest),
            1 | 2 => self.dice.u64(20..200),
            _ => self.dice.u64(1..10),
        }
    }

    pub fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.3} s  {}", super::as_duration(now).as_secs_f64(), what()));
        }
    }
}

/// What a judge saw.
#[derive(Clone, Debug)]
pub struct Violation {
    pub what: String,
    /// Everything that happened, where it was asked for.
    pub trace: Vec<String>,
}

pub struct Run {
    world: World,
    workers: Vec<Worker>,
    names: Name,
}

impl Run {
    /// Runs a schedule, then ends all faults and waits until the account is served.
    pub fn judge(schedule: &Schedule, rules: Rules, weather: Weather, traced: bool) -> Result<(), Violation> {
        let world = World {
            now: 0,
            rules,
            dice: fastrand::Rng::with_seed(!schedule.seed),
            database: Database::new(schedule.workers),
            telegram: Telegram::new(schedule.workers),
            weather,
            trace: traced.then(Vec::new),
        };
        let mut run = Self { world, workers: Vec::new(), names: 0 };
        for slot in 0..schedule.workers {
            run.names += 1;
            run.workers.push(Worker::start(slot, run.names, 0));
        }
        let outcome = run.run(schedule);
        outcome.map_err(|what| Violation { what, trace: run.world.trace.take().unwrap_or_default() })
    }

    fn run(&mut self, schedule: &Schedule) -> Result<(), String> {
        self.advance(CALM_BEFORE)?;
        for &(pause, midst, fault) in &schedule.faults {
            self.advance(pause)?;
            self.advance_into(midst, fault)?;
            self.apply(fault);
        }
        self.advance(schedule.calm_after)?;
        self.recover();
        let within = SLACK + as_ms(if self.world.weather == Weather::KillsOfOne { SETTLED } else { GONE });
        if !self.advance_until_served(within)? {
            return Err(format!("nobody serves the account {within} ms after the last fault"));
        }
        if self.world.weather == Weather::RestartsOnly && self.world.database.takeovers > 0 {
            return Err("a restart of PostgreSQL moved the account".into());
        }
        Ok(())
    }

    /// What happens next happens, unless that is later than `end`. False: nothing was left.
    fn step(&mut self, end: Ms) -> Result<bool, String> {
        let (world, workers) = (&mut self.world, &mut self.workers);
        let due: Vec<Ms> = workers.iter().map(|worker| worker.next(world)).collect();
        let in_database = world.database.next();
        let next = due.iter().copied().min().unwrap_or(Ms::MAX).min(in_database).min(world.telegram.next());
        if next > end {
            world.now = end;
            return Ok(false);
        }
        world.now = world.now.max(next);
        if in_database <= world.now {
            let latency = world.latency();
            world.database.run(world.now, world.rules, latency);
        }
        world.telegram.run(world.now);
        for (worker, due) in workers.iter_mut().zip(due) {
            if due <= world.now {
                worker.act(world);
            }
        }
        world.telegram.overlap.take().or_else(|| world.database.stale_write.take()).map_or(Ok(true), Err)
    }

    fn advance(&mut self, pause: Ms) -> Result<(), String> {
        let end = self.world.now + pause;
        while self.step(end)? {}
        Ok(())
    }

    /// Lets time pass until the fault's worker is in the midst of what the fault is to interrupt, if that comes soon.
    fn advance_into(&mut self, midst: Midst, fault: Fault) -> Result<(), String> {
        let end = self.world.now + 3000;
        let Some(slot) = fault.slot().filter(|slot| *slot < self.workers.len()) else { return Ok(()) };
        while !self.workers[slot].is_in(midst) && self.step(end)? {}
        Ok(())
    }

    /// False: nobody serves the account by the end.
    fn advance_until_served(&mut self, within: Ms) -> Result<bool, String> {
        let (from, end) = (self.world.now + 12_000, self.world.now + within);
        while self.step(end)? {
            if self.world.now > from && self.is_served() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_served(&self) -> bool {
        let serves = |worker: &Worker| {
            let open = worker.link.as_ref().filter(|link| link.is_open());
            worker.body == Body::Running && open.is_some_and(|link| worker.in_force(link.epoch, &self.world))
        };
        self.workers.iter().any(serves)
    }

    /// Everything goes on and is reached again; somebody is there to take the account.
    fn recover(&mut self) {
        self.world.database.come_up(self.world.now);
        for slot in 0..self.workers.len() {
            for fault in [Fault::GoOn(slot), Fault::HealDatabase(slot), Fault::HealTelegram(slot)] {
                self.apply(fault);
            }
        }
        if self.workers.iter().all(|worker| worker.body == Body::Down || worker.leaving) {
            self.apply(Fault::Kill(0));
            self.apply(Fault::Start(0));
        }
    }

    /// The one window that almost any schedule would open: see [`Window::SessionEndsUnderStop`].
    fn spares(&self, slot: Slot) -> bool {
        let has_socket = self.workers[slot].link.as_ref().is_some_and(|link| link.socket().is_some());
        has_socket && !self.world.rules.is_open(Window::SessionEndsUnderStop)
    }

    fn apply(&mut self, fault: Fault) {
        self.world.note(|| format!("--- {fault:?}"));
        let (world, workers) = (&mut self.world, &mut self.workers);
        let now = world.now;
        if let Fault::Restart(down) = fault {
            return world.database.restart(now + down);
        }
        let Some(slot) = fault.slot().filter(|slot| *slot < workers.len()) else { return };
        let stands_still = workers[slot].stalled || workers[slot].body != Body::Running;
        let lock_lost = world.database.lock_lost[slot].is_some_and(|since| now < since + as_ms(SETTLED));
        let spared = self.spares(slot);
        let (world, worker) = (&mut self.world, &mut self.workers[slot]);
        match fault {
            Fault::Stop(_) | Fault::Freeze(_) | Fault::Stall(_) if stands_still || (spared && lock_lost) => {
                world.note(|| "(spared)".into());
            }
            Fault::Stop(_) => worker.halt(world, Body::Stopped),
            Fault::Freeze(_) => worker.halt(world, Body::Frozen),
            Fault::Stall(_) => worker.stalled = true,
            Fault::GoOn(_) => worker.go_on(world),
            Fault::Kill(_) if worker.body != Body::Down => worker.end(world, "is killed"),
            Fault::Start(_) if worker.body == Body::Down => {
                self.names += 1;
                *worker = Worker::start(slot, self.names, now);
            }
            Fault::Kill(_) | Fault::Start(_) => {}
            Fault::Leave(_) | Fault::GiveBack(_) => {
                worker.leaving |= matches!(fault, Fault::Leave(_)) && worker.body != Body::Down;
                worker.link.iter_mut().for_each(|link| link.stop = true);
            }
            Fault::CutDatabase { noticed, .. } => {
                world.database.cut[slot] = true;
                world.database.falls_silent(worker.name, now);
                if noticed && !(stands_still && spared) {
                    world.database.end_sessions(slot, now);
                }
            }
            Fault::HealDatabase(_) => {
                world.database.cut[slot] = false;
                if worker.body != Body::Frozen {
                    world.database.is_heard_again(worker.name, now);
                }
            }
            Fault::EndSessions(_) if stands_still && spared => world.note(|| "(spared)".into()),
            Fault::EndSessions(_) => world.database.end_lock_sessions(slot, now),
            Fault::CutTelegram(_) => world.telegram.cut[slot] = true,
            Fault::HealTelegram(_) => world.telegram.heal(slot, now, world.rules),
            Fault::Drop(_) => world.telegram.drop_connections(slot),
            Fault::Restart(_) => {}
        }
    }
}
