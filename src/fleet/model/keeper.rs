//! The thread with the lock's session: renews, takes, gives back, and suspends what is too old. One statement after the other, as in
//! `lock_session` and `taking`; decisions are those of `takeover`.

use super::database::SessionId;
use super::rules::Rule;
use super::statements::Statement;
use super::steps::Step;
use super::worker::Worker;
use super::world::World;
use super::{Ms, as_ms};
use crate::fleet::takeover::{FENCE, RENEWAL};

/// `lock_session::RETRY`.
const RETRY: Ms = 250;
/// `dial::PATIENCE`.
const PATIENCE: Ms = 4500;

/// The lease as its owner counts it (`held`).
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub epoch: i64,
    /// By the lease's clock.
    pub confirmed: Ms,
    pub locked: bool,
    pub suspended: bool,
}

struct Doing {
    step: Step,
    /// By the lease's clock.
    began: Ms,
    /// By timers.
    gives_up: Ms,
}

pub struct Keeper {
    session: Option<SessionId>,
    last_session: Option<SessionId>,
    /// By the lease's clock.
    pub opened: Ms,
    connect_at: Ms,
    pub renew_at: Ms,
    doing: Option<Doing>,
    /// When somebody last asked for the lock that a taker keeps.
    pub waiting: Option<Ms>,
    pub held: Option<Held>,
    pub fence_at: Ms,
    pub wants_claim: bool,
    /// A lease whose connection is closed.
    pub give_back: Option<i64>,
}

impl Keeper {
    pub fn new(now: Ms) -> Self {
        Self {
            session: None,
            last_session: None,
            opened: 0,
            connect_at: now,
            renew_at: 0,
            doing: None,
            waiting: None,
            held: None,
            fence_at: Ms::MAX,
            wants_claim: false,
            give_back: None,
        }
    }

    pub fn waits_for_answer(&self) -> bool {
        self.doing.is_some()
    }

    pub fn is_idle(&self) -> bool {
        self.doing.is_none() && self.give_back.is_none()
    }
}

impl Worker {
    /// The clock by which this process measures the age of its lease.
    pub fn lease_clock(&self, world: &World) -> Ms {
        if world.rules.keep(Rule::BootClock) { world.now } else { self.timer(world.now) }
    }

    /// The lease may be used at this moment.
    pub fn in_force(&self, epoch: i64, world: &World) -> bool {
        let fresh = |held: &Held| held.epoch == epoch && self.lease_clock(world) - held.confirmed < as_ms(FENCE);
        self.keeper.held.as_ref().is_some_and(fresh)
    }

    pub fn fence_due(&self) -> Option<Ms> {
        self.keeper.held.filter(|held| !held.suspended && !self.stalled).map(|_| self.keeper.fence_at)
    }

    pub fn fence(&mut self, world: &World) {
        let now = self.timer(world.now);
        let Some(held) = self.keeper.held else { return };
        let stale = !self.in_force(held.epoch, world) && world.rules.keep(Rule::Fence);
        let age = self.lease_clock(world) - held.confirmed;
        if let Some(held) = &mut self.keeper.held {
            held.suspended |= stale;
        }
        // The next check that can find it stale.
        self.keeper.fence_at = now + 200 + as_ms(FENCE).saturating_sub(age) / 200 * 200;
    }

    pub fn keeper_due(&self, world: &World) -> Option<Ms> {
        let keeper = &self.keeper;
        if self.stalled {
            return None;
        }
        let Some(session) = keeper.session else { return Some(keeper.connect_at + self.slept) };
        if !world.database.is_alive(session) && !world.database.cut[self.slot] {
            return Some(0);
        }
        if let Some(doing) = &keeper.doing {
            let gives_up = doing.gives_up + self.slept;
            return Some(world.database.answer_at(session).map_or(gives_up, |at| at.min(gives_up)));
        }
        let asked = keeper.give_back.is_some() || keeper.wants_claim;
        let renew_at = keeper.renew_at + self.slept;
        let retry_at = (renew_at + RETRY).saturating_sub(as_ms(RENEWAL));
        let unlocked = keeper.held.is_some_and(|held| !held.locked);
        Some(if asked {
            0
        } else if unlocked {
            retry_at
        } else {
            renew_at
        })
    }

