//! The JSON of the Bot API (<https://core.telegram.org/bots/api#update>) behind [`super::BotUpdate`].

use super::{BotEvent, BotMembership, BotMessage, BotService, BotUpdateChat, ServiceKind};
use crate::content::Attachment;
use crate::text::{Entity, FormattedText, utf16_len};
use crate::{BotMessageId, ChatId, ThreadId};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// `GroupAnonymousBot`, who signs the messages of anonymous administrators.
const ANONYMOUS: i64 = 1_087_968_824;

/// Fields of `Message` that make it a service message.
const SERVICE: [&str; 22] = [
    "new_chat_members",
    "left_chat_member",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "message_auto_delete_timer_changed",
    "migrate_from_chat_id",
    "pinned_message",
    "users_shared",
    "chat_shared",
    "boost_added",
    "chat_background_set",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "video_chat_scheduled",
    "video_chat_started",
    "video_chat_ended",
    "video_chat_participants_invited",
    "write_access_allowed",
];

#[derive(Deserialize)]
struct Chat {
    id: i64,
    #[serde(rename = "type", default)]
    kind: String,
    title: Option<String>,
    username: Option<String>,
    #[serde(default)]
    is_forum: bool,
}

#[derive(Deserialize)]
struct User {
    id: i64,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    first_name: String,
    last_name: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    message_id: i64,
    date: i64,
    chat: Chat,
    from: Option<User>,
    sender_chat: Option<Chat>,
    message_thread_id: Option<i64>,
    #[serde(default)]
    is_topic_message: bool,
    #[serde(default)]
    is_automatic_forward: bool,
    reply_to_message: Option<Answered>,
    text: Option<String>,
    caption: Option<String>,
    #[serde(default)]
    entities: Vec<Value>,
    #[serde(default)]
    caption_entities: Vec<Value>,
    migrate_to_chat_id: Option<i64>,
}

