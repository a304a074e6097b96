//! Redis absent, killed, frozen: nothing but the bridge notices, and what was queued goes out when it is back.

use super::bridge_kit::{PATIENCE, Talk, all_taken, becomes};
use super::conversation::{mirrored, received};
use crate::support::{RedisServer, Setup, Stack, free_port, wait_until};
use nix::sys::signal::Signal;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_customers_and_operators_go_on() {
    let mut redis = RedisServer::absent();
    let mut stack = Stack::start(Setup { redis: Some(redis.url()), workers: 0, ..Setup::default() }).await;
    let metrics = format!("127.0.0.1:{}", free_port());
    let worker = stack.start_worker_with(&[("WORKER_LISTEN".into(), metrics.clone())]).await;
    stack.workers.push(worker);
    let anna = stack.person("Анна").await;
    let account = stack.connect(anna).await;
    let talk = Talk::begin(&stack, (anna, account), "Иван").await;
    let mut shown = vec!["💬 Иван: здравствуйте".to_owned()];
    let mut answers = Vec::new();
    converse(&stack, &talk, "нет Redis", &mut shown, &mut answers).await;

    redis.go().await;
    let message = talk.send(&stack, &redis, "из очереди").await;
    becomes(&stack, message, "delivered").await;
    answers.push("из очереди".to_owned());

    redis.signal(Signal::SIGSTOP);
    converse(&stack, &talk, "Redis стоит", &mut shown, &mut answers).await;
    redis.signal(Signal::SIGCONT);
    let message = talk.send(&stack, &redis, "Redis идёт").await;
    becomes(&stack, message, "delivered").await;
    answers.push("Redis идёт".to_owned());

    let message = talk.send(&stack, &redis, "перед смертью").await;
    redis.kill().await;
    converse_without_answers(&stack, &talk, "Redis умер", &mut shown).await;
    redis.go().await;
    becomes(&stack, message, "delivered").await;
    answers.push("перед смертью".to_owned());
    let message = talk.send(&stack, &redis, "после").await;
    becomes(&stack, message, "delivered").await;
    answers.push("после".to_owned());
    received(&stack, talk.customer, anna, &answers.iter().map(String::as_str).collect::<Vec<_>>()).await;
    all_taken(&redis, &[]).await;

    let metrics = wait_until(PATIENCE, "metrics", async || {
        let metrics = reqwest::get(format!("http://{metrics}/metrics")).await.ok()?.text().await.ok()?;
        metrics.contains("tuberry_bridge_connected 1").then_some(metrics)
    })
    .await;
    for name in
        ["tuberry_bridge_taken_total", "tuberry_bridge_done_total", "tuberry_bridge_backlog", "tuberry_bridge_consuming 1"]
    {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }

    // A worker that stops does not wait for a Redis that stands still.
    redis.signal(Signal::SIGSTOP);
    let worker = stack.workers.remove(0);
    worker.signal(Signal::SIGTERM);
    let ended = tokio::time::timeout(Duration::from_secs(50), worker.wait()).await.expect("an end");
    assert!(ended.success(), "{}", worker.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_speak_tls_and_has_to_prove_who_it_is() {
    let redis = RedisServer::with_tls().await;
    let trusted = vec![("SSL_CERT_FILE", redis.certificate())];
    let stack = Stack::start(Setup { redis: Some(redis.tls_url()), environment: trusted, ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let account = stack.connect(anna).await;
    let talk = Talk::begin(&stack, (anna, account), "Иван").await;
    let message = talk.send(&stack, &redis, "по TLS").await;
    becomes(&stack, message, "delivered").await;
    talk.received(&stack, &["по TLS"]).await;

    // For who trusts another certificate it is a stranger.
    let other = RedisServer::with_tls().await;
    let stranger = stack.start_worker_with(&[("SSL_CERT_FILE".into(), other.certificate())]).await;
    wait_until(PATIENCE, "a refusal", async || stranger.output().contains("invalid peer certificate").then_some(())).await;
    stranger.signal(Signal::SIGTERM);
    assert!(stranger.wait().await.success(), "{}", stranger.output());
}

/// A question and an answer pass.
async fn converse(stack: &Stack, talk: &Talk, text: &str, shown: &mut Vec<String>, answers: &mut Vec<String>) {
    converse_without_answers(stack, talk, text, shown).await;
    stack.answer(&stack.topic("Иван").await, text).await;
    answers.push(text.to_owned());
    received(stack, talk.customer, talk.employee, &answers.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

async fn converse_without_answers(stack: &Stack, talk: &Talk, text: &str, shown: &mut Vec<String>) {
    stack.write(talk.customer, talk.employee, text).await;
    shown.push(format!("💬 Иван: {text}"));
    mirrored(stack, "Иван", &shown.iter().map(String::as_str).collect::<Vec<_>>()).await;
}
