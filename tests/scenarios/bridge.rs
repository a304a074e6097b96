//! The Redis bridge: elements become messages at the customer; those that cannot go to the dead letters; listeners hear what became of them.

use super::bridge_kit::{DEAD, OTHERS, PATIENCE, TASKS, Talk, all_taken, becomes, element, push, status};
use crate::support::{RedisServer, Setup, Stack, wait_until};
use futures::StreamExt;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

#[tokio::test(flavor = "multi_thread")]
async fn elements_are_carried_out_once_or_refused_with_a_reason() {
    let redis = RedisServer::start().await;
    redis.ask::<u64>(&["RPUSH", OTHERS, "avito 1", "avito 2"]).await;
    let mut stack = Stack::start(Setup { redis: Some(redis.url()), ..Setup::default() }).await;
    let events = listen(&redis).await;
    let anna = stack.person("Анна").await;
    let account = stack.connect(anna).await;
    let talk = Talk::begin(&stack, (anna, account), "Иван").await;
    // As the old system left it: no row of ours.
    sqlx::query("delete from personal_telegram_dialogs where dialog_id = $1")
        .bind(talk.dialog)
        .execute(stack.store().pool())
        .await
        .unwrap();

    // What a dead worker had taken comes before what waits.
    stack.workers.remove(0).kill().await;
    let mut sent = Vec::new();
    for (list, text) in [("tuberry:personal:processing:dead", "раз"), ("tuberry:personal:processing:dead", "два"), (TASKS, "три")]
    {
        let message = talk.message(&stack, "иначе").await;
        redis.ask::<u64>(&["RPUSH", list, &element(&talk.payload(message, text))]).await;
        sent.push(message);
    }
    let long = "длинный текст ".repeat(400);
    sent.push(talk.send(&stack, &redis, &long).await);
    // The same again, and one that somebody else has sent.
    push(&redis, &element(&talk.payload(sent[0], "раз"))).await;
    let elsewhere = talk.message(&stack, "уже").await;
    sqlx::query("update messages set status = 'sent' where id = $1").bind(elsewhere).execute(stack.store().pool()).await.unwrap();
    push(&redis, &element(&talk.payload(elsewhere, "уже"))).await;
    let mut old = talk.payload(talk.message(&stack, "четыре").await, "четыре");
    old["project_id"] = Value::Null;
    push(&redis, &element(&old)).await;
    stack.add_worker().await;
    let received = wait_until(PATIENCE, "all that was sent", async || {
        let received = stack.received(talk.customer, talk.employee).await;
        (received.last()? == "четыре").then_some(received)
    })
    .await;
    assert_eq!(received[..3], ["раз", "два", "три"]);
    assert!(received[3..5].concat().trim_end() == long.trim_end(), "a long text goes in parts");
    assert_eq!(received.len(), 6);
    for message in &sent {
        becomes(&stack, *message, "delivered").await;
    }
    assert_eq!(status(&stack, elsewhere).await.0, "sent");

    let refused = refusals(&stack, &talk).await;
    for (element, ..) in &refused {
        push(&redis, element).await;
    }
    let after = talk.send(&stack, &redis, "после").await;
    becomes(&stack, after, "delivered").await;
    all_taken(&redis, &["avito 1", "avito 2"]).await;
    let letters: Vec<String> = redis.ask(&["LRANGE", DEAD, "0", "-1"]).await;
    let letters: Vec<Value> = letters.iter().map(|letter| serde_json::from_str(letter).unwrap()).collect();
    assert_eq!(letters.len(), refused.len(), "{letters:#?}");
    for (letter, (element, reason, message)) in letters.iter().zip(&refused) {
        assert_eq!(letter["reason"], *reason, "{letter}");
        let kept = letter["element"].as_str().unwrap();
        assert!(kept == element || (*reason == "too_large" && element.starts_with(kept) && letter["cut_from"] == element.len()));
        if let Some(message) = message {
            assert_eq!(letter["message_db_id"], *message);
            let (status, error) = status(&stack, *message).await;
            assert!(status == "failed" && error.is_some(), "{reason}: {status} {error:?}");
        }
    }
    assert_eq!(status(&stack, sent[0]).await.0, "delivered", "a foreign element does not touch what was sent");

    // An account out of service fails its messages as it does an operator's.
    stack.control("POST", "/faults", json!({ "kind": "revoke", "user": anna.0 })).await;
    let lost = talk.send(&stack, &redis, "в пустоту").await;
    becomes(&stack, lost, "failed").await;
    wait_until(PATIENCE, "an account out of service", async || heard(&events, "account.status", "status", "error")).await;
    let late = talk.send(&stack, &redis, "поздно").await;
    becomes(&stack, late, "failed").await;
    assert_eq!(redis.ask::<usize>(&["LLEN", DEAD]).await, refused.len(), "no dead letter");
    let failed =
        wait_until(PATIENCE, "an event of the failure", async || heard(&events, "message.status", "message_db_id", late)).await;
    assert_eq!(
        (&failed["status"], &failed["dialog_id"], &failed["account_id"]),
        (&json!("failed"), &json!(talk.dialog), &json!(account))
    );
    assert!(failed["error"].is_string() && failed["at"].as_str().unwrap().ends_with('Z'), "{failed}");
    let delivered = heard(&events, "message.status", "message_db_id", after).expect("an event");
    assert_eq!(delivered["status"], "delivered");
    assert!(heard(&events, "account.status", "status", "active").is_some_and(|event| event["account_id"] == account));
    assert!(heard(&events, "login.status", "status", "completed").is_some_and(|event| event["account_id"] == account));
    stack.stop_processes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_message_is_marked_and_not_sent_again_when_the_updates_come_to_us() {
    let redis = RedisServer::start().await;
    let mut stack = Stack::start(Setup { redis: Some(redis.url()), updates: "off", ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let account = stack.connect(anna).await;
    let talk = Talk::begin(&stack, (anna, account), "Иван").await;
    // The old backend was told of it, stored and queued it; its answer to Telegram was lost. Then it did the same again.
    let topic = stack.topic("Иван").await;
    let asked = stack.answer(&topic, "один раз").await;
    let (first, second) = (talk.message(&stack, "один раз").await, talk.message(&stack, "ещё раз").await);
    sqlx::query("update messages set source_message_id = $1 where id = any($2)")
        .bind(asked.to_string())
        .bind([first, second])
        .execute(stack.store().pool())
        .await
        .unwrap();
    for (message, text) in [(first, "один раз"), (second, "ещё раз")] {
        push(&redis, &element(&talk.payload(message, text))).await;
    }
    becomes(&stack, second, "delivered").await;
    marked(&stack, "Иван", asked).await;
    becomes_waiting(&stack, &talk, false).await;

    // The old system made two dialogs of the chat; the customer waits for what is answered in the second one's topic.
    let other = second_dialog(&stack, &talk).await;
    stack.write(talk.customer, anna, "и ещё").await;
    becomes_waiting(&stack, &talk, true).await;
    let elsewhere = stack.topic("лишний").await;
    let asked = stack.answer(&elsewhere, "во втором").await;
    let third = other.message(&stack, "во втором").await;
    sqlx::query("update messages set source_message_id = $1 where id = $2")
        .bind(asked.to_string())
        .bind(third)
        .execute(stack.store().pool())
        .await
        .unwrap();
    push(&redis, &element(&other.payload(third, "во втором"))).await;
    becomes(&stack, third, "delivered").await;
    marked(&stack, "лишний", asked).await;
    becomes_waiting(&stack, &talk, false).await;

    stack.stop_processes().await;
    stack.start_processes("webhook").await;
    stack.answer(&elsewhere, "снова").await;
    stack.answer(&topic, "после").await;
    talk.received(&stack, &["один раз", "ещё раз", "во втором", "снова", "после"]).await;
    stack.stop_processes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_element_can_be_sent_again_and_spoils_no_other() {
    let redis = RedisServer::start().await;
    let mut stack = Stack::start(Setup { redis: Some(redis.url()), ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let account = stack.connect(anna).await;
    let talk = Talk::begin(&stack, (anna, account), "Иван").await;
    let refused = talk.message(&stack, "снова").await;
    let mut foreign = talk.payload(refused, "снова");
    foreign["account_id"] = json!(account + 1);
    push(&redis, &element(&foreign)).await;
    becomes(&stack, refused, "failed").await;

    // Valid and broken elements of one message, taken at once.
    let (before, behind) = (talk.message(&stack, "раз").await, talk.message(&stack, "нет").await);
    let broken = |message| json!({ "type": "personal.read", "payload": talk.payload(message, "нет") }).to_string();
    let [good, late] = [(before, "раз"), (behind, "нет")].map(|(message, text)| element(&talk.payload(message, text)));
    redis.ask::<u64>(&["RPUSH", TASKS, &good, &broken(before), &broken(behind), &late]).await;
    becomes(&stack, before, "delivered").await;
    becomes(&stack, behind, "failed").await;
    all_taken(&redis, &[]).await;
    assert_eq!(status(&stack, behind).await, ("failed".into(), Some("задание неизвестного вида".into())));
    assert_eq!(status(&stack, before).await.1, None);
    assert_eq!(redis.ask::<usize>(&["LLEN", DEAD]).await, 3);

    // The cluster's tick comes between the two steps of sending again.
    let put_back = [
        "update messages set status = 'pending' where id = $1 and status = 'failed'",
        "update personal_telegram_messages set created_at = now() - interval '1 hour' where message_id = $1",
    ];
    for step in put_back {
        sqlx::query(step).bind(refused).execute(stack.store().pool()).await.unwrap();
    }
    let ticks = async || -> i64 {
        let ticks = "select count(*) from apalis.jobs where job_type = 'sync-accounts' and status = 'Done'";
        sqlx::query_scalar(ticks).fetch_one(stack.store().pool()).await.unwrap()
    };
    let so_far = ticks().await;
    wait_until(PATIENCE, "two ticks", async || (ticks().await >= so_far + 2).then_some(())).await;
    push(&redis, &element(&talk.payload(refused, "снова"))).await;
    becomes(&stack, refused, "delivered").await;
    talk.received(&stack, &["раз", "снова"]).await;
    stack.stop_processes().await;
}

/// Waits until the dialog's customer waits for an answer, or does not.
async fn becomes_waiting(stack: &Stack, talk: &Talk, waiting: bool) {
    wait_until(PATIENCE, &format!("waiting: {waiting}"), async || {
        let now = sqlx::query_scalar("select waiting from personal_telegram_dialogs where dialog_id = $1").bind(talk.dialog);
        (now.fetch_one(stack.store().pool()).await.ok() == Some(waiting)).then_some(())
    })
    .await;
}

/// Waits for the mark that an operator's message has arrived.
async fn marked(stack: &Stack, name: &str, message: i64) {
    wait_until(PATIENCE, "a mark at the operator's message", async || {
        let topic = stack.topic(name).await;
        let message = topic["messages"].as_array()?.iter().find(|found| found["id"] == message)?;
        message["reactions"].to_string().contains('👍').then_some(())
    })
    .await;
}

/// Another dialog for the same chat, with its topic, as the old system makes one of two messages at once. It knows the chat by one column only.
async fn second_dialog(stack: &Stack, talk: &Talk) -> Talk {
    let topic = json!({ "chat_id": stack.tenant.forum, "name": "🔴 Иван, лишний" });
    let topic = stack.bot_call("createForumTopic", topic).await["message_thread_id"].to_string();
    let dialog = sqlx::query_scalar(
        "insert into dialogs (created_at, client_id, project_id, source, personal_account_id, bot_id, avito_dialog_id, telegram_topic_id, state,
                topic_intro_sent)
         select created_at, client_id, project_id, source, personal_account_id, bot_id, avito_dialog_id, $2, state, true from dialogs where id = $1
         returning id",
    );
    Talk { dialog: dialog.bind(talk.dialog).bind(topic).fetch_one(stack.store().pool()).await.unwrap(), ..*talk }
}

/// Elements of every sort that is refused, with the reason, and the message that fails.
async fn refusals(stack: &Stack, talk: &Talk) -> Vec<(String, &'static str, Option<i32>)> {
    let other = foreign_dialog(stack, talk.dialog).await;
    let with = async |reason, field: &str, value: Value| {
        let message = talk.message(stack, "нет").await;
        let mut payload = talk.payload(message, "нет");
        payload[field] = value;
        (element(&payload), reason, Some(message))
    };
    let unknown_type = talk.message(stack, "нет").await;
    let avito = Talk { dialog: other, ..*talk };
    let of_avito = avito.message(stack, "нет").await;
    let incoming: i32 =
        sqlx::query_scalar("select min(id) from messages where dialog_id = $1 and direction = 'personal_telegram_in'")
            .bind(talk.dialog)
            .fetch_one(stack.store().pool())
            .await
            .unwrap();
    vec![
        ("{\"type\":".into(), "malformed", None),
        (
            json!({ "type": "personal.read", "payload": talk.payload(unknown_type, "нет") }).to_string(),
            "unknown_type",
            Some(unknown_type),
        ),
        with("incomplete", "text", json!("")).await,
        with("incomplete", "account_id", Value::Null).await,
        with("incomplete", "dialog_id", json!("x")).await,
        with("foreign_account", "account_id", json!(talk.account + 1)).await,
        with("foreign_project", "project_id", json!(talk.project + 1)).await,
        with("foreign_message", "dialog_id", json!(other)).await,
        (element(&talk.payload(incoming, "нет")), "foreign_message", None),
        (element(&talk.payload(i32::MAX, "нет")), "unknown_message", None),
        (element(&avito.payload(of_avito, "нет")), "unknown_dialog", Some(of_avito)),
        (element(&talk.payload(1, &"х".repeat(600_000))), "too_large", None),
        orphan(stack, talk).await,
    ]
}

/// A dialog of Avito's.
async fn foreign_dialog(stack: &Stack, like: i32) -> i32 {
    copy_of_dialog(stack, like, "avito").await
}

/// A message of a dialog whose account was removed.
async fn orphan(stack: &Stack, talk: &Talk) -> (String, &'static str, Option<i32>) {
    let gone = Talk { dialog: copy_of_dialog(stack, talk.dialog, "personal_telegram").await, ..*talk };
    let message = gone.message(stack, "нет").await;
    (element(&gone.payload(message, "нет")), "no_account", Some(message))
}

async fn copy_of_dialog(stack: &Stack, like: i32, source: &str) -> i32 {
    sqlx::query_scalar(
        "insert into dialogs (created_at, client_id, project_id, source, bot_id, avito_dialog_id, state, topic_intro_sent)
         select created_at, client_id, project_id, $2, bot_id, 'copy', state, false from dialogs where id = $1 returning id",
    )
    .bind(like)
    .bind(source)
    .fetch_one(stack.store().pool())
    .await
    .unwrap()
}

type Events = Arc<Mutex<Vec<Value>>>;

/// Hears everything on the events' channel.
async fn listen(redis: &RedisServer) -> Events {
    let events = Events::default();
    let mut channel = redis.client().get_async_pubsub().await.unwrap();
    channel.subscribe("tuberry:personal:events").await.unwrap();
    let heard = events.clone();
    tokio::spawn(async move {
        let mut messages = channel.into_on_message();
        while let Some(message) = messages.next().await {
            heard.lock().unwrap().push(serde_json::from_slice(message.get_payload_bytes()).unwrap());
        }
    });
    events
}

/// The last event of this type whose field has this value.
fn heard(events: &Events, kind: &str, field: &str, value: impl Into<Value>) -> Option<Value> {
    let value = value.into();
    events.lock().unwrap().iter().rfind(|event| event["type"] == kind && event[field] == value).cloned()
}
