//! `tuberry demo`: one line when it is ready, processes that come back, and none that stays.

use crate::support::{Process, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Includes a cluster's first start.
const START: Duration = Duration::from_secs(90);

pub fn folder() -> tempfile::TempDir {
    let permissions = fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().prefix("demo-").permissions(permissions).tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Starts a demo without traffic and waits for its line.
pub async fn start(data_dir: &Path, workers: &str) -> (Process, Value) {
    let data_dir = data_dir.to_str().unwrap();
    let arguments = ["demo", "--json", "--no-traffic", "--listen", "127.0.0.1:0", "--workers", workers, "--data-dir", data_dir];
    let demo = Process::tuberry(&arguments, &[("RUST_LOG", "off")]).await;
    let line = wait_until(START, "the demo is ready", async || {
        let output = demo.output();
        output.contains('\n').then_some(output)
    })
    .await;
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (demo, ready)
}

fn pids(pids: &Value) -> Vec<i32> {
    let workers = pids["workers"].as_array().unwrap().iter();
    workers.chain([&pids["api"], &pids["postgres"], &pids["simulator"]]).map(|pid| pid.as_i64().unwrap() as i32).collect()
}

fn runs(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

async fn all_end(pids: &[i32]) {
    wait_until(Duration::from_secs(20), "every process ended", async || (!pids.iter().any(|pid| runs(*pid))).then_some(())).await;
}

fn current(data_dir: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(data_dir.join("pids.json")).ok()?).ok()
}

#[tokio::test]
async fn it_prints_one_line_with_tokens_that_work_and_ends_without_leaving_a_process() {
    let folder = folder();
    let (demo, ready) = start(folder.path(), "2").await;
    assert_eq!(ready["pids"]["workers"].as_array().unwrap().len(), 2);
    assert_eq!(current(folder.path()).unwrap(), ready["pids"]);
    let http = reqwest::Client::new();
    let get = async |path: &str, token: &str| {
        let url = format!("{}{path}", ready["url"].as_str().unwrap());
        http.get(url).bearer_auth(ready[token].as_str().unwrap()).send().await.unwrap()
    };
    let projects: Value = get("/api/projects", "api_token").await.json().await.unwrap();
    assert_eq!(projects[0]["id"], ready["project_id"]);
    let accounts: Value = get("/api/personal-telegram-accounts", "api_token").await.json().await.unwrap();
    assert_eq!(accounts, serde_json::json!([]), "--no-traffic connects no account");
    let simulator = ready["simulator"].as_str().unwrap();
    let bot = ready["bot_token"].as_str().unwrap();
    let webhook: Value = http.get(format!("{simulator}/bot{bot}/getWebhookInfo")).send().await.unwrap().json().await.unwrap();
    let expected = format!("/api/webhooks/telegram/{}/{}", ready["bot_id"], ready["webhook_secret"].as_str().unwrap());
    assert!(webhook["result"]["url"].as_str().unwrap().ends_with(&expected), "{webhook}");

    demo.signal(Signal::SIGTERM);
    assert!(demo.wait().await.success());
    assert!(pids(&ready["pids"]).into_iter().all(|pid| !runs(pid)), "a process outlived the demo");
    assert_eq!(demo.output().lines().count(), 1, "more than the one line: {}", demo.output());

    let (demo, again) = start(folder.path(), "1").await;
    for kept in ["client_id", "project_id", "bot_id", "bot_token", "webhook_secret", "forum_chat_id", "email", "password"] {
        assert_eq!(again[kept], ready[kept], "{kept}");
    }
    demo.signal(Signal::SIGINT);
    assert!(demo.wait().await.success());
}

#[tokio::test]
async fn killed_processes_come_back_and_a_killed_demo_leaves_none() {
    let folder = folder();
    let (demo, ready) = start(folder.path(), "2").await;
    let first = pids(&ready["pids"]);
    for pid in &first {
        kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
    }
    let second = wait_until(Duration::from_secs(60), "five new processes", async || {
        let now = current(folder.path())?;
        let whole =
            now["workers"].as_array()?.len() == 2 && ["api", "postgres", "simulator"].iter().all(|name| now[*name].is_i64());
        let now = whole.then(|| pids(&now))?;
        (!now.iter().any(|pid| first.contains(pid))).then_some(now)
    })
    .await;
    let http = reqwest::Client::new();
    let url = format!("{}/readyz", ready["url"].as_str().unwrap());
    wait_until(Duration::from_secs(60), "the API is ready again", async || {
        http.get(&url).send().await.ok()?.status().is_success().then_some(())
    })
    .await;
    let all: Vec<i32> = current(folder.path()).iter().flat_map(pids).chain(second).collect();
    demo.kill().await;
    all_end(&all).await;
}
