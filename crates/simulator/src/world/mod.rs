//! The simulated Telegram's whole state behind one mutex: what survives a restart (`World`'s own fields, serialised as one JSON
//! document) and what lives only as long as the process (`World::live`). Nothing here speaks a wire protocol.

pub mod base64_bytes;
pub mod bot_limits;
pub mod bot_log;
pub mod bot_updates;
pub mod bot_view;
pub mod bots;
pub mod chats;
pub mod delivery;
pub mod faults;
pub mod forums;
pub mod keys;
pub mod live;
pub mod login_tokens;
pub mod mailbox;
pub mod message;
pub mod peer;
pub mod snapshot;
pub mod stats;
pub mod users;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Everything that the simulated Telegram knows. Reached through [`Shared::lock`]; whoever changes it calls [`World::touch`].
#[derive(Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    /// Access hashes are made from it.
    pub secret: Secret,
    /// Counters from which new ids are taken.
    pub ids: Ids,
    /// People by id.
    pub users: BTreeMap<i64, users::User>,
    /// Basic groups, supergroups and channels by marked id.
    pub chats: BTreeMap<i64, chats::Chat>,
    /// Authorization keys by their id.
    pub keys: BTreeMap<u64, keys::AuthKey>,
    /// QR login tokens.
    pub login_tokens: login_tokens::LoginTokens,
    /// Bots, their webhooks and pending updates.
    pub bots: bots::Bots,
    /// Supergroups with topics.
    pub forums: forums::Forums,
    /// Armed faults; forgotten at a restart.
    #[serde(skip)]
    pub faults: faults::Faults,
    /// Counters since start.
    #[serde(skip)]
    pub stats: stats::Stats,
    /// Connections, addresses and settings of this process.
    #[serde(skip)]
    pub live: live::Live,
}

/// Random bytes that make this world's access hashes its own.
#[derive(Serialize, Deserialize)]
pub struct Secret([u8; 32]);

impl Default for Secret {
    fn default() -> Self {
        Self(random())
    }
}

impl Default for World {
    /// An empty world: nobody but Telegram's service account.
    fn default() -> Self {
        Self {
            secret: Secret::default(),
            ids: Ids::default(),
            users: BTreeMap::from([(users::TELEGRAM_SERVICE, users::service_account())]),
            chats: BTreeMap::new(),
            keys: BTreeMap::new(),
            login_tokens: login_tokens::LoginTokens::default(),
            bots: bots::Bots::default(),
            forums: forums::Forums::default(),
            faults: faults::Faults::default(),
            stats: stats::Stats::default(),
            live: live::Live::default(),
        }
    }
}

impl World {
    /// Says that something visible changed: wakes the page's event stream and the snapshot writer.
    pub fn touch(&mut self) {
        self.live.changed.send_modify(|version| *version += 1);
    }
}

/// The last ids given out. Users and bots share one range, as in Telegram; basic groups and channels have their own.
#[derive(Serialize, Deserialize)]
pub struct Ids {
    user: i64,
    group: i64,
    channel: i64,
    origin: u64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { user: 7_000_000_000, group: 4_000_000, channel: 2_000_000_000, origin: 0 }
    }
}

impl Ids {
    /// A new id for a user or a bot.
    pub fn next_user(&mut self) -> i64 {
        self.user += 1;
        self.user
    }

    /// A new basic group, in marked form (`-123`).
    pub fn next_group(&mut self) -> i64 {
        self.group += 1;
        peer::Peer::Group(self.group).marked()
    }

    /// A new channel, supergroup or forum, in marked form (`-100…`).
    pub fn next_channel(&mut self) -> i64 {
        self.channel += 1;
        peer::Peer::Channel(self.channel).marked()
    }

    /// Leaves a gap behind numbers that may have been given out and forgotten.
    pub fn skip_ahead(&mut self, by: i32) {
        for id in [&mut self.user, &mut self.group, &mut self.channel] {
            *id += i64::from(by);
        }
        self.origin += u64::from(by.unsigned_abs());
    }

    /// A number that orders all messages of the world; the copies of one message in several mailboxes share it.
    pub fn next_origin(&mut self) -> u64 {
        self.origin += 1;
        self.origin
    }
}

/// The handle that every server of the simulator holds: the world behind its mutex.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// Wraps a world, usually one just loaded.
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// The world, exclusively. Never held across an `.await`. A panic of another holder does not spoil it.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receiver whose value (a version number) changes with every [`World::touch`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.lock().live.changed.subscribe()
    }
}

/// The present, in Unix seconds.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}
