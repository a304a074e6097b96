//! How a message gets from its author into the mailboxes of all who see it.

use super::World;
use super::chats::ChatKind;
use super::mailbox::Sent;
use super::message::{Entity, Media, Message};
use super::peer::Peer;

/// A message to be sent.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Text or caption.
    pub text: String,
    /// Formatting of the text.
    pub entities: Vec<Entity>,
    /// Attachment.
    pub media: Option<Media>,
    /// The message that this one answers.
    pub reply_to: Option<ReplyTo>,
    /// The album that it belongs to.
    pub album: Option<i64>,
    /// The sender's own number for it.
    pub random_id: Option<i64>,
}

/// A message, as the mailbox of `user` numbers it (in channels the user does not matter).
#[derive(Clone, Copy, Debug)]
pub struct ReplyTo {
    /// Whose numbers.
    pub user: i64,
    /// The message.
    pub id: i32,
}

/// One place where a delivered message lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copy {
    /// A user (mailbox) or a channel, marked.
    pub owner: i64,
    /// Its number there.
    pub id: i32,
}

/// A message that was delivered.
#[derive(Debug)]
pub struct Delivery {
    /// The author's copy; in a channel the only one.
    pub own: Copy,
    /// The copies of everybody else.
    pub others: Vec<Copy>,
}

impl Delivery {
    /// The number that the addressee gives it: the other side of a private chat, the first other member of a basic group, the channel.
    pub fn addressee_id(&self) -> i32 {
        self.others.first().map_or(self.own.id, |copy| copy.id)
    }
}

/// The longest text, in UTF-16 code units.
const TEXT_LIMIT: usize = 4096;
const ENTITY_LIMIT: usize = 100;

impl World {
    /// Delivers a message from `from` to `to`. Errors are Telegram's: `PEER_ID_INVALID`, `MESSAGE_EMPTY`, `MESSAGE_TOO_LONG`,
    /// `ENTITY_BOUNDS_INVALID`, `CHAT_WRITE_FORBIDDEN`.
    pub fn deliver(&mut self, from: i64, to: Peer, draft: Draft) -> Result<Delivery, &'static str> {
        check(&draft)?;
        if !self.users.contains_key(&from) {
            return Err("PEER_ID_INVALID");
        }
        let replied = draft.reply_to.and_then(|reply| {
            let peer = if to == Peer::User(reply.user) && reply.user != from { from } else { to.marked() };
            self.mailbox_for(reply.user, peer)?.get(reply.id).filter(|s| s.peer == peer).map(|stored| stored.origin)
        });
        let origin = self.ids.next_origin();
        let delivery = match to {
            Peer::User(user) => self.deliver_privately(from, user, draft, origin, replied)?,
            Peer::Group(_) => self.deliver_to_group(from, to.marked(), draft, origin, replied)?,
            Peer::Channel(_) => self.deliver_to_channel(from, to.marked(), draft, origin, replied)?,
        };
        self.touch();
        Ok(delivery)
    }

    fn deliver_privately(
        &mut self,
        from: i64,
        to: i64,
        draft: Draft,
        origin: u64,
        replied: Option<u64>,
    ) -> Result<Delivery, &'static str> {
        if !self.users.contains_key(&to) {
            return Err("PEER_ID_INVALID");
        }
        let own = self.put(from, to, from, &draft, origin, replied);
        let others = if to == from { Vec::new() } else { vec![self.put(to, from, from, &draft, origin, replied)] };
        self.remember(from, &draft, to, own.id);
        Ok(Delivery { own, others })
    }

    fn deliver_to_group(
        &mut self,
        from: i64,
        chat: i64,
        draft: Draft,
        origin: u64,
        replied: Option<u64>,
    ) -> Result<Delivery, &'static str> {
        let members = self.chats.get(&chat).ok_or("PEER_ID_INVALID")?.members.clone();
        if !members.contains(&from) {
            return Err("CHAT_WRITE_FORBIDDEN");
        }
        let own = self.put(from, chat, from, &draft, origin, replied);
        let rest = members.into_iter().filter(|member| *member != from);
        let others = rest.map(|member| self.put(member, chat, from, &draft, origin, replied)).collect();
        self.remember(from, &draft, chat, own.id);
        Ok(Delivery { own, others })
    }

    fn deliver_to_channel(
        &mut self,
        from: i64,
        channel: i64,
        draft: Draft,
        origin: u64,
        replied: Option<u64>,
    ) -> Result<Delivery, &'static str> {
        let chat = self.chats.get_mut(&channel).ok_or("PEER_ID_INVALID")?;
        if !chat.has(from) {
            return Err("CHAT_WRITE_FORBIDDEN");
        }
        let author = if chat.kind == ChatKind::Channel { channel } else { from };
        let mut message = compose(author, &draft);
        message.reply_to = replied.and_then(|r| chat.mailbox.by_origin(channel, r)).map(|stored| stored.message.id);
        let id = chat.mailbox.append(channel, origin, draft.random_id, message);
        chat.read.insert(from, id);
        self.remember(from, &draft, channel, id);
        Ok(Delivery { own: Copy { owner: channel, id }, others: Vec::new() })
    }

    fn put(&mut self, owner: i64, peer: i64, from: i64, draft: &Draft, origin: u64, replied: Option<u64>) -> Copy {
        let mut message = compose(from, draft);
        message.out = owner == from;
        let random_id = draft.random_id.filter(|_| message.out);
        let Some(user) = self.users.get_mut(&owner) else { return Copy { owner, id: 0 } };
        message.reply_to = replied.and_then(|r| user.mailbox.by_origin(peer, r)).map(|stored| stored.message.id);
        Copy { owner, id: user.mailbox.append(peer, origin, random_id, message) }
    }

    fn remember(&mut self, from: i64, draft: &Draft, peer: i64, id: i32) {
        if let Some(random_id) = draft.random_id
            && let Some(user) = self.users.get_mut(&from)
        {
            user.mailbox.remember_sent(random_id, Sent { peer, id });
        }
    }
}

