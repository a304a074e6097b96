//! How long things may take on an account's connection. Tests shorten them; nobody else changes them.

use std::time::Duration;

/// The clocks of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From the TCP connection to the answer to its first ping.
    pub connect: Duration,
    /// One call, from enqueueing to its answer.
    pub call: Duration,
    /// Between two pings of the watchdog. Must be well under [`Timings::disconnect_delay`].
    pub ping_every: Duration,
    /// When an unanswered ping means that the connection is dead.
    pub ping_timeout: Duration,
    /// Between two probes (`updates.getState`): an idle revoked session says nothing by itself, and neither does a deaf connection.
    pub probe_every: Duration,
    /// How long what happened before a probe may be on its way to the intake. Later it is fetched: whatever is not pushed arrives
    /// within [`Timings::probe_every`] and this.
    pub deaf_after: Duration,
    /// After how much silence Telegram closes the connection (`ping_delay_disconnect`), whole seconds. Fencing relies on it:
    /// whoever takes over a silent owner's account waits longer than this.
    pub disconnect_delay: Duration,
    /// The first pause before a reconnection; doubles up to [`Timings::backoff_max`].
    pub backoff_min: Duration,
    /// The longest pause before a reconnection.
    pub backoff_max: Duration,
    /// Without a connection for so long, the account's owner is told.
    pub unreachable_after: Duration,
    /// How long an update state that moved without messages may stay uncommitted.
    pub idle_state: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            call: Duration::from_secs(20),
            ping_every: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            probe_every: Duration::from_secs(45),
            deaf_after: Duration::from_secs(5),
            disconnect_delay: Duration::from_secs(75),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(20),
            unreachable_after: Duration::from_secs(60),
            idle_state: Duration::from_secs(2),
        }
    }
}
