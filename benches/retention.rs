//! `make bench-retention`: the rows that a million messages leave behind, with retention running as `sync-accounts` runs it. Prints the tables' sizes
//! after every tenth, writes `target/bench/retention.json`, and fails when they grow once retention deletes as much as comes.
//!
//! Ten windows of time pass: what was done is kept for one, what died for two. A window is a tenth of the messages, so from the third on sizes must
//! stay flat. Rows come as the service makes them – inserted, claimed, ended – a batch per statement, at times that lie in the past; retention is told
//! to keep accordingly more. The customers' history itself is left out: it is kept for good.
//!
//! `BENCH_MESSAGES=50000` does the same with fewer.

#[path = "measure/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other benches measure more")]
mod measure;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of their support than this bench does")]
mod support;

use serde_json::json;
use sqlx::{Executor, PgPool};
use std::time::{Duration, Instant};
use support::OwnCluster;
use tuberry::embedded::Tuning;
use tuberry_jobs::retention::{Retention, sweep};
use tuberry_storage::{Store, clients, projects};

/// Windows that pass.
const WINDOWS: u32 = 10;
/// One window, in the rows' time.
const WINDOW: Duration = Duration::from_secs(86_400);
/// Batches per window, each followed by a sweep: a tick of `sync-accounts`.
const BATCHES: u32 = 20;
/// From this window on sizes must stay flat.
const SETTLED: usize = 3;
/// How much the tables may grow from there: what autovacuum has not come to yet.
const TOLERANCE: f64 = 1.25;

const TABLES: [&str; 6] =
    ["apalis.jobs", "queue.attempts", "queue.spent_keys", "queue.throughput", "queue.audit", "personal_telegram_logins"];

