//! What happens to the workers and to what lies between them, and when: drawn at random, and made smaller where it shows something.

use super::{Ms, Slot};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGSTOP.
    Stop(Slot),
    /// The host is suspended.
    Freeze(Slot),
    /// Only the thread with the locks stands still.
    Stall(Slot),
    /// Whatever of these it was, it is over.
    GoOn(Slot),
    /// SIGKILL.
    Kill(Slot),
    /// Starts where none runs.
    Start(Slot),
    /// SIGTERM.
    Leave(Slot),
    /// The account is to move to another worker.
    GiveBack(Slot),
    /// Nothing goes between worker and PostgreSQL. `noticed`: PostgreSQL ends the sessions at once, else after 25 s.
    CutDatabase {
        slot: Slot,
        noticed: bool,
    },
    HealDatabase(Slot),
    /// PostgreSQL ends the worker's sessions, and is reached at once again.
    EndSessions(Slot),
    /// PostgreSQL is away for so long.
    Restart(Ms),
    /// Nothing goes between worker and Telegram.
    CutTelegram(Slot),
    HealTelegram(Slot),
    /// Telegram closes the connection.
    Drop(Slot),
}

impl Fault {
    /// Whom it happens to.
    pub fn slot(self) -> Option<Slot> {
        match self {
            Self::Restart(_) => None,
            Self::Stop(slot)
            | Self::Freeze(slot)
            | Self::Stall(slot)
            | Self::GoOn(slot)
            | Self::Kill(slot)
            | Self::Start(slot)
            | Self::Leave(slot)
            | Self::GiveBack(slot)
            | Self::CutDatabase { slot, .. }
            | Self::HealDatabase(slot)
            | Self::EndSessions(slot)
            | Self::CutTelegram(slot)
            | Self::HealTelegram(slot)
            | Self::Drop(slot) => Some(slot),
        }
    }
}

/// What a fault interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Midst {
    Anything,
    /// The lock's session waits for an answer.
    Statement,
    /// A transaction has read its lease.
    Write,
    /// A connection is being made.
    Dial,
}

/// Faults in their order, each with the time since the one before it and what it interrupts, and the seed of everything else that is
/// left to chance.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub workers: usize,
    pub faults: Vec<(Ms, Midst, Fault)>,
    /// How long the last state of things lasts.
    pub calm_after: Ms,
}

/// A fault without its particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stop,
    Freeze,
    Stall,
    GoOn,
    Kill,
    Start,
    Leave,
    GiveBack,
    CutDatabase,
    HealDatabase,
    EndSessions,
    Restart,
    CutTelegram,
    HealTelegram,
    Drop,
}

const KINDS: [Kind; 15] = [
    Kind::Stop,
    Kind::Freeze,
    Kind::Stall,
    Kind::GoOn,
    Kind::Kill,
    Kind::Start,
    Kind::Leave,
    Kind::GiveBack,
    Kind::CutDatabase,
    Kind::HealDatabase,
    Kind::EndSessions,
    Kind::Restart,
    Kind::CutTelegram,
    Kind::HealTelegram,
    Kind::Drop,
];

/// Which faults a search draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Of all kinds, one to three at a time: what needs several of one kind is found sooner than when everything is mixed.
    Any,
    /// Of these, and what ends them.
    Of(&'static [Kind]),
    /// One worker is killed, started, leaves, gives back; the others are always there, and PostgreSQL answers soon.
    KillsOfOne,
    /// PostgreSQL restarts, and nothing else happens.
    RestartsOnly,
    /// Workers are stopped, and PostgreSQL is slow.
    SlowStops,
}

