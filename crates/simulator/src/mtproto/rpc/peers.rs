//! How a client names peers, and whether it may: access hashes belong to the viewer.

use super::{Call, RpcError, error};
use crate::world::mailbox::Stored;
use crate::world::peer::Peer;
use grammers_tl_types::enums::{InputChannel, InputPeer, InputUser};

impl Call<'_> {
    /// The peer that `me` names. 400 `PEER_ID_INVALID` or `CHANNEL_INVALID` for wrong hashes, `CHANNEL_PRIVATE` for strangers.
    pub fn peer(&self, me: i64, input: &InputPeer) -> Result<Peer, RpcError> {
        match input {
            InputPeer::PeerSelf => Ok(Peer::User(me)),
            InputPeer::User(p) => self.known_user(me, p.user_id, p.access_hash, "PEER_ID_INVALID").map(Peer::User),
            InputPeer::Chat(p) => {
                let peer = Peer::Group(p.chat_id);
                match self.world.chats.get(&peer.marked()) {
                    Some(chat) if chat.has(me) => Ok(peer),
                    _ => error(400, "PEER_ID_INVALID"),
                }
            }
            InputPeer::Channel(p) => self.known_channel(me, p.channel_id, p.access_hash),
            InputPeer::UserFromMessage(p) => {
                let place = self.peer(me, &shallow(&p.peer)?)?;
                self.seen_in(me, place, p.msg_id, p.user_id, "PEER_ID_INVALID").map(Peer::User)
            }
            InputPeer::Empty | InputPeer::ChannelFromMessage(_) => error(400, "PEER_ID_INVALID"),
        }
    }

    /// The user that `me` names; 400 `USER_ID_INVALID`.
    pub fn user(&self, me: i64, input: &InputUser) -> Result<i64, RpcError> {
        match input {
            InputUser::UserSelf => Ok(me),
            InputUser::User(u) => self.known_user(me, u.user_id, u.access_hash, "USER_ID_INVALID"),
            InputUser::FromMessage(u) => {
                let place = self.peer(me, &shallow(&u.peer)?)?;
                self.seen_in(me, place, u.msg_id, u.user_id, "USER_ID_INVALID")
            }
            InputUser::Empty => error(400, "USER_ID_INVALID"),
        }
    }

    /// The channel (marked) that `me` names and is in.
    pub fn channel(&self, me: i64, input: &InputChannel) -> Result<i64, RpcError> {
        match input {
            InputChannel::Channel(c) => self.known_channel(me, c.channel_id, c.access_hash).map(Peer::marked),
            InputChannel::Empty | InputChannel::FromMessage(_) => error(400, "CHANNEL_INVALID"),
        }
    }

    fn known_user(&self, me: i64, id: i64, hash: i64, name: &str) -> Result<i64, RpcError> {
        let known = self.world.users.contains_key(&id) && hash == self.world.access_hash(me, id);
        if known { Ok(id) } else { error(400, name) }
    }

    fn known_channel(&self, me: i64, id: i64, hash: i64) -> Result<Peer, RpcError> {
        let peer = Peer::Channel(id);
        match self.world.chats.get(&peer.marked()) {
            Some(_) if hash != self.world.access_hash(me, peer.marked()) => error(400, "CHANNEL_INVALID"),
            Some(chat) if chat.has(me) => Ok(peer),
            Some(_) => error(400, "CHANNEL_PRIVATE"),
            None => error(400, "CHANNEL_INVALID"),
        }
    }

    fn seen_in(&self, me: i64, place: Peer, message: i32, user: i64, name: &str) -> Result<i64, RpcError> {
        let stored = self.world.mailbox_for(me, place.marked()).and_then(|mailbox| mailbox.get(message));
        let names = |stored: &Stored| stored.peer == place.marked() && stored.message.from == user;
        if stored.is_some_and(names) { Ok(user) } else { error(400, name) }
    }
}

/// A peer "from a message" must itself be named directly.
fn shallow(input: &InputPeer) -> Result<InputPeer, RpcError> {
    match input {
        InputPeer::UserFromMessage(_) | InputPeer::ChannelFromMessage(_) => error(400, "PEER_ID_INVALID"),
        direct => Ok(direct.clone()),
    }
}
