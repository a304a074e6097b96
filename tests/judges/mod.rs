//! Clients that others wrote judge the simulator, so that it cannot drift into agreeing with us alone: Telethon over MTProto, aiogram over
//! the Bot API. Their Python lives in `target/venv`, which `make setup` makes.

use crate::support::Process;
use std::path::Path;
use std::time::Duration;
use telegram_simulator::{Options, Simulator};

/// A judgement takes about ten seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread")]
async fn telethon_takes_the_simulator_for_telegram() {
    judge("telethon_judge.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aiogram_takes_the_simulator_for_the_bot_api() {
    judge("aiogram_judge.py").await;
}

/// Runs a judge against a simulator of its own. Its output is shown when it is not content.
async fn judge(script: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "target/venv is missing: run `make setup`");
    let simulator = Simulator::start(Options::default()).await.expect("a simulator");
    let script = root.join("tests/judges").join(script);
    let paths = [&python, &script].map(|path| path.to_str().expect("a path in UTF-8"));
    let judge = Process::start(paths[0], &[paths[1], &simulator.http_url()], &[]).await;
    let verdict = tokio::time::timeout(PATIENCE, judge.wait()).await;
    let verdict = verdict.unwrap_or_else(|_| panic!("no verdict within {PATIENCE:?}"));
    let objections: Vec<String> =
        judge.output().lines().filter(|line| line.trim_start().starts_with("FAIL")).map(str::to_owned).collect();
    assert!(verdict.success(), "{verdict}: {objections:#?}");
    simulator.stop().await;
}
