//! Pauses that double, with jitter, so that a thousand connections lost together do not come back together.

use std::time::Duration;

/// A growing pause.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The next pause: between half of it and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        pause.mul_f64(0.5 + 0.5 * random_fraction())
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

/// Between 0 and 1.
pub(crate) fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pauses are merely not spread.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_limit_and_start_over() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(min, max);
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next();
            assert!(pause <= Duration::from_millis(expected) && pause >= Duration::from_millis(expected / 2), "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= min);
    }
}
