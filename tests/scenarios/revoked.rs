//! An account whose session was ended in Telegram: nobody tries its key again, its owner is told, and a new login takes up everything where it
//! was left.

use crate::support::{Person, Setup, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const TWO_MINUTES: Duration = Duration::from_secs(120);
/// Longer than the pauses after which a passing trouble is tried again.
const A_WHILE: Duration = Duration::from_secs(8);

/// Ids of the keys with which the person is signed in.
fn keys(stack: &Stack, person: Person) -> Vec<u64> {
    let shared = stack.simulator.shared();
    let world = shared.lock();
    world.keys.iter().filter(|(_, key)| key.user == Some(person.0)).map(|(id, _)| *id).collect()
}

/// How many connections have used a key so far, whether Telegram still knew it or not.
fn connections_with(stack: &Stack, key: u64) -> u64 {
    stack.simulator.shared().lock().keys[&key].connections
}

async fn only(stack: &Stack, path: &str) -> Value {
    let (status, found) = stack.call("GET", path, &stack.tenant.token, None).await;
    assert_eq!(status, 200, "{found}");
    let list = found.as_array().or_else(|| found["items"].as_array()).unwrap();
    assert_eq!(list.len(), 1, "{found}");
    list[0].clone()
}

async fn account(stack: &Stack) -> Value {
    only(stack, "/api/personal-telegram-accounts").await
}

async fn mirrored(stack: &Stack, texts: &[&str]) -> Value {
    let expected: Vec<String> = texts.iter().map(|text| format!("💬 Иван: {text}")).collect();
    wait_until(TWO_MINUTES, &format!("{texts:?} in the topic"), async || {
        let topic = stack.topic("Иван").await;
        (Stack::mirrored(&topic) == expected).then_some(topic)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_account_is_left_alone_and_a_new_login_takes_up_its_dialogs() {
    let mut stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let id = stack.connect(anna).await;
    stack.write(ivan, anna, "до").await;
    let topic = mirrored(&stack, &["до"]).await;
    let dialog = only(&stack, "/api/dialogs").await;
    let key = *keys(&stack, anna).first().unwrap();

    stack.control("POST", "/faults", json!({ "kind": "revoke", "user": anna.0 })).await;
    // A revoked session that is idle hears nothing of it before its next call: the reconnection is one.
    stack.control("POST", "/faults", json!({ "kind": "drop_connections" })).await;
    wait_until(TWO_MINUTES, "an account in error", async || (account(&stack).await["status"] == "error").then_some(())).await;
    let shown = account(&stack).await;
    assert!(shown["last_error"].as_str().is_some_and(|text| text.contains("войдите снова")), "{shown}");
    wait_until(TWO_MINUTES, "no connection", async || (stack.connections().await == 0).then_some(())).await;
    let tried = connections_with(&stack, key);

    stack.write(ivan, anna, "пока никого нет").await;
    tokio::time::sleep(A_WHILE).await;
    for worker in 0..2 {
        stack.replace_worker(worker).await;
    }
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(connections_with(&stack, key), tried, "a key that Telegram has ended is not tried again");
    assert_eq!(stack.connections().await, 0);
    let (leases, sessions): (i64, i64) = sqlx::query_as(
        "select (select count(*) from personal_telegram_leases where class = 7101 and owner is not null),
                (select count(*) from personal_telegram_sessions)",
    )
    .fetch_one(stack.store().pool())
    .await
    .unwrap();
    assert_eq!((leases, sessions), (0, 0), "nobody holds it, and its key is wiped");
    assert_eq!(account(&stack).await, shown, "it says the same as before");

    assert_eq!(stack.connect(anna).await, id, "the same account");
    assert_eq!(account(&stack).await["status"], "active");
    stack.write(ivan, anna, "после").await;
    let again = mirrored(&stack, &["до", "пока никого нет", "после"]).await;
    assert_eq!(again["thread_id"], topic["thread_id"], "the same topic");
    assert_eq!(stack.topics().await.len(), 1);
    assert_eq!(only(&stack, "/api/dialogs").await["id"], dialog["id"], "the same dialog");
    stack.answer(&again, "мы снова тут").await;
    wait_until(TWO_MINUTES, "the answer", async || (stack.received(ivan, anna).await == ["мы снова тут"]).then_some(())).await;
    let new = keys(&stack, anna);
    assert!(new.len() == 1 && new[0] != key, "a session of its own");
    assert_eq!(connections_with(&stack, key), tried);
    stack.assert_keys_were_never_shared().await;
}
