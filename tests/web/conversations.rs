//! A conversation as the portal shows it while it goes on, and the jobs and workers behind it: pages that fill by themselves, in both languages.

use super::Browser;
use crate::support::{Setup, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;
use tuberry_storage::users::Role;

const SOON: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_fills_by_itself_while_customer_and_operator_write() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    browser.open("/client/dialogs").await;
    browser.sees("#dialogs", "Диалогов пока нет").await;
    browser.shoot("dialogs-empty").await;
    stack.connect(anna).await;
    stack.write(ivan, anna, "Здравствуйте! Есть ли диван в наличии?").await;
    browser.within(SOON, "#dialogs .list", "Есть ли диван в наличии?").await;
    browser.sees("#dialogs [aria-label='ждёт ответа']", "").await;
    browser.click("#dialogs .list a").await;
    browser.sees("h1", "Иван").await;
    browser.within(SOON, "#messages .message", "в теме группы").await;

    // From here on nobody touches the page.
    browser.value("void (window.untouched = true)").await;
    stack.write(ivan, anna, "И сколько стоит доставка?").await;
    browser.within(SOON, "#messages li:nth-child(2)", "И сколько стоит доставка?").await;
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, "Да, в наличии. Доставка завтра с 10 до 14, 300 ₽.").await;
    browser.within(SOON, "#messages .message.out", "доставлено").await;
    browser.within(SOON, "#about", "отвечено").await;
    let fault = json!({ "kind": "rpc_error", "user": anna.0, "method": "messages.sendMessage", "code": 400, "message": "USER_IS_BLOCKED", "times": 1 });
    stack.control("POST", "/faults", fault).await;
    stack.answer(&topic, "Оформляем?").await;
    browser.within(SOON, "#messages .message.failed", "клиент заблокировал этот аккаунт").await;
    let spoken = "document.getElementById('heard').textContent";
    assert_eq!(browser.value(spoken).await, "Новое сообщение: Оформляем?", "a screen reader hears it");
    assert_eq!(browser.value("window.untouched").await, true);
    browser.shoot("dialog").await;
    browser.open("/client/dialogs").await;
    browser.sees("#dialogs .list", "Иван").await;
    browser.shoot("dialogs").await;
    browser.change_language().await;
    browser.sees("h1", "Dialogs").await;
    browser.shoot("dialogs-en").await;
    browser.click("#dialogs .list a").await;
    browser.sees("#messages .message.out", "delivered").await;
    browser.shoot("dialog-en").await;
    browser.open("/password").await;
    browser.shoot("password-en").await;
    browser.click("details.who summary").await;
    browser.click("details.who a[href='/api/docs']").await;
    browser.sees("h1", "REST interface").await;
    browser.click("details.route summary").await;
    browser.shoot_long("api-docs-en").await;
    browser.open("/client/nowhere").await;
    browser.shoot("unknown-en").await;
    browser.open("/client/dialogs?name=nobody").await;
    browser.sees("#dialogs", "Nothing").await;
    browser.shoot("dialogs-none-en").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_retried_by_clicking_and_its_message_arrives() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    let fault =
        json!({ "kind": "bot_error", "method": "sendMessage", "status": 502, "description": "Bad Gateway", "times": 1000 });
    stack.control("POST", "/faults", fault).await;
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    browser.open("/admin/jobs?kind=mirror-message").await;
    browser.sees("#jobs", "Подходящих заданий нет").await;
    browser.shoot("jobs-none").await;
    stack.write(ivan, anna, "Вы ещё открыты?").await;
    browser.within(SOON, "#jobs .list .failure", "Bad Gateway").await;
    browser.click("#jobs .list a").await;
    browser.sees("h1", "Сообщение в тему").await;
    browser.within(SOON, "#timeline", "будет повторено").await;
    browser.click("#cancel").await;
    browser.fill("#confirm [name=reason]", "бот не отвечает").await;
    browser.shoot("job-cancel").await;
    browser.click("#confirmed").await;
    browser.within(SOON, "#job .mark.bad", "неудача").await;
    browser.sees("#job .error", "отменено вручную: бот не отвечает").await;
    browser.sees("#audits", "Отмена").await;
    browser.shoot("job-dead").await;
    browser.change_language().await;
    browser.sees("#job .mark.bad", "failed").await;
    browser.shoot("job-dead-en").await;
    browser.change_language().await;
    assert!(stack.topics().await.iter().all(|topic| Stack::mirrored(topic).is_empty()), "nothing has arrived so far");

    stack.control("DELETE", "/faults", Value::Null).await;
    browser.open("/admin/jobs?state=dead").await;
    browser.sees("#jobs .list", "Сообщение в тему").await;
    browser.click("#jobs .list a").await;
    browser.click("#retry").await;
    browser.click("#confirmed").await;
    browser.within(SOON, "#job .mark.good", "выполнено").await;
    browser.sees("#audits", "Повтор").await;
    wait_until(SOON, "the message in its topic", async || {
        let topic = stack.topic("Иван").await;
        (Stack::mirrored(&topic) == ["💬 Иван: Вы ещё открыты?"]).then_some(())
    })
    .await;
    browser.shoot("job-done").await;
    browser.open("/admin/jobs").await;
    browser.sees("#audits", "Повтор").await;
    browser.shoot("jobs").await;
    browser.change_language().await;
    browser.sees("h1", "Jobs").await;
    browser.shoot("jobs-en").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_administrator_sees_workers_come_and_go() {
    let mut stack = Stack::start(Setup { workers: 0, ..Setup::default() }).await;
    stack.seed_accounts(2).await;
    let browser = Browser::administrator(&stack).await;
    browser.open("/admin/workers").await;
    browser.sees("#workers", "Обработчиков нет").await;
    browser.within(SOON, "#workers", "2 аккаунта без обработчика").await;
    browser.shoot("workers-none").await;
    stack.add_worker().await;
    browser.within(SOON, "#workers", "все аккаунты обслуживаются").await;
    browser.within(SOON, "#workers table", "работает").await;
    browser.shoot("workers").await;
    browser.change_language().await;
    browser.sees("h1", "Workers").await;
    browser.shoot("workers-en").await;
    browser.open("/admin/jobs").await;
    browser.shoot("jobs-platform-en").await;
}
