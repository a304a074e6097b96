//! What people would pick instead, on the same cluster: apalis' own PostgreSQL backend, and graphile-worker with `BENCH_PEERS=1`.

use crate::JOBS;
use crate::report::Report;
use crate::support::OwnCluster;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_postgres::{Config, PostgresStorage};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::process::Command;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Noop {
    n: usize,
}

pub async fn run(cluster: &OwnCluster, report: &mut Report) {
    report.other("peer: apalis-postgres 1.0 as it comes, drain 20 000: jobs/s", stock(cluster).await, None);
    if std::env::var_os("BENCH_PEERS").is_some() {
        for (what, rate) in graphile(cluster).await {
            report.other(format!("peer: graphile-worker, {what}: jobs/s"), rate, None);
        }
    }
}

async fn fresh(cluster: &OwnCluster, name: &str) -> String {
    let _ = cluster.embedded.drop_database(name).await;
    cluster.embedded.create_database(name, None).await.expect("a database");
    cluster.embedded.socket_url(name)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

/// The backend that ours replaces, with its wake-ups on and batches of 100. It gets 60 s.
async fn stock(cluster: &OwnCluster) -> f64 {
    let pool = sqlx::PgPool::connect(&fresh(cluster, "stock").await).await.expect("PostgreSQL");
    PostgresStorage::setup(&pool).await.expect("migrations of apalis");
    let config = Config::default().queue("noop").batch_size(100);
    let mut connection = pool.acquire().await.expect("a connection");
    for batch in 0..JOBS / 1000 {
        let tasks = (0..1000).map(|n| {
            let payload = serde_json::to_vec(&Noop { n: batch * 1000 + n }).expect("JSON");
            TaskBuilder::new(payload).build()
        });
        apalis_postgres::queries::push_tasks(&mut *connection, "noop", tasks.collect()).await.expect("tasks");
    }
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = ran.clone();
    let since = Instant::now();
    let worker = WorkerBuilder::new("stock-1")
        .backend(PostgresStorage::<Noop>::new(&pool).with_config(config).with_pubsub())
        .build(move |_: Noop| {
            let counter = counter.clone();
            async move {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
    let working = tokio::spawn(async move { drop(worker.run().await) });
    let mut done = 0;
    while done < JOBS && since.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let count = sqlx::query_scalar::<_, i64>("select count(*) from apalis.jobs where status = 'Done'").fetch_one(&pool).await;
        done = usize::try_from(count.expect("a count")).expect("a count");
    }
    let rate = rate(done, since);
    working.abort();
    rate
}

/// `benches/queue/graphile.mjs` on node, with graphile-worker from npm in `target/`.
async fn graphile(cluster: &OwnCluster) -> Vec<(String, f64)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench").join("graphile");
    std::fs::create_dir_all(&folder).expect("a folder below target");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/queue/graphile.mjs"), folder.join("graphile.mjs"))
        .expect("a script");
    let installed = Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", "graphile-worker@0.18.0"])
        .current_dir(&folder)
        .status()
        .await
        .expect("npm");
    assert!(installed.success(), "npm could not install graphile-worker");
    let url = fresh(cluster, "graphile").await;
    let output = Command::new("node")
        .args(["graphile.mjs", &JOBS.to_string()])
        .env("DATABASE_URL", cluster.embedded.url("graphile"))
        .current_dir(&folder)
        .output()
        .await
        .expect("node");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<(String, f64)> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(what, rate)| Some((what.to_owned(), rate.parse().ok()?)))
        .collect();
    assert!(!lines.is_empty(), "{url}: graphile-worker said:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    lines
}
