//! What an account sends.

use crate::account::Account;
use crate::stage::Stage;
use serde_json::json;
use tuberry_domain::ports::CallError;
use tuberry_domain::text::{Entity, EntityKind, FormattedText};
use tuberry_domain::{ChatId, TelegramMessageId};

/// An account that has met one customer and stands in one supergroup.
async fn met(stage: &Stage) -> (Account, i64, i64, i64) {
    let (anna, boris) = (stage.user(json!({})).await, stage.user(json!({"first_name": "Борис"})).await);
    let chat = stage.post("chats", json!({"title": "S", "kind": "supergroup", "members": [boris, anna]})).await;
    let chat = chat["chat_id"].as_i64().unwrap();
    let mut account = Account::new(stage, anna).await;
    stage.say(boris, anna, "вопрос").await;
    stage.say(boris, chat, "вопрос").await;
    account.until(2).await;
    (account, anna, boris, chat)
}

#[tokio::test]
async fn the_same_random_id_twice_is_one_message() {
    let stage = Stage::new().await;
    let (account, anna, boris, _) = met(&stage).await;
    let message = account.text_to(boris, 4711, "ответ");
    let first = account.calls().send_text(&message).await.unwrap();
    let second = account.calls().send_text(&message).await.unwrap();
    assert!(first.id.is_some() && (second == first || second.id.is_none()));
    stage
        .fault(json!({"kind": "rpc_error", "method": "messages.sendMessage", "code": 500, "message": "RANDOM_ID_DUPLICATE"}))
        .await;
    assert_eq!(account.calls().send_text(&message).await.unwrap().id, None);
    assert_eq!(stage.chat(boris, anna).await, [(true, "вопрос".into()), (false, "ответ".into())]);
}

#[tokio::test]
async fn formatting_and_the_answered_message_arrive() {
    let stage = Stage::new().await;
    let (account, anna, boris, _) = met(&stage).await;
    let kinds = [
        EntityKind::Bold,
        EntityKind::Strikethrough,
        EntityKind::Pre { language: Some("rust".into()) },
        EntityKind::TextLink { url: "https://a.b/".into() },
        EntityKind::ExpandableBlockquote,
    ];
    let entity = |(at, kind): (usize, EntityKind)| Entity { kind, offset: 2 * at, length: 2 };
    let mut message = account.text_to(boris, 5, "");
    message.text = FormattedText { text: "😀&<>ab אב".into(), entities: kinds.into_iter().enumerate().map(entity).collect() };
    let question = account.rows.messages.iter().find(|m| m.chat == ChatId(boris)).unwrap().id;
    message.reply_to = Some(question);
    account.calls().send_text(&message).await.unwrap();
    let seen = stage.get(&format!("users/{boris}/messages?peer={anna}")).await;
    let seen = seen.as_array().unwrap().last().unwrap();
    assert_eq!(seen["text"], "😀&<>ab אב");
    let entities: Vec<Entity> = serde_json::from_value(seen["entities"].clone()).unwrap();
    assert_eq!(entities.len(), 5);
    for entity in &message.text.entities {
        assert!(entities.contains(entity), "{entity:?} in {entities:?}");
    }
    assert!(seen["reply_to"].is_i64(), "{seen}");
}

#[tokio::test]
async fn a_supergroup_takes_a_message_too() {
    let stage = Stage::new().await;
    let (account, _, boris, chat) = met(&stage).await;
    let sent = account.calls().send_text(&account.text_to(chat, 6, "всем")).await.unwrap();
    assert!(sent.id.is_some_and(|id| id > TelegramMessageId(0)));
    assert_eq!(stage.chat(boris, chat).await.last().unwrap().1, "всем");
}

#[tokio::test]
async fn a_lost_answer_is_told_as_lost_and_a_repeat_delivers_once() {
    let stage = Stage::new().await;
    let (account, anna, boris, _) = met(&stage).await;
    stage.fault(json!({"kind": "lose_answer", "method": "messages.sendMessage"})).await;
    let message = account.text_to(boris, 8, "один раз");
    let error = account.calls().send_text(&message).await.unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error}");
    let sent = loop {
        match account.calls().send_text(&message).await {
            Ok(sent) => break sent,
            Err(CallError::NotConnected | CallError::Lost(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(sent.id.is_some());
    let copies = stage.chat(boris, anna).await.iter().filter(|(_, text)| text == "один раз").count();
    assert_eq!(copies, 1);
}

#[tokio::test]
async fn telegrams_errors_come_with_their_number_and_end_nothing() {
    let stage = Stage::new().await;
    let (account, _, boris, _) = met(&stage).await;
    stage.fault(json!({"kind": "flood_wait", "method": "messages.sendMessage", "seconds": 17, "times": 1})).await;
    let message = account.text_to(boris, 9, "ответ");
    let CallError::Rpc(error) = account.calls().send_text(&message).await.unwrap_err() else { panic!("no error of Telegram's") };
    assert_eq!((error.code, error.name.as_str(), error.value), (420, "FLOOD_WAIT", Some(17)));
    account.calls().send_text(&message).await.unwrap();

    let mut stranger = account.text_to(boris, 10, "кто вы?");
    stranger.peer.access_hash = None;
    let CallError::Rpc(error) = account.calls().send_text(&stranger).await.unwrap_err() else { panic!("no error of Telegram's") };
    assert_eq!((error.code, error.name.as_str()), (400, "PEER_ID_INVALID"));
}
