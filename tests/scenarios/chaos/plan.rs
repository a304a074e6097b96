//! What goes wrong and when, drawn from a seed.

use crate::support::Line;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// Something that is done at one moment. Workers and their hosts are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// `kill -9`, and a new worker in its place.
    Kill(usize),
    Stop(usize),
    Continue(usize),
    /// The worker's line to PostgreSQL.
    Postgres(usize, Line),
    /// The worker's lines to Telegram.
    Telegram(usize, Line),
    /// Telegram closes all connections.
    DropConnections,
    PostgresDown(Signal),
    PostgresUp,
}

/// How hard a storm is. Times in seconds.
#[derive(Clone, Debug)]
pub struct Weather {
    pub workers: usize,
    pub length: f64,
    /// Between the beginnings of two faults.
    pub pause: Range<f64>,
    pub stop: Range<f64>,
    pub cut: Range<f64>,
    pub postgres_down: Range<f64>,
    /// One worker is stopped for so long, once: longer than Telegram waits for a sign of life.
    pub long_stop: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Kill,
    Stop,
    Postgres(bool),
    Telegram(bool),
    DropConnections,
    PostgresDown,
}

/// Kinds are dealt out of this hand, shuffled, again and again: a storm of a minute has them all.
const HAND: [Kind; 12] = [
    Kind::Kill,
    Kind::Kill,
    Kind::Kill,
    Kind::Kill,
    Kind::Stop,
    Kind::Stop,
    Kind::Postgres(true),
    Kind::Postgres(false),
    Kind::Telegram(true),
    Kind::Telegram(false),
    Kind::DropConnections,
    Kind::PostgresDown,
];

/// What a fault occupies until it is over: two faults of one kind never overlap on the same worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Life(usize),
    Process(usize),
    Postgres(usize),
    Telegram(usize),
    Server,
}

struct Draw {
    random: fastrand::Rng,
    weather: Weather,
    taken: BTreeMap<Place, Vec<Range<f64>>>,
    deeds: Vec<(f64, Deed)>,
}

/// Deeds in the order of their times, since the storm's beginning. Every fault has ended when the storm does.
pub fn draw(seed: u64, weather: &Weather) -> Vec<(Duration, Deed)> {
    let mut draw =
        Draw { random: fastrand::Rng::with_seed(seed), weather: weather.clone(), taken: BTreeMap::new(), deeds: Vec::new() };
    draw.long_stop();
    let mut at = 1.0;
    let mut hand = Vec::new();
    while at < weather.length {
        if hand.is_empty() {
            hand = HAND.to_vec();
            draw.random.shuffle(&mut hand);
        }
        if let Some(kind) = hand.pop() {
            draw.fault(kind, at);
        }
        at += draw.within(&weather.pause);
    }
    draw.deeds.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    draw.deeds.into_iter().map(|(at, deed)| (Duration::from_secs_f64(at), deed)).collect()
}

impl Draw {
    fn within(&mut self, range: &Range<f64>) -> f64 {
        range.start + self.random.f64() * (range.end - range.start)
    }

    fn take(&mut self, place: Place, time: &Range<f64>) -> bool {
        let taken = self.taken.entry(place).or_default();
        let free = taken.iter().all(|other| other.end <= time.start || time.end <= other.start);
        if free {
            taken.push(time.clone());
        }
        free
    }

    /// A period of at most `range` from `at`.
    fn period(&mut self, at: f64, range: &Range<f64>) -> Range<f64> {
        at..(at + self.within(range)).min(self.weather.length)
    }

    fn lasting(&mut self, time: &Range<f64>, begin: Deed, end: Deed) {
        self.deeds.extend([(time.start, begin), (time.end, end)]);
    }

    /// The worker is left alone otherwise, and so are its lines to Telegram: a ping that is delivered late keeps Telegram's timer of a stopped
    /// worker running for longer than others wait.
    fn long_stop(&mut self) {
        let Some(seconds) = self.weather.long_stop else { return };
        let worker = self.random.usize(..self.weather.workers);
        let begin = self.weather.length * (0.2 + 0.4 * self.random.f64());
        let (time, around) = (begin..begin + seconds, begin - 60.0..begin + seconds + 1.0);
        for place in [Place::Life(worker), Place::Process(worker), Place::Telegram(worker)] {
            self.take(place, &around);
        }
        self.lasting(&time, Deed::Stop(worker), Deed::Continue(worker));
    }

    fn fault(&mut self, kind: Kind, at: f64) {
        let worker = self.random.usize(..self.weather.workers);
        let Weather { stop, cut, postgres_down, .. } = self.weather.clone();
        match kind {
            Kind::Kill => {
                if self.take(Place::Life(worker), &(at..at)) {
                    self.deeds.push((at, Deed::Kill(worker)));
                }
            }
            Kind::Stop => self.stop(worker, at, &stop),
            Kind::Postgres(frozen) => {
                let time = self.period(at, &cut);
                if self.take(Place::Postgres(worker), &time) {
                    let line = if frozen { Line::Frozen } else { Line::Cut };
                    self.lasting(&time, Deed::Postgres(worker, line), Deed::Postgres(worker, Line::Open));
                }
            }
            Kind::Telegram(silent) => {
                let time = self.period(at, &cut);
                if self.take(Place::Telegram(worker), &time) {
                    let line = if silent { Line::Silent } else { Line::Cut };
                    self.lasting(&time, Deed::Telegram(worker, line), Deed::Telegram(worker, Line::Open));
                }
            }
            Kind::DropConnections => self.deeds.push((at, Deed::DropConnections)),
            Kind::PostgresDown => {
                let time = self.period(at, &postgres_down);
                if self.take(Place::Server, &time) {
                    let how =
                        *self.random.choice(&[Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL]).unwrap_or(&Signal::SIGQUIT);
                    self.lasting(&time, Deed::PostgresDown(how), Deed::PostgresUp);
                    if self.random.bool() {
                        let longer = time.end - at + 1.0;
                        self.stop(worker, at - 0.7, &(longer..longer + 5.0));
                    }
                }
            }
        }
    }

    fn stop(&mut self, worker: usize, at: f64, range: &Range<f64>) {
        let time = self.period(at, range);
        if self.take(Place::Process(worker), &time) {
            self.lasting(&time, Deed::Stop(worker), Deed::Continue(worker));
        }
    }
}
