//! The pictures of the README: `make screenshots`.

use super::Browser;
use crate::support::{Setup, Stack};
use std::time::Duration;
use tuberry_storage::users::Role;

const SOON: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes docs/screenshots"]
async fn pictures_of_the_readme() {
    let stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна Менеджерова").await;
    let customer = stack.person("Мария Смирнова").await;
    stack.connect(anna).await;
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    browser.open(&format!("/client/projects/{}", stack.tenant.project)).await;
    browser.sees("#accounts .mark", "на связи").await;
    browser.click("#connect [data-action=login]").await;
    browser.sees("#login-says", "Отсканируйте код").await;
    browser.picture("login").await;
    browser.click("#login-window [data-close]").await;

    stack.write(customer, anna, "Здравствуйте! Диван «Сити» ещё есть?").await;
    let topic = stack.topic("Мария Смирнова").await;
    stack.answer(&topic, "Здравствуйте! Да, серый и синий. Какой вам больше нравится?").await;
    browser.open("/client/dialogs").await;
    browser.within(SOON, "#dialogs .list", "Какой вам больше нравится").await;
    browser.click("#dialogs .list a").await;
    browser.within(SOON, "#messages .message.out", "доставлено").await;
    stack.write(customer, anna, "Серый. И сколько стоит доставка до метро «Речной вокзал»?").await;
    browser.within(SOON, "#messages li:nth-child(3)", "в теме группы").await;
    browser.within(SOON, "#about", "ждёт ответа").await;
    browser.picture("dialog").await;
}
