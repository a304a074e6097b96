//! `make bench-fleet`: what many accounts cost, how fast they move between workers, and what the whole product carries, beside a plain
//! Telethon process that does the same job. Real `tuberry api` and `tuberry worker` processes, a durable PostgreSQL of their own, the
//! simulator (with strict keys) in this process. Prints a table and writes `target/bench/fleet.json`.
//!
//! `BENCH_ONLY=idle,messages` runs only these parts (and writes no file); `BENCH_ACCOUNTS=50` makes everything smaller.

#[path = "../measure/mod.rs"]
mod measure;
#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of their support than this bench does")]
mod support;

mod fleet;
mod idle;
mod load;
mod messages;
mod moves;
mod peer;
mod report;
mod seeds;

use report::Report;
use std::time::Instant;

/// Idle accounts at most; a tenth and half of it are measured, too.
fn accounts() -> usize {
    std::env::var("BENCH_ACCOUNTS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000)
}

#[tokio::main]
async fn main() {
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let wanted = |part: &str| only.is_empty() || only.split(',').any(|one| one == part);
    let (mut report, began) = (Report::default(), Instant::now());
    if wanted("idle") {
        idle::run(&mut report, 1).await;
        idle::run(&mut report, 4).await;
    }
    if wanted("failover") || wanted("handover") {
        moves::run(&mut report, wanted("handover"), wanted("failover")).await;
    }
    if wanted("messages") {
        messages::run(&mut report).await;
    }
    if wanted("peer") {
        peer::run(&mut report).await;
    }
    report.print();
    eprintln!("{:.0} s in all", began.elapsed().as_secs_f64());
    if only.is_empty() {
        report.write();
    }
}
