//! Live updates: what happens in the world goes out to the connections of those concerned, in the short form where the client knows
//! everybody in it already, else in the long one.

use super::view::{self, Mentioned};
use crate::world::delivery::{Copy, Delivery, Draft};
use crate::world::live::Out;
use crate::world::mailbox::Event;
use crate::world::peer::Peer;
use crate::world::{World, now};
use grammers_tl_types::{Serializable, enums, types};

/// Delivers a message and tells everybody who is connected, except the connection that sent it. Errors as in [`World::deliver`].
pub fn send(world: &mut World, from: i64, to: Peer, draft: Draft, sender: Option<u64>) -> Result<Delivery, &'static str> {
    let delivery = world.deliver(from, to, draft)?;
    for copy in std::iter::once(&delivery.own).chain(&delivery.others) {
        announce(world, *copy, sender);
    }
    Ok(delivery)
}

fn announce(world: &mut World, copy: Copy, except: Option<u64>) {
    if copy.owner > 0 {
        announce_to(world, copy.owner, copy, except);
    } else if let Some(chat) = world.chats.get(&copy.owner) {
        for member in chat.members.clone() {
            announce_to(world, member, copy, except);
        }
    }
}

fn announce_to(world: &mut World, viewer: i64, copy: Copy, except: Option<u64>) {
    let connections = listening(world, viewer, except);
    if connections.is_empty() || loses_update(world, viewer) {
        return;
    }
    let mailbox = if copy.owner > 0 {
        world.users.get(&copy.owner).map(|user| &user.mailbox)
    } else {
        world.chats.get(&copy.owner).map(|chat| &chat.mailbox)
    };
    let Some(stored) = mailbox.and_then(|mailbox| mailbox.get(copy.id)) else { return };
    let mut mentioned = Mentioned::default();
    let update = view::messages::new_message(stored, viewer, &mut mentioned);
    let short = view::messages::short(stored).map(|short| short.to_bytes());
    let date = stored.message.date as i32;
    let long = types::Updates {
        updates: vec![update],
        users: mentioned.users(world, viewer),
        chats: mentioned.chats(world, viewer),
        date,
        seq: 0,
    };
    let long = enums::Updates::Updates(long).to_bytes();
    for id in connections {
        let Some(connection) = world.live.connections.get_mut(&id) else { continue };
        let body = match &short {
            Some(short) if mentioned.all_in(&connection.known) => short.clone(),
            _ => {
                connection.known.extend(mentioned.iter());
                long.clone()
            }
        };
        connection.send(Out::Message { body, content: true, answer: false });
    }
}

/// Tells a user's connections, except one, of an update that needs no users or chats beyond `mentioned`.
pub fn update(world: &mut World, user: i64, update: enums::Update, mentioned: &Mentioned, except: Option<u64>) {
    let connections = listening(world, user, except);
    if connections.is_empty() || loses_update(world, user) {
        return;
    }
    let updates = types::Updates {
        updates: vec![update],
        users: mentioned.users(world, user),
        chats: mentioned.chats(world, user),
        date: now() as i32,
        seq: 0,
    };
    let body = enums::Updates::Updates(updates).to_bytes();
    for id in connections {
        if let Some(connection) = world.live.connections.get(&id) {
            connection.send(Out::Message { body: body.clone(), content: true, answer: false });
        }
    }
}

/// Tells of an event that is no message.
pub fn event(world: &mut World, user: i64, event: &Event, pts: i32, except: Option<u64>) {
    let mut mentioned = Mentioned::default();
    if let Some(tl) = view::messages::read_event(event, pts, &mut mentioned) {
        update(world, user, tl, &mentioned, except);
    }
}

/// Tells the members of a channel only that something happened there (`updateChannelTooLong`).
pub fn channel_too_long(world: &mut World, channel: i64) {
    let (Some(Peer::Channel(channel_id)), Some(chat)) = (Peer::from_marked(channel), world.chats.get(&channel)) else { return };
    let pts = Some(chat.mailbox.pts);
    for member in chat.members.clone() {
        let mut mentioned = Mentioned::default();
        mentioned.add(channel);
        update(world, member, types::UpdateChannelTooLong { channel_id, pts }.into(), &mentioned, None);
    }
}

/// Tells the device that showed a QR code that it was scanned (`updateLoginToken`).
pub fn login_token(world: &World, key: u64) {
    let update = types::UpdateShort { update: enums::Update::LoginToken, date: now() as i32 };
    let body = enums::Updates::UpdateShort(update).to_bytes();
    for connection in world.live.connections.values().filter(|connection| connection.key == key) {
        connection.send(Out::Message { body: body.clone(), content: true, answer: false });
    }
}

fn listening(world: &World, user: i64, except: Option<u64>) -> Vec<u64> {
    let wants = |id: &u64| Some(*id) != except && world.live.connections.get(id).is_some_and(|c| !c.no_updates);
    world.connections_of(user).into_iter().filter(wants).collect()
}

/// Whether a fault eats this update.
fn loses_update(world: &mut World, user: i64) -> bool {
    let Some(left) = world.live.lost_updates.get_mut(&user) else { return false };
    *left = left.saturating_sub(1);
    if *left == 0 {
        world.live.lost_updates.remove(&user);
    }
    true
}
