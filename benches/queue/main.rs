//! `make bench-queue`: what the queue does, beside what `pgbench` does with plain tables on the same durable cluster. Prints a table and
//! writes `target/bench/queue.json`. Five interleaved rounds: each figure is a median of them, each ratio the median of the rounds' ratios.
//!
//! `BENCH_PEERS=1` adds graphile-worker (npm); `BENCH_ONLY=drain,ordered` runs only these lines (and writes no file).

#[path = "../measure/mod.rs"]
#[expect(dead_code, unused_imports, reason = "other benches measure more")]
mod measure;
#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of their support than this bench does")]
mod support;

mod cases;
mod ours;
mod peers;
mod pgbench;
mod report;

use measure::percentile;
use ours::Ours;
use pgbench::Pgbench;
use report::Report;
use support::OwnCluster;
use tuberry::embedded::Tuning;

/// Jobs of one drain.
pub const JOBS: usize = 20_000;
/// Rounds of everything that is compared.
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    if std::env::var_os(ours::CHILD).is_some() {
        return ours::child().await;
    }
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let wanted = |line: &str| only.is_empty() || only.split(',').any(|one| one == line);
    let cluster = OwnCluster::start_with(Tuning::Durable).await;
    let ours = Ours::new(&cluster.url);
    let pgbench = Pgbench::new(&cluster.url).await;
    let mut report = Report::default();

    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        if wanted("drain") || wanted("ordered") {
            let pair = pgbench.pairs(2).await;
            let drain = ours.drain(None).await;
            report.round("drain", drain, Some(pair));
            report.round("ordered", ours.drain(Some(200)).await, Some(drain));
            report.round("pair_1", pgbench.pairs(1).await, Some(pair));
            report.round("narrow_2", pgbench.narrow_pairs(2).await, Some(pair));
        }
        if wanted("enqueue") {
            report.round("enqueue_1", ours.enqueue(1, 2_000).await, Some(pgbench.inserts(1, 2_000).await));
            report.round("enqueue_8", ours.enqueue(8, 8_000).await, Some(pgbench.inserts(8, 8_000).await));
            report.round("enqueue_batch", ours.enqueue_batches(1_000, 20).await, None);
            report.round("tx_8", ours.states(8, 8_000).await, Some(pgbench.states(8, 8_000).await));
        }
        ours.clear().await;
    }
    if wanted("start") {
        let latencies = ours.starts(500, true).await;
        report.round("start_p50_ms", percentile(&latencies, 0.5), None);
        report.round("start_p99_ms", percentile(&latencies, 0.99), None);
        let latencies = ours.starts(500, false).await;
        report.round("start_elsewhere_p50_ms", percentile(&latencies, 0.5), None);
        report.round("start_elsewhere_p99_ms", percentile(&latencies, 0.99), None);
        report.round("delayed_max_ms", percentile(&ours.delayed(300).await, 1.0), None);
    }
    if wanted("idle") {
        report.round("idle_statements_per_s", ours.idle().await, None);
    }
    if wanted("crash") {
        report.round("crash_s", ours.crash().await, None);
    }
    if wanted("done") {
        ours.clear().await;
        for round in 1..=ROUNDS {
            eprintln!("with and without 1 M done rows: round {round} of {ROUNDS}");
            let without = ours.drain(None).await;
            cases::done_rows(&ours, 1_000_000).await;
            report.round("drain_1m_done", ours.drain(None).await, Some(without));
            ours.clear().await;
        }
    }
    if wanted("cases") {
        cases::run(&ours, &mut report).await;
    }
    if wanted("peers") {
        peers::run(&cluster, &mut report).await;
    }
    report.print();
    if only.is_empty() {
        report.write();
    }
}
