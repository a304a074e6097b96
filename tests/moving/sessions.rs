//! `tuberry session`: out to Telethon and in from it, sealed anew under another key, and never while somebody else holds the account.

use super::old_system;
use crate::scenarios::conversation::mirrored;
use crate::support::stack::APP_SECRET;
use crate::support::{Setup, Stack, wait_until};
use nix::sys::signal::Signal;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const NEW_SECRET: &str = "another secret, long enough as well";

/// `tuberry session …`, with text on standard input by way of a file.
async fn session(stack: &Stack, arguments: &[&str], differences: &[(&str, &str)]) -> (bool, String) {
    let arguments: Vec<&str> = std::iter::once("session").chain(arguments.iter().copied()).collect();
    stack.command(&arguments, differences).await
}

async fn sealed(stack: &Stack) -> Vec<String> {
    sqlx::query_scalar("select sealed from personal_telegram_sessions order by account_id")
        .fetch_all(stack.store().pool())
        .await
        .unwrap()
}

/// The key's id.
fn key(sealed: &str) -> &str {
    sealed.split('.').nth(1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_go_out_to_telethon_and_come_in_from_it_unless_a_worker_holds_them() {
    let mut stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let base = stack.simulator.http_url();
    let account = stack.connect(anna).await.to_string();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("session");

    let (_, listed) = session(&stack, &["list"], &[]).await;
    let token: String = sqlx::query_scalar("select session_payload from personal_telegram_accounts")
        .fetch_one(stack.store().pool())
        .await
        .unwrap();
    let own = sealed(&stack).await.remove(0);
    assert!(listed.contains(&format!("v1 {}", key(&own))) && listed.contains("fernet"), "{listed}");
    let owner: String = sqlx::query_scalar("select owner from personal_telegram_leases where class = 7101")
        .fetch_one(stack.store().pool())
        .await
        .unwrap();
    assert!(listed.contains(&owner), "who holds it: {listed}");
    assert!(!listed.contains(&token) && !listed.contains(own.rsplit('.').next().unwrap()), "no secrets: {listed}");

    std::fs::write(&file, old_system(&["string", &token]).await).unwrap();
    for arguments in [&["export", &account][..], &["import", &account, "--file", file.to_str().unwrap()]] {
        let (success, output) = session(&stack, arguments, &[]).await;
        assert!(!success && output.contains("is held by"), "{output}");
    }
    assert_eq!(sealed(&stack).await, [own]);

    let worker = stack.workers.remove(0);
    worker.signal(Signal::SIGTERM);
    assert!(worker.wait().await.success());
    let (success, output) = session(&stack, &["export", &account], &[]).await;
    let exported =
        output.lines().find(|line| line.starts_with('1') && line.len() > 300).unwrap_or_else(|| panic!("{success} {output}"));
    assert_eq!(old_system(&["plain", &base, exported]).await, anna.0.to_string(), "Telethon opens what we export");
    let (_, output) = session(&stack, &["export", &account, "--fernet"], &[]).await;
    let exported = output.lines().find(|line| line.starts_with("gAAAA")).unwrap();
    assert_eq!(old_system(&["open", &base, exported]).await, anna.0.to_string(), "and so does the old system");

    // Another session, made by Telethon.
    let foreign = old_system(&["string", &old_system(&["connect", &base, &anna.0.to_string()]).await]).await;
    std::fs::write(&file, "1nonsense").unwrap();
    assert!(!session(&stack, &["import", &account, "--file", file.to_str().unwrap()], &[]).await.0);
    std::fs::write(&file, &foreign).unwrap();
    assert!(!session(&stack, &["import", "999", "--file", file.to_str().unwrap()], &[]).await.0, "there is no such account");
    let (success, output) = session(&stack, &["import", &account, "--file", file.to_str().unwrap()], &[]).await;
    assert!(success, "{output}");
    // And a new account, which does not know yet who it is.
    let vera = stack.person("Вера").await;
    let of_vera = old_system(&["string", &old_system(&["connect", &base, &vera.0.to_string()]).await]).await;
    let project = stack.tenant.project.to_string();
    let import = ["import", "--project", &project, "--file", file.to_str().unwrap()];
    let (success, output) = session(&stack, &import, &[]).await;
    assert!(!success && output.contains("uses this session"), "{output}");
    std::fs::write(&file, &of_vera).unwrap();
    let (success, output) = session(&stack, &import, &[]).await;
    assert!(success, "{output}");
    stack.add_worker().await;
    let me = vera.0.to_string();
    wait_until(SOON, "an account that knows who it is", async || {
        let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
        let accounts = accounts.as_array()?.clone();
        let known = |found: &serde_json::Value| found["telegram_user_id"] == me.as_str() && found["display_name"] == "Вера";
        accounts.iter().any(known).then_some(())
    })
    .await;
    stack.write(ivan, anna, "по новому сеансу").await;
    mirrored(&stack, "Иван", &["💬 Иван: по новому сеансу"]).await;
    assert_eq!(stack.topics().await.len(), 1);

    // A session of somebody else: nothing leaves in his name.
    let worker = stack.workers.remove(0);
    worker.signal(Signal::SIGTERM);
    assert!(worker.wait().await.success());
    let boris = stack.person("Борис").await;
    std::fs::write(&file, old_system(&["string", &old_system(&["connect", &base, &boris.0.to_string()]).await]).await).unwrap();
    let (success, output) = session(&stack, &["import", &account, "--file", file.to_str().unwrap()], &[]).await;
    assert!(success, "{output}");
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, "чужим голосом").await;
    stack.add_worker().await;
    let id: i64 = account.parse().unwrap();
    wait_until(SOON, "an account out of service", async || {
        let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
        let accounts = accounts.as_array()?.clone();
        let found = accounts.iter().find(|found| found["id"] == id)?;
        (found["status"] == "error" && found["last_error"].as_str()?.contains("другому пользователю")).then_some(())
    })
    .await;
    wait_until(SOON, "the answer's failure in the topic", async || {
        let topic = stack.topic("Иван").await;
        topic["messages"].to_string().contains("другому пользователю").then_some(())
    })
    .await;
    assert!(stack.received(ivan, boris).await.is_empty() && stack.received(ivan, anna).await.is_empty());

    // The old system writes a token of somebody else beside a session that is served.
    let token = old_system(&["connect", &base, &boris.0.to_string()]).await;
    let written = "update personal_telegram_accounts set session_payload = $1 where telegram_user_id = $2 returning id";
    let of_vera: i32 =
        sqlx::query_scalar(written).bind(token).bind(vera.0.to_string()).fetch_one(stack.store().pool()).await.unwrap();
    wait_until(SOON, "another account out of service", async || {
        let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
        let found = accounts.as_array()?.iter().find(|found| found["id"] == of_vera)?.clone();
        (found["status"] == "error" && found["last_error"].as_str()?.contains("другому пользователю")).then_some(())
    })
    .await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_key_is_replaced_on_first_use_and_by_reseal_and_then_not_needed() {
    let stack = Stack::start(Setup { workers: 0, ..Setup::default() }).await;
    let people = stack.seed_accounts(60).await;
    let old = key(&sealed(&stack).await[0]).to_owned();
    let rotated = [("PERSONAL_TELEGRAM_SESSION_SECRET", NEW_SECRET), ("PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS", APP_SECRET)];

    let mine = rotated.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let worker = stack.start_worker_with(&[&mine[..], &[("WORKER_MAX_ACCOUNTS".to_owned(), "5".to_owned())]].concat()).await;
    let first = wait_until(SOON, "five sessions under the new key", async || {
        let new: Vec<String> = sealed(&stack).await.into_iter().filter(|sealed| key(sealed) != old).collect();
        (new.len() >= 5).then_some(new)
    })
    .await;
    assert_eq!(first.len(), 5, "those that are in use");

    // Beside the worker, killed in the middle, and again until nothing is left.
    let environment = rotated.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let reseal = stack.start_command(&["session", "reseal"], &environment).await;
    wait_until(SOON, "some sealed anew, or the end", async || {
        let new = sealed(&stack).await.iter().filter(|sealed| key(sealed) != old).count();
        (new > 5 || reseal.ended().is_some()).then_some(())
    })
    .await;
    reseal.kill().await;
    let (success, output) = session(&stack, &["reseal"], &rotated).await;
    assert!(success && output.contains("0 remain under old keys"), "{output}");
    let (success, output) = session(&stack, &["reseal"], &rotated).await;
    assert!(success && output.contains("0 sealed anew; 0 remain"), "{output}");
    assert!(sealed(&stack).await.iter().all(|sealed| key(sealed) == key(&first[0])));

    worker.signal(Signal::SIGTERM);
    assert!(worker.wait().await.success());
    // The former secret is forgotten.
    let only = [("APP_SECRET".to_owned(), "none of the two".to_owned()), mine[0].clone()];
    let last = stack.start_worker_with(&only).await;
    stack.wait_all_served(60, SOON).await;
    drop(last);
    let (success, output) = session(&stack, &["reseal"], &[("APP_SECRET", "a third")]).await;
    assert!(!success && output.contains("60 remain under old keys"), "{output}");
    assert_eq!(people.len(), 60);
    stack.assert_keys_were_never_shared().await;
}
