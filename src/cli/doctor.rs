//! `tuberry doctor`: prints what is wrong, one line each, and fails where something is.

use crate::config::{Settings, process_environment, process_names, typos};
use crate::doctor::{self, Finding, Patient, State};
use anyhow::{Result, bail};
use clap::Args;
use tuberry_domain::Secret;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// As a JSON array, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(options: &Options) -> Result<()> {
    let names = process_names();
    let (settings, mut refused) = Settings::examine(&process_environment);
    refused.0.extend(typos(&names));
    let application = super::application(&settings.telegram);
    let redis_url = process_environment("REDIS_URL").filter(|url| !url.trim().is_empty()).map(Secret::new);
    let findings = doctor::examine(&Patient { settings, refused: refused.0, names, redis_url, application }).await;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(print);
    }
    match findings.iter().filter(|finding| finding.state == State::Wrong).count() {
        0 => Ok(()),
        wrong => bail!("{wrong} to mend"),
    }
}

fn print(finding: &Finding) {
    let mark = match finding.state {
        State::Ok => "ok   ",
        State::Note => "note ",
        State::Wrong => "WRONG",
        State::Skipped => "–    ",
    };
    let mend = finding.mend.as_ref().map(|mend| format!(" → {mend}")).unwrap_or_default();
    println!("{mark}  {}: {}{mend}", finding.check, finding.says);
}
