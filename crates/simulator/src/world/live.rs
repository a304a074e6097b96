//! What belongs to this process alone: the addresses and settings it was started with and the channel that announces changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;

/// Runtime state; a restart begins with an empty one.
#[derive(Default)]
pub struct Live {
    /// Ends with the simulator: whoever waits for long waits for this, too.
    pub stop: tokio_util::sync::CancellationToken,
    /// Version of the world; see [`super::World::touch`].
    pub changed: watch::Sender<u64>,
    /// Where the data centres listen.
    pub dcs: BTreeMap<i32, SocketAddr>,
    /// Where the HTTP server listens.
    pub http: Option<SocketAddr>,
    /// Whether a second connection with the same key kills the key.
    pub strict_keys: bool,
    /// How long a login token lives.
    pub token_lifetime: Duration,
}
