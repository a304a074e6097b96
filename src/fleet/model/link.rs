//! The connection to Telegram, for as long as the lease is in force: `fleet::connection` and the supervisor of `mtproto::connection`.

use super::Ms;
use super::rules::{Rule, Window};
use super::telegram::SocketId;
use super::worker::{Worker, Write};
use super::world::World;
use std::ops::Range;

/// `Timings::ping_every`.
const PING_EVERY: Ms = 25_000;
/// grammers' own.
const UNASKED_PING_EVERY: Ms = 60_000;
/// `Timings::ping_timeout`.
const PING_TIMEOUT: Ms = 10_000;
/// `Timings::connect`.
const CONNECT_TIMEOUT: Ms = 15_000;
/// `GATE_POLL`.
const GATE_POLL: Ms = 200;
/// Before another connection, growing (`Timings::backoff_min` and `backoff_max`).
const PAUSE: Range<Ms> = 100..5000;
/// Two seconds until the runner is aborted, two more until the forwarding is.
const CLOSE_TAKES_AT_MOST: Ms = 4000;

#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// Not connected; tries at this time.
    Idle { at: Ms },
    /// The gate was open; the first bytes leave at this time.
    Dialing { at: Ms },
    /// The key was used; the first ping arrives at this time, or `until` is reached.
    Greeting { socket: SocketId, at: Ms, until: Ms },
    /// Up.
    Open { socket: SocketId, ping_at: Ms, unasked_at: Ms, unanswered_since: Option<Ms> },
    /// The close is seen at this time. `ends`: for good.
    Closing { socket: SocketId, at: Ms, ends: bool },
    /// The lease is being given back.
    Ended,
}

pub struct Link {
    pub epoch: i64,
    pub phase: Phase,
    /// Told to give the account back.
    pub stop: bool,
}

impl Link {
    pub fn new(epoch: i64, now: Ms) -> Self {
        Self { epoch, phase: Phase::Idle { at: now }, stop: false }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    pub fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Dialing { .. } | Phase::Greeting { .. })
    }

    /// Its socket, where it has one.
    pub fn socket(&self) -> Option<SocketId> {
        match self.phase {
            Phase::Greeting { socket, .. } | Phase::Open { socket, .. } | Phase::Closing { socket, .. } => Some(socket),
            Phase::Idle { .. } | Phase::Dialing { .. } | Phase::Ended => None,
        }
    }
}

impl Worker {
    /// The task is to end, and why not only for now.
    fn is_over(&self, link: &Link) -> bool {
        link.stop || self.keeper.held.is_none_or(|held| held.epoch != link.epoch)
    }

    fn is_suspended(&self) -> bool {
        self.keeper.held.is_some_and(|held| held.suspended)
    }

    pub fn link_due(&self, world: &World) -> Option<Ms> {
        let link = self.link.as_ref()?;
        let must_close = self.is_over(link) || self.is_suspended();
        let at = match link.phase {
            Phase::Idle { .. } if self.is_over(link) => 0,
            Phase::Idle { .. } if must_close => return None,
            Phase::Dialing { .. } | Phase::Greeting { .. } | Phase::Open { .. } if must_close => 0,
            Phase::Idle { at } | Phase::Dialing { at } | Phase::Closing { at, .. } => at + self.slept,
            Phase::Greeting { socket, at, until } => {
                let cut = world.telegram.cut[self.slot] || !world.telegram.knows(socket);
                (if cut { until } else { at }) + self.slept
            }
            Phase::Open { socket, .. } if !world.telegram.cut[self.slot] && !world.telegram.knows(socket) => 0,
            Phase::Open { ping_at, unasked_at, unanswered_since, .. } => {
                let dead = unanswered_since.map_or(Ms::MAX, |since| since + PING_TIMEOUT);
                ping_at.min(dead).min(if world.rules.is_open(Window::UnaskedPing) { unasked_at } else { Ms::MAX }) + self.slept
            }
            Phase::Ended if self.keeper.give_back.is_none() => 0,
            Phase::Ended => return None,
        };
        Some(at)
    }