fn draw(dice: &mut fastrand::Rng, kind: Kind, slot: Slot) -> Fault {
    match kind {
        Kind::Stop => Fault::Stop(slot),
        Kind::Freeze => Fault::Freeze(slot),
        Kind::Stall => Fault::Stall(slot),
        Kind::GoOn => Fault::GoOn(slot),
        Kind::Kill => Fault::Kill(slot),
        Kind::Start => Fault::Start(slot),
        Kind::Leave => Fault::Leave(slot),
        Kind::GiveBack => Fault::GiveBack(slot),
        Kind::CutDatabase => Fault::CutDatabase { slot, noticed: dice.bool() },
        Kind::HealDatabase => Fault::HealDatabase(slot),
        Kind::EndSessions => Fault::EndSessions(slot),
        Kind::Restart => Fault::Restart(if dice.bool() { dice.u64(100..3000) } else { dice.u64(3000..110_000) }),
        Kind::CutTelegram => Fault::CutTelegram(slot),
        Kind::HealTelegram => Fault::HealTelegram(slot),
        Kind::Drop => Fault::Drop(slot),
    }
}

/// What ends a fault that lasts.
fn end_of(fault: Fault) -> Option<Fault> {
    match fault {
        Fault::Stop(slot) | Fault::Freeze(slot) | Fault::Stall(slot) => Some(Fault::GoOn(slot)),
        Fault::Kill(slot) | Fault::Leave(slot) => Some(Fault::Start(slot)),
        Fault::CutDatabase { slot, .. } => Some(Fault::HealDatabase(slot)),
        Fault::CutTelegram(slot) => Some(Fault::HealTelegram(slot)),
        _ => None,
    }
}

/// Times that matter: the very next moment, the fence, the settling, Telegram's timer, and the longest wait.
fn pause(dice: &mut fastrand::Rng) -> Ms {
    match dice.u8(..10) {
        0 => dice.u64(..4),
        1 => dice.u64(..300),
        2 | 3 => dice.u64(..3000),
        4 => dice.u64(2000..8000),
        5 | 6 => dice.u64(8000..30_000),
        7 => dice.u64(55_000..80_000),
        _ => dice.u64(88_000..93_000),
    }
}

impl Schedule {
    /// The schedule of this seed.
    pub fn random(seed: u64, weather: Weather) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let workers = dice.usize(2..=3);
        let kinds = match weather {
            Weather::Any => (0..dice.u8(1..=3)).map(|_| KINDS[dice.usize(..KINDS.len())]).collect(),
            Weather::Of(kinds) => kinds.to_vec(),
            Weather::KillsOfOne => vec![Kind::Kill, Kind::Start, Kind::Leave, Kind::GiveBack],
            Weather::RestartsOnly => vec![Kind::Restart],
            Weather::SlowStops => vec![Kind::Stop],
        };
        let mut faults = Vec::new();
        for _ in 0..dice.usize(1..=5) {
            let kind = kinds[dice.usize(..kinds.len())];
            let others = dice.u8(..3) == 0 && weather != Weather::KillsOfOne;
            let slot = if others { dice.usize(..workers) } else { 0 };
            let fault = draw(&mut dice, kind, slot);
            let midst = [Midst::Anything, Midst::Statement, Midst::Write, Midst::Dial][dice.usize(..4)];
            faults.push((pause(&mut dice), midst, fault));
            if let Some(end) = end_of(fault).filter(|_| dice.u8(..3) > 0) {
                faults.push((pause(&mut dice), Midst::Anything, end));
                // And again, before much could be done.
                if dice.u8(..4) == 0 {
                    faults.push((dice.u64(..50), Midst::Anything, fault));
                }
            }
        }
        Self { seed, workers, faults, calm_after: pause(&mut dice) }
    }

    /// Leaves out, one after the other, what is not needed for `fails`.
    pub fn shrink(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut index = 0;
        while index < self.faults.len() {
            let mut smaller = self.clone();
            let (pause, ..) = smaller.faults.remove(index);
            *smaller.faults.get_mut(index).map_or(&mut smaller.calm_after, |(next, ..)| next) += pause;
            if fails(&smaller) {
                self = smaller;
            } else {
                index += 1;
            }
        }
        self
    }
}
