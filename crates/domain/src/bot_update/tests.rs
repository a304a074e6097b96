//! Updates as Telegram sends them.

use super::*;
use crate::text::EntityKind;
use serde_json::{Value, json};

fn event(field: &str, value: Value) -> BotEvent {
    BotUpdate::parse(&json!({"update_id": 7, field: value})).unwrap().event
}

/// An operator's message in a topic, with `more` put over it.
fn written(more: Value) -> Value {
    let mut message = json!({
        "message_id": 31, "date": 1_700_000_000, "message_thread_id": 12, "is_topic_message": true,
        "chat": {"id": -1001234, "type": "supergroup", "title": "Группа", "is_forum": true},
        "from": {"id": 55, "is_bot": false, "first_name": "Анна", "last_name": "Петрова"},
        "reply_to_message": {"message_id": 12, "date": 1, "chat": {"id": -1001234}, "forum_topic_created": {"name": "x"}},
    });
    for (key, value) in more.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

fn message(more: Value) -> BotMessage {
    match event("message", written(more)) {
        BotEvent::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_operators_message_in_a_topic_is_read_with_its_formatting() {
    let message = message(json!({
        "text": "Да, 😀 завтра", "entities": [
            {"type": "bold", "offset": 4, "length": 2}, {"type": "bold", "offset": -4, "length": 2},
            {"type": "italic", "offset": 12, "length": 9}, {"type": "mention", "offset": 0, "length": 2}],
    }));
    assert_eq!((message.chat.id, message.thread, message.id), (ChatId(-1001234), Some(ThreadId(12)), BotMessageId(31)));
    assert_eq!((message.sender, message.sender_name.as_str()), (ChatId::user(55), "Анна Петрова"));
    let kinds: Vec<_> = message.text.entities.iter().map(|entity| entity.kind.clone()).collect();
    assert_eq!(kinds, [EntityKind::Bold, EntityKind::Other]);
    assert_eq!((message.reply_to, message.attachment), (None, None));
}

#[test]
fn only_a_real_answer_counts_as_one() {
    let answer = json!({"text": "a", "reply_to_message": {"message_id": 30, "date": 1, "chat": {"id": -1001234}}});
    assert_eq!(message(answer).reply_to, Some(BotMessageId(30)));
    assert_eq!(message(json!({"text": "a", "reply_to_message": {"message_id": 12}})).reply_to, None);
}

#[test]
fn media_becomes_an_attachment_with_its_caption() {
    let voice = message(json!({"voice": {"duration": 7, "file_id": "x"}, "caption": "слушай"}));
    assert_eq!((voice.attachment, voice.text.text.as_str()), (Some(Attachment::Voice { duration: 7 }), "слушай"));
    let gif = message(json!({"animation": {}, "document": {"file_name": "a.mp4"}}));
    assert_eq!(gif.attachment, Some(Attachment::Animation));
    assert_eq!(message(json!({"hologram": {}})).attachment, Some(Attachment::Unsupported));
}

#[test]
fn bots_are_ignored_but_an_anonymous_administrator_is_not() {
    let bot = json!({"text": "a", "from": {"id": 9, "is_bot": true, "first_name": "Bot"}});
    assert_eq!(event("message", written(bot)), BotEvent::Ignored);
    let anonymous = json!({"text": "a", "from": {"id": 1_087_968_824, "is_bot": true, "first_name": "Group"},
        "sender_chat": {"id": -1001234, "type": "supergroup", "title": "Группа"}});
    assert_eq!(message(anonymous).sender, ChatId(-1001234));
}

#[test]
fn a_renamed_topic_is_a_service_message_even_when_the_bot_renamed_it() {
    let renamed = json!({"forum_topic_edited": {"name": "🟢"}, "from": {"id": 9, "is_bot": true, "first_name": "Bot"}});
    let BotEvent::Service(service) = event("message", written(renamed)) else { panic!() };
    assert_eq!((service.kind, service.thread, service.id), (ServiceKind::TopicEdited, Some(ThreadId(12)), BotMessageId(31)));
    let BotEvent::Service(service) = event("message", written(json!({"migrate_to_chat_id": -1009}))) else { panic!() };
    assert_eq!(service.kind, ServiceKind::MigratedTo(ChatId(-1009)));
    let BotEvent::Service(service) = event("message", written(json!({"new_chat_members": []}))) else { panic!() };
    assert_eq!(service.kind, ServiceKind::Other);
}

#[test]
fn a_command_is_told_from_a_path_and_names_its_bot() {
    let command = |text: &str| message(json!({ "text": text })).command().map(|c| (c.name.to_owned(), c.bot.map(str::to_owned)));
    assert_eq!(command("/getid"), Some(("getid".into(), None)));
    assert_eq!(command("/getid@our_bot now"), Some(("getid".into(), Some("our_bot".into()))));
    for text in ["getid", "/ getid", "/", "/usr/bin", "a /getid"] {
        assert_eq!(command(text), None, "{text}");
    }
}

#[test]
fn membership_tells_whether_the_bot_is_still_there() {
    let change = |member: Value| {
        let value = json!({"chat": {"id": -5, "type": "group", "title": "G"}, "date": 1_700_000_000,
            "from": {"id": 1, "is_bot": false, "first_name": "A"}, "old_chat_member": {"status": "left"}, "new_chat_member": member});
        match event("my_chat_member", value) {
            BotEvent::Membership(membership) => (membership.status, membership.is_member),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(change(json!({"status": "administrator"})), ("administrator".into(), true));
    assert_eq!(change(json!({"status": "kicked"})), ("kicked".into(), false));
    assert_eq!(change(json!({"status": "restricted", "is_member": false})), ("restricted".into(), false));
}

#[test]
fn rubbish_is_ignored_and_still_counted() {
    for update in [json!({"update_id": 7, "message": 5}), json!({"update_id": 7}), json!({"update_id": 7, "poll": {}})] {
        assert_eq!(BotUpdate::parse(&update), Some(BotUpdate { id: 7, event: BotEvent::Ignored }));
    }
    let dateless = json!({"message_id": 1, "date": i64::MAX, "chat": {"id": 1}, "from": {"id": 1}, "text": "a"});
    assert_eq!(event("message", dateless), BotEvent::Ignored);
    assert_eq!(BotUpdate::parse(&json!({"message": {}})), None);
}
