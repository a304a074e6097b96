//! Settings: a project from nothing to one that can receive messages.

use super::Browser;
use crate::support::{Setup, Stack};
use serde_json::json;
use tuberry_storage::users::Role;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_project_gets_its_bot_and_its_group() {
    let stack = Stack::start(Setup::default()).await;
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    browser.open("/client/settings").await;
    browser.fill("#new-project [name=name]", "Магазин на диване").await;
    browser.click("#new-project [type=submit]").await;
    let project = i64::from(newest_project(&browser).await);
    let section = format!("#project-{project}");
    browser.sees(&section, "нет бота").await;

    // What is missing for accounts is said where they are connected.
    browser.open(&format!("/client/projects/{project}")).await;
    browser.sees("#connect", "сначала подключите к проекту бота").await;
    assert_eq!(browser.value("document.querySelector('#connect button').disabled").await, true);
    browser.shoot("project-without-bot").await;
    browser.click("#connect .warning a").await;

    browser.fill(&format!("{section} [name=token]"), "4711:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await;
    browser.click(&format!("{section} form[data-path='/api/bots'] button")).await;
    browser.sees(&format!("{section} form[data-path='/api/bots'] [role=alert]"), "Telegram не знает такого токена").await;
    let bot = stack.control("POST", "/bots", json!({ "username": "sofa_bot" })).await;
    browser.fill(&format!("{section} [name=token]"), bot["token"].as_str().unwrap()).await;
    browser.click(&format!("{section} form[data-path='/api/bots'] button")).await;
    browser.sees(&section, "Добавьте @sofa_bot в супергруппу").await;

    // The bot's group appears when the bot is added to it, without a reload.
    let forum = json!({ "title": "Отдел продаж", "bot_token": bot["token"], "members": [stack.tenant.operator] });
    let forum = stack.control("POST", "/forums", forum).await["chat_id"].as_i64().unwrap();
    let choice = format!("{section} select[name=group_chat_id]");
    browser.sees(&choice, "Отдел продаж").await;
    let rights = json!({ "rights": { "can_manage_topics": false } });
    stack.control("POST", &format!("/forums/{forum}/bot"), rights).await;
    let save = format!("{section} form[data-path^='/api/bots/'] button");
    browser.click(&save).await;
    browser.sees(&format!("{section} form[data-path^='/api/bots/'] [role=alert]"), "Управление темами").await;
    browser.shoot("settings").await;
    let rights = json!({ "rights": { "can_manage_topics": true, "can_delete_messages": true } });
    stack.control("POST", &format!("/forums/{forum}/bot"), rights).await;
    browser.click(&save).await;
    browser.sees(&format!("#project-heading-{project}"), "нет аккаунтов").await;

    browser.fill(&format!("{section} [name=name]"), "Магазин").await;
    browser.click(&format!("{section} form[data-path='/api/projects/{project}'] button")).await;
    browser.sees(&format!("#project-title-{project}"), "Магазин").await;
    browser.open(&format!("/client/projects/{project}")).await;
    browser.sees("#facts", "Отдел продаж").await;
    assert_eq!(browser.value("document.querySelector('#connect button').disabled").await, false);
}

/// The project whose section the page came back to.
async fn newest_project(browser: &Browser) -> i32 {
    let anchor = "location.hash.replace('#project-', '')";
    let id = crate::support::wait_until(std::time::Duration::from_secs(20), "the new project's section", async || {
        browser.value(anchor).await.as_str()?.parse().ok()
    });
    id.await
}
