//! Logins survive the death of any process between any two steps.

use crate::support::{Person, Setup, Stack, wait_until};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_on_in_another_worker_after_each_step() {
    let mut stack = Stack::start(Setup::default()).await;
    let boris = stack.person_with(json!({ "first_name": "Борис", "password": "hunter2" })).await;
    let (id, _) = stack.start_login().await;
    stack.replace_worker(0).await;
    scan_until(&stack, boris, &id, "password_required").await;
    stack.replace_worker(0).await;
    let login = stack.password(&id, "wrong").await;
    assert!(login["status"] == "password_required" || login["status"] == "pending", "{login}");
    let login = stack.login_becomes(&id, "password_required").await;
    assert_eq!(login["error"], "Неверный пароль");
    stack.replace_worker(0).await;
    stack.password(&id, "hunter2").await;
    stack.login_becomes(&id, "completed").await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_completes_although_workers_are_killed_at_random() {
    let mut stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    for round in 0u64..4 {
        let person = stack.person(&format!("Клиент {round}")).await;
        let (id, _) = stack.start_login().await;
        tokio::time::sleep(Duration::from_millis(37 * round)).await;
        stack.replace_worker(0).await;
        let login = stack.login(&id).await;
        if let Some(url) = login["qr_url"].as_str() {
            stack.scan(person, url).await;
        }
        tokio::time::sleep(Duration::from_millis(53 * round)).await;
        stack.replace_worker(1).await;
        scan_until(&stack, person, &id, "completed").await;
    }
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_outlives_the_api_process_that_started_it() {
    let mut stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна").await;
    let (id, url) = stack.start_login().await;
    stack.apis[0].kill().await;
    assert_eq!(stack.scan(anna, &url).await, 200);
    stack.apis[0] = stack.start_api(0).await;
    stack.wait_for_api(0).await;
    stack.login_becomes(&id, "completed").await;
}

/// Scans whatever code the login shows, as a person in front of the page does, until it has this status. A scan whose worker died before it
/// learnt of it costs a new code, never the login.
async fn scan_until(stack: &Stack, person: Person, id: &str, status: &str) {
    wait_until(Duration::from_secs(90), &format!("a login that is {status}"), async || {
        let login = stack.login(id).await;
        if login["status"] == status {
            return Some(());
        }
        assert!(login["status"] == "ready" || login["status"] == "pending", "{login}");
        if let Some(url) = login["qr_url"].as_str() {
            stack.scan(person, url).await;
        }
        None
    })
    .await;
}
