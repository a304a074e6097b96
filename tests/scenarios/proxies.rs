//! Accounts behind SOCKS5 proxies: everything goes through them, and nothing past them when they are away. The simulator counts the connections
//! that reach it, the proxy those that it made.

use super::conversation::{mirrored, received};
use crate::support::{Setup, Socks, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

async fn stat(stack: &Stack, name: &str) -> i64 {
    stack.control("GET", "/stats", Value::Null).await[name].as_i64().expect("a number")
}

async fn account(stack: &Stack, id: i64) -> Value {
    let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
    accounts.as_array().expect("accounts").iter().find(|found| found["id"] == id).expect("the account").clone()
}

/// Waits until the owner reads this, or nothing, about an account that is active.
async fn reads(stack: &Stack, id: i64, text: Option<&str>) {
    wait_until(SOON, &format!("{text:?} as last_error"), async || {
        let account = account(stack, id).await;
        assert_eq!(account["status"], "active", "{account}");
        (account["last_error"].as_str() == text).then_some(())
    })
    .await;
}

async fn set_proxy(stack: &Stack, id: i64, url: &str) -> Value {
    let path = format!("/api/personal-telegram-accounts/{id}/proxy");
    let (status, account) = stack.call("PUT", &path, &stack.tenant.token, Some(json!({ "url": url }))).await;
    assert_eq!(status, 200, "{account}");
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_proxy_for_all_nothing_goes_another_way_and_without_it_nothing_goes() {
    let proxy = Socks::start().await;
    let stack = Stack::start(Setup { proxy: Some(proxy.url()), ..Setup::default() }).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let account = stack.connect(anna).await;
    stack.write(ivan, anna, "раз").await;
    mirrored(&stack, "Иван", &["💬 Иван: раз"]).await;
    stack.answer(&stack.topic("Иван").await, "ответ").await;
    received(&stack, ivan, anna, &["ответ"]).await;
    let connects = stat(&stack, "connects").await;
    assert!(connects >= 2, "a login and an account");
    assert_eq!(proxy.relayed(), connects);

    let address = proxy.address();
    drop(proxy);
    stack.write(ivan, anna, "два").await;
    reads(&stack, account, Some("Прокси недоступен: проверьте адрес")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stat(&stack, "connects").await, connects, "no connection past the proxy");

    let proxy = Socks::start_at(address).await;
    mirrored(&stack, "Иван", &["💬 Иван: раз", "💬 Иван: два"]).await;
    reads(&stack, account, None).await;
    assert_eq!(stat(&stack, "connects").await, connects + proxy.relayed());
    let worker = stack.workers[0].output();
    assert!(worker.contains(&address.to_string()) && !worker.contains("geheim"), "{worker}");
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_proxy_of_its_own_uses_no_other_way() {
    let proxy = Socks::start().await;
    let stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    let (anna, boris, ivan) = (stack.person("Анна").await, stack.person("Борис").await, stack.person("Иван").await);
    let (account, _) = (stack.connect(anna).await, stack.connect(boris).await);
    let shown = set_proxy(&stack, account, &proxy.url()).await;
    assert_eq!(shown["proxy"], proxy.address().to_string());
    assert!(!shown.to_string().contains("geheim"));
    wait_until(SOON, "a connection by the proxy", async || (proxy.relayed() == 1).then_some(())).await;
    stack.write(ivan, anna, "раз").await;
    mirrored(&stack, "Иван", &["💬 Иван: раз"]).await;

    let connects = stat(&stack, "connects").await;
    stack.control("POST", "/faults", json!({ "kind": "drop_connections" })).await;
    wait_until(SOON, "both accounts again", async || (stat(&stack, "connections").await == 2).then_some(())).await;
    assert_eq!((stat(&stack, "connects").await, proxy.relayed()), (connects + 2, 2), "one by the proxy, one directly");

    let wrong = proxy.url().replace("geheim", "falsch");
    set_proxy(&stack, account, &wrong).await;
    reads(&stack, account, Some("Прокси не принимает логин и пароль: проверьте их")).await;
    let connects = stat(&stack, "connects").await;
    stack.write(ivan, anna, "два").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((stat(&stack, "connects").await, proxy.relayed()), (connects, 2), "no connection without a proxy");

    set_proxy(&stack, account, &proxy.url()).await;
    mirrored(&stack, "Иван", &["💬 Иван: раз", "💬 Иван: два"]).await;
    reads(&stack, account, None).await;
    assert_eq!((stat(&stack, "connects").await, proxy.relayed()), (connects + 1, 3));

    let path = format!("/api/personal-telegram-accounts/{account}");
    let (status, _) = stack.call("DELETE", &path, &stack.tenant.token, None).await;
    assert_eq!(status, 204);
    wait_until(SOON, "auth.logOut", async || {
        let stats = stack.control("GET", "/stats", Value::Null).await;
        (stats["rpc"]["auth.logOut"].as_i64()? >= 1).then_some(())
    })
    .await;
    assert_eq!((stat(&stack, "connects").await, proxy.relayed()), (connects + 2, 4), "the log-out went the same way");
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_proxy_is_taken_away_connects_directly() {
    let proxy = Socks::start().await;
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let account = stack.connect(anna).await;
    set_proxy(&stack, account, &proxy.url()).await;
    wait_until(SOON, "a connection by the proxy", async || (proxy.relayed() == 1).then_some(())).await;
    let path = format!("/api/personal-telegram-accounts/{account}/proxy");
    let (status, shown) = stack.call("DELETE", &path, &stack.tenant.token, None).await;
    assert_eq!((status, &shown["proxy"]), (200, &Value::Null));
    let connects = stat(&stack, "connects").await;
    drop(proxy);
    wait_until(SOON, "a direct connection", async || (stat(&stack, "connects").await > connects).then_some(())).await;
    stack.write(ivan, anna, "раз").await;
    mirrored(&stack, "Иван", &["💬 Иван: раз"]).await;
    stack.assert_keys_were_never_shared().await;
}