    /// One turn of the thread.
    pub fn keep(&mut self, world: &mut World) {
        let now = self.timer(world.now);
        let Some(session) = self.keeper.session else { return self.open_session(world) };
        if !world.database.is_alive(session) && !world.database.cut[self.slot] {
            return self.session_lost(world);
        }
        if let Some(Doing { step, began, gives_up }) = self.keeper.doing.take() {
            let answer = world.database.answer_at(session).filter(|at| *at <= world.now);
            match answer.and_then(|_| world.database.take_answer(session)) {
                Some(answer) => {
                    if let Some(next) = self.answered(world, step, began, answer) {
                        self.begin(world, session, next);
                    }
                }
                None if now >= gives_up => self.session_lost(world),
                None => self.keeper.doing = Some(Doing { step, began, gives_up }),
            }
            return;
        }
        let unlocked = self.keeper.held.is_some_and(|held| !held.locked);
        let retry_at = (self.keeper.renew_at + RETRY).saturating_sub(as_ms(RENEWAL));
        let step = if now >= self.keeper.renew_at || (unlocked && now >= retry_at) {
            self.keeper.renew_at = now + as_ms(RENEWAL);
            if unlocked && world.rules.keep(Rule::LockToRenew) { Step::Relock } else { self.renewal() }
        } else if let Some(epoch) = self.keeper.give_back {
            Step::GiveBack(epoch)
        } else if std::mem::take(&mut self.keeper.wants_claim) && self.keeper.held.is_none() {
            Step::Look
        } else {
            return;
        };
        self.begin(world, session, step);
    }

    pub fn renewal(&self) -> Step {
        Step::Renew { own: self.keeper.held.map(|held| (held.epoch, held.locked)) }
    }

    fn open_session(&mut self, world: &mut World) {
        let now = self.timer(world.now);
        if !world.database.is_reached_by(self.slot, world.now) {
            // What is not in the registry is given back by the first renewal.
            if self.keeper.give_back.take().is_some() {
                self.keeper.held = None;
            }
            self.keeper.wants_claim = false;
            // Refused at once, or unanswered.
            self.keeper.connect_at = now + RETRY + if world.database.cut[self.slot] { world.dice.u64(..PATIENCE) } else { 0 };
            return;
        }
        let session = world.database.connect(world.now, self.slot, self.name, self.keeper.last_session);
        (self.keeper.session, self.keeper.last_session) = (Some(session), Some(session));
        self.keeper.opened = self.lease_clock(world);
        self.keeper.renew_at = now;
    }

    fn session_lost(&mut self, world: &mut World) {
        self.hang_up(world);
        if let Some(held) = &mut self.keeper.held {
            held.locked = false;
        }
        self.keeper.connect_at = self.timer(world.now) + 50;
    }

    pub fn hang_up(&mut self, world: &mut World) {
        if let Some(session) = self.keeper.session.take() {
            world.database.hang_up(session, world.now);
        }
        (self.keeper.doing, self.keeper.waiting) = (None, None);
    }

    fn begin(&mut self, world: &mut World, session: SessionId, step: Step) {
        let statement = match &step {
            Step::Relock | Step::TryLock(_) => Statement::TryLock,
            Step::Renew { own } => Statement::Renew { own: *own, beats: !self.leaving },
            Step::LookWhoTook | Step::Look | Step::LookAgain => Statement::Find,
            Step::MarkOrphaned(found) => Statement::MarkOrphaned { epoch: found.epoch },
            Step::Take(epoch) => Statement::Take { epoch: *epoch },
            Step::GiveBack(epoch) => Statement::GiveBack { epoch: *epoch },
            Step::EndHolder(found) => {
                Statement::EndHolder { owner: found.owner.as_ref().map_or(0, |name| name.parse().unwrap()) }
            }
            Step::Unlock => Statement::Unlock,
        };
        let (name, began) = (self.name, self.lease_clock(world));
        if !matches!(statement, Statement::Renew { own: None | Some((_, true)), .. }) {
            world.note(|| format!("worker {name} sends {statement:?}"));
        }
        self.keeper.doing = Some(Doing { step, began, gives_up: self.timer(world.now) + PATIENCE });
        let arrives = world.now + world.latency();
        world.database.send(session, arrives, statement);
    }
}
