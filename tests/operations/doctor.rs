//! `tuberry doctor` on a real installation in which one thing after another breaks.

use crate::support::{Ended, Process, Setup, Stack, empty_database, free_port, run, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// What the doctor says of a stack whose environment differs in these variables.
async fn doctor(stack: &Stack, differences: &[(&str, &str)]) -> (bool, Vec<Value>) {
    let Ended { success, stdout, stderr } = run(&["doctor", "--json"], &stack.environment_with(differences), "").await;
    let findings: Vec<Value> = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}"));
    assert_eq!(success, findings.iter().all(|finding| finding["state"] != "wrong"), "{stdout}");
    (success, findings)
}

/// The one finding of `check` that says `what`, and how to mend it.
fn found<'a>(findings: &'a [Value], check: &str, state: &str, what: &str) -> &'a Value {
    let fits = |finding: &&Value| {
        finding["check"] == check && finding["state"] == state && finding["says"].as_str().is_some_and(|says| says.contains(what))
    };
    let mut found = findings.iter().filter(fits);
    let first = found.next().unwrap_or_else(|| panic!("{state} {check}: {what} in {findings:#?}"));
    assert!(found.next().is_none(), "{check}: {what} more than once");
    assert!(state != "wrong" || first["mend"].as_str().is_some_and(|mend| !mend.is_empty()), "{first}");
    first
}

