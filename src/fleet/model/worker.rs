//! One worker process: its clocks, its threads, and what it does next. What is due at the same moment happens in any order, and a stop
//! may fall between any two actions; what fell due during a stop happens, in any order, when the process goes on.

use super::database::TxId;
use super::keeper::Keeper;
use super::link::Link;
use super::schedule::Midst;
use super::world::World;
use super::{Ms, Name, Slot};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Down,
    Running,
    /// SIGSTOP: the kernel still keeps its sockets.
    Stopped,
    /// With its host: nobody keeps anything, and timers stand still.
    Frozen,
}

/// A batch of updates on its way into the database.
#[derive(Clone, Copy, Debug)]
pub enum Write {
    /// In hand, not begun.
    InHand {
        at: Ms,
    },
    Begun {
        tx: TxId,
        at: Ms,
    },
    Checked {
        tx: TxId,
        at: Ms,
    },
}

pub struct Worker {
    pub slot: Slot,
    /// Unique per start.
    pub name: Name,
    pub body: Body,
    /// The thread with the lock's session stands still; the rest of the process runs.
    pub stalled: bool,
    /// Since when it is frozen.
    frozen_at: Ms,
    /// For how long its host was suspended: its timers are behind by so much.
    pub slept: Ms,
    pub leaving: bool,
    pub keeper: Keeper,
    pub link: Option<Link>,
    pub write: Option<Write>,
    next_look: Ms,
    /// It does one thing at a time.
    busy_until: Ms,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Fence,
    Keeper,
    Look,
    Link,
    Write,
}

const ACTIONS: [Action; 5] = [Action::Fence, Action::Keeper, Action::Look, Action::Link, Action::Write];

impl Worker {
    /// A process that starts at `now`.
    pub fn start(slot: Slot, name: Name, now: Ms) -> Self {
        Self {
            slot,
            name,
            body: Body::Running,
            stalled: false,
            frozen_at: 0,
            slept: 0,
            leaving: false,
            keeper: Keeper::new(now),
            link: None,
            write: None,
            next_look: now,
            busy_until: now,
        }
    }

    /// The time as timers count it.
    pub fn timer(&self, now: Ms) -> Ms {
        now - self.slept
    }

    fn due_at(&self, action: Action, world: &World) -> Option<Ms> {
        let timer = |at: Ms| at + self.slept;
        match action {
            Action::Fence => self.fence_due().map(timer),
            Action::Keeper => self.keeper_due(world),
            Action::Look => self.link.is_none().then(|| timer(self.next_look)),
            Action::Link => self.link_due(world),
            Action::Write => self.write.map(|write| match write {
                Write::InHand { at } | Write::Begun { at, .. } | Write::Checked { at, .. } => timer(at),
            }),
        }
    }

    /// When it does something next.
    pub fn next(&self, world: &World) -> Ms {
        if self.body != Body::Running {
            return Ms::MAX;
        }
        let due = ACTIONS.iter().filter_map(|action| self.due_at(*action, world)).min();
        due.map_or(Ms::MAX, |due| due.max(self.busy_until))
    }

    /// Does one of the things that are due.
    pub fn act(&mut self, world: &mut World) {
        if self.body != Body::Running || self.busy_until > world.now {
            return;
        }
        let is_due = |action: &Action| self.due_at(*action, world).is_some_and(|at| at <= world.now);
        let due: Vec<Action> = ACTIONS.into_iter().filter(is_due).collect();
        let Some(chosen) = world.dice.choice(due) else { return };
        self.busy_until = world.now + 1;
        match chosen {
            Action::Fence => self.fence(world),
            Action::Keeper => self.keep(world),
            Action::Look => self.look(world),
            Action::Link => self.connect(world),
            Action::Write => self.write(world),
        }
        if self.leaving && self.link.is_none() && self.keeper.held.is_none() && self.keeper.is_idle() {
            self.end(world, "has left");
        }
    }

    /// The supervisor's look at the accounts, every second: one that nobody serves is asked for.
    fn look(&mut self, world: &World) {
        self.next_look = self.timer(world.now) + 1000;
        if self.leaving || self.link.is_some() || !world.database.is_reached_by(self.slot, world.now) {
            return;
        }
        let found = world.database.find(world.now);
        self.keeper.wants_claim = found.owner.is_none() || found.age >= crate::fleet::takeover::SILENT;
    }

    /// The steps of a write. The batch in hand is stored whether or not time has passed: the transaction looks, not the process.
    fn write(&mut self, world: &mut World) {
        let soon = self.timer(world.now) + world.latency();
        let (Some(write), Some(epoch)) = (self.write, self.link.as_ref().map(|link| link.epoch)) else { return };
        let again = Some(Write::InHand { at: self.timer(world.now) + world.dice.u64(500..5000) });
        self.write = match write {
            // The network may be cut: then it arrives when that heals, if the transaction is still there.
            Write::Checked { tx, .. } => {
                let arrives = world.now + world.latency();
                world.database.send_commit(tx, arrives);
                again
            }
            _ if !world.database.is_reached_by(self.slot, world.now) => again,
            Write::InHand { .. } => Some(Write::Begun { tx: world.database.begin(world.now, self.slot, epoch), at: soon }),
            Write::Begun { tx, .. } if world.database.check(world.now, world.rules, tx, self.name) => {
                Some(Write::Checked { tx, at: soon })
            }
            Write::Begun { tx, .. } => {
                world.database.roll_back(tx);
                again
            }
        };
    }

    pub fn is_in(&self, midst: Midst) -> bool {
        match midst {
            Midst::Anything => true,
            Midst::Statement => self.keeper.waits_for_answer(),
            Midst::Write => matches!(self.write, Some(Write::Checked { .. })),
            Midst::Dial => self.link.as_ref().is_some_and(Link::is_connecting),
        }
    }

    pub fn stop_writing(&mut self, world: &mut World) {
        if let Some(Write::Begun { tx, .. } | Write::Checked { tx, .. }) = self.write.take() {
            world.database.roll_back(tx);
        }
    }

    /// SIGSTOP, or its host freezes.
    pub fn halt(&mut self, world: &mut World, body: Body) {
        self.body = body;
        if body == Body::Frozen {
            self.frozen_at = world.now;
            world.database.falls_silent(self.name, world.now);
        }
    }

    pub fn go_on(&mut self, world: &mut World) {
        if self.body == Body::Frozen {
            self.slept += world.now - self.frozen_at;
            if !world.database.cut[self.slot] {
                world.database.is_heard_again(self.name, world.now);
            }
        }
        if self.body != Body::Down {
            self.body = Body::Running;
            // The check of the leases comes at its next 200 ms.
            self.keeper.fence_at = self.keeper.fence_at.min(self.timer(world.now) + world.dice.u64(..200));
        }
        self.stalled = false;
    }

    /// The process ends; its kernel closes what it had open.
    pub fn end(&mut self, world: &mut World, how: &str) {
        let name = self.name;
        world.note(|| format!("worker {name} {how}"));
        // A frozen host that goes takes its connections with it: nobody hears of a close.
        if self.body != Body::Frozen {
            self.stop_writing(world);
            world.telegram.crash(self.name);
            self.hang_up(world);
        }
        *self = Self { body: Body::Down, ..Self::start(self.slot, self.name, world.now) };
    }
}