#[tokio::main]
async fn main() {
    let messages: u32 = std::env::var("BENCH_MESSAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let cluster = OwnCluster::start_with(Tuning::Durable).await;
    let store = Store::open(&cluster.url, 5).expect("a URL that can be read");
    let pool = store.pool().clone();
    // A window passes in seconds: autovacuum looks accordingly more often.
    pool.execute("alter system set autovacuum_naptime = '1s'").await.expect("a setting");
    pool.execute("select pg_reload_conf()").await.expect("a reload");
    let project = project(&store).await;

    let batch = messages / WINDOWS / BATCHES;
    println!(
        "{messages} messages, {batch} at a time; done jobs are kept for {} messages, dead ones for twice as many",
        messages / WINDOWS
    );
    let header: String = TABLES.iter().map(|table| format!("{:>26}", table.trim_start_matches("personal_telegram_"))).collect();
    println!("\n{:>9}{header}{:>12}{:>12}", "messages", "all, MB", "deleted/s");
    let (mut sizes, mut lines) = (Vec::new(), Vec::new());
    for window in 0..WINDOWS {
        let (mut deleted, mut swept) = (0, Duration::ZERO);
        for part in 0..BATCHES {
            // The batch happened so long ago.
            let ago = WINDOW * WINDOWS - (WINDOW / BATCHES) * (window * BATCHES + part);
            pass(&pool, u64::from(window * BATCHES + part), batch, ago, project).await;
            let begun = Instant::now();
            deleted += sweep(&store, &keep(ago), Duration::from_secs(5)).await.expect("a sweep");
            swept += begun.elapsed();
        }
        let now = measured(&pool).await;
        let all: f64 = now.iter().sum();
        let speed = deleted as f64 / swept.as_secs_f64().max(0.001);
        let row: String = now.iter().map(|size| format!("{size:>26.1}")).collect();
        let so_far = (window + 1) * BATCHES * batch;
        println!("{so_far:>9}{row}{all:>12.1}{speed:>12.0}");
        lines.push(json!({ "messages": so_far, "tables_mb": now, "all_mb": all, "deleted_per_s": speed }));
        sizes.push(all);
    }
    let growth = sizes[sizes.len() - 1] / sizes[SETTLED - 1];
    println!("\nfrom the third window to the last: × {growth:.2}");
    measure::write("retention", &json!({ "messages": messages, "tables": TABLES, "windows": lines, "growth": growth }));
    assert!(growth <= TOLERANCE, "the tables grow although retention runs");
}

/// A window of done jobs and of the rest, two of dead ones; `ago` is now.
fn keep(ago: Duration) -> Retention {
    let window = ago + WINDOW;
    Retention {
        done_jobs: window,
        dead_jobs: window + WINDOW,
        logins: window,
        updates: window,
        statistics: window,
        audit: window,
    }
}

async fn project(store: &Store) -> i32 {
    let mut tx = store.begin().await.expect("a transaction");
    let client = clients::create(&mut tx, "bench").await.expect("a client");
    let project = projects::create(&mut tx, client, "bench", None).await.expect("a project");
    tx.commit().await.expect("a commit");
    project.0
}

/// What so many messages leave behind: three jobs each (a mirrored message and its topic, or a reply with its mark), of which one in twenty is tried
/// twice and one in a thousand dies; now and then a login, a command, something that a person did.
async fn pass(pool: &PgPool, number: u64, messages: u32, ago: Duration, project: i32) {
    let at = format!("(now() - interval '{} seconds')", ago.as_secs());
    let jobs = messages * 3;
    let statements = [
        format!(
            "insert into apalis.jobs (id, job_type, job, status, run_at, metadata, ordering_key, client_id, dialog_id)
             select 'B{number}-' || i, (array['mirror-message', 'send-reply', 'refresh-topic'])[1 + i % 3],
                    convert_to('{{\"message\":' || i || ',\"dialog\":' || i % 500 || '}}', 'utf8'), 'Pending', {at},
                    hstore(array['request_id', md5(i::text), 'traceparent', '00-' || md5(i::text) || '-' || left(md5(i::text), 16) || '-01']),
                    'bench:{number}:' || i, 1, i % 500
               from generate_series(1, {jobs}) i"
        ),
        format!(
            "update apalis.jobs set status = 'Running', lock_by = 'bench/x', lock_at = {at}, runs = runs + 1 + (hashtext(id) % 20 = 0)::int
              where id like 'B{number}-%'"
        ),
        format!(
            "insert into queue.attempts (job_id, place, run, started_at, ended_at, worker, outcome, error)
             select id, 1, 1, {at}, {at}, 'bench/x', 1, 'connection lost' from apalis.jobs where id like 'B{number}-%' and runs > 1"
        ),
        format!(
            "update apalis.jobs set status = case when hashtext(id) % 1000 = 0 then 'Failed' else 'Done' end, attempts = runs,
                    done_at = {at}, last_result = '{{\"Ok\":null}}'
              where id like 'B{number}-%'"
        ),
        format!("insert into queue.spent_keys (kind, key, spent_at) select 'answer-getid', '{number}:' || i, {at} from generate_series(1, {messages} / 100) i"),
        format!(
            "insert into queue.throughput (minute, kind, done) select {at} + interval '1 second' * i, 'bench', 1 from generate_series(1, {messages} / 100) i
             on conflict do nothing"
        ),
        format!("insert into queue.audit (at, user_id, action, affected) select {at}, 1, 'retry', 1 from generate_series(1, {messages} / 100)"),
        format!(
            "insert into personal_telegram_logins (id, client_id, project_id, stage, expires_at, updated_at)
             select 'bench-{number}-' || i, 1, {project}, 'completed', {at}, {at} from generate_series(1, {messages} / 100) i"
        ),
    ];
    for statement in statements {
        pool.execute(sqlx::AssertSqlSafe(statement)).await.expect("a statement");
    }
}

/// Sizes of the tables with their indexes, in MB.
async fn measured(pool: &PgPool) -> Vec<f64> {
    let mut sizes = Vec::new();
    for table in TABLES {
        let size: i64 =
            sqlx::query_scalar("select pg_total_relation_size($1::regclass)").bind(table).fetch_one(pool).await.expect("a size");
        sizes.push(size as f64 / 1e6);
    }
    sizes
}
