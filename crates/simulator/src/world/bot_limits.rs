//! How fast bots may write into a group: about 20 messages a minute in the real Telegram, off here unless a test switches it on.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// The length of the window in which calls are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts sends, edits and topic changes per bot and group.
#[derive(Default)]
pub struct GroupLimits {
    per_minute: Option<usize>,
    recent: HashMap<(i64, i64), VecDeque<Instant>>,
}

impl GroupLimits {
    /// Allows so many calls a minute, or any number with `None`; what was counted so far is forgotten.
    pub fn set(&mut self, per_minute: Option<usize>) {
        *self = Self { per_minute, recent: HashMap::new() };
    }

    /// The limit in force.
    pub fn per_minute(&self) -> Option<usize> {
        self.per_minute
    }

    /// Whether this bot may write into this group now; if not, the whole seconds until it may.
    ///
    /// # Errors
    /// The seconds to wait, at least 1.
    pub fn check(&mut self, bot: i64, chat: i64, now: Instant) -> Result<(), u64> {
        let Some(limit) = self.per_minute else { return Ok(()) };
        let recent = self.recent.entry((bot, chat)).or_default();
        while recent.front().is_some_and(|at| *at + WINDOW <= now) {
            recent.pop_front();
        }
        if recent.len() < limit {
            return Ok(());
        }
        let until = recent[recent.len() - limit] + WINDOW;
        Err(until.duration_since(now).as_millis().div_ceil(1000).max(1) as u64)
    }

    /// Counts a call that was carried out.
    pub fn count(&mut self, bot: i64, chat: i64, now: Instant) {
        if self.per_minute.is_some() {
            self.recent.entry((bot, chat)).or_default().push_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_everything_passes() {
        let mut limits = GroupLimits::default();
        let now = Instant::now();
        for _ in 0..1000 {
            assert_eq!(limits.check(1, -100, now), Ok(()));
            limits.count(1, -100, now);
        }
    }

    #[test]
    fn the_answer_names_the_second_in_which_the_next_call_passes() {
        let mut limits = GroupLimits::default();
        limits.set(Some(2));
        let start = Instant::now();
        for seconds in [0, 10] {
            let at = start + Duration::from_secs(seconds);
            assert_eq!(limits.check(1, -100, at), Ok(()));
            limits.count(1, -100, at);
        }
        let at = start + Duration::from_millis(10_500);
        assert_eq!(limits.check(1, -100, at), Err(50));
        assert_eq!(limits.check(1, -200, at), Ok(()), "another group has its own count");
        assert_eq!(limits.check(2, -100, at), Ok(()), "another bot has its own count");
        assert_eq!(limits.check(1, -100, at + Duration::from_secs(49)), Err(1));
        assert_eq!(limits.check(1, -100, at + Duration::from_secs(50)), Ok(()));
        limits.count(1, -100, at + Duration::from_secs(50));
        assert_eq!(limits.check(1, -100, at + Duration::from_secs(50)), Err(10));
    }
}
