//! What a run did and saw, shown when it fails.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Samples shown: the last two minutes.
const SAMPLES: usize = 120;

/// The record of one run; printed when it is dropped by a panic.
pub struct Trace {
    seed: u64,
    began: Instant,
    lines: Mutex<(Vec<String>, VecDeque<String>)>,
}

impl Trace {
    pub fn new(seed: u64) -> Self {
        println!("CHAOS_SEED={seed}");
        Self { seed, began: Instant::now(), lines: Mutex::default() }
    }

    fn lines(&self) -> MutexGuard<'_, (Vec<String>, VecDeque<String>)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> String {
        format!("{:7.2} s", self.began.elapsed().as_secs_f64())
    }

    /// Something happened.
    pub fn event(&self, what: &str) {
        let line = format!("{} {what}", self.now());
        println!("{line}");
        self.lines().0.push(line);
    }

    /// How it looks now; only the last ones are kept.
    pub fn sample(&self, what: &str) {
        let line = format!("{} {what}", self.now());
        let samples = &mut self.lines().1;
        samples.push_back(line);
        if samples.len() > SAMPLES {
            samples.pop_front();
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.lines();
            eprintln!("--- CHAOS_SEED={}, what was done:", self.seed);
            lines.0.iter().for_each(|line| eprintln!("{line}"));
            eprintln!("--- what was seen at last:");
            lines.1.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}
