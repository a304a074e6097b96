//! What accounts cost that nobody writes to: memory, CPU, statements; and what busy ones leave behind in memory.

use crate::fleet::Fleet;
use crate::measure::{Memory, Traffic, processor_time};
use crate::report::{Report, Target};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What follows a connection (first pings, notes of life) is over by then.
const SETTLE: Duration = Duration::from_secs(5);
/// A connection is pinged every 25 s, and asked every 60 s whether its session exists: this sees each ping once.
const WATCH: Duration = Duration::from_secs(25);
/// This sees everything that happens to an idle account: for all accounts, here and at Telethon.
pub const WATCH_ALL: Duration = Duration::from_secs(60);
/// Statements repeat within this time.
const WATCH_STATEMENTS: Duration = Duration::from_secs(15);
/// Bursts of a busy account, messages of each; one answer follows each burst.
const BURSTS: usize = 10;
const BURST: usize = 5;

/// A tenth of the accounts, half of them, and all.
pub fn sizes() -> [usize; 3] {
    let all = crate::accounts();
    [all / 10, all / 2, all]
}

/// Idle accounts in that many workers; with one worker, their memory and CPU, and busy accounts too.
pub async fn run(report: &mut Report, workers: usize) {
    eprintln!("idle: {workers} worker(s)");
    let mut fleet = Fleet::start_counting(workers).await;
    let mut memories = Vec::new();
    let full = crate::accounts();
    for size in sizes() {
        fleet.grow(size).await;
        sleep(SETTLE).await;
        let watch = match workers {
            1 if size == full => WATCH_ALL,
            1 => WATCH,
            _ => WATCH_STATEMENTS,
        };
        let (began, before) = (Instant::now(), processor_time(fleet.stack.workers[0].pid()));
        fleet.reset_statements().await;
        sleep(watch).await;
        let (all, ownership) = fleet.statements().await;
        let used = processor_time(fleet.stack.workers[0].pid()) - before;
        let seconds = began.elapsed().as_secs_f64();
        if workers == 1 {
            let memory = Memory::of(fleet.stack.workers[0].pid());
            report.ours(
                format!("rss_mb_{size}"),
                format!("resident, {size} idle accounts in one worker, MB"),
                memory.resident / 1e3,
                None,
            );
            report.ours(format!("pss_mb_{size}"), "  its proportional set, MB", memory.proportional / 1e3, None);
            let target = (size == full).then_some(Target::AtMost(3.0));
            report.ours(
                format!("idle_cpu_{size}"),
                format!("CPU, {size} idle accounts, % of a core"),
                used / seconds * 100.0,
                target,
            );
            memories.push((size, memory));
        }
        let text = format!("statements/s, {size} idle accounts, {workers} worker(s)");
        report.ours(format!("statements_{workers}w_{size}"), text, all / seconds, None);
        report.ours(format!("ownership_{workers}w_{size}"), "  of these for ownership", ownership / seconds, None);
    }
    if let [few, .., many] = memories[..] {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let each = |few: f64, many: f64| (many - few) / (memories[2].0 - memories[0].0) as f64;
        let resident = each(few.1.resident, many.1.resident);
        report.ours("kb_idle_account", "an idle account more, kB resident", resident, Some(Target::AtMost(60.0)));
        busy(&fleet, report, resident).await;
    }
    fleet.stack.assert_keys_were_never_shared().await;
}

/// Two groups of accounts get and answer messages in bursts, one group after the other: what the second leaves behind is theirs alone,
/// because pools and buffers of the process have grown by then. `idle` is what they had before, in kB each.
async fn busy(fleet: &Fleet, report: &mut Report, idle: f64) {
    let size = (crate::accounts() / 7).max(1);
    let chats = |group: usize| fleet.chats[group * size..(group + 1) * size].to_vec();
    let worker = fleet.stack.workers[0].pid();
    let mut memories = Vec::new();
    for group in 0..2 {
        let traffic = Traffic::new(fleet.stack.simulator.shared(), chats(group));
        for _ in 0..BURSTS {
            traffic.burst(BURST).await;
            answer(fleet, &traffic).await;
        }
        sleep(SETTLE).await;
        memories.push(Memory::of(worker).resident);
    }
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let more = (memories[1] - memories[0]) / size as f64;
    let text = format!("a busy account more ({} messages in bursts, answers), kB resident", BURSTS * BURST);
    report.ours("kb_busy_account", text, idle + more, Some(Target::AtMost(400.0)));
    let text = format!("resident, {} accounts, {} of them busy, MB", crate::accounts(), 2 * size);
    report.ours("rss_mb_busy", text, memories[1] / 1e3, Some(Target::AtMost(400.0)));
}

/// An operator answers in every topic of the traffic; waits until the accounts have sent all of it.
async fn answer(fleet: &Fleet, traffic: &Traffic) {
    let sent = || fleet.stack.simulator.shared().lock().stats.rpc.get("messages.sendMessage").copied().unwrap_or_default();
    let (before, topics) = (sent(), traffic.topics());
    for topic in &topics {
        fleet.stack.answer(&json!({ "thread_id": topic }), "ответ").await;
    }
    let wanted = before + u64::try_from(topics.len()).expect("a count");
    crate::support::wait_until(Duration::from_secs(60), "answers", async || (sent() >= wanted).then_some(())).await;
}
