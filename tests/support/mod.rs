//! What every test may use: a fresh database, a cluster of its own, real processes of our binary, and waiting with a deadline.

mod clusters;
mod databases;
mod processes;
pub mod proxy;
mod redis;
mod seeding;
mod socks;
pub mod stack;

pub use self::redis::RedisServer;
pub use clusters::OwnCluster;
pub use databases::*;
pub use processes::{Ended, Process, run};
pub use socks::Socks;
pub use stack::{Person, Setup, Stack, free_port};

use std::time::{Duration, Instant};

/// Calls `check` every 20 ms until it gives something; panics with `what` after `patience`.
pub async fn wait_until<T>(patience: Duration, what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
