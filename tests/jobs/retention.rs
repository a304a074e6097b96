//! What has served goes in time, and nothing else; the cluster's jobs are counted, but not too often.

use super::queue_kit::*;
use crate::support::database;
use sqlx::PgPool;
use std::time::Duration;
use tuberry_jobs::queue::{LEASE, census};
use tuberry_jobs::retention::{Retention, sweep};
use tuberry_storage::{clients, projects};

const DAY: u64 = 86_400;

async fn execute(pool: &PgPool, statement: &'static str) {
    sqlx::raw_sql(statement).execute(pool).await.unwrap();
}

async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_served_goes_in_time_and_the_rest_stays() {
    let database = database().await;
    let (store, pool) = (&database.store, database.store.pool());
    let mut tx = store.begin().await.unwrap();
    let client = clients::create(&mut tx, "Ромашка").await.unwrap();
    projects::create(&mut tx, client, "Ромашка", None).await.unwrap();
    tx.commit().await.unwrap();
    // Of everything one for each of twenty days: a day old, two days…
    execute(
        pool,
        "insert into apalis.jobs (id, job_type, job, status, run_at, done_at, runs, metadata)
         select s || '-' || d, 'x', '{}', s, now(), now() - interval '1 day' * d, 2, '' from generate_series(1, 20) d, unnest(array['Done', 'Failed', 'Killed']) s;
         insert into apalis.jobs (id, job_type, job, status, run_at, metadata)
         select 'Pending-' || d, 'x', '{}', 'Pending', now() - interval '1 day' * d, '' from generate_series(1, 20) d;
         insert into queue.attempts (job_id, place, run, started_at, ended_at, worker, outcome)
         select id, 1, 1, now(), now(), 'w', 1 from apalis.jobs where status <> 'Pending';
         insert into queue.spent_keys (kind, key, spent_at) select 'x', d::text, now() - interval '1 day' * d from generate_series(1, 20) d;
         insert into queue.throughput (minute, kind, done) select now() - interval '1 day' * d, 'x', 1 from generate_series(1, 20) d;
         insert into queue.audit (at, action, affected) select now() - interval '1 day' * d, 'retry', 1 from generate_series(20, 1, -1) d;
         insert into apalis.workers (id, worker_type, storage_name, layers, last_seen, started_at)
         select 'w' || d, 'x', 'tuberry', '', now() - interval '1 day' * d, now() from generate_series(0, 3) d;
         insert into portal_sessions (id, user_id, ends_at) select sha256(d::text::bytea), 1, now() - interval '1 hour' * d from generate_series(-2, 5) d;
         insert into personal_telegram_logins (id, client_id, project_id, stage, expires_at, updated_at)
         select s || d, 1, (select min(id) from projects), s, now(), now() - interval '1 day' * d from generate_series(1, 20) d, unnest(array['completed', 'pending']) s",
    )
    .await;
    let days = |days: u64| Duration::from_secs(days * DAY + 60);
    let keep = Retention {
        done_jobs: days(2),
        dead_jobs: days(10),
        logins: days(3),
        updates: days(4),
        statistics: days(5),
        audit: days(6),
    };
    let gone = sweep(store, &keep, Duration::from_secs(60)).await.unwrap();
    assert_eq!(gone, 18 + 2 * 10 + 17 + 16 + 15 + 14 + 6 + 3);
    assert_eq!(sweep(store, &keep, Duration::from_secs(60)).await.unwrap(), 0, "what is left stays");
    for (query, left) in [
        ("select count(*) from apalis.jobs where status = 'Done'", 2),
        ("select count(*) from apalis.jobs where status in ('Failed', 'Killed')", 20),
        ("select count(*) from apalis.jobs where status = 'Pending'", 20),
        ("select count(*) from queue.attempts", 22),
        ("select count(*) from queue.spent_keys", 4),
        ("select count(*) from queue.throughput", 5),
        ("select count(*) from queue.audit where at > now() - interval '7 days'", 6),
        ("select count(*) from queue.audit", 6),
        ("select count(*) from apalis.workers", 1),
        ("select count(*) from portal_sessions", 2),
        ("select count(*) from personal_telegram_logins where stage = 'completed'", 3),
        ("select count(*) from personal_telegram_logins where stage = 'pending'", 20),
    ] {
        assert_eq!(number(pool, query).await, left, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_goes_in_batches_and_the_time_ends_it() {
    let database = database().await;
    let (store, pool) = (&database.store, database.store.pool());
    execute(
        pool,
        "insert into apalis.jobs (id, job_type, job, status, run_at, done_at, metadata)
         select 'D' || i, 'x', '{}', 'Done', now(), now() - interval '30 days' - interval '1 second' * i, '' from generate_series(1, 5000) i",
    )
    .await;
    assert_eq!(sweep(store, &Retention::default(), Duration::ZERO).await.unwrap(), 2000, "one round");
    assert_eq!(number(pool, "select max(substr(id, 2)::bigint) from apalis.jobs").await, 3000, "the oldest go first");
    assert_eq!(sweep(store, &Retention::default(), Duration::from_secs(60)).await.unwrap(), 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_are_counted_and_a_dear_count_is_not_repeated_soon() {
    let database = database().await;
    let pool = database.store.pool();
    assert!(census::last(pool).await.unwrap().is_none());
    put_all(&database, &[Act::n(1), Act::n(2), Act::n(3).key("k"), Act::n(4).key("k")]).await;
    assert!(census::take(pool, LEASE).await.unwrap());
    let counted = census::last(pool).await.unwrap().unwrap();
    assert_eq!(counted.kinds.iter().map(|kind| (kind.ready, kind.held)).collect::<Vec<_>>(), [(3, 1)]);
    let rests = "select count(*) from queue.census where abs(extract(epoch from rests_until - counted_at) - 50 * took) < 0.05";
    assert_eq!(number(pool, rests).await, 1, "a count is followed by fifty times as long a rest");
    execute(pool, "update queue.census set rests_until = now() + interval '1 minute'").await;
    assert!(!census::take(pool, LEASE).await.unwrap());
    execute(pool, "update queue.census set rests_until = now()").await;
    assert!(census::take(pool, LEASE).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_was_given_up_is_not_repeated_soon_either() {
    let database = database().await;
    let pool = database.store.pool();
    let rests = "select count(*) from queue.census where rests_until > now() + interval '3 minutes'";
    // The first count of all does not come to its end.
    let mut lock = pool.begin().await.unwrap();
    sqlx::raw_sql("lock table queue.paused_kinds in access exclusive mode").execute(&mut *lock).await.unwrap();
    assert!(census::take(pool, LEASE).await.is_err());
    lock.rollback().await.unwrap();
    assert!(census::last(pool).await.unwrap().is_none());
    assert_eq!(number(pool, rests).await, 1);
    assert!(!census::take(pool, LEASE).await.unwrap());
    // The next one does, and the one after it does not.
    execute(pool, "update queue.census set rests_until = now()").await;
    put_all(&database, &[Act::n(1)]).await;
    assert!(census::take(pool, LEASE).await.unwrap());
    execute(pool, "update queue.census set rests_until = now(); alter function queue.counts(integer, float8) rename to away")
        .await;
    assert!(census::take(pool, LEASE).await.is_err());
    assert_eq!(number(pool, rests).await, 1);
    assert_eq!(census::last(pool).await.unwrap().unwrap().kinds.len(), 1, "the last numbers stay");
}
