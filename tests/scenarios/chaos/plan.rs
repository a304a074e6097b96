//! What goes wrong and when, drawn from a seed.

use crate::support::proxy::Line;
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
    /// Between two failures of PostgreSQL. They are few: what is not settled by then, everybody has to wait for.
    pub postgres_up: Range<f64>,
    pub postgres_down: Range<f64>,
    /// One worker is stopped for so long, once: longer than Telegram waits for a sign of life.
    pub long_stop: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kill,
    Stop,
    Postgres(Line),
    Telegram(Line),
}

/// Kinds are dealt out of this hand, shuffled, again and again: a storm of a minute has them all.
const HAND: [Kind; 8] = [
    Kind::Kill,
    Kind::Kill,
    Kind::Stop,
    Kind::Stop,
    Kind::Postgres(Line::Frozen),
    Kind::Postgres(Line::Cut),
    Kind::Telegram(Line::Silent),
    Kind::Telegram(Line::Cut),
];

/// How long a new worker is left alone.
const SETTLING: f64 = 8.0;

/// How long a worker may take to have its session again when its line to PostgreSQL is back.
const BACK: f64 = 3.0;

/// What a fault occupies until it is over: two faults never occupy the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Process(usize),
    Postgres(usize),
    Telegram(usize),
}

struct Draw {
    random: fastrand::Rng,
    weather: Weather,
    taken: BTreeMap<Place, Vec<Range<f64>>>,
    deeds: Vec<(f64, Deed)>,
}

/// Deeds in the order of their times, since the storm's beginning. Every fault has ended when the storm does, and
/// at least half of the workers are well at any time: where all are down nothing is at stake.
pub fn draw(seed: u64, weather: &Weather) -> Vec<(Duration, Deed)> {
    let random = fastrand::Rng::with_seed(seed);
    let mut draw = Draw { random, weather: weather.clone(), taken: BTreeMap::new(), deeds: Vec::new() };
    let stopped = draw.long_stop();
    draw.postgres(&stopped);
    let (mut at, mut hand) = (1.0, Vec::new());
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

    fn period(&mut self, at: f64, range: &Range<f64>) -> Range<f64> {
        at..(at + self.within(range)).min(self.weather.length)
    }

    fn is_free(&self, place: Place, time: &Range<f64>) -> bool {
        let taken = self.taken.get(&place).into_iter().flatten();
        taken.into_iter().all(|other| other.end <= time.start || time.end <= other.start)
    }

    /// A worker, drawn from those that have all these places free; of those that are well only while most are.
    fn worker(&mut self, places: &[fn(usize) -> Place], time: &Range<f64>) -> Option<usize> {
        const ALL: [fn(usize) -> Place; 3] = [Place::Process, Place::Postgres, Place::Telegram];
        let is_well = |worker: &usize| ALL.iter().all(|place| self.is_free(place(*worker), time));
        let most_are_well = (0..self.weather.workers).filter(is_well).count() > self.weather.workers / 2;
        let free = |worker: &usize| places.iter().all(|place| self.is_free(place(*worker), time));
        let may = |worker: &usize| free(worker) && (most_are_well || !is_well(worker));
        let workers: Vec<usize> = (0..self.weather.workers).filter(may).collect();
        let worker = *self.random.choice(&workers)?;
        for place in places {
            self.taken.entry(place(worker)).or_default().push(time.clone());
        }
        Some(worker)
    }

    fn lasting(&mut self, time: &Range<f64>, begin: Deed, end: Deed) {
        self.deeds.extend([(time.start, begin), (time.end, end)]);
    }

    /// The worker is left alone otherwise, and so are its lines to Telegram: a ping that is delivered late keeps Telegram's timer of a stopped
    /// worker running for longer than others wait.
    fn long_stop(&mut self) -> Range<f64> {
        let Some(seconds) = self.weather.long_stop else { return 0.0..0.0 };
        let begin = self.weather.length * (0.2 + 0.4 * self.random.f64());
        let (time, around) = (begin..begin + seconds, begin - 60.0..begin + seconds + 1.0);
        if let Some(worker) = self.worker(&[Place::Process, Place::Postgres, Place::Telegram], &around) {
            self.lasting(&time, Deed::Stop(worker), Deed::Continue(worker));
        }
        time
    }

    /// PostgreSQL goes away now and then, every second time while a worker is stopped; when it is back, everybody has to reconnect to Telegram,
    /// too. Not more often, and not during the long stop: a worker without connections shares no key.
    fn postgres(&mut self, long_stop: &Range<f64>) {
        let Weather { length, postgres_up, postgres_down, .. } = self.weather.clone();
        let mut at = self.within(&postgres_up);
        while at < length {
            let time = self.period(at, &postgres_down);
            if time.start < long_stop.end && long_stop.start < time.end + 1.0 {
                at = long_stop.end + 1.0;
                continue;
            }
            let how = *self.random.choice(&[Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL]).unwrap_or(&Signal::SIGQUIT);
            self.lasting(&time, Deed::PostgresDown(how), Deed::PostgresUp);
            self.deeds.push((time.end + 1.0, Deed::DropConnections));
            if self.random.bool() {
                self.stop(&(at - 0.7..(time.end + 5.0).min(length)));
            }
            at = time.end + self.within(&postgres_up);
        }
    }

    fn fault(&mut self, kind: Kind, at: f64) {
        let Weather { stop, cut, .. } = self.weather.clone();
        match kind {
            // It is left alone until it has had time to get some accounts.
            Kind::Kill => {
                if let Some(worker) = self.worker(&[Place::Process, Place::Postgres], &(at..at + SETTLING)) {
                    self.deeds.push((at, Deed::Kill(worker)));
                }
            }
            Kind::Stop => {
                let time = self.period(at, &stop);
                self.stop(&time);
            }
            Kind::Postgres(line) => {
                let time = self.period(at, &cut);
                // A lock that is free tells of an owner that died or closes by itself: stopped ones must keep their sessions.
                let places: &[fn(usize) -> Place] =
                    if line == Line::Cut { &[Place::Postgres, Place::Process] } else { &[Place::Postgres] };
                if let Some(worker) = self.worker(places, &(time.start..time.end + BACK)) {
                    self.lasting(&time, Deed::Postgres(worker, line), Deed::Postgres(worker, Line::Open));
                }
            }
            Kind::Telegram(line) => {
                let time = self.period(at, &cut);
                // One that has lost its connections shares no key: that would help whoever is stopped, or cut off from PostgreSQL.
                let places: &[fn(usize) -> Place] =
                    if line == Line::Cut { &[Place::Telegram, Place::Process] } else { &[Place::Telegram] };
                if let Some(worker) = self.worker(places, &time) {
                    self.lasting(&time, Deed::Telegram(worker, line), Deed::Telegram(worker, Line::Open));
                }
            }
        }
    }

    fn stop(&mut self, time: &Range<f64>) {
        if let Some(worker) = self.worker(&[Place::Process], time) {
            self.lasting(time, Deed::Stop(worker), Deed::Continue(worker));
        }
    }
}
