//! What a client missed: `updates.getState`, `getDifference` and `getChannelDifference` (<https://core.telegram.org/api/updates>).

use super::{Call, RpcError, dialogs, error};
use crate::mtproto::view::{Mentioned, messages};
use crate::world::mailbox::{Difference, Event, Mailbox};
use crate::world::now;
use crate::world::peer::Peer;
use grammers_tl_types::{enums, functions as f, types};

/// Events per slice.
const SLICE: usize = 100;
/// A channel that has moved on by more than this is not told event by event.
const CHANNEL_LIMIT: i32 = 2000;

/// The user's state now.
pub fn current(call: &Call, me: i64) -> types::updates::State {
    let pts = call.world.user(me).map_or(1, |user| user.mailbox.pts);
    types::updates::State { pts, qts: 0, date: now() as i32, seq: 1, unread_count: 0 }
}

/// `updates.getState`.
pub fn state(call: &mut Call, _: f::updates::GetState) -> Result<enums::updates::State, RpcError> {
    let me = call.me()?;
    Ok(current(call, me).into())
}

/// New messages and other updates of a slice.
#[derive(Default)]
struct Slice {
    messages: Vec<enums::Message>,
    other: Vec<enums::Update>,
    mentioned: Mentioned,
}

impl Slice {
    /// `pts` is the one after the last event.
    fn read(mailbox: &Mailbox, events: &[Event], pts: i32, me: i64) -> Self {
        let mut slice = Self::default();
        let first = pts - events.len() as i32 + 1;
        for (event, pts) in events.iter().zip(first..) {
            match event {
                Event::Message(id) => {
                    if let Some(stored) = mailbox.get(*id) {
                        if let Some(random_id) = stored.random_id.filter(|_| stored.message.out || stored.message.from == me) {
                            slice.other.push(types::UpdateMessageId { id: *id, random_id }.into());
                        }
                        slice.messages.push(messages::message(stored, me, &mut slice.mentioned));
                    }
                }
                other => slice.other.extend(messages::read_event(other, pts, &mut slice.mentioned)),
            }
        }
        slice
    }
}

/// `updates.getDifference`.
pub fn difference(call: &mut Call, q: f::updates::GetDifference) -> Result<enums::updates::Difference, RpcError> {
    let me = call.me()?;
    if q.pts <= 0 {
        return error(400, "PERSISTENT_TIMESTAMP_EMPTY");
    }
    let state = current(call, me);
    if call.world.live.difference_too_long.remove(&me) || q.pts_total_limit.is_some_and(|limit| state.pts - q.pts > limit) {
        return Ok(types::updates::DifferenceTooLong { pts: state.pts }.into());
    }
    let Some(user) = call.world.user(me) else { return error(401, "AUTH_KEY_UNREGISTERED") };
    let limit = q.pts_limit.map_or(SLICE, |limit| limit.clamp(1, SLICE as i32) as usize);
    let (mut slice, pts, last) = match user.mailbox.difference(q.pts, limit) {
        Difference::TooLong(pts) => return Ok(types::updates::DifferenceTooLong { pts }.into()),
        Difference::Empty => (Slice::default(), state.pts, true),
        Difference::Events { events, pts, last } => (Slice::read(&user.mailbox, &events, pts, me), pts, last),
    };
    if last {
        note_busy_channels(call, me, i64::from(q.date), &mut slice);
    }
    if slice.messages.is_empty() && slice.other.is_empty() && last {
        return Ok(types::updates::DifferenceEmpty { date: state.date, seq: state.seq }.into());
    }
    let users = slice.mentioned.users(call.world, me);
    let chats = slice.mentioned.chats(call.world, me);
    let (new_messages, other_updates, new_encrypted_messages) = (slice.messages, slice.other, Vec::new());
    Ok(if last {
        types::updates::Difference { new_messages, new_encrypted_messages, other_updates, chats, users, state: state.into() }
            .into()
    } else {
        let intermediate_state = types::updates::State { pts, ..state }.into();
        types::updates::DifferenceSlice { new_messages, new_encrypted_messages, other_updates, chats, users, intermediate_state }
            .into()
    })
}

/// Channels that had messages since the client's date are named with `updateChannelTooLong`, as Telegram does.
fn note_busy_channels(call: &Call, me: i64, since: i64, slice: &mut Slice) {
    for chat in call.world.channels_of(me) {
        let busy = chat.mailbox.history(chat.id).next_back().is_some_and(|stored| stored.message.date >= since);
        if busy && let Some(Peer::Channel(channel_id)) = Peer::from_marked(chat.id) {
            slice.mentioned.add(chat.id);
            slice.other.push(types::UpdateChannelTooLong { channel_id, pts: Some(chat.mailbox.pts) }.into());
        }
    }
}

/// `updates.getChannelDifference`.
pub fn channel_difference(
    call: &mut Call,
    q: f::updates::GetChannelDifference,
) -> Result<enums::updates::ChannelDifference, RpcError> {
    let me = call.me()?;
    let channel = call.channel(me, &q.channel)?;
    if q.pts <= 0 {
        return error(400, "PERSISTENT_TIMESTAMP_EMPTY");
    }
    let forced = call.world.live.channel_too_long.remove(&channel);
    let Some(chat) = call.world.chats.get(&channel) else { return error(400, "CHANNEL_INVALID") };
    let timeout = Some(1);
    let difference = chat.mailbox.difference(q.pts, q.limit.clamp(1, SLICE as i32) as usize);
    let far = chat.mailbox.pts.saturating_sub(q.pts) > CHANNEL_LIMIT;
    match difference {
        Difference::Empty if !forced => {
            Ok(types::updates::ChannelDifferenceEmpty { r#final: true, pts: chat.mailbox.pts, timeout }.into())
        }
        Difference::Events { events, pts, last } if !forced && !far => {
            let slice = Slice::read(&chat.mailbox, &events, pts, me);
            let users = slice.mentioned.users(call.world, me);
            let chats = slice.mentioned.chats(call.world, me);
            let (new_messages, other_updates) = (slice.messages, slice.other);
            Ok(types::updates::ChannelDifference { r#final: last, pts, timeout, new_messages, other_updates, chats, users }
                .into())
        }
        _ => {
            let mut mentioned = Mentioned::default();
            let newest = chat.mailbox.history(channel).rev().take(SLICE);
            let messages = newest.map(|stored| messages::message(stored, me, &mut mentioned)).collect();
            mentioned.add(channel);
            let Some(dialog) = dialogs::channel(call, me, channel) else { return error(400, "CHANNEL_INVALID") };
            let users = mentioned.users(call.world, me);
            let chats = mentioned.chats(call.world, me);
            Ok(types::updates::ChannelDifferenceTooLong { r#final: true, timeout, dialog, messages, chats, users }.into())
        }
    }
}