    /// One step of the connection's task.
    pub fn connect(&mut self, world: &mut World) {
        let now = self.timer(world.now);
        let Some(link) = &self.link else { return };
        let (epoch, phase, over) = (link.epoch, link.phase, self.is_over(link));
        let must_close = over || self.is_suspended();
        let gate = self.in_force(epoch, world);
        let next = match phase {
            Phase::Idle { .. } | Phase::Dialing { .. } if over => self.ended(epoch),
            Phase::Idle { .. } if self.is_suspended() || (!gate && world.rules.keep(Rule::GateBeforeDial)) => {
                Phase::Idle { at: now + GATE_POLL }
            }
            Phase::Idle { .. } if world.telegram.cut[self.slot] => Phase::Idle { at: now + CONNECT_TIMEOUT },
            // In one step, unless a stop may fall in between.
            Phase::Idle { .. } if !world.rules.is_open(Window::StopWhileDialing) => self.dial(world),
            Phase::Idle { .. } => Phase::Dialing { at: now + world.dice.u64(20..120) },
            Phase::Dialing { .. } if self.is_suspended() => Phase::Idle { at: now + GATE_POLL },
            Phase::Dialing { .. } => self.dial(world),
            Phase::Greeting { socket, .. } | Phase::Open { socket, .. } if must_close => {
                self.stop_writing(world);
                self.close(world, socket, over)
            }
            Phase::Greeting { socket, at, .. } if now >= at && world.telegram.ping(socket, world.now) => self.up(world, socket),
            Phase::Greeting { socket, .. } => self.close(world, socket, false),
            Phase::Open { socket, ping_at, unasked_at, unanswered_since } => {
                let dead = unanswered_since.is_some_and(|since| now >= since + PING_TIMEOUT);
                // Another task's: it may be first.
                let unasked = world.rules.is_open(Window::UnaskedPing) && now >= unasked_at && world.dice.bool();
                let asked = now >= ping_at && !unasked;
                if !world.telegram.cut[self.slot] && !world.telegram.knows(socket) {
                    Phase::Idle { at: now + world.dice.u64(PAUSE) }
                } else if dead || (asked && !gate && world.rules.keep(Rule::GateBeforePing)) {
                    self.close(world, socket, false)
                } else {
                    let answered = world.telegram.ping(socket, world.now);
                    let unanswered_since = if answered { None } else { unanswered_since.or(Some(now)) };
                    let ping_at = if asked { now + PING_EVERY } else { ping_at };
                    let unasked_at = if asked { unasked_at } else { now + UNASKED_PING_EVERY };
                    Phase::Open { socket, ping_at, unasked_at, unanswered_since }
                }
            }
            Phase::Closing { socket, ends, .. } => {
                world.telegram.close(socket);
                if ends || over { self.ended(epoch) } else { Phase::Idle { at: now + world.dice.u64(PAUSE) } }
            }
            Phase::Ended => {
                self.link = None;
                return;
            }
        };
        let name = self.name;
        if !matches!((phase, next), (Phase::Idle { .. }, Phase::Idle { .. })) {
            world.note(|| format!("worker {name}: {next:?}"));
        }
        if let Some(link) = &mut self.link {
            link.phase = next;
        }
    }

    /// The first bytes, which use the key.
    fn dial(&mut self, world: &mut World) -> Phase {
        let socket = world.telegram.open(world.rules, self.slot, self.name);
        let now = self.timer(world.now);
        if world.rules.is_open(Window::StopBeforeFirstPing) {
            return Phase::Greeting { socket, at: now + world.dice.u64(20..120), until: now + CONNECT_TIMEOUT };
        }
        if world.rules.keep(Rule::PingFirst) {
            world.telegram.ping(socket, world.now);
        }
        self.up(world, socket)
    }

    fn up(&mut self, world: &mut World, socket: SocketId) -> Phase {
        let now = self.timer(world.now);
        self.write.get_or_insert(Write::InHand { at: now + world.dice.u64(50..3000) });
        Phase::Open { socket, ping_at: now + PING_EVERY, unasked_at: now + UNASKED_PING_EVERY, unanswered_since: None }
    }

    fn close(&mut self, world: &mut World, socket: SocketId, ends: bool) -> Phase {
        if ends && !world.rules.keep(Rule::GiveBackAfterClose) {
            self.keeper.give_back = self.link.as_ref().map(|link| link.epoch);
        }
        Phase::Closing { socket, at: self.timer(world.now) + world.dice.u64(1..=CLOSE_TAKES_AT_MOST), ends }
    }

    fn ended(&mut self, epoch: i64) -> Phase {
        self.keeper.give_back = Some(epoch);
        Phase::Ended
    }
}
