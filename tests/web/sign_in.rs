//! Signing in, roles and languages.

use super::{Browser, PASSWORD};
use crate::support::{Setup, Stack};
use std::time::{Duration, Instant};
use tuberry_storage::users::Role;

fn quiet() -> Setup {
    Setup { workers: 0, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_comes_to_the_page_that_was_wanted() {
    let stack = Stack::start(quiet()).await;
    let email = stack.user(Role::Owner, PASSWORD).await;
    let browser = Browser::start(&stack).await;
    browser.open("/client/settings").await;
    browser.sees("h1", "Вход в кабинет").await;
    browser.shoot("sign-in").await;
    browser.sign_in(&email, "wrong horse").await;
    browser.sees("#wrong", "Неверный e-mail или пароль").await;
    assert_eq!(browser.value("document.querySelector('[name=email]').value").await, email, "nobody types it twice");
    browser.shoot("sign-in-wrong").await;
    browser.sign_in(&email, PASSWORD).await;
    browser.sees("h1", "Настройки").await;
    assert_eq!(browser.path().await, "/client/settings");

    browser.click("details.who summary").await;
    browser.click("form[action='/language'] button").await;
    browser.sees("h1", "Settings").await;
    assert_eq!(browser.value("document.documentElement.lang").await, "en");
    browser.open("/client").await;
    browser.sees("h1", "Projects").await;
    browser.click("details.who summary").await;
    browser.click("form[action='/sign-out'] button").await;
    browser.sees("h1", "Sign in to the cabinet").await;
    browser.open("/client").await;
    browser.sees("h1", "Sign in to the cabinet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_eleventh_attempt_has_to_wait() {
    let stack = Stack::start(quiet()).await;
    let email = stack.user(Role::Owner, PASSWORD).await;
    let browser = Browser::start(&stack).await;
    browser.open("/sign-in").await;
    for attempt in 0..10 {
        browser.sign_in(&email, &format!("guess {attempt}")).await;
        browser.sees("#wrong", "Неверный e-mail или пароль").await;
    }
    browser.sign_in(&email, PASSWORD).await;
    browser.sees("#wrong", "Слишком много попыток").await;
    browser.shoot("sign-in-locked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_reads_and_finds_no_buttons() {
    let mut stack = Stack::start(quiet()).await;
    stack.seed_accounts(1).await;
    let browser = Browser::signed_in(&stack, Role::Manager).await;
    browser.shoot("projects").await;
    for path in [format!("/client/projects/{}", stack.tenant.project), "/client/settings".into()] {
        browser.open(&path).await;
        browser.sees("article.card h3", "Сотрудник 0").await;
        browser.sees("article.card", "Личные чаты").await;
        assert_eq!(browser.count("main button, main input, main select, main textarea, dialog").await, 0, "{path}");
    }
    browser.open(&format!("/client/projects/{}", stack.tenant.project)).await;
    browser.shoot("project-manager").await;
    let dialog = "insert into dialogs (created_at, client_id, project_id, source, personal_account_id, bot_id, avito_dialog_id, state, topic_intro_sent,
                                       external_reference, external_display_name)
                  select now() at time zone 'utc', a.client_id, a.project_id, 'personal_telegram', a.id, b.id, 'ptg:1:77', 'active', true, '77', 'Иван'
                    from personal_telegram_accounts a, bots b returning id";
    let dialog: i32 = sqlx::query_scalar(dialog).fetch_one(stack.store().pool()).await.unwrap();
    for (path, seen) in [("/client/dialogs".to_owned(), "Иван"), (format!("/client/dialogs/{dialog}"), "Сообщений пока нет")]
    {
        browser.open(&path).await;
        browser.sees("main", seen).await;
        assert_eq!(browser.count("main [data-method], main [data-call], main [data-action], dialog").await, 0, "{path}");
        assert_eq!(browser.count("main textarea:enabled").await, 0, "{path}");
    }
    browser.open("/admin/jobs").await;
    browser.sees("main", "Недостаточно прав").await;
    browser.open("/client/dialogs").await;

    let stopping = Instant::now();
    stack.stop_processes().await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "the page's stream kept the process for {:?}", stopping.elapsed());
}
