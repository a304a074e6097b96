//! How runs end: each outcome is durable, none stops a worker.

use super::queue_kit::*;
use crate::support::{database, wait_until};
use std::time::Duration;
use tuberry_jobs::queue::pages::counts;
use tuberry_jobs::queue::retention::{self, Ended};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_is_retried_after_a_delay_until_its_attempts_are_used_up() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1).does(Does::Fail)).await;
    put(&database, &Act::n(2).does(Does::FailTimes(2))).await;
    let dead = wait_status(pool, 1, "Failed").await;
    assert_eq!((dead.attempts, dead.error.as_deref()), (3, Some("never")));
    let done = wait_status(pool, 2, "Done").await;
    assert_eq!(done.attempts, 3);
    assert_eq!((log.runs_of(1).len(), log.runs_of(2).len()), (3, 3));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snooze_is_exact_and_counts_no_attempt() {
    let database = database().await;
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1).does(Does::SnoozeOnce(300))).await;
    let done = wait_status(database.store.pool(), 1, "Done").await;
    assert_eq!(done.attempts, 1);
    let runs = log.runs_of(1);
    let slept = runs[1].started - runs[0].ended.unwrap();
    assert!((Duration::from_millis(295)..Duration::from_millis(450)).contains(&slept), "{slept:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_is_dead_at_once_with_its_reason() {
    let database = database().await;
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1).does(Does::Cancel)).await;
    let dead = wait_status(database.store.pool(), 1, "Killed").await;
    assert_eq!(dead.error.as_deref(), Some("no use"));
    assert_eq!(log.runs_of(1).len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_and_a_time_out_are_retried_and_the_worker_goes_on() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1).does(Does::PanicOnce)).await;
    put(&database, &Act::n(2).does(Does::HangOnce)).await;
    put(&database, &Act::n(3)).await;
    for (n, attempts) in [(1, 2), (2, 2), (3, 1)] {
        assert_eq!(wait_status(pool, n, "Done").await.attempts, attempts, "job {n}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_cannot_be_read_is_dead_with_a_reason() {
    let database = database().await;
    let pool = database.store.pool();
    put(&database, &Act::n(1)).await;
    sqlx::query("update apalis.jobs set job = convert_to('{\"n\": 1, \"does\": \"Fly\"}', 'utf8')").execute(pool).await.unwrap();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    let dead = wait_status(pool, 1, "Killed").await;
    assert!(dead.error.as_deref().unwrap().starts_with("unreadable payload: "), "{dead:?}");
    put(&database, &Act::n(2)).await;
    wait_status(pool, 2, "Done").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_an_unknown_kind_waits_holds_its_key_and_is_shown() {
    let database = database().await;
    let pool = database.store.pool();
    put_all(&database, &[Act::n(1).key("k"), Act::n(2).key("k"), Act::n(3)]).await;
    sqlx::query("update apalis.jobs set job_type = 'from-the-future' where seq = (select min(seq) from apalis.jobs)")
        .execute(pool)
        .await
        .unwrap();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    wait_status(pool, 3, "Done").await;
    put(&database, &Act::n(4).key("k")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(log.started(), [3]);
    let counts = counts(pool, None, Duration::from_secs(9)).await.unwrap();
    let unknown: Vec<_> = counts.iter().filter(|kind| !kind.known).map(|kind| (kind.kind.as_str(), kind.ready)).collect();
    assert_eq!(unknown, [("from-the-future", 1)]);
    let known: Vec<_> = counts.iter().filter(|kind| kind.known).map(|kind| (kind.kind.as_str(), kind.held)).collect();
    assert_eq!(known, [("test-act", 2)]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_dead_instead_of_starting_after_its_deadline() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    put(&database, &Act::n(1).does(Does::Snooze(200))).await;
    sqlx::query("update apalis.jobs set deadline = enqueued_at + interval '700 ms'").execute(pool).await.unwrap();
    let running = Running::start(config(&database.url), &log);
    let dead = wait_status(pool, 1, "Failed").await;
    assert!(dead.error.as_deref().unwrap().starts_with("the deadline has passed"), "{dead:?}");
    let runs = log.runs_of(1).len();
    assert!((2..=4).contains(&runs), "{runs} runs");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_deletes_old_finished_jobs_only() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(&database, &[Act::n(1), Act::n(2), Act::n(3), Act::n(4).does(Does::Snooze(60_000))]).await;
    wait_count(pool, "status = 'Done'", 3, SOON).await;
    wait_until(SOON, "the snooze", async || (row(pool, 4).await.gate == 2).then_some(())).await;
    sqlx::query(
        "update apalis.jobs set done_at = done_at - interval '1 day' where (convert_from(job, 'utf8')::jsonb ->> 'n')::int <= 2",
    )
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(retention::purge(pool, Ended::Done, Duration::from_secs(3600), 1).await.unwrap(), 1);
    assert_eq!(retention::purge(pool, Ended::Done, Duration::from_secs(3600), 10).await.unwrap(), 1);
    assert_eq!(retention::purge(pool, Ended::Done, Duration::from_secs(3600), 10).await.unwrap(), 0);
    assert_eq!(count(pool, "true").await, 2);
    running.stop().await;
}
