//! What the whole product carries: customers' messages into topics, by one, two and four workers.

use crate::fleet::Fleet;
use crate::load::{highest, rate, step};
use crate::measure::processor_time;
use crate::report::{Report, Target};
use std::time::Duration;

/// How long messages come at 20 a second.
pub const SECONDS: usize = 15;

/// Accounts with one customer each.
pub fn accounts() -> usize {
    crate::accounts() / 10
}

pub async fn run(report: &mut Report) {
    let mut fleet = Fleet::start(1).await;
    fleet.grow(accounts()).await;
    for workers in [1, 2, 4] {
        fleet.add_workers(workers - fleet.stack.workers.len()).await;
        fleet.settle().await;
        let traffic = fleet.traffic(|_| true);
        traffic.burst(5).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        eprintln!("messages: {workers} worker(s), {} accounts", accounts());
        let postgres = fleet.stack.cluster().embedded.pid();
        let processors = || [fleet.processor_time(), processor_time(postgres)];
        let name = format!("{workers} worker(s)");

        let slow = step(&traffic, 20, SECONDS, processors).await;
        report.ours(format!("p50_{workers}w"), format!("customer → topic at 20/s, {name}, p50, ms"), slow.p50, None);
        let target = Some(Target::AtMost(40.0));
        report.ours(format!("p99_{workers}w"), format!("customer → topic at 20/s, {name}, p99, ms"), slow.p99, target);
        report.ours(format!("cpu_ms_20_{workers}w"), format!("CPU of a message at 20/s, {name}, ms"), slow.processors[0], None);

        let fast = highest(&traffic, processors).await;
        let text = format!("sustained (p99 below 1 s), {name}, messages/s");
        report.ours(format!("sustained_{workers}w"), text, rate(fast), Some(Target::AtLeast(500.0)));
        if let Some(fast) = fast {
            let text = format!("CPU of a message at that rate, {name}, api too, ms");
            report.ours(format!("cpu_ms_{workers}w"), text, fast.processors[0], Some(Target::AtMost(2.0)));
            report.ours(format!("postgres_ms_{workers}w"), "  beside it PostgreSQL's, ms", fast.processors[1], None);
        }
    }
    fleet.stack.assert_keys_were_never_shared().await;
}