#[derive(Deserialize)]
struct Answered {
    message_id: i64,
    forum_topic_created: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct MemberChange {
    chat: Chat,
    date: i64,
    new_chat_member: Member,
}

#[derive(Deserialize)]
struct Member {
    status: String,
    is_member: Option<bool>,
}

impl From<Chat> for BotUpdateChat {
    fn from(chat: Chat) -> Self {
        Self { id: ChatId(chat.id), kind: chat.kind, title: chat.title, username: chat.username, is_forum: chat.is_forum }
    }
}

/// The event in an update; [`BotEvent::Ignored`] where there is none for us or it does not have Telegram's form.
pub(super) fn event(update: &Value) -> BotEvent {
    let found = if let Some(message) = update.get("message") {
        message_event(message)
    } else if let Some(change) = update.get("my_chat_member") {
        membership(change)
    } else {
        None
    };
    found.unwrap_or(BotEvent::Ignored)
}

fn membership(json: &Value) -> Option<BotEvent> {
    let change = MemberChange::deserialize(json).ok()?;
    let Member { status, is_member } = change.new_chat_member;
    let is_member = match status.as_str() {
        "left" | "kicked" => false,
        "restricted" => is_member.unwrap_or(true),
        _ => true,
    };
    Some(BotEvent::Membership(BotMembership { chat: change.chat.into(), status, is_member, date: time(change.date)? }))
}

fn message_event(json: &Value) -> Option<BotEvent> {
    let message = Message::deserialize(json).ok()?;
    let id = BotMessageId(message.message_id);
    let thread = message.message_thread_id.filter(|_| message.is_topic_message).map(ThreadId);
    if let Some(kind) = service_kind(json, &message) {
        return Some(BotEvent::Service(BotService { chat: message.chat.into(), id, thread, kind }));
    }
    let (sender, sender_name) = person(&message)?;
    let (text, entities) = match message.text {
        Some(text) => (text, message.entities),
        None => (message.caption.unwrap_or_default(), message.caption_entities),
    };
    let text = FormattedText { entities: within(&text, &entities), text };
    let attachment = attachment(json).or_else(|| text.text.is_empty().then_some(Attachment::Unsupported));
    let opened_topic = |answered: &Answered| {
        answered.forum_topic_created.is_some() || thread.is_some_and(|thread| thread.0 == answered.message_id)
    };
    let reply_to = message.reply_to_message.filter(|answered| !opened_topic(answered));
    Some(BotEvent::Message(BotMessage {
        id,
        thread,
        sender,
        sender_name,
        date: time(message.date)?,
        text,
        attachment,
        reply_to: reply_to.map(|answered| BotMessageId(answered.message_id)),
        chat: message.chat.into(),
    }))
}

/// Who wrote it, where that was a person: bots are ignored, but an anonymous administrator comes under a bot's name.
fn person(message: &Message) -> Option<(ChatId, String)> {
    let from = message.from.as_ref()?;
    if message.is_automatic_forward {
        return None;
    }
    if from.id == ANONYMOUS {
        let group = message.sender_chat.as_ref().filter(|chat| chat.id == message.chat.id)?;
        return Some((ChatId(group.id), group.title.clone().unwrap_or_default()));
    }
    if from.is_bot {
        return None;
    }
    let name = [from.first_name.as_str(), from.last_name.as_deref().unwrap_or_default()].join(" ");
    Some((ChatId::user(from.id), name.trim().to_owned()))
}

fn service_kind(json: &Value, message: &Message) -> Option<ServiceKind> {
    if let Some(chat) = message.migrate_to_chat_id {
        return Some(ServiceKind::MigratedTo(ChatId(chat)));
    }
    let topic = [
        ("forum_topic_created", ServiceKind::TopicCreated),
        ("forum_topic_edited", ServiceKind::TopicEdited),
        ("forum_topic_closed", ServiceKind::TopicClosed),
        ("forum_topic_reopened", ServiceKind::TopicReopened),
    ];
    let topic = topic.into_iter().find(|(field, _)| json.get(*field).is_some()).map(|(_, kind)| kind);
    topic.or_else(|| SERVICE.iter().any(|field| json.get(*field).is_some()).then_some(ServiceKind::Other))
}

/// The entities that lie within the text; broken ones are left out.
fn within(text: &str, entities: &[Value]) -> Vec<Entity> {
    let length = utf16_len(text);
    let inside = |entity: &Entity| entity.offset.checked_add(entity.length).is_some_and(|end| end <= length);
    entities.iter().filter_map(|entity| Entity::deserialize(entity).ok()).filter(inside).collect()
}

fn attachment(json: &Value) -> Option<Attachment> {
    let field = |name: &str| json.get(name);
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let duration =
        |value: &Value| value.get("duration").and_then(Value::as_u64).map_or(0, |s| u32::try_from(s).unwrap_or(u32::MAX));
    // An animation comes with a `document`, a venue with a `location`: the first match counts.
    if field("photo").is_some() {
        Some(Attachment::Photo)
    } else if field("animation").is_some() {
        Some(Attachment::Animation)
    } else if let Some(video) = field("video") {
        Some(Attachment::Video { duration: duration(video) })
    } else if let Some(note) = field("video_note") {
        Some(Attachment::VideoNote { duration: duration(note) })
    } else if let Some(voice) = field("voice") {
        Some(Attachment::Voice { duration: duration(voice) })
    } else if let Some(audio) = field("audio") {
        let title = text(audio, "title").or_else(|| text(audio, "file_name"));
        Some(Attachment::Audio { title, duration: duration(audio) })
    } else if let Some(sticker) = field("sticker") {
        Some(Attachment::Sticker { emoji: text(sticker, "emoji") })
    } else if let Some(document) = field("document") {
        Some(Attachment::Document { name: text(document, "file_name") })
    } else if let Some(contact) = field("contact") {
        let name = [text(contact, "first_name"), text(contact, "last_name")];
        Some(Attachment::Contact { name: name.into_iter().flatten().collect::<Vec<_>>().join(" ") })
    } else if field("location").is_some() || field("venue").is_some() {
        Some(Attachment::Location)
    } else if let Some(poll) = field("poll") {
        Some(Attachment::Poll { question: text(poll, "question").unwrap_or_default() })
    } else if let Some(dice) = field("dice") {
        Some(Attachment::Dice { emoji: text(dice, "emoji").unwrap_or_default() })
    } else if field("story").is_some() {
        Some(Attachment::Story)
    } else if field("invoice").is_some() {
        Some(Attachment::Invoice)
    } else {
        None
    }
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}
