//! What the protocol consists of, rule by rule, and what it does not protect against, window by window.

/// One rule of the protocol. A run can do without one of them, to show what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A taker needs the advisory lock.
    LockToTake,
    /// A taker needs the lease, too: a free lock alone says nothing.
    LeaseToTake,
    /// A lease is renewed only under its lock, which an owner that lost its session takes again first.
    LockToRenew,
    /// A lease is in force from the beginning of the statement that renewed it, not from its answer.
    ConfirmedAtBeginning,
    /// A renewal takes back that the lease was found without its lock.
    RenewalClearsOrphaned,
    /// Every 200 ms the owner looks whether its last renewal is 5 s old, and then closes.
    Fence,
    /// The owner looks again, by the clock, right before it connects.
    GateBeforeDial,
    /// ... and right before each ping.
    GateBeforePing,
    /// The owner's clock counts the time for which its host was suspended.
    BootClock,
    /// The first call on every connection is the ping that has Telegram close it after 75 s.
    PingFirst,
    /// The lease of an owner that died or closes by itself is taken when it is 15 s old.
    Settled,
    /// The lease of an owner that may stand still is taken when it is 90 s old.
    Gone,
    /// A lock that is found free proves something only while the lease is younger than 15 s.
    ProofOnlyWhileYoung,
    /// ... and only when PostgreSQL has kept its locks since the last renewal.
    ProofOnlyIfLocksKept,
    /// When the session with the lock is ended, its owner's lease must still be 90 s old, whatever was found before.
    EndOnlyTheSilent,
    /// ... and it must be that owner's.
    EndByName,
    /// A lease is given back when the close of its connection was seen.
    GiveBackAfterClose,
    /// A write reads in its transaction that the lease is still its own.
    WriteChecksLease,
    /// ... and a taker waits for the end of that transaction.
    TakeWaitsForWrites,
    /// A new session leaves the leases of others alone for 5 s.
    Grace,
    /// A lease that was renewed in the last 6 s is not taken, whatever was found before.
    TakeLeavesFresh,
}

/// The rules that a run keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// The one that it does without.
    pub without: Option<Rule>,
    /// What may happen besides.
    pub open: Option<Window>,
}

impl Rules {
    pub fn keep(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    pub fn is_open(self, window: Window) -> bool {
        self.open == Some(window)
    }
}

/// What the protocol does not protect against (the ADR's "Windows that remain"). Runs spare it unless one of them is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// A process is stopped between its look at the lease and its first bytes to Telegram, which it sends when it goes on.
    StopWhileDialing,
    /// A process is stopped when it has opened a connection but its first ping has not arrived.
    StopBeforeFirstPing,
    /// A ping of a stopped process is delivered long after it was sent.
    LatePing,
    /// grammers' own ping, every 60 s, asks nobody: it may be what a process does between two stops.
    UnaskedPing,
    /// A session ends by itself (not with PostgreSQL's restart) while its process is stopped, or its process is stopped before it has
    /// closed its connection or has its lock again.
    SessionEndsUnderStop,
    /// A connection that its client has closed counts as a second one while Telegram has not heard of the close.
    UnheardClose,
}
