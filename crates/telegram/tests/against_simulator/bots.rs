//! The managing bot.

use crate::stage::Stage;
use serde_json::{Value, json};
use std::time::Duration;
use tuberry_domain::bot_update::{BotEvent, BotUpdate, ServiceKind};
use tuberry_domain::ports::{BotApi, BotError, BotToken, SendTopicMessage};
use tuberry_domain::text::{Entity, EntityKind, FormattedText};
use tuberry_domain::{BotMessageId, ChatId, Secret, ThreadId};
use tuberry_telegram::HttpBotApi;

struct Bot {
    stage: Stage,
    api: HttpBotApi,
    token: BotToken,
    id: i64,
    chat: ChatId,
    operator: i64,
}

async fn bot() -> Bot {
    let stage = Stage::new().await;
    let operator = stage.user(json!({"first_name": "Олег"})).await;
    let made = stage.post("bots", json!({"username": "managing_bot"})).await;
    let token = made["token"].as_str().unwrap().to_owned();
    let forum = stage.post("forums", json!({"title": "Группа", "bot_token": token, "members": [operator]})).await;
    let api = HttpBotApi::new(stage.network.bot_api_base().unwrap()).unwrap();
    let (id, chat) = (made["id"].as_i64().unwrap(), ChatId(forum["chat_id"].as_i64().unwrap()));
    Bot { stage, api, token: Secret::new(token), id, chat, operator }
}

impl Bot {
    fn message(&self, thread: Option<ThreadId>, text: &str) -> SendTopicMessage {
        SendTopicMessage { chat: self.chat, thread, text: FormattedText::plain(text), reply_to: None, silent: false }
    }

    async fn topics(&self) -> Value {
        self.stage.get(&format!("forums/{}/topics", self.chat)).await
    }
}

#[tokio::test]
async fn the_bot_knows_itself_its_group_and_its_rights() {
    let bot = bot().await;
    let me = bot.api.get_me(&bot.token).await.unwrap();
    assert_eq!((me.id, me.username.as_str()), (bot.id, "managing_bot"));
    let chat = bot.api.get_chat(&bot.token, bot.chat).await.unwrap();
    assert_eq!(
        (chat.id, chat.kind.as_str(), chat.title.as_deref(), chat.is_forum),
        (bot.chat, "supergroup", Some("Группа"), true)
    );
    let member = bot.api.get_chat_member(&bot.token, bot.chat, bot.id).await.unwrap();
    assert_eq!((member.status.as_str(), member.can_manage_topics, member.can_delete_messages), ("administrator", true, true));
}

#[tokio::test]
async fn topics_are_made_renamed_written_into_and_reacted_in() {
    let bot = bot().await;
    let thread = bot.api.create_topic(&bot.token, bot.chat, "🔴 Анна").await.unwrap();
    let mut message = bot.message(Some(thread), "💬 Анна: <b> & 😀");
    message.text.entities =
        vec![Entity { kind: EntityKind::Bold, offset: 3, length: 4 }, Entity { kind: EntityKind::Other, offset: 0, length: 1 }];
    let first = bot.api.send_message(&bot.token, &message).await.unwrap();
    let answer = SendTopicMessage { reply_to: Some(first), silent: true, ..bot.message(Some(thread), "ответ") };
    let second = bot.api.send_message(&bot.token, &answer).await.unwrap();
    assert!(second > first);
    let gone = SendTopicMessage { reply_to: Some(BotMessageId(999_999)), ..bot.message(Some(thread), "ни на что") };
    bot.api.send_message(&bot.token, &gone).await.unwrap();
    bot.api.set_reaction(&bot.token, bot.chat, first, Some("👍")).await.unwrap();
    bot.api.rename_topic(&bot.token, bot.chat, thread, "🟢 Анна").await.unwrap();
    assert_eq!(bot.api.rename_topic(&bot.token, bot.chat, thread, "🟢 Анна").await, Err(BotError::NotModified));
    bot.api.delete_message(&bot.token, bot.chat, second).await.unwrap();
    assert_eq!(bot.api.delete_message(&bot.token, bot.chat, second).await, Err(BotError::MessageNotFound));

    let topics = bot.topics().await;
    let topic = topics.as_array().unwrap().iter().find(|topic| topic["thread_id"] == json!(thread)).unwrap();
    assert_eq!(topic["name"], "🟢 Анна");
    let shown = topic["messages"].as_array().unwrap().iter().find(|message| message["id"] == json!(first)).unwrap();
    assert_eq!(shown["text"], "💬 Анна: <b> & 😀");
    assert_eq!(shown["entities"], json!([{"type": "bold", "offset": 3, "length": 4}]));
    assert_eq!(shown["reactions"][0]["emoji"], "👍");
    bot.api.set_reaction(&bot.token, bot.chat, first, None).await.unwrap();
}

#[tokio::test]
async fn a_deleted_a_closed_and_a_reopened_topic_are_told_apart() {
    let bot = bot().await;
    let thread = bot.api.create_topic(&bot.token, bot.chat, "тема").await.unwrap();
    bot.stage.fault(json!({"kind": "delete_topic", "chat_id": bot.chat, "thread_id": thread})).await;
    assert_eq!(bot.api.send_message(&bot.token, &bot.message(Some(thread), "x")).await, Err(BotError::TopicNotFound));
    assert_eq!(bot.api.rename_topic(&bot.token, bot.chat, thread, "y").await, Err(BotError::TopicNotFound));
    let closed = BotError::TopicClosed;
    let fault = json!({"kind": "bot_error", "method": "sendMessage", "status": 400, "description": "Bad Request: TOPIC_CLOSED"});
    bot.stage.fault(fault).await;
    assert_eq!(bot.api.send_message(&bot.token, &bot.message(None, "x")).await, Err(closed));
    let thread = bot.api.create_topic(&bot.token, bot.chat, "вторая").await.unwrap();
    assert_eq!(bot.api.reopen_topic(&bot.token, bot.chat, thread).await, Err(BotError::NotModified));
}

