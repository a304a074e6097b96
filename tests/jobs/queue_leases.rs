//! Leases: a dead process' jobs run again soon, a stopped one cannot harm, a stopping one leaves nothing behind.

use super::queue_kit::*;
use super::queue_processes::*;
use crate::support::{database, wait_until};
use nix::sys::signal::Signal;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);

async fn put_noted(database: &crate::support::Database, jobs: &[Noted]) {
    let mut tx = database.store.begin().await.unwrap();
    tuberry_jobs::enqueue_all(&mut tx, jobs).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_killed_process_run_again_within_15_seconds_and_no_others_do() {
    let database = database().await;
    let pool = database.store.pool();
    create_test_runs(pool).await;
    // Twelve keys, eight of which run at the same time; then one more process with the product's timing.
    let jobs: Vec<Noted> = (0..24).map(|n| Noted { n, key: format!("key-{}", n % 12), sleeps: 1500, fails: 0 }).collect();
    put_noted(&database, &jobs).await;
    let first = worker_process(&database.url, None).await;
    wait_count(pool, "status = 'Running'", 8, SOON).await;
    let second = worker_process(&database.url, None).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    first.kill().await;
    let killed = Instant::now();
    wait_count(pool, "status = 'Done'", 24, Duration::from_secs(30)).await;
    let again: (i64, f64) = sqlx::query_as(
        "select count(*), max(extract(epoch from b.started - a.started))::float8 from test_runs a join test_runs b on a.n = b.n and a.id < b.id
          where a.pid = $1 and b.pid = $2",
    )
    .bind(first.pid().cast_signed())
    .bind(second.pid().cast_signed())
    .fetch_one(pool)
    .await
    .unwrap();
    assert!(killed.elapsed() < Duration::from_secs(25));
    assert!((1..=8).contains(&again.0) && again.1 < 16.0, "{again:?}");
    assert_eq!(count(pool, "lost_leases > 0").await, again.0);
    assert_eq!(count(pool, "attempts <> 1").await, 0, "a crash counts no attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_stopped_and_comes_back_cannot_end_what_somebody_else_has_claimed() {
    let database = database().await;
    let pool = database.store.pool();
    create_test_runs(pool).await;
    let lease = Some(Duration::from_millis(1500));
    put_noted(
        &database,
        &[Noted { n: 1, key: "k".into(), sleeps: 400, fails: 0 }, Noted { n: 2, key: "k".into(), sleeps: 0, fails: 0 }],
    )
    .await;
    let stopped = worker_process(&database.url, lease).await;
    wait_count(pool, "status = 'Running'", 1, SOON).await;
    stopped.signal(Signal::SIGSTOP);
    sqlx::query("update apalis.jobs set job = convert_to(replace(convert_from(job, 'utf8'), '\"sleeps\":400', '\"sleeps\":3000'), 'utf8')")
        .execute(pool)
        .await
        .unwrap();
    let other = worker_process(&database.url, lease).await;
    wait_until(SOON, "a second claim", async || (count(pool, "lost_leases = 1 and status = 'Running'").await == 1).then_some(()))
        .await;
    stopped.signal(Signal::SIGCONT);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(count(pool, "status = 'Running'").await, 1, "still the other one's");
    wait_count(pool, "status = 'Done'", 2, SOON).await;
    assert_eq!(row(pool, 1).await.lost_leases, 1, "its late outcome changed nothing");
    let done_by: Vec<i32> = sqlx::query_scalar("select pid from test_runs where good and n = 1").fetch_all(pool).await.unwrap();
    assert!(done_by.contains(&other.pid().cast_signed()), "{done_by:?}");
    put_noted(&database, &[Noted { n: 3, key: "k".into(), sleeps: 0, fails: 0 }]).await;
    wait_count(pool, "status = 'Done'", 3, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_block_every_thread_do_not_cost_the_lease() {
    let database = database().await;
    let pool = database.store.pool().clone();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log.at("one"));
    let url = database.url.clone();
    let other_log = log.at("two");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // On a thread of its own: nothing of this runtime moves while the handlers block it.
    let other = std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async move {
            let other = Running::start(config(&url), &other_log);
            tokio::task::spawn_blocking(move || stopped.recv().is_err()).await.unwrap();
            let reaped = other.queue.statistics().reaped.load(Ordering::SeqCst);
            other.stop().await;
            reaped
        })
    });
    let mut tx = database.store.begin().await.unwrap();
    tuberry_jobs::enqueue_all(&mut tx, &[Act::n(1).does(Does::Block(3500)), Act::n(2).does(Does::Block(3500))]).await.unwrap();
    tx.commit().await.unwrap();
    tokio::time::sleep(Duration::from_millis(4500)).await;
    drop(stop);
    assert_eq!(other.join().unwrap(), 0);
    wait_count(&pool, "status in ('Pending', 'Running') and lost_leases = 0", 0, SOON).await;
    assert_eq!(count(&pool, "lost_leases > 0").await, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_for_what_somebody_else_has_claimed_is_refused() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(&database, &[Act::n(1).sleeps(300), Act::n(2).sleeps(300), Act::n(3).sleeps(300)]).await;
    wait_count(pool, "status = 'Running'", 3, SOON).await;
    // Another process has the first one, a later claim of this very process the second one.
    let worker = format!("{}/other-kind", running.queue.name());
    for (n, change) in [(1, "lock_by = $2"), (2, "lock_at = lock_at + interval '1 us', lock_by = coalesce(lock_by, $2)")] {
        let statement = format!("update apalis.jobs set {change} where id = $1");
        sqlx::query("insert into apalis.workers (id, worker_type, storage_name, last_seen) values ($1, '', '', now() + interval '1 hour') on conflict do nothing")
            .bind(&worker)
            .execute(pool)
            .await
            .unwrap();
        let id = row(pool, n).await.id;
        sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id).bind(&worker).execute(pool).await.unwrap();
    }
    wait_status(pool, 3, "Done").await;
    wait_until(SOON, "two refusals", async || (running.queue.statistics().fenced.load(Ordering::SeqCst) == 2).then_some(()))
        .await;
    assert_eq!(count(pool, "status = 'Running'").await, 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_waits_for_what_runs_and_gives_back_the_rest_without_an_attempt() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    // Short ones first: the engine claims ahead of the workers, and so the long ones come in too large a number.
    let jobs: Vec<Act> = (0..1000).map(|n| Act::n(n).sleeps(if n < 700 { 0 } else { 250 })).collect();
    put_all(&database, &jobs).await;
    let running = Running::start(config(&database.url), &log);
    let queue = running.queue.clone();
    let claimed = wait_until(SOON, "long jobs, some of which wait", async || {
        let (claimed, runs) = (queue.statistics().claimed.load(Ordering::SeqCst), log.runs());
        (claimed > runs.len() as u64 && runs.iter().any(|run| run.n >= 700)).then_some(claimed)
    })
    .await;
    running.stop().await;
    let ran = log.runs().len();
    assert!(claimed > ran as u64, "{claimed} claimed, {ran} ran: nothing waited in the process");
    assert!(log.runs().iter().all(|run| run.ended.is_some()));
    assert_eq!(count(pool, "status = 'Done' and attempts = 1").await, i64::try_from(ran).unwrap());
    assert_eq!(
        count(pool, "status = 'Pending' and attempts = 0 and lost_leases = 0 and lock_by is null").await,
        i64::try_from(1000 - ran).unwrap()
    );
    let workers: i64 = sqlx::query_scalar("select count(*) from apalis.workers").fetch_one(pool).await.unwrap();
    assert_eq!(workers, 0, "it is off the list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_under_which_too_many_processes_died_is_dead() {
    let database = database().await;
    let pool = database.store.pool();
    put_all(&database, &[Act::n(1).key("k"), Act::n(2).key("k")]).await;
    for lost in 1..=20 {
        // A claim by a process that nobody knows: dead, as far as the others can tell.
        let claimed = sqlx::query(
            "update apalis.jobs set status = 'Running', lock_by = 'gone/test-act', lock_at = clock_timestamp() where status = 'Pending' and gate = 0",
        )
        .execute(pool)
        .await
        .unwrap();
        assert_eq!(claimed.rows_affected(), 1);
        let reaped: i64 = sqlx::query_scalar("select reaped from queue.reap(9)").fetch_one(pool).await.unwrap();
        assert_eq!(reaped, 1);
        assert_eq!(row(pool, 1).await.lost_leases, lost);
    }
    assert_eq!(row(pool, 1).await.status, "Failed");
    assert_eq!((row(pool, 2).await.status.as_str(), row(pool, 2).await.gate), ("Pending", 0), "the next one's turn");
}
