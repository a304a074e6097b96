//! Connecting an account in the window of the project's page.

use super::Browser;
use crate::support::{Setup, Stack, wait_until};
use serde_json::json;
use std::time::Duration;
use tuberry_storage::users::Role;

const SOON: Duration = Duration::from_secs(10);

async fn newest_login(stack: &Stack) -> String {
    let newest = "select id from personal_telegram_logins order by number desc limit 1";
    sqlx::query_scalar(newest).fetch_one(stack.store().pool()).await.unwrap()
}

/// Opens the window and waits for its code.
async fn open_window(browser: &Browser, stack: &Stack) -> String {
    browser.open(&format!("/client/projects/{}", stack.tenant.project)).await;
    browser.click("#connect [data-action=login]").await;
    browser.sees("#login-says", "Отсканируйте код").await;
    newest_login(stack).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_cloud_password_is_connected_in_the_window() {
    let stack = Stack::start(Setup::default()).await;
    let boris = stack
        .person_with(json!({ "first_name": "Борис", "username": "boris", "password": "hunter2", "hint": "как у всех" }))
        .await;
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    browser.open(&format!("/client/projects/{}", stack.tenant.project)).await;
    browser.sees("#accounts", "Аккаунтов пока нет").await;
    browser.shoot("project-empty").await;
    let id = open_window(&browser, &stack).await;
    assert!(browser.value("document.getElementById('login-code').naturalWidth").await.as_u64() > Some(20), "a code is drawn");
    browser.shoot("login-ready").await;

    stack.scan_current(boris, &id).await;
    browser.sees("#login-hint", "как у всех").await;
    let focus = "document.activeElement.id";
    assert_eq!(browser.value(focus).await, "login-password");
    browser.shoot("login-password").await;
    browser.fill("#login-password", "hunter1").await;
    browser.click("#login-form button").await;
    browser.sees("#login-wrong", "Неверный пароль").await;
    let field = "[document.activeElement.id, document.activeElement.value, document.activeElement.ariaInvalid]";
    assert_eq!(browser.value(field).await, json!(["login-password", "", "true"]));
    browser.shoot("login-wrong-password").await;
    browser.fill("#login-password", "hunter2").await;
    browser.click("#login-form button").await;
    browser.gone("#login-window").await;
    browser.sees("#notices", "Аккаунт подключён: Борис").await;
    browser.sees("#accounts article", "@boris").await;
    browser.sees("#accounts .mark", "на связи").await;
    assert_eq!(newest_login(&stack).await, id, "one login for all of this");
    browser.shoot("project").await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_renews_itself_without_leaving_the_window_empty() {
    let stack = Stack::start(Setup { token_lifetime: Duration::from_secs(4), ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    let id = open_window(&browser, &stack).await;
    let picture = "document.getElementById('login-code').src";
    let first = browser.value(picture).await;
    browser.value("void (window.empty = 0, new MutationObserver(() => { if (document.getElementById('login-code').hidden) window.empty++; })
                   .observe(document.getElementById('login-window'), { attributes: true, subtree: true }))").await;
    wait_until(SOON * 3, "another code", async || (browser.value(picture).await != first).then_some(())).await;
    assert_eq!(browser.value("window.empty").await, 0);
    stack.scan_current(anna, &id).await;
    browser.gone("#login-window").await;
    browser.sees("#accounts article h3", "Анна").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_login_is_begun_anew_with_one_click_and_closing_the_window_cancels_it() {
    let stack = Stack::start(Setup { qr_timeout: 4, ..Setup::default() }).await;
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    let first = open_window(&browser, &stack).await;
    browser.within(SOON * 3, "#login-error", "Время вышло").await;
    browser.shoot("login-expired").await;
    browser.click("#login-again").await;
    browser.sees("#login-says", "Отсканируйте код").await;
    let second = newest_login(&stack).await;
    assert_ne!(first, second);
    browser.click("#login-window [data-close]").await;
    browser.gone("#login-window").await;
    let stage = "select stage from personal_telegram_logins where id = $1";
    wait_until(SOON, "a cancelled login", async || {
        let stage: String = sqlx::query_scalar(stage).bind(&second).fetch_one(stack.store().pool()).await.unwrap();
        assert_ne!(stage, "expired", "it was cancelled too late to tell");
        (stage == "cancelled").then_some(())
    })
    .await;
}
