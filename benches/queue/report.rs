//! Rounds in, medians out: the table that people read and the file that programs read.

use crate::measure::{percentile, write};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The lines of `queue.json`, with what the table says of them.
const LINES: &[(&str, &str)] = &[
    ("drain", "drain 20 000 no-op jobs, one process: jobs/s (pgbench, 2 connections: claim and complete 100 at a time)"),
    ("drain_1m_done", "the same with 1 M done rows (without them)"),
    ("ordered", "drain 20 000 over 200 ordered keys (unordered)"),
    ("enqueue_1", "enqueue, single, 1 connection: jobs/s (pgbench INSERT)"),
    ("enqueue_8", "enqueue, single, 8 connections (pgbench INSERT)"),
    ("enqueue_batch", "enqueue, batches of 1 000: rows/s"),
    ("tx_8", "state row and job in one transaction, 8 connections (pgbench)"),
    ("start_p50_ms", "push → start on an idle queue, p50, ms"),
    ("start_p99_ms", "push → start on an idle queue, p99, ms"),
    ("delayed_max_ms", "delayed jobs: latest start, ms"),
    ("idle_statements_per_s", "idle process with 500 accounts: statements/s"),
    ("crash_s", "kill -9 with 100 running jobs: all run again, s"),
];

/// Lines of the table only.
const BESIDE: &[(&str, &str)] = &[
    ("start_elsewhere_p50_ms", "push → start in another process than the one that pushed, p50, ms"),
    ("start_elsewhere_p99_ms", "the same, p99, ms"),
    ("pair_1", "beside it: pgbench on one connection (on two)"),
    ("narrow_2", "beside it: pgbench on two connections, table of three columns (table of a job's shape)"),
];

#[derive(Debug, Default)]
pub struct Report {
    rounds: BTreeMap<&'static str, Vec<(f64, Option<f64>)>>,
    /// Lines of the table alone, in their order.
    others: Vec<(String, f64, Option<f64>)>,
}

impl Report {
    /// Adds one round's value of a line, and what it is compared with.
    pub fn round(&mut self, line: &'static str, value: f64, reference: Option<f64>) {
        eprintln!("  {line}: {value:.2}{}", reference.map(|r| format!(" against {r:.2}")).unwrap_or_default());
        self.rounds.entry(line).or_default().push((value, reference));
    }

    /// Adds a line to the table only.
    pub fn other(&mut self, line: impl Into<String>, value: f64, reference: Option<f64>) {
        let line = line.into();
        eprintln!("  {line}: {value:.2}");
        self.others.push((line, value, reference));
    }

    fn figures(&self, line: &str) -> Option<(f64, Option<f64>, Option<f64>)> {
        let rounds = self.rounds.get(line)?;
        let values: Vec<f64> = rounds.iter().map(|round| round.0).collect();
        let references: Vec<f64> = rounds.iter().filter_map(|round| round.1).collect();
        let ratios: Vec<f64> = rounds.iter().filter_map(|round| round.1.map(|reference| round.0 / reference)).collect();
        let median = |values: &[f64]| (!values.is_empty()).then(|| percentile(values, 0.5));
        Some((percentile(&values, 0.5), median(&references), median(&ratios)))
    }

    pub fn print(&self) {
        let row = |text: &str, value: f64, reference: Option<f64>, ratio: Option<f64>| {
            let value = if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
            let reference = reference.map_or(String::new(), |reference| format!("{reference:.0}"));
            println!("{text:<106}{value:>9}{reference:>11}{:>7}", ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")));
        };
        println!("\n{:<106}{:>9}{:>11}{:>7}", "work (what the reference is)", "here", "reference", "ratio");
        for (line, text) in LINES.iter().chain(BESIDE) {
            if let Some((value, reference, ratio)) = self.figures(line) {
                row(text, value, reference, ratio);
            }
        }
        for (text, value, reference) in &self.others {
            row(text, *value, *reference, reference.map(|reference| value / reference));
        }
    }

    pub fn write(&self) {
        let mut lines = Map::new();
        for (line, _) in LINES {
            let (value, reference, ratio) = self.figures(line).expect("every line was measured");
            lines.insert((*line).to_owned(), json!({ "value": value, "reference": reference, "ratio": ratio }));
        }
        write("queue", &Value::Object(lines));
    }
}
