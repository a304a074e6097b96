//! What the operators see: one conversation as two traces and as numbers, and a dashboard and alerts that ask for nothing that is not there.

use super::conversation::{mirrored, received};
use crate::support::{Collector, Person, Setup, Stack, free_port, wait_until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tuberry::telemetry::metrics::{BRIDGE, Metrics, Recorder};
use tuberry_storage::Store;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_two_traces_and_the_right_numbers() {
    let collector = Collector::start().await;
    let (worker, api) = (free_port(), free_port());
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ("WORKER_LISTEN", format!("127.0.0.1:{worker}")),
        ("METRICS_LISTEN", format!("127.0.0.1:{api}")),
    ];
    let mut stack = Stack::start(Setup { updates: "webhook", environment, ..Setup::default() }).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "Секретный вопрос").await;
    mirrored(&stack, "Иван", &["💬 Иван: Секретный вопрос"]).await;
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, "Секретный ответ").await;
    received(&stack, ivan, anna, &["Секретный ответ"]).await;

    traces_lead_from_end_to_end(&stack, &collector).await;
    let (worker, api) = numbers_are_right(&stack, worker, api).await;
    // This stack has no Redis.
    let bridge = BRIDGE.iter().map(|(name, _)| (*name).to_owned());
    let shown: BTreeSet<String> = worker.families.into_keys().chain(api.families.into_keys()).chain(bridge).collect();
    the_dashboard_asks_for_what_is_there(&shown);
    the_alerts_ask_for_what_is_there(&shown);
    a_collector_that_is_away_holds_nothing_up(&mut stack, collector, (anna, ivan), &topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_polling_an_answers_trace_begins_at_its_update() {
    let collector = Collector::start().await;
    let environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()), ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned())];
    let stack = Stack::start(Setup { environment, ..Setup::default() }).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "вопрос").await;
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, "ответ").await;
    let outwards = ["telegram.messages.sendMessage", "job.send-reply", "update"];
    let outwards = wait_until(SOON, "a trace from the update to the customer", async || collector.chain(&outwards)).await;
    assert!(outwards[2].parent.is_empty());
    assert!(collector.spans().iter().all(|span| span.name != "bot.getUpdates"), "waiting is no trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_says_that_the_database_is_away_and_does_not_wait_for_it() {
    let store = Store::open("postgres://nobody@127.0.0.1:1/nothing", 2).unwrap();
    let metrics = Metrics::new(Recorder::install().unwrap(), store, None);
    let text = tokio::time::timeout(SOON, metrics.render()).await.expect("an answer");
    let scrape = Scrape::parse(&text);
    assert_eq!(scrape.value("tuberry_database_up", &[]), Some(0.0));
    assert_eq!(scrape.value("tuberry_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
}

async fn traces_lead_from_end_to_end(stack: &Stack, collector: &Collector) {
    let inwards = ["bot.sendMessage", "job.mirror-message", "intake"];
    let inwards = wait_until(SOON, "a trace from the customer to the topic", async || collector.chain(&inwards)).await;
    assert!(inwards[2].parent.is_empty(), "the trace begins with the customer's message: {inwards:?}");
    let webhook = "POST /api/webhooks/telegram/{bot}/{secret}";
    let outwards = ["telegram.messages.sendMessage", "job.send-reply", webhook];
    let outwards = wait_until(SOON, "a trace from the webhook to the customer", async || collector.chain(&outwards)).await;
    assert!(outwards[2].parent.is_empty(), "{outwards:?}");
    assert_ne!(inwards[0].trace, outwards[0].trace);
    assert!(outwards[2].service.contains("tuberry-api") && outwards[1].service.contains("tuberry-worker"), "{outwards:?}");
    wait_until(SOON, "the commit of a reply", async || collector.chain(&["db.commit", webhook])).await;
    // What follows in the topic belongs to the same trace.
    let follows = [
        ["bot.setMessageReaction", "job.mark-reply", "job.send-reply"],
        ["bot.editForumTopic", "job.refresh-topic", "job.send-reply"],
    ];
    for names in follows {
        let chain = wait_until(SOON, names[1], async || collector.chain(&names)).await;
        assert_eq!(chain[0].trace, outwards[0].trace);
    }
    let logged = collector.chain(&["POST /api/bots"]).expect("the request that connected the bot");
    let log = stack.apis[0].output();
    let line = log.lines().find(|line| line.contains("bot connected")).expect("a line of that request");
    assert!(line.contains(&logged[0].trace), "a trace has one id in the log and at the collector: {line}");
    let secret = stack.tenant.bot_token.split(':').nth(1).expect("a token has two parts");
    for span in collector.spans() {
        let step = ["telegram.", "bot.", "db."].iter().any(|prefix| span.name.starts_with(prefix));
        assert!(!step || !span.parent.is_empty(), "nobody asked for a ping, it is no trace: {}", span.name);
        for hidden in ["Секретный", "Иван", secret] {
            assert!(!span.shown.contains(hidden), "{hidden} in {}", span.shown);
        }
    }
}

async fn numbers_are_right(stack: &Stack, worker: u16, api: u16) -> (Scrape, Scrape) {
    let counted = async || {
        let scrape = Scrape::of(worker).await;
        let stamps = ["tuberry_jobs_counted_timestamp_seconds", "tuberry_sync_finished_timestamp_seconds"];
        let settled = stamps.iter().all(|name| scrape.value(name, &[]).is_some());
        (settled && scrape.value("tuberry_job_runs_total", &[("kind", "refresh-topic"), ("outcome", "done")]) >= Some(1.0))
            .then_some(scrape)
    };
    // The jobs are counted by sync-accounts, every 15 s.
    let worker = wait_until(Duration::from_secs(60), "counted jobs", counted).await;
    let api = Scrape::of(api).await;
    let is = |scrape: &Scrape, name: &str, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(scrape.value(name, labels), Some(expected), "{name} {labels:?}");
    };
    for (direction, kind) in [("in", "mirror-message"), ("out", "send-reply")] {
        is(&worker, "tuberry_messages_total", &[("direction", direction), ("stage", "delivered")], 1.0);
        is(&worker, "tuberry_message_seconds_count", &[("direction", direction)], 1.0);
        is(&worker, "tuberry_job_runs_total", &[("kind", kind), ("outcome", "done")], 1.0);
        is(&worker, "tuberry_job_attempts_bucket", &[("kind", kind), ("le", "1")], 1.0);
        is(&worker, "tuberry_job_wait_seconds_count", &[("kind", kind)], 1.0);
    }
    is(&worker, "tuberry_messages_total", &[("direction", "in"), ("stage", "accepted")], 1.0);
    is(&api, "tuberry_messages_total", &[("direction", "out"), ("stage", "accepted")], 1.0);
    is(&worker, "tuberry_telegram_calls_total", &[("method", "messages.sendMessage"), ("result", "ok")], 1.0);
    is(&worker, "tuberry_bot_calls_total", &[("method", "sendMessage"), ("result", "ok")], 1.0);
    is(&worker, "tuberry_bot_calls_total", &[("method", "createForumTopic"), ("result", "ok")], 1.0);
    is(&worker, "tuberry_leases_held", &[("class", "account")], 1.0);
    is(&worker, "tuberry_accounts_connected", &[], 1.0);
    for scrape in [&worker, &api] {
        is(scrape, "tuberry_database_up", &[], 1.0);
    }
    let webhook = [("method", "POST"), ("route", "/api/webhooks/telegram/{bot}/{secret}"), ("status", "200")];
    assert!(api.value("tuberry_http_requests_total", &webhook) >= Some(1.0));
    let public = reqwest::get(format!("{}/metrics", stack.url())).await.unwrap().status();
    assert_eq!(public, 404, "numbers are not for the public address");
    (worker, api)
}

async fn a_collector_that_is_away_holds_nothing_up(
    stack: &mut Stack,
    collector: Collector,
    (anna, ivan): (Person, Person),
    topic: &Value,
) {
    drop(collector);
    stack.answer(topic, "и ещё").await;
    received(stack, ivan, anna, &["Секретный ответ", "и ещё"]).await;
    stack.stop_processes().await;
}

fn docs(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(path)).unwrap()
}

