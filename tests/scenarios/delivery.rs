//! Faults of Telegram and of ourselves between a customer and an operator: nothing is lost, nothing is silent.

use super::conversation::{mirrored, received};
use crate::support::{Setup, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;
use tuberry_domain::UserId;
use tuberry_jobs::queue::control;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_new_customers_at_once_get_twenty_topics_in_order() {
    let stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    stack.connect(anna).await;
    let mut customers = Vec::new();
    for number in 0..20 {
        customers.push((stack.person(&format!("Клиент{number}.")).await, format!("Клиент{number}.")));
    }
    for text in ["раз", "два", "три"] {
        for (customer, _) in &customers {
            stack.write(*customer, anna, text).await;
        }
    }
    for (_, name) in &customers {
        let expected = ["раз", "два", "три"].map(|text| format!("💬 {name}: {text}"));
        mirrored(&stack, name, &expected.each_ref().map(String::as_str)).await;
    }
    assert_eq!(stack.topics().await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_refusals_and_lost_answers_of_the_bot_api_lose_nothing() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "ноль").await;
    mirrored(&stack, "Иван", &["💬 Иван: ноль"]).await;
    let fault = async |body: Value| stack.control("POST", "/faults", body).await;
    fault(json!({ "kind": "bot_error", "method": "sendMessage", "status": 429, "description": "Too Many Requests: retry after 2", "retry_after": 2, "times": 1 })).await;
    stack.write(ivan, anna, "после 429").await;
    mirrored(&stack, "Иван", &["💬 Иван: ноль", "💬 Иван: после 429"]).await;
    fault(json!({ "kind": "bot_error", "method": "sendMessage", "status": 400, "description": "Bad Request: whatever", "times": 1 })).await;
    stack.write(ivan, anna, "после 400").await;
    mirrored(&stack, "Иван", &["💬 Иван: ноль", "💬 Иван: после 429", "💬 Иван: после 400"]).await;
    fault(json!({ "kind": "bot_error", "method": "sendMessage", "status": 502, "description": "Bad Gateway", "times": 2 })).await;
    stack.write(ivan, anna, "после 502").await;
    mirrored(&stack, "Иван", &["💬 Иван: ноль", "💬 Иван: после 429", "💬 Иван: после 400", "💬 Иван: после 502"]).await;
    // A lost answer may show twice: the one provable case. It is never lost, and never out of order.
    fault(json!({ "kind": "lose_answer", "method": "bot.sendMessage", "times": 1 })).await;
    stack.write(ivan, anna, "ответ потерян").await;
    stack.write(ivan, anna, "конец").await;
    let shown = wait_until(SOON, "the last message", async || {
        let shown = Stack::mirrored(&stack.topic("Иван").await);
        shown.last()?.ends_with("конец").then_some(shown)
    })
    .await;
    assert_eq!(shown[4..], ["💬 Иван: ответ потерян", "💬 Иван: ответ потерян", "💬 Иван: конец"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_is_not_overtaken() {
    let stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "0").await;
    mirrored(&stack, "Иван", &["💬 Иван: 0"]).await;
    let topic = stack.topic("Иван").await;
    let fault = json!({ "kind": "bot_error", "method": "sendMessage", "status": 502, "description": "Bad Gateway", "times": 3 });
    stack.control("POST", "/faults", fault).await;
    let fault = json!({ "kind": "rpc_error", "user": anna.0, "method": "messages.sendMessage", "code": 500, "message": "RPC_CALL_FAIL", "times": 3 });
    stack.control("POST", "/faults", fault).await;
    for text in ["1", "2", "3", "4"] {
        stack.write(ivan, anna, text).await;
        stack.answer(&topic, text).await;
    }
    mirrored(&stack, "Иван", &["0", "1", "2", "3", "4"].map(|text| format!("💬 Иван: {text}")).each_ref().map(String::as_str))
        .await;
    received(&stack, ivan, anna, &["1", "2", "3", "4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_is_made_again_and_a_closed_one_reopened() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "первое").await;
    mirrored(&stack, "Иван", &["💬 Иван: первое"]).await;
    let first = stack.topic("Иван").await["thread_id"].clone();
    stack.control("POST", "/faults", json!({ "kind": "delete_topic", "chat_id": stack.tenant.forum, "thread_id": first })).await;
    stack.write(ivan, anna, "второе").await;
    mirrored(&stack, "Иван", &["💬 Иван: второе"]).await;
    let second = stack.topic("Иван").await;
    assert_ne!(second["thread_id"], first);
    stack.answer(&second, "вижу").await;
    received(&stack, ivan, anna, &["вижу"]).await;
    let body = json!({ "chat_id": stack.tenant.forum, "message_thread_id": second["thread_id"] });
    stack.bot_call("closeForumTopic", body).await;
    stack.write(ivan, anna, "третье").await;
    mirrored(&stack, "Иван", &["💬 Иван: второе", "💬 Иван: третье"]).await;
    assert_eq!(stack.topic("Иван").await["closed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_a_new_id_keeps_its_topics_and_the_message_that_found_out() {
    let mut stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "до переезда").await;
    mirrored(&stack, "Иван", &["💬 Иван: до переезда"]).await;
    let moved = stack.control("POST", &format!("/forums/{}/migrate", stack.tenant.forum), json!({})).await;
    stack.tenant.forum = moved["chat_id"].as_i64().expect("a chat id");
    stack.write(ivan, anna, "после").await;
    mirrored(&stack, "Иван", &["💬 Иван: до переезда", "💬 Иван: после"]).await;
    assert_eq!(stack.topics().await.len(), 1);
    let (_, bots) = stack.call("GET", "/api/bots", &stack.tenant.token, None).await;
    assert_eq!(bots[0]["group_chat_id"], stack.tenant.forum.to_string());
    stack.answer(&stack.topic("Иван").await, "нашли").await;
    received(&stack, ivan, anna, &["нашли"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_written_while_no_worker_runs_arrive_when_one_starts() {
    let mut stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.workers[0].kill().await;
    let texts: Vec<String> = (0..30).map(|number| format!("пока вас не было {number}")).collect();
    for text in &texts {
        stack.write(ivan, anna, text).await;
    }
    stack.add_worker().await;
    let expected: Vec<String> = texts.iter().map(|text| format!("💬 Иван: {text}")).collect();
    wait_until(Duration::from_secs(60), "all that was missed", async || {
        let topics = stack.topics().await;
        let topic = topics.iter().find(|topic| topic["name"].as_str().is_some_and(|name| name.ends_with("Иван")))?;
        (Stack::mirrored(topic) == expected).then_some(())
    })
    .await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_a_topic_that_is_just_being_created_is_not_lost() {
    for updates in ["polling", "webhook"] {
        let stack = Stack::start(Setup { updates, ..Setup::default() }).await;
        let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
        stack.connect(anna).await;
        stack.control("POST", "/faults", json!({ "kind": "latency", "ms": 400 })).await;
        stack.write(ivan, anna, "привет").await;
        // The topic will be there while its number cannot be stored yet.
        let mut lock = stack.store().begin().await.expect("a transaction");
        wait_until(SOON, "the dialog's row, locked", async || {
            let sql = "select id from dialogs where external_display_name = 'Иван' for update";
            sqlx::query_scalar::<_, i32>(sql).fetch_optional(lock.conn()).await.expect("a query")
        })
        .await;
        let topic = stack.topic("Иван").await;
        stack.answer(&topic, "быстрее всех").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        drop(lock);
        received(&stack, ivan, anna, &["быстрее всех"]).await;
    }
}

/// What stands in a topic that is nobody's must not hold back what stands in the others.
#[tokio::test(flavor = "multi_thread")]
async fn while_no_topic_can_be_created_answers_in_the_others_arrive() {
    for updates in ["polling", "webhook"] {
        let stack = Stack::start(Setup { updates, ..Setup::default() }).await;
        let (anna, ivan, petr) = (stack.person("Анна").await, stack.person("Иван").await, stack.person("Пётр").await);
        stack.connect(anna).await;
        stack.write(ivan, anna, "привет").await;
        let topic = stack.topic("Иван").await;
        let rights = async |may: bool| {
            let rights = json!({ "rights": { "can_manage_topics": may } });
            stack.control("POST", &format!("/forums/{}/bot", stack.tenant.forum), rights).await
        };
        rights(false).await;
        stack.write(petr, anna, "и мне").await;
        wait_until(SOON, "a topic that was refused", async || {
            let calls = stack.control("GET", "/bot-log?method=createForumTopic", Value::Null).await;
            calls.as_array()?.iter().any(|call| call["status"] == 400).then_some(())
        })
        .await;
        let path = format!("/forums/{}/topics", stack.tenant.forum);
        let own = stack.control("POST", &path, json!({ "from": stack.tenant.operator, "name": "Между собой" })).await;
        stack.answer(&own, "это не клиенту").await;
        stack.answer(&topic, "клиенту").await;
        received(&stack, ivan, anna, &["клиенту"]).await;
    }
}

/// Its job was cancelled by hand: the topic says so, and a retry of the job sends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_reply_says_so_in_its_topic_and_can_be_retried() {
    let mut stack = Stack::start(Setup { updates: "webhook", ..Setup::default() }).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "вопрос").await;
    // The topic's number is stored by then.
    mirrored(&stack, "Иван", &["💬 Иван: вопрос"]).await;
    let topic = stack.topic("Иван").await;
    stack.workers[0].kill().await;
    stack.answer(&topic, "ответ").await;
    let store = stack.store().clone();
    let job = wait_until(SOON, "the reply's job", async || {
        let sql = "select id from apalis.jobs where job_type = 'send-reply' and status = 'Pending'";
        sqlx::query_scalar::<_, String>(sql).fetch_optional(store.pool()).await.expect("a query")
    })
    .await;
    let hand = control::Hand { user: UserId(1), client: None };
    let mut tx = store.begin().await.expect("a transaction");
    let cancelled = control::cancel(&mut tx, hand, &job, "не надо").await.expect("a cancel");
    tx.commit().await.expect("a commit");
    assert_eq!(cancelled, Some(control::Cancelled::Killed));
    stack.add_worker().await;
    wait_until(Duration::from_secs(90), "the notice", async || {
        let topic = stack.topic("Иван").await;
        topic["messages"].as_array()?.iter().any(|one| one["text"] == "⚠️ Не доставлено: отправка отменена").then_some(())
    })
    .await;
    let status = "select status::text from messages where direction = 'personal_telegram_out'";
    assert_eq!(sqlx::query_scalar::<_, String>(status).fetch_one(store.pool()).await.expect("a message"), "failed");
    assert_eq!(stack.received(ivan, anna).await, [""; 0]);

    let mut tx = store.begin().await.expect("a transaction");
    assert_eq!(control::retry(&mut tx, hand, &job).await.expect("a retry"), Some(true));
    tx.commit().await.expect("a commit");
    received(&stack, ivan, anna, &["ответ"]).await;
    wait_until(SOON, "a delivered message", async || {
        (sqlx::query_scalar::<_, String>(status).fetch_one(store.pool()).await.expect("a message") == "delivered").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reply_is_answered_with_the_reason() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "привет").await;
    let topic = stack.topic("Иван").await;
    let fault = json!({ "kind": "rpc_error", "user": anna.0, "method": "messages.sendMessage", "code": 400, "message": "USER_IS_BLOCKED", "times": 1 });
    stack.control("POST", "/faults", fault).await;
    let refused = stack.answer(&topic, "не дойдёт").await;
    wait_until(SOON, "the reason in the topic, and a mark", async || {
        let topic = stack.topic("Иван").await;
        let messages = topic["messages"].as_array()?;
        let marked = messages.iter().find(|message| message["id"] == refused)?["reactions"].to_string().contains('👎');
        let notice = messages.iter().find(|message| message["reply_to"] == refused)?["text"].as_str()?;
        (marked && notice.contains("клиент заблокировал")).then_some(())
    })
    .await;
    let (_, dialogs) = stack.call("GET", "/api/dialogs", &stack.tenant.token, None).await;
    let path = format!("/api/dialogs/{}/messages", dialogs["items"][0]["id"]);
    let (_, messages) = stack.call("GET", &path, &stack.tenant.token, None).await;
    assert_eq!((&messages["items"][0]["body"], &messages["items"][0]["status"]), (&json!("не дойдёт"), &json!("failed")));
    stack.answer(&topic, "дойдёт").await;
    received(&stack, ivan, anna, &["дойдёт"]).await;
    let path = format!("/forums/{}/topics/{}/messages", stack.tenant.forum, topic["thread_id"]);
    let photo =
        json!({ "from": stack.tenant.operator, "text": "фото", "media": { "kind": "photo", "mime": "image/jpeg", "size": 10 } });
    stack.control("POST", &path, photo).await;
    wait_until(SOON, "the reason in the topic", async || {
        stack.topic("Иван").await["messages"].to_string().contains("пока можно отправлять только текст").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_and_a_lost_answer_delay_a_reply_and_never_double_it() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "привет").await;
    let topic = stack.topic("Иван").await;
    stack
        .control(
            "POST",
            "/faults",
            json!({ "kind": "flood_wait", "user": anna.0, "method": "messages.sendMessage", "seconds": 2, "times": 1 }),
        )
        .await;
    stack.answer(&topic, "раз").await;
    stack.answer(&topic, "два").await;
    received(&stack, ivan, anna, &["раз", "два"]).await;
    stack.control("POST", "/faults", json!({ "kind": "lose_answer", "method": "messages.sendMessage", "times": 2 })).await;
    stack.answer(&topic, "три").await;
    stack.answer(&topic, "четыре").await;
    received(&stack, ivan, anna, &["раз", "два", "три", "четыре"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    received(&stack, ivan, anna, &["раз", "два", "три", "четыре"]).await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_account_says_so_and_its_replies_fail_with_the_reason() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let account = stack.connect(anna).await;
    stack.write(ivan, anna, "привет").await;
    let topic = stack.topic("Иван").await;
    stack.control("POST", "/faults", json!({ "kind": "revoke", "user": anna.0 })).await;
    stack.answer(&topic, "эй").await;
    wait_until(Duration::from_secs(60), "an account in error", async || {
        let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
        let found = accounts.as_array()?.iter().find(|found| found["id"] == account)?.clone();
        (found["status"] == "error" && found["last_error"].as_str()?.contains("войдите снова")).then_some(())
    })
    .await;
    wait_until(SOON, "the reason in the topic", async || {
        stack.topic("Иван").await["messages"].to_string().contains("войдите снова").then_some(())
    })
    .await;
    stack.connect(anna).await;
    stack.write(ivan, anna, "снова тут?").await;
    wait_until(SOON, "the old topic goes on", async || {
        Stack::mirrored(&stack.topic("Иван").await).last()?.ends_with("снова тут?").then_some(())
    })
    .await;
    assert_eq!(stack.topics().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_account_is_logged_out_and_its_dialogs_stay() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let account = stack.connect(anna).await;
    stack.write(ivan, anna, "привет").await;
    let topic = stack.topic("Иван").await;
    let (status, _) =
        stack.call("DELETE", &format!("/api/personal-telegram-accounts/{account}"), &stack.tenant.token, None).await;
    assert_eq!(status, 204);
    wait_until(SOON, "auth.logOut", async || {
        let stats = stack.control("GET", "/stats", Value::Null).await;
        (stats["rpc"]["auth.logOut"].as_i64()? >= 1).then_some(())
    })
    .await;
    let (_, dialogs) = stack.call("GET", "/api/dialogs", &stack.tenant.token, None).await;
    assert!(dialogs.to_string().contains("Иван"), "{dialogs}");
    stack.answer(&topic, "кому?").await;
    wait_until(SOON, "the reason in the topic", async || {
        stack.topic("Иван").await["messages"].to_string().contains("аккаунт отключён").then_some(())
    })
    .await;
    stack.assert_keys_were_never_shared().await;
}
