//! `make bench`: customer → topic and operator → customer through real processes, against the simulator in this process.
//! Prints a table and writes `target/bench/conversation.json`. PostgreSQL is durable (fsync and synchronous_commit on).
//!
//! A latency runs from the moment at which the simulator has the message to the moment at which the simulator has it on the other side.

#[path = "measure/mod.rs"]
#[expect(dead_code, reason = "other benches measure more")]
mod measure;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of their support than this bench does")]
mod support;

use measure::traffic::{now, number};
use measure::{Memory, Traffic, percentile, processor_time, write};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use support::{Person, Setup, Stack};
use tokio::time::MissedTickBehavior;

const ACCOUNTS: usize = 10;
const CUSTOMERS: usize = 20;

#[tokio::main]
async fn main() {
    let workers = std::env::var("BENCH_WORKERS").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
    let bench = Bench::start(workers).await;
    let mut report = serde_json::Map::new();
    println!(
        "{ACCOUNTS} accounts, {CUSTOMERS} customers, {workers} worker(s), webhook, 2 cores shared with the simulator and PostgreSQL\n"
    );
    println!("{:<34}{:>9}{:>9}{:>9}{:>9}", "latency, ms", "p50", "p95", "p99", "max");
    for rate in [5, 20] {
        let seconds = 20;
        let questions = bench.traffic.paced(rate, rate * seconds).await;
        row(&format!("customer → topic, {rate}/s"), &questions, &mut report);
        let answers = bench.answers(rate, rate * seconds).await;
        row(&format!("operator → customer, {rate}/s"), &answers, &mut report);
    }
    println!();
    let mut sustained = 0;
    for rate in [100, 200, 300, 400, 500, 600, 800] {
        let before = bench.processor_times();
        let messages = rate * 10;
        let latencies = bench.traffic.paced(rate, messages).await;
        let behind = percentile(&latencies, 0.99);
        println!("sustained {rate:>4}/s for 10 s: p50 {:.1} ms, p99 {behind:.1} ms", percentile(&latencies, 0.5));
        if behind > 1_000.0 {
            break;
        }
        sustained = rate;
        if rate == 300 {
            bench.report_processors(&before, messages, &mut report);
        }
    }
    println!("highest sustained rate: {sustained}/s (p99 below 1 s)");
    report.insert("sustained_per_s".into(), json!(sustained));
    let burst = bench.burst(2_000).await;
    println!("burst of 2 000: all in order after {:.1} s, {:.0}/s", burst.as_secs_f64(), 2_000.0 / burst.as_secs_f64());
    report.insert("burst_2000_s".into(), json!(burst.as_secs_f64()));
    bench.report_memory(&mut report);
    bench.stack.assert_keys_were_never_shared().await;
    write("conversation", &Value::Object(report));
}

