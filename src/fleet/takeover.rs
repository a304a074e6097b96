//! When a taker may use a key: the rules, as functions of what it finds.
//!
//! The owner closes its connections when its last renewal is [`FENCE`] old, if it runs at all. If it does not run (stopped, host
//! frozen), Telegram closes them: at most 75 s after the last `ping_delay_disconnect`, which is the first call on every connection.

use std::time::Duration;
use tuberry_domain::ports::Reuse;
use tuberry_storage::leases::Found;
pub(super) use tuberry_storage::workers::SILENT;

/// Between two renewals.
pub(super) const RENEWAL: Duration = Duration::from_secs(2);
/// An owner stops using its keys when its last renewal began so long ago.
pub(super) const FENCE: Duration = Duration::from_secs(5);
/// An owner that died, or lost PostgreSQL, has no connection any more when its lease is so old.
pub(super) const SETTLED: Duration = Duration::from_secs(15);
/// Whatever became of the owner, it has no connection any more when its lease is so old.
pub(super) const GONE: Duration = Duration::from_secs(90);
/// A run of a job that was interrupted has no connection any more when so much time has passed since.
pub(super) const CLOSING: Duration = Duration::from_secs(6);
/// A new session leaves the leases of others alone for so long: after a restart of PostgreSQL the living owners come back first.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// What a taker that holds the lock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Takes the lease now.
    Take {
        /// Nobody else can have a connection open on the stored key.
        key_is_free: bool,
    },
    /// Keeps the lock and waits at least so long.
    Wait(Duration),
}

/// Whether to try for the lock at all. A lease whose owner shows itself is left alone; so is one that a living owner could not renew,
/// because it wants its lock back. `settled`: our session is older than [`GRACE`].
pub(super) fn may_try(found: &Found, me: &str, settled: bool) -> bool {
    match &found.owner {
        None => true,
        Some(owner) if owner == me => true,
        Some(_) => settled && found.age >= SILENT && found.owner_silent.is_none_or(|silent| silent >= SILENT),
    }
}

/// The lock was just found free: does that prove that the owner died or lost PostgreSQL, and was not merely stopped?
pub(super) fn proves_orphaned(found: &Found) -> bool {
    found.owner.is_some() && found.locks_kept && found.age < SETTLED
}

/// What to do with a lease whose lock is held.
pub(super) fn decide(found: &Found, me: &str, reuse: Reuse) -> Decision {
    if !found.rest.is_zero() {
        return match reuse {
            Reuse::Optional => Decision::Take { key_is_free: false },
            Reuse::Required => Decision::Wait(found.rest),
        };
    }
    if found.owner.as_deref().is_none_or(|owner| owner == me) {
        return Decision::Take { key_is_free: true };
    }
    let orphaned = found.orphaned || proves_orphaned(found);
    let closed_at = if orphaned { SETTLED } else { GONE };
    match closed_at.checked_sub(found.age).filter(|left| !left.is_zero()) {
        None => Decision::Take { key_is_free: true },
        Some(_) if reuse == Reuse::Optional => Decision::Take { key_is_free: false },
        Some(left) => Decision::Wait(left),
    }
}

/// What to do with a claim that an earlier run of the asking job made in this process, asked for first so long ago. That run has ended, but its
/// connection may be closing yet; it gives the claim back when it has seen the close.
pub(super) fn decide_again(waited: Duration, reuse: Reuse) -> Decision {
    match CLOSING.checked_sub(waited).filter(|left| !left.is_zero()) {
        None => Decision::Take { key_is_free: true },
        Some(_) if reuse == Reuse::Optional => Decision::Take { key_is_free: false },
        Some(left) => Decision::Wait(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(age: u64) -> Found {
        Found {
            object: 1,
            owner: Some("other".into()),
            epoch: 3,
            age: Duration::from_secs(age),
            owner_silent: Some(Duration::from_secs(age)),
            orphaned: false,
            locks_kept: true,
            rest: Duration::ZERO,
        }
    }

    fn required(found: &Found) -> Decision {
        decide(found, "me", Reuse::Required)
    }

    const FREE: Decision = Decision::Take { key_is_free: true };

    #[test]
    fn a_lease_given_back_and_our_own_are_taken_at_once() {
        assert_eq!(required(&Found { owner: None, ..found(0) }), FREE);
        assert_eq!(required(&Found { owner: Some("me".into()), ..found(0) }), FREE);
    }

    #[test]
    fn a_key_whose_close_was_not_heard_rests() {
        let rest = Duration::from_secs(70);
        assert_eq!(required(&Found { owner: None, rest, ..found(0) }), Decision::Wait(rest));
        let start_over = decide(&Found { owner: None, rest, ..found(0) }, "me", Reuse::Optional);
        assert_eq!(start_over, Decision::Take { key_is_free: false });
    }

    #[test]
    fn a_young_lease_with_a_free_lock_is_taken_when_15_s_old() {
        assert_eq!(required(&found(7)), Decision::Wait(Duration::from_secs(8)));
        assert_eq!(required(&Found { orphaned: true, ..found(14) }), Decision::Wait(Duration::from_secs(1)));
        assert_eq!(required(&Found { orphaned: true, ..found(15) }), FREE);
    }

    #[test]
    fn a_lock_found_free_too_late_proves_nothing() {
        assert_eq!(required(&found(15)), Decision::Wait(Duration::from_secs(75)));
        assert_eq!(required(&found(90)), FREE);
    }

    #[test]
    fn after_a_restart_of_postgresql_a_free_lock_proves_nothing() {
        let restarted = Found { locks_kept: false, ..found(7) };
        assert_eq!(required(&restarted), Decision::Wait(Duration::from_secs(83)));
    }

    #[test]
    fn a_login_that_can_start_over_does_not_wait_but_must_not_use_the_old_key() {
        assert_eq!(decide(&found(7), "me", Reuse::Optional), Decision::Take { key_is_free: false });
        assert_eq!(decide(&found(90), "me", Reuse::Optional), FREE);
    }

    #[test]
    fn a_living_owner_is_left_alone() {
        assert!(!may_try(&found(5), "me", true));
        assert!(may_try(&found(6), "me", true));
        assert!(!may_try(&found(60), "me", false), "a new session waits for the owners to come back");
        let lost_its_lock = Found { owner_silent: Some(Duration::from_secs(1)), ..found(60) };
        assert!(!may_try(&lost_its_lock, "me", true));
        assert!(may_try(&Found { owner_silent: None, ..found(60) }, "me", true));
        assert!(may_try(&Found { owner: None, ..found(0) }, "me", false));
    }

    #[test]
    fn the_times_leave_room_for_each_other() {
        assert!(RENEWAL * 2 < FENCE && FENCE < SILENT && SILENT + GRACE < SETTLED);
        // The last ping may be as late as the fence, and Telegram waits 75 s after it.
        assert!(FENCE + Duration::from_secs(75) < GONE);
    }
}
