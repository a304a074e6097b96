//! Limits on signing in, per process: attempts per address, and how many passwords are hashed at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Attempts per address and [`WINDOW`].
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered.
const REMEMBERED: usize = 10_000;

/// Passwords hashed at once; each takes a core and, with argon2id, 19 MiB.
const HASHED_AT_ONCE: usize = 2;

/// Counts attempts. An attempt counts when it begins, so that parallel ones do not slip through.
#[derive(Debug)]
pub struct Attempts {
    windows: Mutex<HashMap<String, Window>>,
    hashing: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    count: u32,
    ends: Instant,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { windows: Mutex::default(), hashing: Arc::new(Semaphore::new(HASHED_AT_ONCE)) }
    }
}

impl Attempts {
    /// Counts an attempt; `Err` with the time to wait when there were too many.
    pub fn begin(&self, email: &str) -> Result<(), Duration> {
        self.begin_at(email, Instant::now())
    }

    fn begin_at(&self, email: &str, now: Instant) -> Result<(), Duration> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= REMEMBERED {
            make_room(&mut windows, now);
        }
        let window = windows.entry(email.to_lowercase()).or_insert(Window { count: 0, ends: now + WINDOW });
        if window.ends <= now {
            *window = Window { count: 0, ends: now + WINDOW };
        }
        if window.count >= MOST {
            return Err(window.ends - now);
        }
        window.count += 1;
        Ok(())
    }

    /// Forgets the attempts of an address whose password was right.
    pub fn succeeded(&self, email: &str) {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).remove(&email.to_lowercase());
    }

    /// Waits for a turn to hash.
    pub async fn turn(&self) -> OwnedSemaphorePermit {
        self.hashing.clone().acquire_owned().await.expect("the semaphore is never closed")
    }
}

/// Forgets what has ended, or else the one that ends first.
fn make_room(windows: &mut HashMap<String, Window>, now: Instant) {
    windows.retain(|_, window| window.ends > now);
    if windows.len() >= REMEMBERED {
        let first = windows.iter().min_by_key(|(_, window)| window.ends).map(|(email, _)| email.clone());
        first.and_then(|email| windows.remove(&email));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_ten_attempts_a_minute() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..MOST {
            attempts.begin_at("Anna@example.org", now).unwrap();
        }
        assert!(attempts.begin_at("anna@example.org", now).unwrap_err() <= WINDOW);
        attempts.begin_at("bob@example.org", now).unwrap();
        attempts.begin_at("anna@example.org", now + WINDOW).unwrap();
    }

    #[test]
    fn a_right_password_starts_the_count_anew() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..3 * MOST {
            attempts.begin_at("anna@example.org", now).unwrap();
            attempts.succeeded("anna@example.org");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..REMEMBERED + 50 {
            attempts.begin_at(&number.to_string(), now).unwrap();
        }
        assert_eq!(attempts.windows.lock().unwrap().len(), REMEMBERED);
    }
}
