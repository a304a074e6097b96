//! `tuberry config`: the settings that are in effect, without secrets.

use crate::config::{self, Effective, Settings, process_environment};
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// As a JSON array, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let (settings, _) = Settings::examine(&process_environment);
    let effective = config::effective(&process_environment, &settings);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&effective)?);
    } else {
        print(&effective);
    }
    // What cannot be used ends this command like every other.
    Settings::from_env()?;
    Ok(())
}

fn print(effective: &[Effective]) {
    let width = |column: fn(&Effective) -> &str| effective.iter().map(|one| column(one).chars().count()).max().unwrap_or(0);
    let (names, values) = (width(|one| one.name), width(value).min(60));
    for one in effective {
        println!("{:names$}  {:values$}  {:7}  {}", one.name, value(one), one.source, one.meaning);
    }
}

fn value(one: &Effective) -> &str {
    one.value.as_deref().unwrap_or("–")
}