fn the_dashboard_asks_for_what_is_there(shown: &BTreeSet<String>) {
    let dashboard: Value = serde_json::from_str(&docs("grafana/tuberry.json")).unwrap();
    let mut expressions = Vec::new();
    collect_expressions(&dashboard, &mut expressions);
    assert!(expressions.len() > 20, "{} expressions", expressions.len());
    for expression in expressions {
        let names = names_in(&expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(shown.contains(family(&name, shown)), "nobody shows {name}, which the dashboard wants in {expression}");
        }
    }
}

fn the_alerts_ask_for_what_is_there(shown: &BTreeSet<String>) {
    let (alerts, runbook) = (docs("alerts.yml"), docs("operations.md"));
    for name in names_in(&alerts) {
        assert!(shown.contains(family(&name, shown)), "nobody shows {name}, which an alert wants");
    }
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 8, "{names:?}");
    assert_eq!(alerts.matches("runbook:").count(), names.len());
    for name in names {
        assert!(runbook.contains(&format!("| `{name}` |")), "docs/operations.md does not say what to do at {name}");
    }
}

fn collect_expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect_expressions(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_expressions(value, found)),
        _ => {}
    }
}

/// Our metrics in a text.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.split(|character| !is_part(character)).filter(|word| word.starts_with("tuberry_")).map(str::to_owned).collect()
}

