//! How long accounts are without a worker: after a graceful end, after `kill -9`.

use crate::fleet::Fleet;
use crate::measure::percentile;
use crate::report::Report;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(120);

/// Two workers with half of the accounts each.
pub async fn run(report: &mut Report, handover: bool, failover: bool) {
    let half = crate::accounts() / 2;
    eprintln!("two workers with {half} accounts each");
    let mut fleet = Fleet::start(2).await;
    fleet.grow(2 * half).await;
    // Every dialog has its topic before the clock runs.
    fleet.traffic(|_| true).burst(1).await;
    if handover {
        let gone = lose(&mut fleet, Signal::SIGTERM).await;
        report.ours("handover_s", format!("SIGTERM, {half} accounts: until the last is connected elsewhere, s"), gone.last, None);
        report.ours("handover_exit_s", "  from the process's exit, s", (gone.last - gone.exit).max(0.0), None);
        report.ours("handover_gap_s", "  latest arrival of messages written at the signal, s", gone.latest, None);
        let began = Instant::now();
        fleet.add_workers(1).await;
        fleet.settle().await;
        let took = began.elapsed().as_secs_f64();
        report.ours("join_s", format!("a second worker starts: until each has {half} accounts connected, s"), took, None);
        sleep(Duration::from_secs(3)).await;
    }
    if failover {
        let gone = lose(&mut fleet, Signal::SIGKILL).await;
        report.ours("failover_s", format!("kill -9, {half} accounts: until the last is connected elsewhere, s"), gone.last, None);
        report.ours("failover_first_s", "  until the first is, s", gone.first, None);
        report.ours("failover_gap_s", "  latest arrival of messages written at the kill, s", gone.latest, None);
    }
    fleet.stack.assert_keys_were_never_shared().await;
}

/// What became of the accounts of a worker that got a signal, in seconds from it.
struct Gone {
    exit: f64,
    /// The first of them is connected by the other worker.
    first: f64,
    last: f64,
    /// The last of the messages that were written to each of them at the signal stands in its topic.
    latest: f64,
}

async fn lose(fleet: &mut Fleet, signal: Signal) -> Gone {
    let leaving = fleet.stack.workers.remove(0);
    let moving = fleet.owned_by(&leaving).await;
    let (mark, traffic) = (fleet.mark(), fleet.traffic(|account| moving.contains(&account)));
    let began = Instant::now();
    leaving.signal(signal);
    let exit = async {
        let status = leaving.wait().await;
        assert!(status.success() || signal == Signal::SIGKILL, "{status}: {}", leaving.output());
        began.elapsed().as_secs_f64()
    };
    let (exit, (first, last), latencies) = tokio::join!(exit, connected(fleet, &moving, mark, began), traffic.burst(1));
    fleet.settle().await;
    Gone { exit, first, last, latest: percentile(&latencies, 1.0) / 1e3 }
}

/// When the first and the last of these accounts had a connection later than `mark`, in seconds since `began`.
async fn connected(fleet: &Fleet, moving: &BTreeSet<i64>, mark: u64, began: Instant) -> (f64, f64) {
    let mut first = None;
    let last = async {
        loop {
            let there = moving.intersection(&fleet.connected(mark)).count();
            let now = began.elapsed().as_secs_f64();
            if there > 0 {
                first.get_or_insert(now);
            }
            if there == moving.len() {
                return now;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let last = timeout(PATIENCE, last).await.expect("all accounts are connected again");
    (first.unwrap_or(last), last)
}
