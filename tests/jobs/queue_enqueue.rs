//! Enqueueing: in the caller's transaction, once per unique key, now or later.

use super::queue_kit::*;
use crate::support::{database, wait_until};
use std::time::{Duration, Instant};
use tuberry_jobs::queue::retention::{self, Ended};
use tuberry_jobs::{enqueue, enqueue_all, enqueue_at, enqueue_in};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_exists_if_and_only_if_its_transaction_commits() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    let mut tx = database.store.begin().await.unwrap();
    assert!(enqueue(&mut tx, &Act::n(1).key("k").unique("ever", "once")).await.unwrap());
    drop(tx);
    let mut tx = database.store.begin().await.unwrap();
    assert!(enqueue(&mut tx, &Act::n(2).key("k").unique("ever", "once")).await.unwrap(), "the roll-back freed the key");
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(log.started(), [0i64; 0], "not committed yet");
    tx.commit().await.unwrap();
    wait_status(pool, 2, "Done").await;
    assert_eq!(count(pool, "true").await, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_unique_key_keeps_the_job_out_and_the_transaction_usable() {
    let database = database().await;
    let pool = database.store.pool();
    for scope in ["waiting", "live", "ever"] {
        let mut tx = database.store.begin().await.unwrap();
        assert!(enqueue(&mut tx, &Act::n(1).unique(scope, scope)).await.unwrap());
        assert!(!enqueue(&mut tx, &Act::n(2).unique(scope, scope)).await.unwrap());
        assert!(enqueue(&mut tx, &Act::n(3)).await.unwrap());
        tx.commit().await.unwrap();
        assert!(!put(&database, &Act::n(4).unique(scope, scope)).await);
        let another = format!("{scope}-another");
        let batch = [
            Act::n(5).key("x").unique(scope, scope),
            Act::n(6).key("x").unique(scope, &another),
            Act::n(7).key("x").unique(scope, &another),
        ];
        assert_eq!(put_all(&database, &batch).await, 1);
    }
    assert_eq!(count(pool, "true").await, 9);
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    wait_count(pool, "status = 'Done'", 9, SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_key_is_free_again_when_its_scope_ends() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    for (n, scope) in ["waiting", "live", "ever"].into_iter().enumerate() {
        let n = i64::try_from(n).unwrap() * 10;
        let job = |i: i64| Act::n(n + i).sleeps(250).unique(scope, "k");
        assert!(put(&database, &job(0)).await);
        wait_until(SOON, "a start", async || (log.runs_of(n).len() == 1).then_some(())).await;
        assert_eq!(put(&database, &job(1)).await, scope == "waiting", "{scope}: the first one runs");
        wait_status(pool, n, "Done").await;
        if scope == "waiting" {
            wait_status(pool, n + 1, "Done").await;
        }
        assert_eq!(put(&database, &job(2)).await, scope != "ever", "{scope}: the first one is done");
        wait_count(pool, "status in ('Pending', 'Running')", 0, SOON).await;
        retention::purge(pool, Ended::Done, Duration::ZERO, 100).await.unwrap();
        assert_eq!(put(&database, &job(3)).await, scope != "ever", "{scope}: all rows are deleted");
        wait_count(pool, "status in ('Pending', 'Running')", 0, SOON).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_job_that_made_a_new_one_unnecessary_starts_after_the_transaction_that_wanted_it() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    for key in [None, Some("k")] {
        let job = |n: i64| Act { key: key.map(str::to_owned), ..Act::n(n).unique("waiting", "k") };
        assert!(put(&database, &job(1)).await);
        let mut tx = database.store.begin().await.unwrap();
        assert!(!enqueue(&mut tx, &job(2)).await.unwrap());
        let running = Running::start(config(&database.url), &log);
        put(&database, &Act::n(3)).await;
        wait_count(pool, "status = 'Done'", 1, SOON).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(log.runs_of(1).len(), 0, "it would not see what the transaction wrote");
        tx.commit().await.unwrap();
        wait_count(pool, "status = 'Done'", 2, Duration::from_secs(2)).await;
        assert_eq!(log.runs_of(1).len(), 1);
        running.stop().await;
        sqlx::query("delete from apalis.jobs").execute(pool).await.unwrap();
        log.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_job_starts_on_time_and_a_key_waits_for_it() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(0)).await;
    wait_status(pool, 0, "Done").await;
    let begun = Instant::now();
    let mut tx = database.store.begin().await.unwrap();
    assert!(enqueue_in(&mut tx, &Act::n(1).key("k"), Duration::from_millis(700)).await.unwrap());
    assert!(enqueue(&mut tx, &Act::n(2).key("k")).await.unwrap());
    assert!(enqueue_at(&mut tx, &Act::n(3), chrono::Utc::now() + Duration::from_millis(300)).await.unwrap());
    assert!(enqueue_at(&mut tx, &Act::n(4), chrono::Utc::now() - Duration::from_secs(300)).await.unwrap());
    let enqueued = Instant::now();
    tx.commit().await.unwrap();
    wait_count(pool, "status = 'Done'", 5, SOON).await;
    let started = |n: i64| log.runs_of(n)[0].started;
    let is_on_time =
        |n: i64, delay: Duration| started(n) >= begun + delay && started(n) < enqueued + delay + Duration::from_millis(100);
    assert!(is_on_time(1, Duration::from_millis(700)) && started(2) >= started(1), "{:?}", started(1) - begun);
    assert!(is_on_time(3, Duration::from_millis(300)), "{:?}", started(3) - begun);
    assert!(is_on_time(4, Duration::ZERO), "{:?}", started(4) - begun);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_statement_and_keeps_its_order() {
    let database = database().await;
    let pool = database.store.pool();
    let jobs: Vec<Act> = (0..1000).map(|n| Act::n(n).key(&format!("key-{}", n % 9))).collect();
    let mut tx = database.store.begin().await.unwrap();
    let begun = Instant::now();
    assert_eq!(enqueue_all(&mut tx, &jobs).await.unwrap(), 1000);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(enqueue_all::<Log, Act>(&mut tx, &[]).await.unwrap(), 0);
    tx.commit().await.unwrap();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    wait_count(pool, "status = 'Done'", 1000, Duration::from_secs(10)).await;
    for (key, sequence) in log.sequences() {
        assert!(sequence.is_sorted() && sequence.len() > 100, "{key}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn higher_priorities_start_first_and_change_nothing_within_a_key() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let jobs = [
        Act::n(1).priority(2),
        Act::n(2).priority(1),
        Act::n(3).priority(5),
        Act::n(4).key("k").priority(3),
        Act::n(5).key("k").priority(9),
        Act::n(6).priority(5),
    ];
    put_all(&database, &jobs).await;
    for single in [Act::n(7).priority(7), Act::n(8)] {
        assert!(tuberry_jobs::enqueue_alone(&database.store, &single).await.unwrap());
    }
    let running = Running::start_one_by_one(config(&database.url), &log);
    wait_count(pool, "status = 'Done'", 8, SOON).await;
    let started = log.started();
    let place = |n: i64| started.iter().position(|&one| one == n).unwrap();
    let free: Vec<i64> = started.iter().copied().filter(|n| ![5].contains(n)).collect();
    assert_eq!(free, [7, 3, 6, 4, 1, 2, 8], "{started:?}");
    assert!(place(4) < place(5));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_enqueued_alone_is_there_at_once_and_wakes_the_queue() {
    let database = database().await;
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(0)).await;
    wait_status(database.store.pool(), 0, "Done").await;
    for (n, job) in [(1, Act::n(1)), (2, Act::n(2).key("k")), (3, Act::n(3).unique("live", "u"))] {
        let begun = Instant::now();
        assert!(tuberry_jobs::enqueue_alone(&database.store, &job).await.unwrap());
        wait_status(database.store.pool(), n, "Done").await;
        assert!(begun.elapsed() < Duration::from_secs(2), "without waiting for a sweep");
    }
    running.stop().await;
}