/// A histogram's series belong to its family.
fn family<'a>(name: &'a str, shown: &BTreeSet<String>) -> &'a str {
    let stripped = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    stripped.filter(|family| shown.contains(*family)).unwrap_or(name)
}

/// What `/metrics` said, checked line by line.
struct Scrape {
    /// Types by family.
    families: BTreeMap<String, String>,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    async fn of(port: u16) -> Self {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap();
        Self::parse(&answer.text().await.unwrap())
    }

    fn parse(text: &str) -> Self {
        let (mut families, mut described, mut samples) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(!help.is_empty() && described.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                samples.push(sample(line));
            }
        }
        let names: BTreeSet<String> = families.keys().cloned().collect();
        for (name, labels, _) in &samples {
            assert!(name.starts_with("tuberry_") && names.contains(family(name, &names)), "{name} without a type");
            assert!(described.contains(family(name, &names)), "{name} without a description");
            for (label, value) in labels {
                let known = [
                    "kind",
                    "state",
                    "outcome",
                    "method",
                    "result",
                    "direction",
                    "stage",
                    "class",
                    "reason",
                    "route",
                    "status",
                    "version",
                    "le",
                ];
                assert!(known.contains(&label.as_str()) && value.len() < 80, "{name} {label}={value}");
            }
        }
        Self { families, samples }
    }

    /// The only sample with these labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits =
            |found: &BTreeMap<String, String>| labels.iter().all(|(label, value)| found.get(*label).is_some_and(|v| v == value));
        self.samples.iter().find(|(found, its, _)| found == name && fits(its)).map(|(_, _, value)| *value)
    }
}

/// `name{label="value",…} number`
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("open braces: {line}"));
    let mut found = BTreeMap::new();
    // No value of ours holds a quote, and routes hold braces only.
    for pair in labels.split("\",").filter(|pair| !pair.is_empty()) {
        let (label, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        assert!(found.insert(label.to_owned(), value.trim_end_matches('"').to_owned()).is_none(), "twice: {line}");
    }
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{line}");
    (name.to_owned(), found, value)
}
