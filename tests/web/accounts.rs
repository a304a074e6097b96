//! Cards of accounts: switches, names, removal, what is missing, and what changes by itself.

use super::Browser;
use crate::support::{Setup, Stack, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;
use tuberry_storage::users::Role;

// Keys as WebDriver writes them.
const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";

#[tokio::test(flavor = "multi_thread")]
async fn switches_and_names_stay_and_a_removal_is_asked_about() {
    let stack = Stack::start(Setup::default()).await;
    let account = stack.connect(stack.person("Анна").await).await;
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    let page = format!("/client/projects/{}", stack.tenant.project);
    browser.open(&page).await;
    browser.click(&format!("#accepts_groups-{account}")).await;
    browser.click(&format!("#accepts_private-{account}")).await;
    let settings = "select accepts_private, accepts_groups, accepts_channels from personal_telegram_accounts";
    wait_until(Duration::from_secs(10), "switches that are stored", async || {
        let stored: (bool, bool, bool) = sqlx::query_as(settings).fetch_one(stack.store().pool()).await.unwrap();
        (stored == (false, true, false)).then_some(())
    })
    .await;
    browser.reload().await;
    let switches = "[...document.querySelectorAll('.switches input')].map((input) => input.checked)";
    assert_eq!(browser.value(switches).await, json!([false, true, false]));

    browser.click(&format!("#rename-{account}")).await;
    browser.shoot("rename").await;
    browser.fill("#rename-window [name=display_name]", "Анна, отдел продаж").await;
    browser.click("#rename-window [type=submit]").await;
    browser.sees("#accounts h3", "Анна, отдел продаж").await;

    // A proxy: refused, set, shown without its password, taken away.
    browser.click(&format!("#proxy-{account}")).await;
    browser.fill("#proxy-window [name=url]", "proxy.example").await;
    browser.click("#proxy-window [value=yes]").await;
    browser.sees("#proxy-window [role=alert]", "Укажите прокси в виде socks5://").await;
    browser.shoot("proxy").await;
    browser.fill("#proxy-window [name=url]", "socks5://anna:hunter22@127.0.0.1:9").await;
    browser.click("#proxy-window [value=yes]").await;
    browser.sees("#accounts .facts", "127.0.0.1:9").await;
    browser.click(&format!("#proxy-{account}")).await;
    browser.sees("#proxy-now", "127.0.0.1:9").await;
    let left =
        "document.documentElement.outerHTML.includes('hunter22') || document.querySelector('#proxy-window [name=url]').value";
    assert_eq!(browser.value(left).await, "", "the password is nowhere any more");
    browser.click("#proxy-window [value=remove]").await;
    browser.gone("#proxy-window").await;
    wait_until(Duration::from_secs(10), "no proxy on the card", async || {
        let shown = "document.querySelector('#accounts .facts').textContent.includes('127.0.0.1:9')";
        (browser.value(shown).await == false).then_some(())
    })
    .await;

    browser.click(&format!("#remove-{account}")).await;
    browser.sees("#remove-window", "Анна, отдел продаж").await;
    browser.shoot("remove").await;
    browser.click("#remove-window [data-close]").await;
    browser.gone("#remove-window").await;
    browser.sees("#accounts h3", "Анна, отдел продаж").await;
    browser.click(&format!("#remove-{account}")).await;
    browser.click("#remove-window [type=submit]").await;
    browser.sees("#accounts", "Аккаунтов пока нет").await;
    let left: i64 =
        sqlx::query_scalar("select count(*) from personal_telegram_accounts").fetch_one(stack.store().pool()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_signed_out_says_so_by_itself_and_signs_in_again() {
    let mut stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна").await;
    let account = stack.connect(anna).await;
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    browser.open(&format!("/client/projects/{}", stack.tenant.project)).await;
    browser.sees("#accounts .mark", "на связи").await;
    stack.control("POST", "/faults", json!({ "kind": "revoke", "user": anna.0 })).await;
    // Telegram says so at the next call, which a new worker makes at once.
    let worker = stack.workers.remove(0);
    worker.signal(Signal::SIGTERM);
    worker.wait().await;
    stack.add_worker().await;
    browser.sees("#accounts .error", "войдите снова по QR-коду").await;
    browser.sees("#heading .mark", "аккаунт требует внимания").await;
    browser.shoot("project-error").await;
    browser.click(&format!("#login-{account}")).await;
    browser.sees("#login-says", "Отсканируйте код").await;
    let newest = "select id from personal_telegram_logins order by number desc limit 1";
    let id: String = sqlx::query_scalar(newest).fetch_one(stack.store().pool()).await.unwrap();
    stack.scan_current(anna, &id).await;
    browser.gone("#login-window").await;
    browser.sees("#accounts .mark", "на связи").await;
    assert_eq!(browser.count("#accounts article").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_changed_without_a_mouse() {
    let stack = Stack::start(Setup { workers: 0, ..Setup::default() }).await;
    let (_, account) = stack.seed_accounts(1).await[0];
    let browser = Browser::signed_in(&stack, Role::Owner).await;
    browser.open(&format!("/client/projects/{}", stack.tenant.project)).await;
    let focus = "document.activeElement.id || document.activeElement.textContent.trim()";
    browser.press(TAB).await;
    assert_eq!(browser.value(focus).await, "К содержанию");
    browser.press(ENTER).await;
    assert_eq!(browser.value(focus).await, "main");

    // Through the page in its order; where the focus is can be seen.
    let switch = format!("accepts_groups-{account}");
    let mut way = Vec::new();
    while way.last() != Some(&json!(switch)) {
        browser.press(TAB).await;
        way.push(browser.value(focus).await);
        let seen = "(({ outlineStyle, outlineWidth }) => outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2)(getComputedStyle(document.activeElement))";
        assert_eq!(browser.value(seen).await, true, "{way:?}");
        assert!(way.len() < 20, "{way:?}");
    }
    browser.press(" ").await;
    wait_until(Duration::from_secs(10), "a switch that is stored", async || {
        let stored = "select accepts_groups from personal_telegram_accounts";
        sqlx::query_scalar::<_, bool>(stored).fetch_one(stack.store().pool()).await.ok()?.then_some(())
    })
    .await;
    assert_eq!(browser.value(focus).await, switch, "the page looked again and left the focus alone");

    let rename = format!("rename-{account}");
    for _ in 0..2 {
        browser.press(TAB).await;
    }
    assert_eq!(browser.value(focus).await, rename);
    browser.press(ENTER).await;
    browser.sees("#rename-window", "Название аккаунта").await;
    // What opened the window is renewed behind it.
    sqlx::query("update personal_telegram_accounts set display_name = 'Ольга'").execute(stack.store().pool()).await.unwrap();
    browser.sees("#accounts h3", "Ольга").await;
    browser.press(ESCAPE).await;
    browser.gone("#rename-window").await;
    let back = async || {
        let there = async || (browser.value(focus).await == rename).then_some(());
        wait_until(Duration::from_secs(10), "the focus where it was", there).await;
    };
    back().await;
    browser.press(ENTER).await;
    browser.sees("#rename-window", "Название аккаунта").await;
    browser.press(&format!("Анна{ENTER}")).await;
    browser.sees("#accounts h3", "Анна").await;
    back().await;
}