struct Bench {
    stack: Stack,
    customers: Vec<(Person, Person)>,
    traffic: Traffic,
    topics: Vec<Value>,
    processes: Vec<(&'static str, u32)>,
    number: std::sync::atomic::AtomicUsize,
}

impl Bench {
    async fn start(workers: usize) -> Self {
        let stack =
            Stack::start(Setup { workers, updates: "webhook", own_cluster: true, durable: true, ..Setup::default() }).await;
        let mut accounts = Vec::new();
        for number in 0..ACCOUNTS {
            let person = stack.person(&format!("Сотрудник{number}")).await;
            stack.connect(person).await;
            accounts.push(person);
        }
        let (mut customers, mut topics) = (Vec::new(), Vec::new());
        for number in 0..CUSTOMERS {
            let name = format!("Клиент{number}.");
            let customer = (stack.person(&name).await, accounts[number % ACCOUNTS]);
            stack.write(customer.0, customer.1, "начало").await;
            topics.push(stack.topic(&name).await);
            customers.push(customer);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut processes = vec![("postgres", stack.cluster().embedded.pid()), ("simulator + bench", std::process::id())];
        processes.extend(stack.apis.iter().map(|process| ("api", process.pid())));
        processes.extend(stack.workers.iter().map(|process| ("worker", process.pid())));
        let chats = customers.iter().map(|(customer, account)| (customer.0, account.0)).collect();
        let traffic = Traffic::new(stack.simulator.shared(), chats);
        Self { stack, customers, traffic, topics, processes, number: 0.into() }
    }

    /// Operators answer `count` times at `rate` a second.
    async fn answers(&self, rate: usize, count: usize) -> Vec<f64> {
        let shared = self.stack.simulator.shared();
        let first = self.number.load(std::sync::atomic::Ordering::Relaxed);
        let mut changes = shared.changes();
        let customers: Vec<i64> = self.customers.iter().map(|(customer, _)| customer.0).collect();
        let watcher = tokio::spawn(async move {
            let (mut arrived, mut seen) = (HashMap::new(), HashMap::<i64, i32>::new());
            while arrived.len() < count && changes.changed().await.is_ok() {
                let world = shared.lock();
                for &customer in &customers {
                    let Some(user) = world.users.get(&customer) else { continue };
                    if seen.insert(customer, user.mailbox.pts) == Some(user.mailbox.pts) {
                        continue;
                    }
                    let messages = user.mailbox.dialogs().flat_map(|(peer, _, _)| user.mailbox.history(peer).rev().take(50));
                    for stored in messages.filter(|stored| !stored.message.out) {
                        if let Some(number) = number(&stored.message.text).filter(|&number| number >= first) {
                            arrived.entry(number).or_insert_with(now);
                        }
                    }
                }
            }
            arrived
        });
        let sent = self.paced(rate, count, async |index, text| {
            self.stack.answer(&self.topics[index % CUSTOMERS], &text).await;
        });
        let sent = sent.await;
        let arrived =
            tokio::time::timeout(Duration::from_secs(60), watcher).await.expect("all answers arrive").expect("a watcher");
        latencies(&sent, &arrived)
    }

    /// `count` messages at once. Time until the last one stands in its topic; all are there, once, in order per customer.
    async fn burst(&self, count: usize) -> Duration {
        let before: Vec<usize> = self.counts().await;
        let began = Instant::now();
        for index in 0..count {
            let (customer, account) = self.customers[index % CUSTOMERS];
            self.stack.write(customer, account, &format!("залп {}", index / CUSTOMERS)).await;
        }
        let share = count / CUSTOMERS;
        loop {
            let now = self.counts().await;
            if now.iter().zip(&before).all(|(now, before)| now - before >= share) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "the burst does not arrive: {now:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let took = began.elapsed();
        for topic in self.stack.topics().await {
            let texts = Stack::mirrored(&topic);
            let numbers: Vec<usize> = texts.iter().filter_map(|text| text.split_once("залп ")?.1.parse().ok()).collect();
            assert_eq!(numbers, (0..share).collect::<Vec<_>>(), "{}", topic["name"]);
        }
        took
    }

    async fn counts(&self) -> Vec<usize> {
        self.stack.topics().await.iter().map(|topic| Stack::mirrored(topic).len()).collect()
    }

    /// Calls `send` `count` times, `rate` times a second, without waiting for one before the next. Unix milliseconds by number.
    async fn paced(&self, rate: usize, count: usize, send: impl AsyncFn(usize, String)) -> HashMap<usize, f64> {
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate as f64));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut sent = HashMap::new();
        for index in 0..count {
            ticks.tick().await;
            let number = self.number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            sent.insert(number, now());
            send(index, format!("#{number}")).await;
        }
        sent
    }

    fn processor_times(&self) -> Vec<f64> {
        self.processes.iter().map(|&(_, pid)| processor_time(pid)).collect()
    }

    fn report_processors(&self, before: &[f64], messages: usize, report: &mut serde_json::Map<String, Value>) {
        println!("{:>34}", "CPU per 1 000 messages at 300/s:");
        for ((&(name, pid), before), after) in self.processes.iter().zip(before).zip(self.processor_times()) {
            let seconds = (after - before) * 1_000.0 / messages as f64;
            println!("{:<34}{seconds:>8.2} s", format!("  {name} ({pid})"));
            report.insert(format!("cpu_s_per_1000_{name}"), json!(seconds));
        }
    }

    fn report_memory(&self, report: &mut serde_json::Map<String, Value>) {
        println!("resident memory after all that:");
        for &(name, pid) in &self.processes {
            let megabytes = Memory::of(pid).resident * 1024.0 / 1e6;
            println!("{:<34}{megabytes:>8.1} MB", format!("  {name} ({pid})"));
            report.insert(format!("rss_mb_{name}"), json!(megabytes));
        }
    }
}

fn latencies(sent: &HashMap<usize, f64>, arrived: &HashMap<usize, f64>) -> Vec<f64> {
    let latencies: Vec<f64> = sent.iter().filter_map(|(number, sent)| Some((arrived.get(number)? - sent).max(0.0))).collect();
    assert_eq!(latencies.len(), sent.len(), "all arrive");
    latencies
}

fn row(name: &str, latencies: &[f64], report: &mut serde_json::Map<String, Value>) {
    let values = [0.5, 0.95, 0.99, 1.0].map(|share| percentile(latencies, share));
    println!("{name:<34}{:>9.1}{:>9.1}{:>9.1}{:>9.1}", values[0], values[1], values[2], values[3]);
    report.insert(name.to_owned(), json!({ "p50": values[0], "p95": values[1], "p99": values[2], "max": values[3] }));
}
