//! Whether a connection still brings what happens. Calls may be answered on a connection that pushes nothing any more, and an intake may hang
//! while the connection is fine. The last probe says where Telegram was, the intake says where we are: only when it has come that far is the
//! account proven to be alive.
//!
//! What is compared is the `pts` of the common box: private chats and basic groups. Channels and supergroups have a `pts` each; they come over
//! the same connection, and a probe does not tell theirs.

use std::time::Duration;
use tokio::time::Instant;

/// Where Telegram was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probed {
    /// `pts` of the common box.
    pub(crate) pts: i32,
    /// When Telegram said so.
    pub(crate) at: Instant,
}

/// What a probe means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing new.
    Nothing,
    /// Everything that happened before the probe has come in.
    Alive,
    /// Telegram is ahead; until then what is missing may be on its way.
    WaitUntil(Instant),
    /// What is missing has to be fetched.
    Fetch,
    /// It had to be fetched on this connection before, and nothing came by itself since: another connection may bring it.
    Deaf,
}

/// What was heard on the present connection.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    /// The last probe that was followed by all before it.
    proven: Option<Instant>,
    /// The last probe after which the difference was fetched.
    fetched: Option<Instant>,
    /// Updates were missed on this connection, and none came since.
    missed: bool,
}

impl Hearing {
    /// A new connection.
    pub(crate) fn connected(&mut self) {
        self.missed = false;
    }

    /// An update came by itself and brought us further.
    pub(crate) fn pushed(&mut self) {
        self.missed = false;
    }

    /// What the last probe means for an intake that stands at `pts` (asked where it matters). While `more` updates wait to be taken in, Telegram
    /// being ahead means nothing.
    pub(crate) fn judge(&mut self, probed: Probed, pts: impl FnOnce() -> i32, more: bool, patience: Duration) -> Verdict {
        if self.proven == Some(probed.at) {
            return Verdict::Nothing;
        }
        if pts() >= probed.pts {
            self.proven = Some(probed.at);
            return Verdict::Alive;
        }
        let until = probed.at + patience;
        if more || self.fetched == Some(probed.at) {
            return Verdict::Nothing;
        }
        if Instant::now() < until {
            return Verdict::WaitUntil(until);
        }
        self.fetched = Some(probed.at);
        if std::mem::replace(&mut self.missed, true) { Verdict::Deaf } else { Verdict::Fetch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn probed(pts: i32, ago: u64) -> Probed {
        Probed { pts, at: Instant::now() - Duration::from_secs(ago) }
    }

    #[test]
    fn a_probe_proves_life_once_and_only_when_all_before_it_has_come() {
        let (mut hearing, probed) = (Hearing::default(), probed(7, 0));
        assert!(matches!(hearing.judge(probed, || 6, false, PATIENCE), Verdict::WaitUntil(_)));
        assert_eq!(hearing.judge(probed, || 8, false, PATIENCE), Verdict::Alive);
        assert_eq!(hearing.judge(probed, || 8, false, PATIENCE), Verdict::Nothing);
    }

    #[test]
    fn what_does_not_come_is_fetched_and_the_second_time_the_connection_is_deaf() {
        let mut hearing = Hearing::default();
        let first = probed(7, 60);
        assert_eq!(hearing.judge(first, || 6, true, PATIENCE), Verdict::Nothing, "what is missing may be among those that wait");
        assert_eq!(hearing.judge(first, || 6, false, PATIENCE), Verdict::Fetch);
        assert_eq!(hearing.judge(first, || 6, false, PATIENCE), Verdict::Nothing, "once for a probe");
        assert_eq!(hearing.judge(first, || 7, false, PATIENCE), Verdict::Alive);
        assert_eq!(hearing.judge(probed(8, 30), || 7, false, PATIENCE), Verdict::Deaf);
    }

    #[test]
    fn a_single_lost_update_is_no_deafness() {
        let mut hearing = Hearing::default();
        assert_eq!(hearing.judge(probed(7, 60), || 6, false, PATIENCE), Verdict::Fetch);
        hearing.pushed();
        assert_eq!(hearing.judge(probed(9, 30), || 8, false, PATIENCE), Verdict::Fetch);
        hearing.connected();
        assert_eq!(hearing.judge(probed(10, 20), || 9, false, PATIENCE), Verdict::Fetch);
    }
}
