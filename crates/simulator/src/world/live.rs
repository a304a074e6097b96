//! What belongs to this process alone: addresses, settings, open connections, password challenges, and the channel that announces
//! changes.

use super::World;
use crate::mtproto::srp::Challenge;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Runtime state; a restart begins with an empty one.
#[derive(Default)]
pub struct Live {
    /// Ends with the simulator: whoever waits for long waits for this, too.
    pub stop: CancellationToken,
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
    /// Open MTProto connections, by a number of their own.
    pub connections: BTreeMap<u64, Connection>,
    /// The number of the last connection.
    pub last_connection: u64,
    /// Rung whenever a connection is gone.
    pub closed: Arc<Notify>,
    /// Password challenges given out and not yet answered, the newest last.
    pub challenges: VecDeque<GivenChallenge>,
    /// Users whose next `updates.getDifference` answers `differenceTooLong`.
    pub difference_too_long: BTreeSet<i64>,
    /// Channels whose next `updates.getChannelDifference` (of anybody) answers `channelDifferenceTooLong`.
    pub channel_too_long: BTreeSet<i64>,
    /// Users and how many of their next live updates are lost on the way.
    pub lost_updates: BTreeMap<i64, u32>,
    /// Authorizations exported for another data centre: id, its secret, the user.
    pub exported: VecDeque<(i64, Vec<u8>, i64)>,
}

/// A challenge of `account.getPassword`.
pub struct GivenChallenge {
    /// `srp_id`.
    pub id: i64,
    /// Whose password.
    pub user: i64,
    /// The server's half.
    pub challenge: Challenge,
}

/// An open MTProto connection whose key is known.
pub struct Connection {
    /// Id of the authorization key; 0 before the first encrypted message.
    pub key: u64,
    /// What is to be written.
    pub out: mpsc::Sender<Out>,
    /// Closes it at once.
    pub cancel: CancellationToken,
    /// The client asked for no updates (`invokeWithoutUpdates`), or a fault keeps them back.
    pub no_updates: bool,
    /// A fault: nothing is written to it any more.
    pub mute: Arc<AtomicBool>,
    /// Peers (marked) whose users or chats this connection was sent, so that short updates will do.
    pub known: BTreeSet<i64>,
}

/// Something to write to a connection.
pub enum Out {
    /// The key and session of everything that follows.
    Session {
        /// The key.
        key: Box<[u8; 256]>,
        /// Its id.
        key_id: u64,
        /// The client's session.
        session: i64,
    },
    /// An encrypted message.
    Message {
        /// TL, with its constructor.
        body: Vec<u8>,
        /// Whether the client must acknowledge it.
        content: bool,
        /// Answer or notice: decides the message id modulo 4.
        answer: bool,
    },
    /// An unencrypted message of the key exchange.
    Plain(Vec<u8>),
    /// A transport error such as 404 (written −404); the connection ends after it.
    TransportError(i32),
}

impl Connection {
    /// Queues something to write; a client that does not read for so long that the queue is full is dropped.
    pub fn send(&self, out: Out) {
        if self.out.try_send(out).is_err() {
            self.cancel.cancel();
        }
    }
}

impl World {
    /// The connections on which the user is signed in.
    pub fn connections_of(&self, user: i64) -> Vec<u64> {
        let of = |c: &Connection| self.key_user(c.key) == Some(user);
        self.live.connections.iter().filter(|(_, c)| of(c)).map(|(id, _)| *id).collect()
    }

    /// Keeps updates from the user's present connections. The answer is how many.
    pub fn deafen(&mut self, user: i64) -> usize {
        let connections = self.connections_of(user);
        for id in &connections {
            if let Some(connection) = self.live.connections.get_mut(id) {
                connection.no_updates = true;
            }
        }
        connections.len()
    }

    /// Writes nothing to the user's present connections any more. The answer is how many.
    pub fn mute(&self, user: i64) -> usize {
        let connections = self.connections_of(user);
        for id in &connections {
            if let Some(connection) = self.live.connections.get(id) {
                connection.mute.store(true, Ordering::Relaxed);
            }
        }
        connections.len()
    }

    /// Closes connections: of one user, or all. The answer is how many.
    pub fn drop_connections(&self, user: Option<i64>) -> usize {
        let chosen = |c: &&Connection| user.is_none() || self.key_user(c.key) == user;
        self.live.connections.values().filter(chosen).map(|c| c.cancel.cancel()).count()
    }
}
