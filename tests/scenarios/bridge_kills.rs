//! A producer that we did not write, and workers that die, freeze and come back: each of its messages reaches the customer once, in order.

use super::bridge_kit::{DEAD, OTHERS, PATIENCE, TASKS, Talk, all_taken, becomes, element, in_hand, push};
use crate::support::{Process, RedisServer, Setup, Stack, wait_until};
use nix::sys::signal::Signal;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const MESSAGES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn what_python_queues_arrives_once_and_in_order_though_every_worker_is_killed() {
    let redis = RedisServer::start().await;
    redis.ask::<u64>(&["RPUSH", OTHERS, "avito"]).await;
    let mut stack = Stack::start(Setup { workers: 0, redis: Some(redis.url()), ..Setup::default() }).await;
    // Serves no account: nothing but the bridge depends on it. It takes the elements, because it is the first.
    let frozen = stack.start_worker_with(&[("WORKER_MAX_ACCOUNTS".into(), "0".into())]).await;
    let name = holder(&stack).await;
    for _ in 0..3 {
        stack.add_worker().await;
    }
    let accounts = stack.seed_accounts(2).await;
    stack.wait_all_served(2, PATIENCE).await;
    let mut talks = Vec::new();
    for (number, account) in [accounts[0], accounts[1], accounts[0]].into_iter().enumerate() {
        talks.push(Talk::begin(&stack, account, &format!("Клиент{number}")).await);
    }
    let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut last = Vec::new();
    for number in 0..MESSAGES {
        let text = format!("ответ {number}");
        last.clear();
        for talk in &talks {
            let message = talk.message(&stack, &text).await;
            writeln!(file, "{}", talk.payload(message, &text)).unwrap();
            last.push(message);
        }
    }
    let producer = produce(&redis, file.path()).await;

    // The one that takes stops, with whatever it has in hand, and loses its lock; it goes on when another one has followed.
    sleep(Duration::from_millis(fastrand::u64(200..700))).await;
    frozen.signal(Signal::SIGSTOP);
    end_sessions(&stack, &name).await;
    wait_until(PATIENCE, "another worker that takes", async || (holder(&stack).await != name).then_some(())).await;
    frozen.signal(Signal::SIGCONT);
    // Then all die, one after the other at different moments.
    for index in [0, 1, 2, 0] {
        sleep(Duration::from_millis(fastrand::u64(300..1200))).await;
        stack.replace_worker(index).await;
    }
    frozen.kill().await;
    let done = timeout(PATIENCE, producer.wait()).await.expect("a producer that ends");
    assert!(done.success(), "{}", producer.output());

    // And all at once, with an element in hand whose commit waits for us.
    let held = talks[0].message(&stack, "в руке").await;
    let mut lock = stack.store().begin().await.unwrap();
    sqlx::query("select from messages where id = $1 for update").bind(held).execute(lock.conn()).await.unwrap();
    push(&redis, &element(&talks[0].payload(held, "в руке"))).await;
    wait_until(PATIENCE, "an element in hand", async || {
        let waiting: u64 = redis.ask(&["LLEN", TASKS]).await;
        (waiting == 0 && !in_hand(&redis).await.is_empty()).then_some(())
    })
    .await;
    for worker in &stack.workers {
        worker.signal(Signal::SIGKILL);
    }
    for index in 0..3 {
        stack.replace_worker(index).await;
    }
    drop(lock);

    for message in last.into_iter().chain([held]) {
        becomes(&stack, message, "delivered").await;
    }
    let mut expected: Vec<String> = (0..MESSAGES).map(|number| format!("ответ {number}")).collect();
    for talk in &talks[1..] {
        talk.received(&stack, &expected).await;
    }
    expected.push("в руке".into());
    talks[0].received(&stack, &expected).await;
    all_taken(&redis, &["avito"]).await;
    assert_eq!(redis.ask::<u64>(&["LLEN", DEAD]).await, 0);
    stack.assert_keys_were_never_shared().await;
}

/// Name of the worker that takes the elements: the lease's owner, whose name holds its process id.
async fn holder(stack: &Stack) -> String {
    wait_until(PATIENCE, "a worker that takes", async || {
        let owner = sqlx::query_scalar("select owner from personal_telegram_leases where class = 7105 and owner is not null");
        owner.fetch_optional(stack.store().pool()).await.ok()?
    })
    .await
}

/// Ends what the process has at PostgreSQL under its name: the connection with its locks.
async fn end_sessions(stack: &Stack, name: &str) {
    let ended = sqlx::query_scalar("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1");
    let ended: i64 = ended.bind(name).fetch_one(stack.store().pool()).await.expect("an answer");
    assert_eq!(ended, 1);
}

async fn produce(redis: &RedisServer, file: &Path) -> Process {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "target/venv is missing: run `make setup`");
    let script = root.join("tests/producers/producer.py");
    let paths = [&python, &script].map(|path| path.to_str().expect("a path in UTF-8"));
    let file = file.to_str().expect("a path in UTF-8");
    Process::start(paths[0], &[paths[1], &redis.url(), file, "0.05"], &[]).await
}
