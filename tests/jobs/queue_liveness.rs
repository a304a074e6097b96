//! Liveness: nothing stays lying, whatever was lost, and an idle process is quiet.

use super::queue_kit::*;
use super::queue_processes::{Noted, create_test_runs, worker_process};
use crate::support::{OwnCluster, database, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection as _, PgConnection};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tuberry::embedded::Restart;
use tuberry_jobs::queue::Config;
use tuberry_storage::Store;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_process_sends_less_than_one_statement_a_second() {
    let database = database().await;
    let log = Log::default();
    // The product's own timing.
    let running = Running::start(Config::new(&database.url, "test").unwrap(), &log);
    put(&database, &Act::n(1)).await;
    wait_status(database.store.pool(), 1, "Done").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let statements = || running.queue.statistics().statements.load(Ordering::SeqCst);
    let before = statements();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let sent = statements() - before;
    assert!((4..=10).contains(&sent), "{sent} in 10 s");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_wake_up_was_lost_starts_with_the_next_sweep() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1)).await;
    wait_status(pool, 1, "Done").await;
    // As if the producer had been killed between its commit and its wake-up: the same rows without Tx.
    for n in [2, 3] {
        sqlx::query(
            "select queue.enqueue('test-act', array[$1], array[convert_to($2, 'utf8')], array[null], array[''], array[0],
             array[0::smallint], array[null], array[0::smallint], array[0], $3, null, 3, 20, null, '{}')",
        )
        .bind(format!("lost-{n}"))
        .bind(serde_json::to_string(&Act::n(n)).unwrap())
        .bind((n == 3).then_some(0.5))
        .execute(pool)
        .await
        .unwrap();
    }
    let begun = Instant::now();
    wait_count(pool, "status = 'Done'", 3, SOON).await;
    assert!(begun.elapsed() < Duration::from_millis(6500), "{:?}", begun.elapsed());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_though_every_connection_of_the_queue_is_killed_again_and_again() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    for turn in 0..5i64 {
        let jobs: Vec<Act> =
            (turn * 200..(turn + 1) * 200).map(|n| Act::n(n).key(&format!("key-{}", n % 40)).sleeps(2)).collect();
        put_all(&database, &jobs).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'tuberry-queue%'")
            .execute(pool)
            .await
            .unwrap();
    }
    wait_count(pool, "status = 'Done'", 1000, SOON).await;
    for (key, sequence) in log.sequences() {
        assert!(sequence.is_sorted(), "{key}: {sequence:?}");
    }
    assert_eq!(log.overlaps(), 0);
    // The listener is back too: no sweep needed.
    wait_until(SOON, "a listener", async || {
        let listening: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'tuberry-queue-listen'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        (listening == 1).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    put(&database, &Act::n(5000)).await;
    wait_status(pool, 5000, "Done").await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_after_a_restart_of_the_database() {
    let cluster = OwnCluster::start().await;
    let store = Store::open(&cluster.url, 5).unwrap();
    let log = Log::default();
    let running = Running::start(config(&cluster.url), &log);
    let mut tx = store.begin().await.unwrap();
    let jobs: Vec<Act> = (0..600).map(|n| Act::n(n).key(&format!("key-{}", n % 30)).sleeps(5)).collect();
    tuberry_jobs::enqueue_all(&mut tx, &jobs).await.unwrap();
    tx.commit().await.unwrap();
    wait_until(SOON, "some work", async || (log.runs().len() > 50).then_some(())).await;
    cluster.embedded.restart(Restart::Immediate).await.unwrap();
    let store = Store::open(&cluster.url, 5).unwrap();
    wait_count(store.pool(), "status = 'Done'", 600, Duration::from_secs(20)).await;
    for (key, sequence) in log.sequences() {
        assert!(sequence.is_sorted(), "{key}: {sequence:?}");
    }
    assert_eq!(log.overlaps(), 0);
    running.stop().await;
}

/// As long as it lives its last statement may yet commit: what it claims then, this process would know nothing of.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_before_a_session_that_owes_an_answer_has_ended() {
    let cluster = OwnCluster::start().await;
    let store = Store::open(&cluster.url, 5).unwrap();
    let log = Log::default();
    let running = Running::start(config(&cluster.url), &log);
    let put = async |n: i64| {
        let mut tx = store.begin().await.unwrap();
        tuberry_jobs::enqueue(&mut tx, &Act::n(n)).await.unwrap();
        tx.commit().await.unwrap();
    };
    let sessions = async || -> Vec<i32> {
        let sql =
            "select pid from pg_stat_activity where datname = current_database() and application_name = 'tuberry-queue-step'";
        sqlx::query_scalar(sql).fetch_all(store.pool()).await.unwrap()
    };
    put(1).await;
    wait_status(store.pool(), 1, "Done").await;
    // A process that is stopped takes no signal to end, like one whose commit waits for the disk.
    let deaf = sessions().await;
    let signal = |signal| deaf.iter().for_each(|&pid| kill(Pid::from_raw(pid), signal).unwrap());
    signal(Signal::SIGSTOP);
    put(2).await;
    wait_until(Duration::from_secs(60), "a session after it", async || {
        sessions().await.iter().find(|pid| !deaf.contains(pid)).copied()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(log.started(), [1]);
    signal(Signal::SIGCONT);
    wait_status(store.pool(), 2, "Done").await;
    assert_eq!(log.started(), [1, 2]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wake_up_is_lost_among_ten_thousand() {
    const JOBS: i64 = 10_000;
    const PRODUCERS: i64 = 4;
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(0)).await;
    wait_status(pool, 0, "Done").await;
    let producers = (0..PRODUCERS).map(|producer| {
        let store = database.store.clone();
        tokio::spawn(async move {
            let mut dice = 7 + producer.cast_unsigned();
            for n in 1..=JOBS / PRODUCERS {
                let n = producer * JOBS + n;
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let mut tx = store.begin().await.unwrap();
                if n % 4 == 0 {
                    tuberry_jobs::enqueue_in(&mut tx, &Act::n(n), Duration::from_millis(dice >> 32 & 255)).await.unwrap();
                } else {
                    tuberry_jobs::enqueue(&mut tx, &Act::n(n)).await.unwrap();
                }
                tx.commit().await.unwrap();
                tokio::time::sleep(Duration::from_millis(dice >> 48 & 15)).await;
            }
        })
    });
    for ended in futures::future::join_all(producers).await {
        ended.unwrap();
    }
    wait_count(pool, "status = 'Done'", JOBS + 1, SOON).await;
    let (median, worst): (f64, f64) = sqlx::query_as(
        "select percentile_cont(0.5) within group (order by late), max(late)
           from (select extract(epoch from lock_at - run_at)::float8 as late from apalis.jobs) l",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    // Other tests run beside this one: `make bench-queue` says what an idle machine does. A lost wake-up would cost up to 5 s.
    assert!(worst < 2.0 && median < 0.05, "median {median} s, worst {worst} s");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_after_statements_timed_out_and_while_the_pool_is_exhausted() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(&database, &(0..50).map(|n| Act::n(n).sleeps(300)).collect::<Vec<_>>()).await;
    wait_until(SOON, "some work", async || (!log.runs().is_empty()).then_some(())).await;
    // Nobody gets at the table for longer than the engine's statements may take, nor at a connection of the pool.
    let mut lock = pool.begin().await.unwrap();
    sqlx::raw_sql("lock table apalis.jobs in access exclusive mode").execute(&mut *lock).await.unwrap();
    let mut held = Vec::new();
    for _ in 1..pool.options().get_max_connections() {
        held.push(pool.acquire().await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(8500)).await;
    lock.rollback().await.unwrap();
    // The pool stays exhausted: the queue has connections of its own.
    let mut watcher = held.pop().unwrap();
    wait_until(Duration::from_secs(20), "all jobs are done", async || {
        let done = sqlx::query_scalar::<_, i64>("select count(*) from apalis.jobs where status = 'Done'");
        (done.fetch_one(&mut *watcher).await.unwrap() == 50).then_some(())
    })
    .await;
    drop(held);
    drop(watcher);
    running.stop().await;
}

/// A process runs what it enqueues; the others hear of what it has no room for, and of everything once it stops.
#[tokio::test(flavor = "multi_thread")]
async fn who_enqueues_claims_first_and_the_rest_is_for_the_others() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    // Without sweeps: what runs was told of.
    let unswept = || Config { sweep: Duration::from_secs(600), ..config(&database.url) };
    let other = Running::start(unswept(), &log.at("other"));
    let own = Running::start(unswept(), &log.at("own"));
    own.queue.hear_first(&database.store);
    wait_until(SOON, "both have swept", async || {
        [&own, &other].iter().all(|one| one.queue.statistics().statements.load(Ordering::SeqCst) > 2).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let steps = other.queue.statistics().steps.load(Ordering::SeqCst);
    for n in 1..=20 {
        put(&database, &Act::n(n)).await;
        wait_status(pool, n, "Done").await;
    }
    assert!(log.runs().iter().all(|run| run.place == "own"));
    assert_eq!(other.queue.statistics().steps.load(Ordering::SeqCst), steps, "the other one looked for jobs");

    // More than one process runs at a time.
    put_all(&database, &(21..=60).map(|n| Act::n(n).sleeps(1500)).collect::<Vec<_>>()).await;
    wait_count(pool, "status = 'Done'", 60, SOON).await;
    let places = |place| log.runs().iter().filter(|run| run.place == place).count();
    assert!(places("own") > 20 && places("other") > 10, "{} and {}", places("own"), places("other"));

    own.stop().await;
    put(&database, &Act::n(61)).await;
    wait_status(pool, 61, "Done").await;
    other.stop().await;
}

/// An outage with many failed attempts to come back is one line for each part of the queue, and so is its end.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_is_said_once_and_so_is_its_end() {
    let cluster = OwnCluster::start().await;
    let store = Store::open(&cluster.url, 2).unwrap();
    create_test_runs(store.pool()).await;
    let worker = worker_process(&cluster.url, None).await;
    let run = async |n: i64| {
        let mut tx = store.begin().await.unwrap();
        let job = Noted { n, key: "one".into(), sleeps: 0, fails: 0 };
        tuberry_jobs::enqueue_all(&mut tx, &[job]).await.unwrap();
        tx.commit().await.unwrap();
        wait_count(store.pool(), "status = 'Done'", n, Duration::from_secs(30)).await;
    };
    run(1).await;

    let mut postgres = PgConnection::connect(&cluster.embedded.socket_url("postgres")).await.unwrap();
    let refuse = "alter database tuberry with allow_connections false";
    sqlx::raw_sql(refuse).execute(&mut postgres).await.unwrap();
    sqlx::raw_sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'tuberry'")
        .execute(&mut postgres)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    sqlx::raw_sql("alter database tuberry with allow_connections true").execute(&mut postgres).await.unwrap();
    run(2).await;

    for part in ["engine", "heartbeat", "listener"] {
        let lines = |text: &str| {
            let part = format!("part=\"{part}\"");
            worker.output().lines().filter(|line| line.contains(text) && line.contains(&part)).count()
        };
        wait_until(SOON, "the end of the outage in the log", async || (lines("queue has the database again") == 1).then_some(()))
            .await;
        assert_eq!(lines("queue lost the database"), 1, "{part}");
    }
}
