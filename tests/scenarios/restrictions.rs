//! What Telegram forbids an account, for a while or for good: the owner reads it, and Telegram is not asked again in vain.

use super::conversation::{mirrored, received};
use crate::support::{Setup, Stack, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tuberry::embedded::Restart;
use tuberry_domain::AccountId;
use tuberry_storage::connections;

const SOON: Duration = Duration::from_secs(30);

/// `status` and `last_error`; `None` while the API cannot tell.
async fn account(stack: &Stack, id: i64) -> Option<(String, String)> {
    let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
    let found = accounts.as_array()?.iter().find(|found| found["id"] == id)?;
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("last_error")))
}

async fn reads(stack: &Stack, id: i64, status: &str, part: &str) {
    wait_until(Duration::from_secs(90), &format!("{status}: {part}"), async || {
        let (now, text) = account(stack, id).await?;
        (now == status && text.contains(part)).then_some(())
    })
    .await;
}

async fn count(stack: &Stack, method: &str) -> i64 {
    stack.control("GET", "/stats", Value::Null).await["rpc"][method].as_i64().unwrap_or(0)
}

async fn refuse_sends(stack: &Stack, user: i64, code: i32, message: &str) {
    let fault = json!({ "kind": "rpc_error", "user": user, "method": "messages.sendMessage", "code": code, "message": message });
    stack.control("POST", "/faults", fault).await;
}

async fn says(stack: &Stack, topic: &str, part: &str, times: usize) {
    wait_until(SOON, &format!("«{part}» in the topic"), async || {
        let topic = stack.topic(topic).await["messages"].to_string();
        (topic.matches(part).count() >= times).then_some(())
    })
    .await;
}

/// A proof of life as the worker notes it every minute.
async fn noted_alive(stack: &Stack, account: i64) {
    let account = AccountId(account.try_into().expect("a row's id"));
    connections::mark_alive(stack.store(), &[account]).await.expect("a note");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_account_goes_on_receiving_and_is_not_asked_to_send_again() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let id = stack.connect(anna).await;
    stack.write(ivan, anna, "раз").await;
    let topic = stack.topic("Иван").await;
    refuse_sends(&stack, anna.0, 420, "FROZEN_METHOD_INVALID").await;
    stack.answer(&topic, "не уйдёт").await;
    says(&stack, "Иван", "заморозил", 1).await;
    reads(&stack, id, "active", "заморозил").await;
    let sends = count(&stack, "messages.sendMessage").await;
    stack.answer(&topic, "тоже нет").await;
    says(&stack, "Иван", "заморозил", 2).await;
    assert_eq!((count(&stack, "messages.sendMessage").await, sends), (1, 1));
    stack.write(ivan, anna, "два").await;
    mirrored(&stack, "Иван", &["💬 Иван: раз", "💬 Иван: два"]).await;
    noted_alive(&stack, id).await;
    reads(&stack, id, "active", "заморозил").await;
    // Telegram does not say for how long; after an hour a reply tries again.
    sqlx::query("update personal_telegram_restrictions set until = now()").execute(stack.store().pool()).await.unwrap();
    stack.answer(&topic, "уйдёт").await;
    received(&stack, ivan, anna, &["уйдёт"]).await;
    noted_alive(&stack, id).await;
    assert_eq!(account(&stack, id).await, Some(("active".into(), String::new())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_is_kept_to_the_second_and_shown_with_its_end() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let id = stack.connect(anna).await;
    stack.write(ivan, anna, "раз").await;
    let topic = stack.topic("Иван").await;
    refuse_sends(&stack, anna.0, 420, "FLOOD_WAIT_4").await;
    let began = Instant::now();
    stack.answer(&topic, "терпение").await;
    reads(&stack, id, "active", "Telegram просит подождать: ответы уйдут").await;
    received(&stack, ivan, anna, &["терпение"]).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(7), "{took:?}");
    assert_eq!(count(&stack, "messages.sendMessage").await, 2);
    noted_alive(&stack, id).await;
    assert_eq!(account(&stack, id).await, Some(("active".into(), String::new())));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_new_chats_stop_one_reply_and_not_the_others() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let id = stack.connect(anna).await;
    stack.write(ivan, anna, "раз").await;
    let topic = stack.topic("Иван").await;
    refuse_sends(&stack, anna.0, 400, "PEER_FLOOD").await;
    stack.answer(&topic, "не уйдёт").await;
    says(&stack, "Иван", "ограничил этому аккаунту новые переписки", 1).await;
    reads(&stack, id, "active", "@SpamBot").await;
    stack.answer(&topic, "уйдёт").await;
    received(&stack, ivan, anna, &["уйдёт"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_out_of_service_is_connected_by_no_worker() {
    let stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let id = stack.connect(anna).await;
    stack.control("POST", "/faults", json!({ "kind": "revoke", "user": anna.0, "error": "USER_DEACTIVATED_BAN" })).await;
    stack.control("POST", "/faults", json!({ "kind": "drop_connections", "user": null })).await;
    reads(&stack, id, "error", "заблокировал").await;
    let connects = async || stack.control("GET", "/stats", Value::Null).await["connects"].as_i64().expect("a number");
    let before = connects().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(connects().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_an_account_is_out_of_service_is_not_forgotten_while_postgresql_is_away() {
    let stack = Stack::start(Setup { own_cluster: true, ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let id = stack.connect(anna).await;
    let connects = async |stack: &Stack| stack.control("GET", "/stats", Value::Null).await["connects"].as_i64();
    let before = connects(&stack).await.expect("a number");
    let server = Pid::from_raw(stack.cluster().embedded.pid().try_into().expect("a pid"));
    kill(server, Signal::SIGQUIT).expect("a signal");
    stack.control("POST", "/faults", json!({ "kind": "revoke", "user": anna.0 })).await;
    stack.control("POST", "/faults", json!({ "kind": "drop_connections" })).await;
    let found_out = async || stack.workers[0].output().contains("cannot store the account's problem yet").then_some(());
    wait_until(SOON, "a problem that cannot be stored", found_out).await;
    stack.cluster().embedded.restart(Restart::Fast).await.expect("a restart");
    reads(&stack, id, "error", "войдите снова").await;
    assert_eq!(connects(&stack).await, Some(before + 1), "only the connection that found it out");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deaf_connection_does_not_push_is_there_within_a_minute() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.control("POST", "/faults", json!({ "kind": "deafen", "user": anna.0 })).await;
    let began = Instant::now();
    stack.write(ivan, anna, "слышно?").await;
    let arrived = async || stack.topics().await.iter().any(|topic| !Stack::mirrored(topic).is_empty()).then_some(());
    wait_until(Duration::from_secs(60), "the message in a topic", arrived).await;
    assert!(began.elapsed() > Duration::from_secs(2), "it was not pushed");
}
