//! Hands on jobs: retry, cancel, run now, delete, pause; what the dashboard reads; what is written down of it.

use super::queue_kit::*;
use crate::support::{database, wait_until};
use std::time::Duration;
use tuberry_domain::ClientId;
use tuberry_jobs::Origin;
use tuberry_jobs::queue::LEASE;
use tuberry_jobs::queue::control::{self, Cancelled, Deleted, Hand};
use tuberry_jobs::queue::pages::{self, Filter, State};
use tuberry_storage::Store;

const SOON: Duration = Duration::from_secs(5);

async fn in_tx<T>(store: &Store, work: impl AsyncFnOnce(&mut tuberry_storage::Tx) -> T) -> T {
    let mut tx = store.begin().await.unwrap();
    let result = work(&mut tx).await;
    tx.commit().await.unwrap();
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_that_waits_is_dead_and_the_next_of_its_key_goes() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(&database, &[Act::n(1).key("k").does(Does::Snooze(600_000)), Act::n(2).key("k"), Act::n(3).key("k")]).await;
    wait_until(SOON, "the snooze", async || (row(pool, 1).await.gate == 2).then_some(())).await;
    // From the middle, then the head.
    for n in [2, 1] {
        let id = row(pool, n).await.id;
        let cancelled = in_tx(&database.store, async |tx| control::cancel(tx, HAND, &id, "of no use").await.unwrap()).await;
        assert_eq!(cancelled, Some(Cancelled::Killed));
        assert_eq!(row(pool, n).await.error.as_deref(), Some("of no use"));
    }
    wait_status(pool, 3, "Done").await;
    let id = row(pool, 3).await.id;
    let cancelled = in_tx(&database.store, async |tx| control::cancel(tx, HAND, &id, "too late").await.unwrap()).await;
    assert_eq!(cancelled, Some(Cancelled::Finished));
    assert_eq!(log.started(), [1, 3]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_that_runs_is_interrupted_and_dead_with_the_reason() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(&database, &[Act::n(1).key("k").does(Does::Patient), Act::n(2).key("k")]).await;
    wait_until(SOON, "a run", async || (log.runs().len() == 1).then_some(())).await;
    let id = row(pool, 1).await.id;
    let cancelled = in_tx(&database.store, async |tx| control::cancel(tx, HAND, &id, "enough").await.unwrap()).await;
    assert_eq!(cancelled, Some(Cancelled::Asked));
    let dead = wait_status(pool, 1, "Killed").await;
    assert_eq!(dead.error.as_deref(), Some("enough"));
    wait_status(pool, 2, "Done").await;
    let job = pages::read(pool, None, &id, LEASE).await.unwrap().unwrap();
    assert_eq!(job.timeline.len(), 1);
    assert_eq!((job.timeline[0].outcome.as_str(), job.timeline[0].error.as_deref()), ("cancel", Some("enough")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_no_process_heard_of_takes_effect_with_the_next_heartbeat() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1).does(Does::Patient)).await;
    wait_until(SOON, "a run", async || (log.runs().len() == 1).then_some(())).await;
    // As if the wake-up had been lost: without Tx.
    let id = row(pool, 1).await.id;
    sqlx::query("select queue.cancel($1, 'unheard')").bind(&id).execute(pool).await.unwrap();
    assert_eq!(wait_status(pool, 1, "Killed").await.error.as_deref(), Some("unheard"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_outlives_the_process_that_ran_the_job() {
    let database = database().await;
    let pool = database.store.pool();
    put(&database, &Act::n(1)).await;
    sqlx::query("update apalis.jobs set status = 'Running', lock_by = 'gone/test-act', lock_at = now(), runs = 1")
        .execute(pool)
        .await
        .unwrap();
    let id = row(pool, 1).await.id;
    in_tx(&database.store, async |tx| control::cancel(tx, HAND, &id, "enough").await.unwrap()).await;
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    assert_eq!(wait_status(pool, 1, "Killed").await.error.as_deref(), Some("enough"));
    assert!(log.runs().is_empty(), "it does not run again");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_job_runs_now_when_asked_but_not_before_the_one_ahead_of_it() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(&database, &[Act::n(1).key("k").does(Does::SnoozeOnce(600_000)), Act::n(2).key("k")]).await;
    wait_until(SOON, "the snooze", async || (row(pool, 1).await.gate == 2).then_some(())).await;
    for n in [2, 1] {
        let id = row(pool, n).await.id;
        assert_eq!(in_tx(&database.store, async |tx| control::run_now(tx, HAND, &id).await.unwrap()).await, Some(true));
    }
    wait_count(pool, "status = 'Done'", 2, SOON).await;
    assert_eq!(log.started(), [1, 1, 2]);
    let id = row(pool, 1).await.id;
    assert_eq!(in_tx(&database.store, async |tx| control::run_now(tx, HAND, &id).await.unwrap()).await, Some(false));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_job_is_gone_with_its_history_and_one_that_runs_is_not_deleted() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(&database, &[Act::n(1).key("k").does(Does::SnoozeOnce(600_000)), Act::n(2).key("k").does(Does::Patient)]).await;
    wait_until(SOON, "the snooze", async || (row(pool, 1).await.gate == 2).then_some(())).await;
    let (one, two) = (row(pool, 1).await.id, row(pool, 2).await.id);
    let delete = async |id: &str| in_tx(&database.store, async |tx| control::delete(tx, HAND, id).await.unwrap()).await;
    assert_eq!(delete(&one).await, Some(Deleted::Deleted));
    wait_until(SOON, "the next of the key", async || log.started().contains(&2).then_some(())).await;
    assert_eq!(delete(&two).await, Some(Deleted::Running));
    assert_eq!(delete(&one).await, None);
    assert_eq!(count(pool, "true").await, 1);
    let history: i64 = sqlx::query_scalar("select count(*) from queue.attempts").fetch_one(pool).await.unwrap();
    assert_eq!(history, 0);
    in_tx(&database.store, async |tx| control::cancel(tx, HAND, &two, "").await.unwrap()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_kind_starts_nowhere_until_it_is_resumed() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let (one, two) =
        (Running::start(config(&database.url), &log.at("one")), Running::start(config(&database.url), &log.at("two")));
    assert!(in_tx(&database.store, async |tx| control::pause(tx, HAND, "test-act").await.unwrap()).await);
    assert!(!in_tx(&database.store, async |tx| control::pause(tx, HAND, "test-act").await.unwrap()).await);
    put_all(&database, &(0..20).map(Act::n).collect::<Vec<_>>()).await;
    let late = Running::start(config(&database.url), &log.at("late"));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(log.runs().is_empty(), "also in a process that started later");
    let counts = pages::counts(pool, None, LEASE).await.unwrap();
    assert!(counts[0].paused && counts[0].ready == 20, "{counts:?}");
    assert!(in_tx(&database.store, async |tx| control::resume(tx, HAND, "test-act").await.unwrap()).await);
    wait_count(pool, "status = 'Done'", 20, Duration::from_secs(2)).await;
    for running in [one, two, late] {
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_dead_jobs_that_match_are_retried_in_their_order_ahead_of_what_waits() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    let mut jobs: Vec<Act> = (0..500).map(|n| Act::n(n).key(&format!("k{}", n % 3)).does(Does::Cancel)).collect();
    jobs.extend([Act::n(500).does(Does::Fail), Act::n(501)]);
    put_all(&database, &jobs).await;
    wait_count(pool, "status in ('Killed', 'Failed')", 501, Duration::from_secs(20)).await;
    put_all(&database, &[Act::n(600).key("k0").does(Does::SnoozeOnce(1500)), Act::n(601).key("k0")]).await;
    wait_until(SOON, "the snooze", async || (row(pool, 600).await.gate == 2).then_some(())).await;
    sqlx::query("update apalis.jobs set job = convert_to(replace(convert_from(job, 'utf8'), 'Cancel', 'Ok'), 'utf8') where status = 'Killed'")
        .execute(pool)
        .await
        .unwrap();
    log.clear();
    let filter = Filter { error: Some("NO USE".into()), kind: Some("test-act".into()), ..Filter::default() };
    assert_eq!(control::retry_all(&database.store, HAND, &filter).await.unwrap(), 500);
    wait_count(pool, "status = 'Done'", 503, Duration::from_secs(20)).await;
    for (key, sequence) in log.sequences() {
        assert!(sequence.is_sorted(), "{key}: {sequence:?}");
    }
    assert_eq!(log.overlaps(), 0);
    assert_eq!(row(pool, 500).await.status, "Failed", "another error");
    let audited: i64 =
        sqlx::query_scalar("select sum(affected)::bigint from queue.audit where action = 'retry_all' and user_id = 1")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(audited, 500);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_tells_each_run_with_its_outcome() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put(&database, &Act::n(1).does(Does::FailTimes(2))).await;
    put(&database, &Act::n(2).does(Does::Snooze(1))).await;
    wait_status(pool, 1, "Done").await;
    let job = pages::read(pool, None, &row(pool, 1).await.id, LEASE).await.unwrap().unwrap();
    let told: Vec<(i32, &str, Option<&str>)> =
        job.timeline.iter().map(|run| (run.run, run.outcome.as_str(), run.error.as_deref())).collect();
    assert_eq!(told, [(1, "retry", Some("not yet")), (2, "retry", Some("not yet")), (3, "done", None)]);
    assert!(job.timeline.is_sorted_by_key(|run| run.started_at));
    assert!(job.timeline.iter().all(|run| run.ended_at >= Some(run.started_at)));
    assert!(job.timeline.iter().all(|run| run.worker.as_deref() == Some(&format!("{}/test-act", running.queue.name()))));
    // One that is put off for ever keeps its last runs only.
    wait_until(SOON, "many runs", async || (log.runs_of(2).len() > 120).then_some(())).await;
    let job = pages::read(pool, None, &row(pool, 2).await.id, LEASE).await.unwrap().unwrap();
    let runs: Vec<i32> = job.timeline.iter().map(|run| run.run).collect();
    assert!((50..=51).contains(&runs.len()) && runs[0] > 60 && runs.is_sorted(), "{runs:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_cut_into_pages() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    put_all(
        &database,
        &[Act::n(1).does(Does::Cancel), Act::n(2), Act::n(3).key("k").does(Does::Snooze(600_000)), Act::n(4).key("k")],
    )
    .await;
    put_all(&database, &[Act::n(5).account(7)]).await;
    let running = Running::start(config(&database.url), &log);
    wait_status(pool, 1, "Killed").await;
    wait_status(pool, 2, "Done").await;
    wait_until(SOON, "the snooze", async || (row(pool, 3).await.gate == 2).then_some(())).await;
    let numbers = async |filter: Filter, after: Option<&str>, limit: i64| {
        let jobs = pages::list(pool, None, &filter, after, limit).await.unwrap();
        let last = jobs.last().map(|job| job.id.clone());
        let mut numbers: Vec<i64> = jobs.iter().map(|job| job.payload["n"].as_i64().unwrap()).collect();
        numbers.sort_unstable();
        (numbers, last)
    };
    let state = |state| Filter { state: Some(state), ..Filter::default() };
    for (wanted, found) in [(State::Dead, 1), (State::Done, 2), (State::Scheduled, 3), (State::Held, 4), (State::Ready, 5)] {
        assert_eq!(numbers(state(wanted), None, 10).await.0, [found], "{wanted:?}");
    }
    assert_eq!(numbers(Filter { ordering_key: Some("k".into()), ..Filter::default() }, None, 10).await.0, [3, 4]);
    assert_eq!(numbers(Filter { error: Some("No USE".into()), ..Filter::default() }, None, 10).await.0, [1]);
    assert_eq!(numbers(Filter { kind: Some("other".into()), ..Filter::default() }, None, 10).await.0, [0; 0]);
    let hour_ago = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    assert_eq!(numbers(Filter { until: Some(hour_ago), ..Filter::default() }, None, 10).await.0, [0; 0]);
    assert_eq!(numbers(Filter { since: Some(hour_ago), ..Filter::default() }, None, 10).await.0, [1, 2, 3, 4, 5]);
    let (mut all, mut after) = (Vec::new(), None::<String>);
    for _ in 0..3 {
        let (page, last) = numbers(Filter::default(), after.as_deref(), 2).await;
        all.extend(page);
        after = last;
    }
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5]);
    let held = pages::read(pool, None, &row(pool, 4).await.id, LEASE).await.unwrap().unwrap();
    assert_eq!(held.waits_for, Some(row(pool, 3).await.id));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throughput_is_counted_by_kind() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    put_all(
        &database,
        &[
            Act::n(1),
            Act::n(2),
            Act::n(3).does(Does::FailTimes(1)),
            Act::n(4).does(Does::Cancel),
            Act::n(5).does(Does::SnoozeOnce(10)),
        ],
    )
    .await;
    wait_count(pool, "status in ('Done', 'Killed')", 5, SOON).await;
    running.stop().await;
    let since = chrono::Utc::now() - chrono::TimeDelta::minutes(2);
    let spans = pages::throughput(pool, None, since, Duration::from_secs(3600)).await.unwrap();
    let sum = |which: fn(&pages::Throughput) -> u64| spans.iter().map(which).sum::<u64>();
    assert_eq!((sum(|s| s.done), sum(|s| s.retried), sum(|s| s.dead), sum(|s| s.snoozed)), (4, 1, 1, 1), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_reaches_its_own_clients_jobs_only() {
    let database = database().await;
    let pool = database.store.pool();
    put_all(&database, &[Act::n(1), Act::n(2)]).await;
    sqlx::query("update apalis.jobs set client_id = 7 where convert_from(job, 'utf8')::jsonb ->> 'n' = '1'")
        .execute(pool)
        .await
        .unwrap();
    let (ours, theirs) = (row(pool, 1).await.id, row(pool, 2).await.id);
    let hand = Hand { client: Some(ClientId(7)), ..HAND };
    let mut tx = database.store.begin().await.unwrap();
    assert_eq!(control::cancel(&mut tx, hand, &theirs, "").await.unwrap(), None);
    assert_eq!(control::retry(&mut tx, hand, &theirs).await.unwrap(), None);
    assert_eq!(control::run_now(&mut tx, hand, &theirs).await.unwrap(), None);
    assert_eq!(control::delete(&mut tx, hand, &theirs).await.unwrap(), None);
    assert_eq!(control::cancel(&mut tx, hand, &ours, "").await.unwrap(), Some(Cancelled::Killed));
    tx.commit().await.unwrap();
    assert_eq!(row(pool, 2).await.status, "Pending");
    let listed = pages::list(pool, hand.client, &Filter::default(), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), [ours.as_str()]);
    assert!(pages::read(pool, hand.client, &theirs, LEASE).await.unwrap().is_none());
    let counts = pages::counts(pool, hand.client, LEASE).await.unwrap();
    assert_eq!((counts[0].ready, counts[0].dead), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_and_its_trace_travel_with_the_job() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let running = Running::start(config(&database.url), &log);
    let origin = Origin::of_request("request-4711", Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    origin.scope(async { put(&database, &Act::n(1)).await }).await;
    put(&database, &Act::n(2)).await;
    wait_count(pool, "status = 'Done'", 2, SOON).await;
    let seen = log.runs_of(1)[0].origin.clone().unwrap();
    assert_eq!((seen.request_id.as_str(), seen.trace_id()), ("request-4711", "0af7651916cd43dd8448eb211c80319c"));
    assert!(log.runs_of(2)[0].origin.is_some(), "a job without a request begins a chain of its own");
    let job = pages::read(pool, None, &row(pool, 1).await.id, LEASE).await.unwrap().unwrap();
    assert_eq!(job.request_id.as_deref(), Some("request-4711"));
    running.stop().await;
}
