//! The table that people read and the file that programs read.

use crate::measure;
use serde_json::{Map, Value, json};

/// What a value should be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Debug)]
struct Line {
    key: String,
    text: String,
    here: Option<f64>,
    target: Option<Target>,
    telethon: Option<f64>,
}

/// Lines in the order of their measurement.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Adds a value of ours under `key` (the name in the file).
    pub fn ours(&mut self, key: impl Into<String>, text: impl Into<String>, value: f64, target: Option<Target>) {
        let (key, text) = (key.into(), text.into());
        eprintln!("  {text}: {value:.2}");
        self.lines.push(Line { key, text, here: Some(value), target, telethon: None });
    }

    /// Adds Telethon's value beside ours of the same `key`; where that was not measured, on a line of its own.
    pub fn telethon(&mut self, key: &str, text: &str, value: f64) {
        eprintln!("  Telethon, {text}: {value:.2}");
        match self.lines.iter_mut().find(|line| line.key == key) {
            Some(line) => line.telethon = Some(value),
            None => {
                let (key, text) = (key.to_owned(), text.to_owned());
                self.lines.push(Line { key, text, here: None, target: None, telethon: Some(value) });
            }
        }
    }

    pub fn print(&self) {
        let number = |value: f64| if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        let shown = |value: Option<f64>| value.map(number).unwrap_or_default();
        println!("\n{:<72}{:>9}{:>9}  {:<7}{:>9}{:>8}", "", "here", "target", "", "Telethon", "ratio");
        for line in &self.lines {
            let (target, verdict) = match (line.target, line.here) {
                (Some(target), Some(here)) => (target.text(), if target.is_met(here) { "" } else { "missed" }),
                _ => (String::new(), ""),
            };
            let ratio = line
                .here
                .zip(line.telethon)
                .filter(|(_, telethon)| *telethon > 0.0)
                .map(|(here, telethon)| format!("{:.3}", here / telethon));
            let (here, telethon) = (shown(line.here), shown(line.telethon));
            println!("{:<72}{here:>9}{target:>9}  {verdict:<7}{telethon:>9}{:>8}", line.text, ratio.unwrap_or_default());
        }
    }

    pub fn write(&self) {
        let line = |line: &Line| {
            let met = line.target.zip(line.here).map(|(target, here)| target.is_met(here));
            let target = line.target.map(Target::value);
            (line.key.clone(), json!({ "value": line.here, "target": target, "met": met, "telethon": line.telethon }))
        };
        measure::write("fleet", &Value::Object(self.lines.iter().map(line).collect::<Map<_, _>>()));
    }
}

impl Target {
    fn value(self) -> f64 {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => value,
        }
    }

    fn is_met(self, found: f64) -> bool {
        match self {
            Self::AtMost(most) => found <= most,
            Self::AtLeast(least) => found >= least,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
        }
    }
}
