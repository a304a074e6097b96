//! An executable model of ownership (`docs/adr/ownership.md`): workers, PostgreSQL and Telegram in simulated time, under random faults.
//! Two judges watch: no connection may be opened on a key that has one, and no write of a former owner may be committed after one
//! of a later owner. What decides about a takeover is the code itself (`takeover`); the rest is retold, as short as it goes.
//!
//! - [`rules`]: what can be left out, and what is known not to be covered.
//! - [`database`] with its [`statements`], and [`telegram`]: the two that outlive every worker.
//! - [`worker`], with [`keeper`] and its [`steps`] (the thread with the lock's session) and [`link`] (the connection to Telegram).
//! - [`schedule`], [`world`]: faults, and a run under them; [`search`]: many runs.

mod database;
mod keeper;
mod link;
mod rules;
mod schedule;
mod search;
mod statements;
mod steps;
mod telegram;
mod worker;
mod world;

use std::time::Duration;

/// Milliseconds.
type Ms = u64;
/// A worker's name, unique per start.
type Name = u32;
/// Where a worker runs: its network, its next start.
type Slot = usize;

fn as_ms(duration: Duration) -> Ms {
    u64::try_from(duration.as_millis()).unwrap_or(Ms::MAX)
}

fn as_duration(ms: Ms) -> Duration {
    Duration::from_millis(ms)
}
