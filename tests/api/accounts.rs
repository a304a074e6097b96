//! Listing, changing and removing accounts.

use super::App;
use serde_json::{Value, json};

const ACCOUNTS: &str = "/api/personal-telegram-accounts";

#[tokio::test]
async fn an_account_is_shown_as_the_contract_says() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (first, second) = (app.project(&owner).await, app.project(&owner).await);
    let account = app.account(&owner, first).await;
    app.account(&owner, second).await;

    for path in [format!("{ACCOUNTS}?project_id={first}"), format!("{ACCOUNTS}/?project_id={first}")] {
        let accounts = app.get(&path, &owner).await.ok(200).json();
        let [shown] = accounts.as_array().unwrap().as_slice() else { panic!("{accounts}") };
        assert_eq!(shown["id"], account);
        let mut fields: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        let expected = "accepts_channels accepts_groups accepts_private client_id created_at display_name id last_connected_at last_error phone \
                        project_id proxy status telegram_user_id updated_at username";
        assert_eq!(fields, expected.split_whitespace().collect::<Vec<_>>());
        assert!(shown["created_at"].as_str().unwrap().ends_with('Z'), "{shown}");
        assert_eq!(
            (&shown["status"], &shown["telegram_user_id"], &shown["last_error"]),
            (&json!("active"), &json!("4711"), &Value::Null)
        );
    }
    assert_eq!(app.get(ACCOUNTS, &owner).await.ok(200).json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn only_the_given_fields_change() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let path = format!("{ACCOUNTS}/{}", app.account(&owner, project).await);

    let changed = app
        .patch(&path, &owner, json!({ "accepts_groups": true, "display_name": " Анна П. ", "unknown": 5 }))
        .await
        .ok(200)
        .json();
    assert_eq!((&changed["accepts_groups"], &changed["accepts_private"]), (&json!(true), &json!(true)));
    assert_eq!(changed["display_name"], "Анна П.");
    assert!(changed["updated_at"].as_str().unwrap().ends_with('Z'));

    let changed =
        app.patch(&format!("{path}/"), &owner, json!({ "display_name": null, "accepts_private": false })).await.ok(200).json();
    assert_eq!((&changed["display_name"], &changed["accepts_private"]), (&json!("Анна П."), &json!(false)));
    assert_eq!(app.patch(&path, &owner, json!({ "display_name": "" })).await.ok(200).json()["display_name"], Value::Null);
}

#[tokio::test]
async fn a_proxy_is_sealed_shown_without_credentials_and_a_reason_to_connect_anew() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let path = format!("{ACCOUNTS}/{account}/proxy");
    let put = async |body: Value| app.send("PUT", &path, Some(&owner.token), body.to_string()).await;
    let session_from = async || app.value("select created_at from personal_telegram_sessions").await;

    let before = session_from().await;
    let shown = put(json!({ "url": "socks5://anna:geheim@proxy.example:1080" })).await.ok(200);
    assert_eq!(shown.json()["proxy"], "proxy.example:1080");
    assert!(!shown.text.contains("geheim"));
    let after = session_from().await;
    assert_ne!(before, after);
    let row = app.value("select p from personal_telegram_proxies p").await.unwrap();
    assert!(row.contains("v1.") && !row.contains("geheim"), "{row}");
    for url in ["http://p:1", "socks5://p", "socks5://anna:a%40b@p:1", "socks5://анна:geheim@p:1"] {
        assert!(!put(json!({ "url": url })).await.problem(422).contains("geheim"));
    }
    put(json!({})).await.problem(422);
    assert_eq!(app.get(ACCOUNTS, &owner).await.ok(200).json()[0]["proxy"], "proxy.example:1080");
    assert_eq!(session_from().await, after);

    assert_eq!(app.delete(&path, &owner).await.ok(200).json()["proxy"], Value::Null);
    assert_ne!(session_from().await, after);
    app.delete(&path, &owner).await.problem(404);

    put(json!({ "url": "socks5://p:1" })).await.ok(200);
    app.delete(&format!("{ACCOUNTS}/{account}"), &owner).await.ok(204);
    assert!(app.value("select proxy from personal_telegram_tombstones").await.unwrap().starts_with("v1."));
}

#[tokio::test]
async fn a_removed_account_leaves_its_dialogs_and_a_log_out() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    let dialog = app.dialog(&owner, bot, account, 77, 0).await;
    // An operator's reply that has not been sent yet.
    let update = json!({ "update_id": 1, "message": {
        "message_id": 5, "date": 1_700_000_000, "message_thread_id": 7, "is_topic_message": true, "text": "Добрый день",
        "chat": { "id": -1001, "type": "supergroup", "title": "Группа", "is_forum": true },
        "from": { "id": 9, "is_bot": false, "first_name": "Олег" } } });
    app.send("POST", &format!("/api/webhooks/telegram/{bot}/secret"), None, update.to_string()).await.ok(200);
    assert_eq!(app.value("select status from messages").await.as_deref(), Some("pending"));

    let path = format!("{ACCOUNTS}/{account}");
    assert_eq!(app.delete(&path, &owner).await.ok(204).text, "");
    app.delete(&path, &owner).await.problem(404);

    assert_eq!(app.value(&format!("select personal_account_id from dialogs where id = {dialog}")).await, None);
    assert_eq!(
        app.value("select account_id || ' ' || sealed from personal_telegram_tombstones").await,
        Some(format!("{account} v1.sealed"))
    );
    assert_eq!(app.value("select count(*) from personal_telegram_sessions").await.as_deref(), Some("0"));
    assert_eq!(app.value("select count(*) from apalis.jobs where job_type = 'log-out'").await.as_deref(), Some("1"));
    assert_eq!(app.value("select status from messages").await.as_deref(), Some("failed"));
    assert_eq!(
        app.value("select count(*) from apalis.jobs where job_type = 'send-reply' and status = 'Pending'").await.as_deref(),
        Some("0")
    );
}

/// What a request causes can be found by its id, and belongs to its trace.
#[tokio::test]
async fn a_request_passes_its_id_and_its_trace_on_to_its_jobs() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let answer = app
        .client
        .delete(format!("{}{ACCOUNTS}/{account}", app.base))
        .bearer_auth(&owner.token)
        .header("x-request-id", "request-of-a-proxy-1")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .send()
        .await
        .unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x-request-id"].to_str().unwrap()), (204, "request-of-a-proxy-1"));
    let metadata = "select concat_ws(' ', job_type, metadata -> 'request_id', metadata -> 'traceparent') from apalis.jobs where job_type = 'log-out'";
    let metadata = app.value(metadata).await.expect("a job");
    assert!(metadata.starts_with(&format!("log-out request-of-a-proxy-1 00-{trace}-")), "{metadata}");
    assert!(!metadata.contains("00f067aa0ba902b7"), "a job is a span of its own: {metadata}");
}
