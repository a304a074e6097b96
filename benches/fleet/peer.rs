//! The same job by Telethon in one plain Python process (`benches/peers/telethon_worker.py`): no database, no retries, no order across
//! a restart, but the same messages in the same topics.

use crate::idle::{WATCH_ALL, sizes};
use crate::load::{highest, rate, step};
use crate::measure::{Memory, Traffic, processor_time};
use crate::messages;
use crate::report::Report;
use crate::seeds;
use crate::support::{Process, Setup, Stack, wait_until};
use nix::sys::signal::Signal;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const SETTLE: Duration = Duration::from_secs(5);

pub async fn run(report: &mut Report) {
    let [few, many, _] = sizes();
    eprintln!("peer: Telethon, {few} and {many} accounts");
    let stack = Stack::start(Setup { workers: 0, updates: "webhook", own_cluster: true, ..Setup::default() }).await;
    let people: Vec<_> = (0..many).map(|number| stack.signed_in(&format!("Сотрудник {number}"))).collect();
    let mut sessions = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file below target/tmp");
    for (_, session, _) in &people {
        writeln!(sessions, "{}", session.encode().expose()).expect("a line");
    }
    let worker = start(&stack, sessions.path(), few).await;
    let pid = worker.pid();
    connected(&stack, few).await;
    let small = Memory::of(pid).resident;

    // Messages first, with as many accounts as ours had.
    let customers = seeds::customers(&stack, messages::accounts().min(few));
    let chats = customers.into_iter().zip(people.iter().map(|(person, ..)| person.0)).collect();
    let traffic = Traffic::new(stack.simulator.shared(), chats);
    traffic.burst(5).await;
    sleep(Duration::from_secs(2)).await;
    let processors = || [processor_time(pid), 0.0];
    let slow = step(&traffic, 20, messages::SECONDS, processors).await;
    report.telethon("p50_1w", "customer → topic at 20/s, p50, ms", slow.p50);
    report.telethon("p99_1w", "customer → topic at 20/s, p99, ms", slow.p99);
    report.telethon("cpu_ms_20_1w", "CPU of a message at 20/s, ms", slow.processors[0]);
    let fast = highest(&traffic, processors).await;
    report.telethon("sustained_1w", "sustained (p99 below 1 s), messages/s", rate(fast));
    if let Some(fast) = fast {
        report.telethon("cpu_ms_1w", "CPU of a message at that rate, ms", fast.processors[0]);
    }
    drop(worker);

    // A fresh process for what idle accounts cost: traffic leaves memory behind.
    wait_until(Duration::from_secs(30), "no connection", async || (stack.connections().await == 0).then_some(())).await;
    let worker = start(&stack, sessions.path(), few).await;
    let pid = worker.pid();
    connected(&stack, few).await;
    let few_kb = Memory::of(pid).resident;
    worker.signal(Signal::SIGUSR1);
    connected(&stack, many).await;
    let (began, before) = (Instant::now(), processor_time(pid));
    sleep(WATCH_ALL).await;
    let used = (processor_time(pid) - before) / began.elapsed().as_secs_f64() * 100.0;
    let many_kb = Memory::of(pid).resident;
    report.telethon(&format!("rss_mb_{few}"), &format!("resident, {few} idle accounts, MB"), small / 1e3);
    report.telethon(&format!("rss_mb_{many}"), &format!("resident, {many} idle accounts, MB"), many_kb / 1e3);
    report.telethon(&format!("idle_cpu_{many}"), &format!("CPU, {many} idle accounts, % of a core"), used);
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    report.telethon("kb_idle_account", "an idle account more, kB resident", (many_kb - few_kb) / (many - few) as f64);
    stack.assert_keys_were_never_shared().await;
}

/// Starts the script with the first `count` of the sessions; `SIGUSR1` makes it connect the others.
async fn start(stack: &Stack, sessions: &Path, count: usize) -> Process {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "target/venv is missing: run `make setup`");
    let script = root.join("benches/peers/telethon_worker.py");
    let [python, script, sessions] =
        [python.as_path(), script.as_path(), sessions].map(|path| path.to_str().expect("a path in UTF-8"));
    let (tenant, count) = (&stack.tenant, count.to_string());
    let arguments = [script, &stack.simulator.http_url(), &tenant.bot_token, &tenant.forum.to_string(), sessions, &count];
    Process::start(python, &arguments, &[]).await
}

/// Waits until that many accounts are connected and what follows a connection is over.
async fn connected(stack: &Stack, count: usize) {
    let wanted = i64::try_from(count).expect("a count");
    let what = format!("{count} connections of Telethon");
    wait_until(Duration::from_secs(120), &what, async || (stack.connections().await >= wanted).then_some(())).await;
    sleep(SETTLE).await;
}
