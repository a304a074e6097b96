//! How fast this process connects: accounts that were claimed or lost together come (back) one after the other, because a thousand
//! handshakes at once are a storm for Telegram and for ourselves.

use super::backoff::random_fraction;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A queue of turns.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Mean distance of two turns.
    every: Duration,
    /// The first turn that is not taken.
    free: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { every: Duration::from_secs(1) / per_second.get(), free: Mutex::new(Instant::now()) }
    }

    /// Waits for the next free turn. One that is dropped meanwhile is lost; that costs the others nothing but its time.
    pub(crate) async fn turn(&self) {
        sleep_until(self.take(Instant::now(), random_fraction())).await;
    }

    /// Takes a turn; the next one comes after half of the distance to one and a half.
    fn take(&self, now: Instant, dice: f64) -> Instant {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = now.max(*free);
        *free = turn + self.every.mul_f64(0.5 + dice);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_keep_their_rate_on_average_and_an_idle_hour_is_not_saved_up() {
        let pace = Pace::new(NonZeroU32::new(100).unwrap());
        let now = Instant::now() + Duration::from_secs(3600);
        let turns: Vec<Duration> = (0..500).map(|n| pace.take(now, f64::from(n % 11) / 10.0) - now).collect();
        assert_eq!(turns[0], Duration::ZERO);
        assert!(turns.windows(2).all(|two| two[1] - two[0] >= Duration::from_millis(4)), "never closer than half");
        let last = turns[499].as_secs_f64();
        assert!((4.9..5.1).contains(&last), "500 at 100 a second: {last}");
    }
}
