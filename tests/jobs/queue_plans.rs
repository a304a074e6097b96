//! What the queue's own statements cost beside many other rows, as PostgreSQL's plans tell: index scans only, and few pages for a claim.

use super::queue_kit::*;
use crate::support::OwnCluster;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tuberry_jobs::queue::retention::{self, Ended};
use tuberry_storage::Store;

/// Rows that lie or wait in the table meanwhile.
const SETUPS: [(&str, &str); 4] = [
    (
        "200 k done rows",
        "insert into apalis.jobs (id, job_type, job, status, run_at, done_at, lock_by, lock_at, metadata)
         select 'DONE' || i, 'test-act', '{}', 'Done', now(), now(), 'gone/test-act', now(), '' from generate_series(1, 200000) i",
    ),
    (
        "50 k jobs over 5 k keys in a lane without an owner",
        "insert into apalis.jobs (id, job_type, job, status, run_at, metadata, ordering_key, lane, gate)
         select 'LANE' || i, 'test-act', '{}', 'Pending', now(), '', 'lane:' || i % 5000, '999', (i >= 5000)::int
           from generate_series(0, 49999) i",
    ),
    (
        "45 k jobs behind 5 k snoozed heads",
        "insert into apalis.jobs (id, job_type, job, status, run_at, metadata, ordering_key, gate)
         select 'HELD' || i, 'test-act', '{}', 'Pending', now() + interval '1 hour', '', 'held:' || i % 5000, case when i < 5000 then 2 else 1 end
           from generate_series(0, 49999) i",
    ),
    ("nothing else", "select 1"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_queues_statements_use_indexes_only_and_few_pages_whatever_lies_beside() {
    let cluster = OwnCluster::start().await;
    let store = Store::open(&cluster.url, 4).unwrap();
    let pool = store.pool();
    sqlx::raw_sql("drop index apalis.one_head_per_key").execute(pool).await.unwrap();
    for (_, setup) in SETUPS {
        sqlx::raw_sql(setup).execute(pool).await.unwrap();
    }
    sqlx::raw_sql("vacuum analyze apalis.jobs").execute(pool).await.unwrap();
    // A snapshot that somebody holds, as a backup does: no dead row can be removed while 3,000 jobs come and go.
    let mut holder = pool.begin().await.unwrap();
    sqlx::raw_sql("set transaction isolation level repeatable read; select 1").execute(&mut *holder).await.unwrap();
    let database: String = sqlx::query_scalar("select current_database()").fetch_one(pool).await.unwrap();
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_nested_statements = on",
        "auto_explain.log_analyze = on",
        "auto_explain.log_buffers = on",
        "auto_explain.log_timing = off",
        "auto_explain.log_format = json",
    ] {
        let alter = format!("alter database {database} set {setting}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(alter)).execute(pool).await.unwrap();
    }
    let explained = Store::open(&cluster.url, 4).unwrap();
    let log = Log::default();
    let running = Running::start(config(&cluster.url), &log);
    for round in 0..30 {
        let jobs: Vec<Act> = (round * 100..round * 100 + 100)
            .map(|n| Act {
                key: (n % 2 == 0).then(|| format!("k{}", n % 20)),
                does: if n % 10 == 1 { Does::FailTimes(1) } else { Does::Ok },
                ..Act::n(n)
            })
            .collect();
        let mut tx = explained.begin().await.unwrap();
        tuberry_jobs::enqueue_all(&mut tx, &jobs).await.unwrap();
        for n in [1, 2] {
            let unique = Act::n(10_000 + round * 10 + n).unique("waiting", "one");
            tuberry_jobs::enqueue(&mut tx, &unique).await.unwrap();
        }
        tx.commit().await.unwrap();
        let done = (round + 1) * 100;
        wait_count(
            pool,
            "status = 'Done' and id not like 'DONE%' and convert_from(job, 'utf8') not like '%\"one\"%'",
            done,
            Duration::from_secs(20),
        )
        .await;
    }
    for ended in [Ended::Done, Ended::Dead] {
        retention::purge(explained.pool(), ended, Duration::from_secs(3600), 1000).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(6)).await; // a sweep, a reaping, heartbeats
    running.stop().await;
    holder.rollback().await.unwrap();

    let text = std::fs::read_to_string(cluster.embedded.folder().join("postgres.log")).unwrap();
    let plans = plans(&text);
    let mut claims = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for plan in &plans {
        let query = plan["Query Text"].as_str().unwrap();
        let mut scans = Vec::new();
        collect_scans(&plan["Plan"], &mut scans);
        for (node, relation, index) in &scans {
            assert!(
                relation != "jobs" || node.starts_with("Index") || node == "Tid Scan",
                "{node} of {relation} in\n{query}\n{}",
                plan["Plan"]
            );
            *seen.entry(format!("{relation}: {node} {index}")).or_default() += 1;
        }
        if query.contains("set status = 'Running'") {
            let number = |name: &str| plan["Plan"][name].as_i64().unwrap_or_default();
            claims.push((number("Shared Hit Blocks") + number("Shared Read Blocks"), number("Actual Rows").max(1)));
        }
    }
    assert!(claims.len() >= 60, "{} claims explained among {} plans", claims.len(), plans.len());
    assert!(seen.keys().any(|scan| scan.contains("queue_ready")), "{seen:?}");
    // Pages for each claimed job do not grow with the dead entries that the snapshot keeps: the last third against the first.
    let pages =
        |claims: &[(i64, i64)]| claims.iter().map(|claim| claim.0).sum::<i64>() / claims.iter().map(|claim| claim.1).sum::<i64>();
    let third = claims.len() / 3;
    let (first, last) = (pages(&claims[..third]), pages(&claims[claims.len() - third..]));
    assert!(last <= first * 2 + 10, "{first} pages for a job at first, {last} at last");
}

/// Every plan that auto_explain wrote into the server's log.
fn plans(log: &str) -> Vec<Value> {
    let mut plans = Vec::new();
    let mut rest = log;
    while let Some(found) = rest.find(" plan:\n") {
        rest = &rest[found + " plan:\n".len()..];
        let mut reader = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        if let Some(Ok(plan)) = reader.next() {
            plans.push(plan);
        }
    }
    plans
}

fn collect_scans(node: &Value, scans: &mut Vec<(String, String, String)>) {
    if let (Some(kind), Some(relation)) = (node["Node Type"].as_str(), node["Relation Name"].as_str())
        && kind.contains("Scan")
    {
        let index = node["Index Name"].as_str().unwrap_or_default();
        scans.push((kind.to_owned(), relation.to_owned(), index.to_owned()));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect_scans(child, scans);
    }
}