fn wrong(findings: &[Value]) -> Vec<&str> {
    findings.iter().filter(|finding| finding["state"] == "wrong").map(|finding| finding["check"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_is_found_and_the_rest_is_looked_at_all_the_same() {
    let mut stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна").await;
    stack.connect(anna).await;
    let (well, findings) = doctor(&stack, &[]).await;
    assert!(well, "{findings:#?}");
    for check in
        ["configuration", "database", "migrations", "direct connection", "clock of PostgreSQL", "clock of Telegram", "bot api"]
    {
        assert!(findings.iter().any(|finding| finding["check"] == check && finding["state"] == "ok"), "{check} in {findings:#?}");
    }
    found(&findings, "leases", "ok", "1 workers serve 1 accounts");
    // One session in both forms.
    found(&findings, "sessions", "ok", "2 open");
    found(&findings, "bot 1", "ok", "its group, its rights and its updates");

    // Settings.
    let settings = [
        ("LISTEN", "8080"),
        ("PERSONAL_TELEGRAM_QR_TIMEOUTS", "60"),
        ("WORKER_THREADS", "4"),
        ("PERSONAL_TELEGRAM_API_ID", "2040"),
        ("PERSONAL_TELEGRAM_API_HASH", "geheim"),
    ];
    let (_, findings) = doctor(&stack, &settings).await;
    found(&findings, "configuration", "wrong", "LISTEN: expected");
    // The right name is set, too: no misspelling.
    found(&findings, "configuration", "note", "PERSONAL_TELEGRAM_QR_TIMEOUTS");
    found(&findings, "configuration", "note", "WORKER_THREADS");
    found(&findings, "api_id", "wrong", "Telegram Desktop");
    found(&findings, "leases", "ok", "1 workers");

    let (_, findings) = doctor(&stack, &[("APP_SECRET", "another-geheim")]).await;
    let finding = found(&findings, "sessions", "wrong", "accounts 1 do not open");
    assert!(!finding.to_string().contains("geheim"));
    let (well, _) = doctor(&stack, &[("PERSONAL_TELEGRAM_SESSION_SECRET", "another")]).await;
    assert!(well, "a former secret opens, too");

    // Redis.
    let port = free_port();
    let redis = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", "das@Wort"];
    let redis = Process::start("redis-server", &redis, &[]).await;
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{port}/3");
    wait_until(SOON, "Redis", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    let (well, findings) = doctor(&stack, &[("REDIS_URL", &url("das%40Wort"))]).await;
    assert!(well);
    found(&findings, "redis", "ok", "0 tasks wait");
    let (_, findings) = doctor(&stack, &[("REDIS_URL", &url("geheim"))]).await;
    let finding = found(&findings, "redis", "wrong", "authentication failed");
    assert!(!finding.to_string().contains("geheim"));
    redis.kill().await;
    let (_, findings) = doctor(&stack, &[("REDIS_URL", &url("das%40Wort"))]).await;
    assert_eq!(wrong(&findings), ["redis"]);

    // The bot: its rights, its group, its token, and somebody who takes its updates away.
    let rights = async |can_manage_topics: bool| {
        let path = format!("/forums/{}/bot", stack.tenant.forum);
        stack.control("POST", &path, json!({ "rights": { "can_manage_topics": can_manage_topics } })).await;
    };
    rights(false).await;
    let (_, findings) = doctor(&stack, &[]).await;
    found(&findings, "bot 1", "wrong", "may not manage topics");
    rights(true).await;
    let change = async |statement: &str| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(stack.store().pool()).await.unwrap()
    };
    change("update bots set group_chat_id = '-1009999999999'").await;
    let (_, findings) = doctor(&stack, &[]).await;
    found(&findings, "bot 1", "wrong", "group -1009999999999");
    change("update bots set group_chat_id = null").await;
    let (_, findings) = doctor(&stack, &[]).await;
    found(&findings, "bot 1", "wrong", "no working group");
    found(&findings, "projects", "wrong", "1 accounts");
    change(&format!("update bots set group_chat_id = '{}'", stack.tenant.forum)).await;
    // Polling workers delete a webhook at once: it is looked at as if ours had to be there.
    let base = "https://tuberry.example";
    let (_, findings) = doctor(&stack, &[("WEBHOOK_BASE_URL", base), ("BOT_UPDATES", "webhook")]).await;
    found(&findings, "bot 1", "wrong", "no webhook");

    // No worker.
    for worker in stack.workers.drain(..) {
        worker.signal(Signal::SIGTERM);
        assert!(worker.wait().await.success());
    }
    let (_, findings) = doctor(&stack, &[]).await;
    found(&findings, "leases", "wrong", "no worker runs");
    stack.bot_call("setWebhook", json!({ "url": "http://127.0.0.1:1/strange/wort-geheim" })).await;
    let (_, findings) = doctor(&stack, &[]).await;
    let finding = found(&findings, "bot 1", "wrong", "its updates go to 127.0.0.1, but a worker polls");
    assert!(!finding.to_string().contains("geheim"), "a webhook's address is a secret");
    let (_, findings) = doctor(&stack, &[("WEBHOOK_BASE_URL", base), ("BOT_UPDATES", "webhook")]).await;
    found(&findings, "bot 1", "wrong", "by another address than ours");
    let change = async |statement: &str| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(stack.store().pool()).await.unwrap()
    };
    change("update bots set token = token || 'x'").await;
    let (_, findings) = doctor(&stack, &[]).await;
    found(&findings, "bot 1", "wrong", "getMe");

    // The database: one migration lacks, then all of it.
    change("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)").await;
    let (_, findings) = doctor(&stack, &[]).await;
    found(&findings, "migrations", "wrong", "1 missing");
    let nowhere = format!("postgres://tuberry:geheim@127.0.0.1:{}/tuberry", free_port());
    let (_, findings) = doctor(&stack, &[("DATABASE_URL", &nowhere), ("REDIS_URL", &url("x"))]).await;
    found(&findings, "database", "wrong", "DATABASE_URL: ");
    found(&findings, "bots", "skipped", "no database");
    found(&findings, "redis", "wrong", "REDIS_URL");
    found(&findings, "clock of Telegram", "ok", "same");
    assert!(!format!("{findings:?}").contains("geheim"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_does_not_hold_it_up() {
    let stack = Stack::start(Setup { workers: 0, updates: "webhook", ..Setup::default() }).await;
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            kept.push(connection);
        }
    });
    let (database, redis, http) =
        (format!("postgres://tuberry@{address}/tuberry"), format!("redis://{address}"), format!("http://{address}"));
    let (_, findings) = doctor(&stack, &[("DATABASE_URL", &database), ("REDIS_URL", &redis), ("TELEGRAM_API_BASE", &http)]).await;
    for check in ["database", "redis", "bot api"] {
        found(&findings, check, "wrong", "no answer within 10 s");
    }
    let (_, findings) = doctor(&stack, &[("TELEGRAM_API_BASE", &http)]).await;
    found(&findings, "bots", "skipped", "does not answer");

    let empty = empty_database().await;
    let (_, findings) = doctor(&stack, &[("DATABASE_URL", &empty.url)]).await;
    found(&findings, "migrations", "wrong", "missing");
    found(&findings, "direct connection", "ok", "locks and LISTEN work");
    found(&findings, "bot api", "ok", "answers");

    let text = run(&["doctor"], &stack.environment(), "").await;
    assert!(!text.success, "no worker runs");
    assert!(text.stdout.lines().any(|line| line.starts_with("ok     bot 1: @")), "its webhook is ours: {}", text.stdout);
    let line = text.stdout.lines().find(|line| line.contains("leases:")).unwrap();
    assert_eq!(line, "WRONG  leases: no worker runs: nothing is received or sent → start `tuberry worker`");
}
