//! Both ways of getting the operators' messages, and the change from one to the other.

use super::conversation::received;
use crate::support::{Setup, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn changing_between_polling_and_webhook_loses_no_reply() {
    let mut stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "Здравствуйте!").await;
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, "по опросу").await;
    let mut expected = vec!["по опросу"];
    received(&stack, ivan, anna, &expected).await;

    for (updates, texts) in [
        ("webhook", ["до вебхука", "по вебхуку"]),
        ("polling", ["до опроса", "снова по опросу"]),
        ("webhook", ["до него", "и по нему"]),
    ] {
        stack.stop_processes().await;
        stack.answer(&topic, texts[0]).await;
        let fault = json!({ "kind": "bot_error", "method": "bot.setWebhook", "status": 500, "description": "Internal Server Error", "times": 2 });
        stack.control("POST", "/faults", fault).await;
        // Marked for something that went wrong in its group: it has to hear its operators all the same.
        sqlx::query("update bots set status = 'error'").execute(stack.store().pool()).await.unwrap();
        stack.start_processes(updates).await;
        stack.answer(&topic, texts[1]).await;
        expected.extend(texts);
        received(&stack, ivan, anna, &expected).await;
        stack.control("DELETE", "/faults", Value::Null).await;
        let what = format!("a bot whose updates come by {updates}");
        wait_until(Duration::from_secs(20), &what, async || {
            let webhook = stack.bot_call("getWebhookInfo", json!({})).await;
            ((webhook["url"] != "") == (updates == "webhook")).then_some(())
        })
        .await;
    }
    let log: String = stack.apis.iter().map(|api| api.output()).collect();
    assert!(log.contains("webhook not set"), "the armed errors were met: {log}");
    let secret = stack.tenant.bot_token.split(':').nth(1).expect("a token has two parts");
    assert!(!log.contains(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_set_behind_the_pollers_back_is_deleted_and_no_reply_is_lost() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "Здравствуйте!").await;
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, "раз").await;
    received(&stack, ivan, anna, &["раз"]).await;
    stack.bot_call("setWebhook", json!({ "url": "http://127.0.0.1:9/elsewhere" })).await;
    stack.answer(&topic, "два").await;
    received(&stack, ivan, anna, &["раз", "два"]).await;
}

/// Telegram does so after a week without updates; another server has numbers of its own from the start.
#[tokio::test(flavor = "multi_thread")]
async fn updates_whose_numbers_begin_anew_lower_are_taken_in_and_confirmed() {
    let stack = Stack::start(Setup::default()).await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    stack.connect(anna).await;
    stack.write(ivan, anna, "Здравствуйте!").await;
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, "раз").await;
    received(&stack, ivan, anna, &["раз"]).await;
    let path = format!("/bots/{}/next-update", stack.tenant.bot_token.split(':').next().expect("a token has two parts"));
    wait_until(Duration::from_secs(20), "updates that are all confirmed", async || {
        (stack.try_control("POST", &path, json!({ "id": 1000 })).await.0 == 200).then_some(())
    })
    .await;
    stack.answer(&topic, "два").await;
    received(&stack, ivan, anna, &["раз", "два"]).await;
    wait_until(Duration::from_secs(20), "updates that are all confirmed", async || {
        let waits = stack.bot_call("getWebhookInfo", json!({})).await["pending_update_count"].as_i64();
        (waits == Some(0)).then_some(())
    })
    .await;
    let offset = "select next_update_id from personal_telegram_bot_offsets";
    let offset = async || sqlx::query_scalar::<_, i64>(offset).fetch_one(stack.store().pool()).await.expect("an offset");
    assert!(offset().await < 2000);
    // A server that took such an offset for a confirmation would drop what is new: none is named once nothing waits.
    wait_until(Duration::from_secs(60), "no offset", async || (offset().await == 0).then_some(())).await;
    stack.answer(&topic, "три").await;
    received(&stack, ivan, anna, &["раз", "два", "три"]).await;
}
