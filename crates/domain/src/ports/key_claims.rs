//! The exclusive right to use an authorization key, for jobs that open a connection of their own (logins and log-outs).

use async_trait::async_trait;
use std::time::Duration;

/// What a lease is about. The number is the class of the advisory lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum KeyClass {
    /// A connected account (`AccountId`), also one that was removed and whose session is still to be logged out.
    Account = 7101,
    /// A login in progress (`LoginNumber`).
    Login = 7102,
    /// The long polling of a managing bot (`BotId`): Telegram answers one `getUpdates` at a time.
    Bot = 7104,
    /// The Redis bridge (object 1): one process in the cluster takes elements, so that they stay in order.
    Bridge = 7105,
}

/// The right to use one key: advisory lock and lease row, fenced by `epoch`. Every write made on the strength of it checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Class of the object.
    pub class: KeyClass,
    /// The object's id.
    pub object: i32,
    /// Who holds it: a worker's name, unique per process start.
    pub owner: String,
    /// Grows with every change of owner.
    pub epoch: i64,
}

/// Whether a taker must be able to use the stored key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// The stored key is needed: wait until no older connection can be open.
    Required,
    /// A new key would do: take over at once.
    Optional,
}

/// A claim that was granted.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The lease, to be given back.
    pub lease: Lease,
    /// False when a former owner may still have a connection open on the stored key: it must not be used.
    pub key_is_free: bool,
}

/// Why a claim was not granted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClaimError {
    /// Somebody else holds it, or may still have a connection open.
    #[error("claimed elsewhere")]
    Busy {
        /// When to ask again.
        again_in: Duration,
    },
    /// PostgreSQL cannot be reached, or this process lost its own leases.
    #[error("claims unavailable: {0}")]
    Unavailable(String),
}

/// Claims of this process.
#[async_trait]
pub trait KeyClaims: Send + Sync {
    /// Takes the lock and the lease of an object.
    async fn claim(&self, class: KeyClass, object: i32, reuse: Reuse) -> Result<Claim, ClaimError>;
    /// Gives it back. Call it when the connection is closed, and the close was seen.
    async fn give_back(&self, lease: &Lease);
    /// True while this process may use what `lease` stands for: renewed less than 5 s ago and not taken over.
    fn holds(&self, lease: &Lease) -> bool;
}
