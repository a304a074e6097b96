//! The world in TL: what one viewer is shown of users, chats and messages. Reads the world, never changes it.

pub mod chats;
pub mod entities;
pub mod media;
pub mod messages;
pub mod users;

use crate::world::World;
use crate::world::peer::Peer;
use grammers_tl_types::{Deserializable, Serializable, enums, types};
use std::collections::BTreeSet;

/// A TL value from its shortest wire form, all flags off: spares naming dozens of absent fields. `fields` writes what is mandatory.
fn minimal<T: Deserializable>(fields: impl FnOnce(&mut Vec<u8>)) -> T {
    let mut bytes = Vec::with_capacity(64);
    fields(&mut bytes);
    T::from_bytes(&bytes).expect("the mandatory fields are those of the compiled-in layer")
}

/// No flags.
fn no_flags(bytes: &mut Vec<u8>) {
    0u32.serialize(bytes);
}

/// A peer in TL, from its marked form. Numbers that are no peers become user 0.
pub fn peer(marked: i64) -> enums::Peer {
    match Peer::from_marked(marked) {
        Some(Peer::User(user_id)) => types::PeerUser { user_id }.into(),
        Some(Peer::Group(chat_id)) => types::PeerChat { chat_id }.into(),
        Some(Peer::Channel(channel_id)) => types::PeerChannel { channel_id }.into(),
        None => types::PeerUser { user_id: 0 }.into(),
    }
}

/// The peers mentioned in an answer, which must come along as users and chats.
#[derive(Default)]
pub struct Mentioned(BTreeSet<i64>);

impl Mentioned {
    /// Notes a peer (marked).
    pub fn add(&mut self, peer: i64) {
        self.0.insert(peer);
    }

    /// Whether all of them are in the set.
    pub fn all_in(&self, known: &BTreeSet<i64>) -> bool {
        self.0.is_subset(known)
    }

    /// All of them, marked.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.0.iter().copied()
    }

    /// The users among them, as the viewer sees them.
    pub fn users(&self, world: &World, viewer: i64) -> Vec<enums::User> {
        self.0.iter().filter(|id| **id > 0).map(|id| users::user(world, viewer, *id)).collect()
    }

    /// The chats among them, as the viewer sees them.
    pub fn chats(&self, world: &World, viewer: i64) -> Vec<enums::Chat> {
        self.0.iter().filter(|id| **id < 0).map(|id| chats::chat(world, viewer, *id)).collect()
    }
}
