//! Logins as the portal sees them.

use crate::support::{Setup, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_code_makes_an_active_account() {
    let stack = Stack::start(Setup::default()).await;
    let anna = stack
        .person_with(json!({ "first_name": "Анна", "last_name": "Петрова", "username": "anna", "phone": "79001234567" }))
        .await;
    let (id, url) = stack.start_login().await;
    assert!(id.len() >= 16 && url.starts_with("tg://login?token="), "{id} {url}");
    assert_eq!(stack.login(&id).await["status"], "ready");
    assert_eq!(stack.scan(anna, &url).await, 200);
    let login = stack.login_becomes(&id, "completed").await;
    let account = &login["account"];
    assert_eq!(account["status"], "active", "{login}");
    assert_eq!(account["display_name"], "Анна Петрова");
    assert_eq!(account["username"], "anna");
    assert_eq!(account["telegram_user_id"], anna.0.to_string());
    assert_eq!(
        (&account["accepts_private"], &account["accepts_groups"], &account["accepts_channels"]),
        (&json!(true), &json!(false), &json!(false))
    );
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_data_centres_can_be_home() {
    let stack = Stack::start(Setup::default()).await;
    for dc in [2, 4] {
        let person = stack.person_with(json!({ "first_name": format!("DC{dc}"), "dc": dc })).await;
        stack.connect(person).await;
    }
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_asked_again_without_a_new_code() {
    let stack = Stack::start(Setup::default()).await;
    let boris = stack.person_with(json!({ "first_name": "Борис", "password": "hunter2", "hint": "как у всех" })).await;
    let (id, _) = stack.start_login().await;
    stack.scan_current(boris, &id).await;
    let login = stack.login_becomes(&id, "password_required").await;
    assert_eq!(login["password_hint"], "как у всех");
    for wrong in ["hunter1", "Hunter2"] {
        let login = stack.password(&id, wrong).await;
        assert_eq!((&login["status"], &login["error"]), (&json!("password_required"), &json!("Неверный пароль")));
    }
    let login = stack.password(&id, "hunter2").await;
    assert_eq!(login["status"], "completed", "{login}");
    assert_eq!(login["error"], Value::Null);
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_renewed_until_it_is_scanned() {
    let stack = Stack::start(Setup { token_lifetime: Duration::from_secs(3), ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let (id, first) = stack.start_login().await;
    let mut seen = vec![first];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while seen.len() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "the code is not renewed: {seen:?}");
        let login = stack.login(&id).await;
        let url = login["qr_url"].as_str().unwrap_or_default().to_owned();
        if !url.is_empty() && !seen.contains(&url) {
            seen.push(url);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_ne!(stack.scan(anna, &seen[0]).await, 200, "an old code must not work");
    stack.scan_current(anna, &id).await;
    stack.login_becomes(&id, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_waits_for_its_scan_longer_than_one_job_runs() {
    let stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна").await;
    let (id, first) = stack.start_login().await;
    let second = wait_until(Duration::from_secs(60), "the code after the first", async || {
        let login = stack.login(&id).await;
        login["qr_url"].as_str().filter(|url| *url != first).map(str::to_owned)
    })
    .await;
    assert_eq!(stack.scan(anna, &second).await, 200);
    stack.login_becomes(&id, "completed").await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_nobody_scans_expires() {
    let stack = Stack::start(Setup { qr_timeout: 3, ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let (id, url) = stack.start_login().await;
    let login = stack.login_becomes(&id, "expired").await;
    assert_eq!((&login["account"], &login["qr_url"]), (&Value::Null, &Value::Null));
    let closed = async || (stack.connections().await == 0).then_some(());
    wait_until(Duration::from_secs(1), "no connection to Telegram", closed).await;
    let (status, _) = stack
        .call(
            "POST",
            &format!("/api/personal-telegram-accounts/login/{id}/password"),
            &stack.tenant.token,
            Some(json!({"password": "x"})),
        )
        .await;
    assert!(status == 200 || status == 409, "{status}");
    stack.scan(anna, &url).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stack.login(&id).await["status"], "expired");
    assert_eq!(accounts(&stack).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_login_never_makes_an_account() {
    let stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна").await;
    let (id, url) = stack.start_login().await;
    let (status, _) =
        stack.call("DELETE", &format!("/api/personal-telegram-accounts/login/{id}"), &stack.tenant.token, None).await;
    assert_eq!(status, 204);
    let login = stack.login(&id).await;
    assert_eq!((&login["status"], &login["error"]), (&json!("error"), &json!("Вход отменён")));
    stack.scan(anna, &url).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(accounts(&stack).await, json!([]));
    assert_eq!(stack.login(&id).await["status"], "error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_login_gives_up_its_connection_at_once() {
    let stack = Stack::start(Setup::default()).await;
    let (id, _) = stack.start_login().await;
    wait_until(SOON, "a login that waits for its scan", async || (stack.connections().await == 1).then_some(())).await;
    let path = format!("/api/personal-telegram-accounts/login/{id}");
    assert_eq!(stack.call("DELETE", &path, &stack.tenant.token, None).await.0, 204);
    wait_until(SOON, "no connection to Telegram", async || (stack.connections().await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_left_at_its_password_expires_and_forgets_its_secrets() {
    let stack = Stack::start(Setup::default()).await;
    let boris = stack.person_with(json!({ "first_name": "Борис", "password": "hunter2" })).await;
    let (id, _) = stack.start_login().await;
    stack.scan_current(boris, &id).await;
    stack.login_becomes(&id, "password_required").await;
    let sql = "update personal_telegram_logins set expires_at = now() - interval '6 seconds'";
    sqlx::query(sql).execute(stack.store().pool()).await.expect("an update");
    wait_until(Duration::from_secs(40), "an expired row without secrets", async || {
        let sql = "select 1 from personal_telegram_logins where stage = 'expired' and num_nonnulls(sealed_key, password_parameters, proof) = 0";
        sqlx::query_scalar::<_, i32>(sql).fetch_optional(stack.store().pool()).await.expect("a query")
    })
    .await;
    assert_eq!(stack.password(&id, "hunter2").await["status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_telegram_user_renews_its_account() {
    let stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна").await;
    let first = stack.connect(anna).await;
    stack.control("POST", "/faults", json!({ "kind": "revoke", "user": anna.0 })).await;
    let second = stack.connect(anna).await;
    assert_eq!(first, second);
    assert_eq!(accounts(&stack).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_can_be_started_at_one_api_process_and_finished_at_another() {
    let stack = Stack::start(Setup { apis: 2, ..Setup::default() }).await;
    let boris = stack.person_with(json!({ "first_name": "Борис", "password": "hunter2" })).await;
    let (id, _) = stack.start_login().await;
    stack.scan_current(boris, &id).await;
    stack.login_becomes(&id, "password_required").await;
    let path = format!("/api/personal-telegram-accounts/login/{id}/password");
    let (status, login) = stack.call_at(1, "POST", &path, &stack.tenant.token, Some(json!({ "password": "hunter2" }))).await;
    assert_eq!((status, &login["status"]), (200, &json!("completed")), "{login}");
}

async fn accounts(stack: &Stack) -> Value {
    stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await.1
}
