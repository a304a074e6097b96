//! Customers and operators talk: what is written on one side is read on the other, as it was written.

use crate::support::{Person, Setup, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_question_reaches_its_topic_and_the_answer_the_customer() {
    for updates in ["polling", "webhook"] {
        let stack = Stack::start(Setup { updates, ..Setup::default() }).await;
        let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
        stack.connect(anna).await;
        stack.write(ivan, anna, "Здравствуйте!").await;
        let topic = stack.topic("Иван").await;
        assert!(topic["name"].as_str().unwrap_or_default().starts_with('🔴'), "{topic}");
        mirrored(&stack, "Иван", &["💬 Иван: Здравствуйте!"]).await;

        let answer = stack.answer(&topic, "Добрый день").await;
        received(&stack, ivan, anna, &["Добрый день"]).await;
        wait_until(SOON, "a reaction and a green title", async || {
            let topic = stack.topic("Иван").await;
            let reply = topic["messages"].as_array()?.iter().find(|message| message["id"] == answer)?;
            (reply["reactions"].to_string().contains('👍') && topic["name"].as_str()?.starts_with('🟢')).then_some(())
        })
        .await;
        wait_until(SOON, "no service message of the rename", async || {
            let topic = stack.topic("Иван").await;
            (!topic["service"].to_string().contains("forum_topic_edited")).then_some(())
        })
        .await;
        stack.write(ivan, anna, "И ещё вопрос").await;
        wait_until(SOON, "a red title again", async || {
            stack.topic("Иван").await["name"].as_str()?.starts_with('🔴').then_some(())
        })
        .await;
        stack.assert_keys_were_never_shared().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_shown_as_they_were_sent() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("И <b>ван").await);
    stack.connect(anna).await;
    let long = "ж".repeat(4096);
    let texts = ["a < b && c > d", "\"кавычки\" 'и' `код` <b>не жирно</b>", "😀👨‍👩‍👧 эмодзи", "שלום עולם", "*_~|\\[]()", &long];
    for text in texts {
        stack.write(ivan, anna, text).await;
    }
    let shown = wait_until(SOON, "all parts", async || {
        let shown: Vec<String> = all_texts(&stack.topic("И <b>ван").await);
        (shown.len() == texts.len() + 1).then_some(shown)
    })
    .await;
    for (text, shown) in texts.iter().zip(&shown).take(5) {
        assert_eq!(shown, &format!("💬 И <b>ван: {text}"));
    }
    assert_eq!(shown[5..].concat(), format!("💬 И <b>ван: {long}"), "a long text goes in parts");

    let topic = stack.topic("И <b>ван").await;
    let answers = ["1 < 2 & \"3\"", "👍 <i>x</i>", &"б".repeat(4096)];
    for answer in answers {
        stack.answer(&topic, answer).await;
    }
    received(&stack, ivan, anna, &answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_too_long_for_one_message_arrives_in_parts_in_order_and_once() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "Здравствуйте!").await;
    let topic = stack.topic("Иван").await;
    // The Bot API counts characters, MTProto UTF-16 units.
    let long: String = (0..800).map(|number| format!("😀{number},")).collect();
    assert!(long.chars().count() <= 4096 && long.encode_utf16().count() > 4096);
    stack.control("POST", "/faults", json!({ "kind": "lose_answer", "method": "messages.sendMessage", "times": 1 })).await;
    stack.answer(&topic, &long).await;
    stack.answer(&topic, "и ещё").await;
    let shown = wait_until(SOON, "the answer behind the long one", async || {
        let shown = stack.received(ivan, anna).await;
        (shown.last()? == "и ещё").then_some(shown)
    })
    .await;
    assert_eq!(shown.len(), 3, "two parts and the next answer");
    assert_eq!(shown[..2].concat(), long);
}

#[tokio::test(flavor = "multi_thread")]
async fn formatting_survives_both_ways() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    let entities = json!([{ "type": "bold", "offset": 0, "length": 5 }, { "type": "text_link", "offset": 6, "length": 6, "url": "https://example.org/" }]);
    stack
        .control("POST", "/messages", json!({ "from": ivan.0, "to": anna.0, "text": "жирно ссылка", "entities": entities }))
        .await;
    let shown = wait_until(SOON, "the mirrored message", async || {
        stack.topic("Иван").await["messages"]
            .as_array()?
            .iter()
            .find(|message| message["text"] == "💬 Иван: жирно ссылка")
            .cloned()
    })
    .await;
    let shift = "💬 Иван: ".encode_utf16().count();
    let found: Vec<(String, u64)> = entity_list(&shown);
    assert_eq!(found, [("bold".to_owned(), shift as u64), ("text_link".to_owned(), shift as u64 + 6)]);

    let topic = stack.topic("Иван").await;
    let path = format!("/forums/{}/topics/{}/messages", stack.tenant.forum, topic["thread_id"]);
    let body =
        json!({ "from": stack.tenant.operator, "text": "это код", "entities": [{ "type": "code", "offset": 4, "length": 3 }] });
    stack.control("POST", &path, body).await;
    received(&stack, ivan, anna, &["это код"]).await;
    let messages = stack.control("GET", &format!("/users/{}/messages?peer={}", ivan.0, anna.0), Value::Null).await;
    let last = messages.as_array().and_then(|messages| messages.last()).cloned().unwrap_or_default();
    assert_eq!(entity_list(&last), [("code".to_owned(), 4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_text_appears_as_a_line() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    let send = async |media: Value, text: Option<&str>| {
        stack
            .control(
                "POST",
                "/messages",
                json!({ "from": ivan.0, "to": anna.0, "text": text.unwrap_or_default(), "media": media }),
            )
            .await;
    };
    send(json!({ "kind": "photo", "mime": "image/jpeg", "size": 1000 }), Some("вот")).await;
    send(json!({ "kind": "voice", "mime": "audio/ogg", "size": 1000, "duration": 7 }), None).await;
    send(json!({ "kind": "document", "mime": "application/pdf", "name": "счёт.pdf", "size": 1000 }), None).await;
    mirrored(&stack, "Иван", &["💬 Иван: 📷 Фото\nвот", "💬 Иван: 🎤 Голосовое сообщение 0:07", "💬 Иван: 📎 Файл счёт.pdf"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_flags_filter_groups_and_channels() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let account = stack.connect(anna).await;
    let mut chats = Vec::new();
    for (kind, title) in [("group", "Группа"), ("supergroup", "Супергруппа"), ("channel", "Канал")] {
        let chat = stack.control("POST", "/chats", json!({ "title": title, "kind": kind, "members": [ivan.0, anna.0] })).await;
        chats.push((chat["chat_id"].as_i64().expect("a chat"), title));
    }
    let write_all = async |text: &str| {
        for (chat, _) in &chats {
            stack.write(ivan, Person(*chat), text).await;
        }
    };
    write_all("раз").await;
    stack.write(ivan, anna, "лично").await;
    mirrored(&stack, "Иван", &["💬 Иван: лично"]).await;
    assert_eq!(stack.topics().await.len(), 1, "groups and channels are off by default");

    let body = json!({ "accepts_private": false, "accepts_groups": true, "accepts_channels": true });
    let (status, _) =
        stack.call("PATCH", &format!("/api/personal-telegram-accounts/{account}"), &stack.tenant.token, Some(body)).await;
    assert_eq!(status, 200);
    tokio::time::sleep(Duration::from_secs(4)).await;
    write_all("два").await;
    stack.write(ivan, anna, "мимо").await;
    for (_, title) in &chats {
        wait_until(SOON, &format!("a topic of {title}"), async || {
            all_texts(&stack.topic(title).await).iter().any(|text| text.ends_with("два")).then_some(())
        })
        .await;
    }
    assert_eq!(all_texts(&stack.topic("Иван").await), ["💬 Иван: лично"]);

    let group = stack.topic("Супергруппа").await;
    stack.answer(&group, "ответ в группу").await;
    wait_until(SOON, "the answer in the group", async || {
        let messages = stack.control("GET", &format!("/users/{}/messages?peer={}", ivan.0, chats[1].0), Value::Null).await;
        messages.to_string().contains("ответ в группу").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn login_codes_of_telegram_are_never_mirrored() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(Person(777_000), anna, "Код входа: 12345").await;
    stack.write(ivan, anna, "привет").await;
    mirrored(&stack, "Иван", &["💬 Иван: привет"]).await;
    assert_eq!(stack.topics().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn getid_answers_with_the_chat_and_the_topic() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "привет").await;
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, "/getid").await;
    wait_until(SOON, "an answer to /getid", async || {
        let text = stack.topic("Иван").await["messages"].to_string();
        (text.contains(&stack.tenant.forum.to_string())
            && text.contains("supergroup")
            && text.contains(&format!("Thread ID: {}", topic["thread_id"])))
        .then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(stack.received(ivan, anna).await.is_empty(), "a command is not for the customer");
}

/// Waits until exactly these texts stand in a topic, in this order.
pub async fn mirrored(stack: &Stack, name: &str, texts: &[&str]) {
    let mut last = Vec::new();
    for _ in 0..200 {
        last = Stack::mirrored(&stack.topic(name).await);
        if last == texts {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(last, texts);
}

/// Waits until exactly these texts of `peer` stand in the person's chat, in this order.
pub async fn received(stack: &Stack, person: Person, peer: Person, texts: &[&str]) {
    let mut last = Vec::new();
    for _ in 0..200 {
        last = stack.received(person, peer).await;
        if last == texts {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(last, texts);
}

fn all_texts(topic: &Value) -> Vec<String> {
    topic["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|message| message["text"].as_str())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

fn entity_list(message: &Value) -> Vec<(String, u64)> {
    let entities = message["entities"].as_array().cloned().unwrap_or_default();
    entities.iter().filter_map(|entity| Some((entity["type"].as_str()?.to_owned(), entity["offset"].as_u64()?))).collect()
}
