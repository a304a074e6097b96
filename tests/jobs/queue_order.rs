//! Order: jobs of one key run one at a time in the order of their commit, whatever happens to them.

use super::queue_kit::retry;
use super::queue_kit::*;
use super::queue_processes::*;
use crate::support::{database, wait_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const FINISHED: &str = "status in ('Done', 'Killed', 'Failed')";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_key_keep_their_order_across_retries_snoozes_panics_and_deaths() {
    let database = database().await;
    let log = Log::default();
    let (one, two) =
        (Running::start(config(&database.url), &log.at("one")), Running::start(config(&database.url), &log.at("two")));
    let jobs: Vec<Act> = (0..200)
        .map(|n| {
            let does = match n % 10 {
                2 => Does::FailTimes(1),
                3 => Does::SnoozeOnce(20),
                5 => Does::Cancel,
                6 => Does::PanicOnce,
                8 => Does::Fail,
                _ => Does::Ok,
            };
            Act::n(n).key(&format!("key-{}", n % 7)).does(does).sleeps(1)
        })
        .collect();
    put_all(&database, &jobs).await;
    wait_count(database.store.pool(), FINISHED, 200, SOON).await;
    let sequences = log.sequences();
    for key in 0..7 {
        let expected: Vec<i64> = (0..200).filter(|n| n % 7 == key).collect();
        assert_eq!(sequences[&format!("key-{key}")], expected);
    }
    assert_eq!(log.overlaps(), 0);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_head_holds_its_own_key_only_and_a_dead_one_lets_the_next_go() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(&database, &[Act::n(1).key("a").does(Does::SnoozeOnce(600)), Act::n(2).key("a"), Act::n(3).key("b"), Act::n(4)])
        .await;
    wait_count(pool, "status = 'Done'", 2, SOON).await;
    assert!(!log.started().contains(&2));
    wait_count(pool, "status = 'Done'", 4, SOON).await;
    put_all(&database, &[Act::n(5).key("a").does(Does::Cancel), Act::n(6).key("a")]).await;
    wait_status(pool, 6, "Done").await;
    assert_eq!(row(pool, 5).await.status, "Killed");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_retried_by_hand_goes_ahead_of_all_that_wait_in_its_key() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    // Two die; the third, as head, waits for its snooze; the fourth waits behind it.
    put_all(&database, &[Act::n(1).key("k").does(Does::Cancel), Act::n(2).key("k").does(Does::Cancel)]).await;
    wait_count(pool, "status = 'Killed'", 2, SOON).await;
    put_all(&database, &[Act::n(3).key("k").does(Does::SnoozeOnce(1000)), Act::n(4).key("k")]).await;
    wait_until(SOON, "the snooze", async || (row(pool, 3).await.gate == 2).then_some(())).await;
    sqlx::query("update apalis.jobs set job = convert_to(replace(convert_from(job, 'utf8'), 'Cancel', 'Ok'), 'utf8') where status = 'Killed'")
        .execute(pool)
        .await
        .unwrap();
    let mut tx = database.store.begin().await.unwrap();
    for n in [2, 1] {
        let id = row(pool, n).await.id;
        assert!(retry(&mut tx, &id).await);
    }
    tx.commit().await.unwrap();
    wait_count(pool, "status = 'Done'", 4, SOON).await;
    assert_eq!(log.started(), [1, 2, 3, 1, 2, 3, 4]);
    let mut tx = database.store.begin().await.unwrap();
    let id = row(pool, 1).await.id;
    assert!(!retry(&mut tx, &id).await, "it is not dead any more");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_retried_while_a_later_one_runs_comes_next_even_if_that_one_has_to_be_retried() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1).key("k").does(Does::Cancel)).await;
    wait_status(pool, 1, "Killed").await;
    sqlx::query("update apalis.jobs set job = convert_to(replace(convert_from(job, 'utf8'), 'Cancel', 'Ok'), 'utf8')")
        .execute(pool)
        .await
        .unwrap();
    put_all(&database, &[Act::n(2).key("k").does(Does::FailTimes(1)).sleeps(250), Act::n(3).key("k")]).await;
    wait_status(pool, 2, "Running").await;
    let mut tx = database.store.begin().await.unwrap();
    let id = row(pool, 1).await.id;
    assert!(retry(&mut tx, &id).await);
    tx.commit().await.unwrap();
    wait_count(pool, "status = 'Done'", 3, SOON).await;
    assert_eq!(log.started(), [1, 2, 1, 2, 3]);
    assert_eq!(log.overlaps(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_producers_and_consumers_never_break_the_order_or_strand_a_key() {
    let database = database().await;
    let pool = database.store.pool().clone();
    let log = Log::default();
    let (one, two) =
        (Running::start(config(&database.url), &log.at("one")), Running::start(config(&database.url), &log.at("two")));
    let numbers = Arc::new(AtomicI64::new(0));
    let mut producers = Vec::new();
    for producer in 0..6u64 {
        let (store, numbers) = (database.store.clone(), numbers.clone());
        producers.push(tokio::spawn(async move {
            let mut committed = 0;
            for turn in 0..80u64 {
                let dice = (turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (producer << 40)) >> 20;
                let mut tx = store.begin().await.unwrap();
                let key = format!("key-{}", (dice >> 8) % 5);
                let jobs = 1 + dice % 3;
                for _ in 0..jobs {
                    let does = if dice.is_multiple_of(11) { Does::FailTimes(1) } else { Does::Ok };
                    let job = Act::n(numbers.fetch_add(1, Ordering::SeqCst)).key(&key).does(does);
                    assert!(tuberry_jobs::enqueue(&mut tx, &job).await.unwrap());
                }
                tokio::time::sleep(Duration::from_millis(dice % 4)).await;
                if dice.is_multiple_of(9) {
                    drop(tx);
                } else {
                    tx.commit().await.unwrap();
                    committed += jobs;
                }
            }
            committed
        }));
    }
    let mut committed = 0;
    for producer in producers {
        committed += producer.await.unwrap().cast_signed();
    }
    wait_count(&pool, FINISHED, committed, SOON).await;
    let order: Vec<(String, i64)> =
        sqlx::query_as("select ordering_key, (convert_from(job, 'utf8')::jsonb ->> 'n')::bigint from apalis.jobs order by seq")
            .fetch_all(&pool)
            .await
            .unwrap();
    for (key, ran) in log.sequences() {
        let expected: Vec<i64> = order.iter().filter(|row| row.0 == key).map(|row| row.1).collect();
        assert_eq!(ran, expected, "{key}");
    }
    assert_eq!(log.overlaps(), 0);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_that_of_commits_not_of_beginnings() {
    let database = database().await;
    let pool = database.store.pool().clone();
    let mut first = database.store.begin().await.unwrap();
    tuberry_jobs::enqueue(&mut first, &Act::n(1).key("k")).await.unwrap();
    // The second producer waits for the first one's transaction; its job, written later, comes later.
    let store = database.store.clone();
    let second = tokio::spawn(async move {
        let mut tx = store.begin().await.unwrap();
        tuberry_jobs::enqueue(&mut tx, &Act::n(2).key("k")).await.unwrap();
        tx.commit().await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    tuberry_jobs::enqueue(&mut first, &Act::n(3).key("k")).await.unwrap();
    first.commit().await.unwrap();
    second.await.unwrap();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    wait_count(&pool, "status = 'Done'", 3, SOON).await;
    assert_eq!(log.started(), [1, 3, 2]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_sits_on_its_transaction_holds_up_its_own_key_only() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1).key("k").sleeps(100)).await;
    wait_status(pool, 1, "Running").await;
    let mut tx = database.store.begin().await.unwrap();
    tuberry_jobs::enqueue(&mut tx, &Act::n(2).key("k")).await.unwrap();
    put_all(&database, &(10..40).map(|n| Act::n(n).key(&format!("other-{n}"))).collect::<Vec<_>>()).await;
    wait_count(pool, "status = 'Done'", 30, SOON).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(row(pool, 1).await.status, "Running", "its end waits for the producer");
    tx.commit().await.unwrap();
    wait_count(pool, "status = 'Done'", 32, Duration::from_secs(2)).await;
    assert_eq!(log.sequences()["k"], [1, 2]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_and_random_failures_break_no_order() {
    const JOBS: i64 = 20_000;
    const KEYS: i64 = 200;
    let database = database().await;
    let pool = database.store.pool();
    create_test_runs(pool).await;
    let jobs: Vec<Noted> =
        (0..JOBS).map(|n| Noted { n, key: format!("key-{}", n % KEYS), sleeps: u64::from(n % 5 == 0), fails: 20 }).collect();
    for jobs in jobs.chunks(500) {
        let mut tx = database.store.begin().await.unwrap();
        tuberry_jobs::enqueue_all(&mut tx, jobs).await.unwrap();
        tx.commit().await.unwrap();
    }
    let lease = Some(Duration::from_millis(1500));
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(worker_process(&database.url, lease).await);
    }
    let mut killed: Vec<i32> = Vec::new();
    for turn in 0..4 {
        tokio::time::sleep(Duration::from_millis(900)).await;
        let victim = &mut workers[turn % 3];
        victim.kill().await;
        killed.push(victim.pid().cast_signed());
        *victim = worker_process(&database.url, lease).await;
    }
    wait_count(pool, "status = 'Done'", JOBS, Duration::from_secs(300)).await;
    let lost: i64 = count(pool, "lost_leases > 0").await;
    assert!(lost > 0, "the kills hit nobody");
    // A start while an earlier run of the same key is under way, or of a job that is not the next one.
    let (overlaps, misplaced): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where last_ended is null and not last_pid = any ($1) or last_ended > started),
                count(*) filter (where n < last_n or n > last_n and not last_good is true)
           from (select r.*, lag(ended) over w as last_ended, lag(pid) over w as last_pid, lag(n) over w as last_n, lag(good) over w as last_good
                   from test_runs r window w as (partition by key order by id)) r
          where last_n is not null",
    )
    .bind(&killed)
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!((overlaps, misplaced), (0, 0));
    let good: i64 = sqlx::query_scalar("select count(distinct n) from test_runs where good").fetch_one(pool).await.unwrap();
    assert_eq!(good, JOBS);
}