#[tokio::test]
async fn telegrams_refusals_are_mapped() {
    let bot = bot().await;
    let send = || async { bot.api.send_message(&bot.token, &bot.message(None, "x")).await.unwrap_err() };
    let fault = |status: u16, description: &str, more: Value| {
        let mut fault = json!({"kind": "bot_error", "method": "sendMessage", "status": status, "description": description});
        for (key, value) in more.as_object().unwrap() {
            fault[key] = value.clone();
        }
        bot.stage.fault(fault)
    };
    fault(429, "Too Many Requests: retry after 7", json!({"retry_after": 7})).await;
    assert_eq!(send().await, BotError::RetryAfter(Duration::from_secs(7)));
    fault(400, "Bad Request: group chat was upgraded to a supergroup chat", json!({"migrate_to_chat_id": -1005})).await;
    assert_eq!(send().await, BotError::Migrated(ChatId(-1005)));
    fault(403, "Forbidden: bot was kicked from the supergroup chat", json!({})).await;
    assert!(matches!(send().await, BotError::NoAccess(_)));
    fault(500, "Internal Server Error", json!({})).await;
    assert!(matches!(send().await, BotError::Lost(_)), "a gateway that gives up does not say that nothing was done");
    let long = bot.api.send_message(&bot.token, &bot.message(None, &"x".repeat(5000))).await.unwrap_err();
    assert!(matches!(long, BotError::Refused(_)), "{long}");
    let stranger = SendTopicMessage { chat: ChatId(-1_009_999_999_999), ..bot.message(None, "x") };
    assert!(matches!(bot.api.send_message(&bot.token, &stranger).await.unwrap_err(), BotError::NoAccess(_)));
    for token in ["1:wrong", "", "1/../../control"] {
        let error = bot.api.get_me(&Secret::new(token.to_owned())).await.unwrap_err();
        assert!(matches!(error, BotError::NoAccess(_)), "{error}");
    }
}

#[tokio::test]
async fn a_lost_answer_and_an_unreachable_server_are_told_apart_without_the_token() {
    let bot = bot().await;
    bot.stage.fault(json!({"kind": "lose_answer", "method": "bot.sendMessage"})).await;
    let lost = bot.api.send_message(&bot.token, &bot.message(None, "x")).await.unwrap_err();
    assert!(matches!(lost, BotError::Lost(_)), "{lost}");
    let nobody = HttpBotApi::new("http://127.0.0.1:1").unwrap();
    let unreachable = nobody.get_me(&bot.token).await.unwrap_err();
    assert!(matches!(unreachable, BotError::Unavailable(_)), "{unreachable}");
    for error in [lost, unreachable] {
        assert!(!format!("{error} {error:?}").contains(bot.token.expose().as_str()));
    }
    assert!(!format!("{:?}", bot.api).contains(bot.token.expose().as_str()));
}

#[tokio::test]
async fn updates_are_polled_in_order_and_understood() {
    let bot = bot().await;
    let thread = bot.api.create_topic(&bot.token, bot.chat, "тема").await.unwrap();
    let path = format!("forums/{}/topics/{thread}/messages", bot.chat);
    for text in ["раз", "два"] {
        bot.stage.post(&path, json!({"from": bot.operator, "text": text})).await;
    }
    bot.api.rename_topic(&bot.token, bot.chat, thread, "новое имя").await.unwrap();
    let (mut updates, mut offset) = (Vec::new(), 0);
    loop {
        let page = bot.api.get_updates(&bot.token, offset, Duration::ZERO).await.unwrap();
        if page.is_empty() {
            break;
        }
        updates.extend(page.iter().map(|json| BotUpdate::parse(json).unwrap()));
        offset = updates.last().unwrap().id + 1;
    }
    assert!(updates.is_sorted_by_key(|update| update.id));
    let said: Vec<_> = updates
        .iter()
        .filter_map(|update| match &update.event {
            BotEvent::Message(message) => Some((message.text.text.as_str(), message.thread, message.sender, message.chat.id)),
            _ => None,
        })
        .collect();
    let operator = ChatId(bot.operator);
    assert_eq!(said, [("раз", Some(thread), operator, bot.chat), ("два", Some(thread), operator, bot.chat)]);
    let renamed =
        |update: &BotUpdate| matches!(&update.event, BotEvent::Service(service) if service.kind == ServiceKind::TopicEdited);
    assert_eq!(updates.iter().filter(|update| renamed(update)).count(), 1);
}

#[tokio::test]
async fn a_webhook_is_set_and_taken_away() {
    let bot = bot().await;
    let secret = Secret::new("s3cret".to_owned());
    bot.api.set_webhook(&bot.token, "http://127.0.0.1:9/hook", &secret).await.unwrap();
    let conflict = bot.api.get_updates(&bot.token, 0, Duration::ZERO).await.unwrap_err();
    assert!(matches!(conflict, BotError::Conflict(_)), "{conflict}");
    bot.api.delete_webhook(&bot.token).await.unwrap();
    bot.api.get_updates(&bot.token, 0, Duration::ZERO).await.unwrap();
}