fn compose(from: i64, draft: &Draft) -> Message {
    let mut message = Message::text(0, from, draft.text.clone());
    message.entities = draft.entities.clone();
    message.media = draft.media.clone();
    message.album = draft.album;
    message
}

fn check(draft: &Draft) -> Result<(), &'static str> {
    if draft.text.trim().is_empty() && draft.media.is_none() {
        return Err("MESSAGE_EMPTY");
    }
    let length = draft.text.encode_utf16().count();
    if length > TEXT_LIMIT {
        return Err("MESSAGE_TOO_LONG");
    }
    let fits = |e: &Entity| e.offset >= 0 && e.length > 0 && e.offset as usize + e.length as usize <= length;
    if draft.entities.len() > ENTITY_LIMIT || !draft.entities.iter().all(fits) {
        return Err("ENTITY_BOUNDS_INVALID");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::users::NewUser;

    fn world() -> (World, i64, i64, i64) {
        let mut world = World::default();
        let mut add = |name: &str| world.add_user(NewUser { first_name: name.into(), ..NewUser::default() }).unwrap();
        let (a, b, c) = (add("A"), add("B"), add("C"));
        (world, a, b, c)
    }

    fn draft(text: &str) -> Draft {
        Draft { text: text.into(), ..Draft::default() }
    }

    #[test]
    fn both_sides_of_a_private_chat_number_for_themselves() {
        let (mut world, a, b, c) = world();
        world.deliver(c, Peer::User(b), draft("first")).unwrap();
        let delivery = world.deliver(a, Peer::User(b), draft("second")).unwrap();
        assert_eq!((delivery.own.id, delivery.addressee_id()), (1, 2));
        let reply = Draft { reply_to: Some(ReplyTo { user: b, id: 2 }), ..draft("answer") };
        let answer = world.deliver(b, Peer::User(a), reply).unwrap();
        assert_eq!(world.users[&b].mailbox.get(answer.own.id).unwrap().message.reply_to, Some(2));
        assert_eq!(world.users[&a].mailbox.get(answer.addressee_id()).unwrap().message.reply_to, Some(1));
    }

    #[test]
    fn a_reply_may_be_named_by_the_addressees_number() {
        let (mut world, a, b, c) = world();
        world.deliver(c, Peer::User(b), draft("shift")).unwrap();
        let first = world.deliver(b, Peer::User(a), draft("question")).unwrap();
        let reply = Draft { reply_to: Some(ReplyTo { user: b, id: first.own.id }), ..draft("answer") };
        let answer = world.deliver(a, Peer::User(b), reply).unwrap();
        assert_eq!(world.users[&b].mailbox.get(answer.addressee_id()).unwrap().message.reply_to, Some(first.own.id));
        assert_eq!(world.users[&a].mailbox.get(answer.own.id).unwrap().message.reply_to, Some(1));
    }

    #[test]
    fn a_group_message_reaches_every_member_and_a_channel_has_its_own_numbers() {
        let (mut world, a, b, c) = world();
        let group = world.add_chat("G", ChatKind::Group, &[a, b, c]).unwrap();
        let delivery = world.deliver(b, Peer::from_marked(group).unwrap(), draft("hi")).unwrap();
        assert_eq!(delivery.others.iter().map(|copy| copy.owner).collect::<Vec<_>>(), [a, c]);
        let channel = world.add_chat("S", ChatKind::Supergroup, &[a, b]).unwrap();
        let peer = Peer::from_marked(channel).unwrap();
        assert_eq!(world.deliver(c, peer, draft("no")).unwrap_err(), "CHAT_WRITE_FORBIDDEN");
        assert_eq!(world.deliver(a, peer, draft("yes")).unwrap().own, Copy { owner: channel, id: 1 });
    }

    #[test]
    fn empty_long_and_badly_formatted_texts_are_refused_by_telegrams_names() {
        let (mut world, a, b, _) = world();
        assert_eq!(world.deliver(a, Peer::User(b), draft(" ")).unwrap_err(), "MESSAGE_EMPTY");
        assert_eq!(world.deliver(a, Peer::User(b), draft(&"😀".repeat(2049))).unwrap_err(), "MESSAGE_TOO_LONG");
        world.deliver(a, Peer::User(b), draft(&"😀".repeat(2048))).unwrap();
        let bold: Entity = serde_json::from_str(r#"{"type":"bold","offset":1,"length":2}"#).unwrap();
        let bad = Draft { entities: vec![bold], ..draft("ab") };
        assert_eq!(world.deliver(a, Peer::User(b), bad).unwrap_err(), "ENTITY_BOUNDS_INVALID");
    }
}
