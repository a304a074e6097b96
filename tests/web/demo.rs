//! Somebody who has never seen Tuberry, before `tuberry demo`: signs in with what stands there, connects an account, lets a customer write, answers,
//! and sees the answer delivered. Only what is seen on the pages is clicked.

use super::Browser;
use crate::demo;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_answers_a_customer_by_what_the_pages_say() {
    let folder = demo::folder();
    let (demo, ready) = demo::start(folder.path(), "1").await;
    let url = ready["url"].as_str().unwrap();
    let simulator = ready["simulator"].as_str().unwrap();
    let browser = Browser::before(url.to_owned()).await;
    let begun = Instant::now();
    browser.open("/").await;
    browser.sees("main", "Это демонстрация").await;
    browser.shoot("demo-sign-in").await;
    browser.click("form[action='/sign-in'] button").await;
    browser.sees("#main", "Что попробовать").await;
    browser.shoot("demo-projects").await;
    browser.click("ul.cards a").await;
    browser.sees("#accounts", "Аккаунтов пока нет").await;
    browser.click("#connect [data-action=login]").await;
    browser.sees("#login-window", "подтвердите вход").await;
    browser.sees("#login-phone", "Отсканировать").await;
    browser.shoot("demo-login").await;
    browser.click("#login-phone").await;

    browser.go_to_window(simulator).await;
    browser.choose("#scan [name=person]", "Борис Новиков").await;
    browser.click("#scan .primary").await;
    browser.sees("#toast", "вернитесь в кабинет").await;
    browser.go_to_window(url).await;
    browser.gone("#login-window").await;
    browser.within(SOON, "#accounts .mark", "на связи").await;

    // A customer's phone: here the operator's, the only other one without traffic.
    browser.click("aside.demo a").await;
    browser.go_to_window(simulator).await;
    browser.click("[data-person]:not([aria-current=true])").await;
    browser.click("#phone-bar [data-act=chat]").await;
    browser.choose("#chat [name=peer]", "Борис Новиков").await;
    browser.click("#chat .primary").await;
    browser.fill("#write [name=text]", "Здравствуйте! Вы работаете сегодня?").await;
    browser.click("#write .send").await;

    browser.go_to_window(url).await;
    browser.click("nav a[href='/client/dialogs']").await;
    browser.within(SOON, "#dialogs .list", "Вы работаете сегодня?").await;
    browser.click("#dialogs .list a").await;
    browser.within(SOON, "#messages", "в теме группы").await;
    browser.shoot("demo-dialog").await;
    browser.click("#open-topic").await;
    browser.go_to_window(&format!("{simulator}/#side=groups")).await;
    browser.within(SOON, "#topic", "Вы работаете сегодня?").await;
    browser.fill("#answer [name=text]", "Да, до девяти вечера.").await;
    browser.click("#answer .send").await;
    browser.go_to_window(url).await;
    browser.within(SOON, "#messages .message.out", "доставлено").await;
    assert!(begun.elapsed() < Duration::from_secs(300), "it took {:?}", begun.elapsed());
    demo.signal(Signal::SIGTERM);
    assert!(demo.wait().await.success());
}
