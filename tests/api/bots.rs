//! Connecting bots, with the simulator as Telegram.

use super::webhooks::operator_writes;
use super::{Answer, App, Owner};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tuberry_domain::ChatId;
use tuberry_storage::mirror::Mirror;

pub(super) async fn control(app: &App, path: &str, body: Value) -> Value {
    let url = format!("{}/control{path}", app.simulator.as_ref().unwrap().http_url());
    let response = app.client.post(url).json(&body).send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
    response.json().await.unwrap()
}

/// A bot at Telegram and a forum of which it is administrator.
pub(super) async fn bot_and_forum(app: &App, username: &str) -> (String, i64) {
    let bot = control(app, "/bots", json!({ "username": username })).await;
    let token = bot["token"].as_str().unwrap().to_owned();
    let forum = control(app, "/forums", json!({ "title": "Группа", "bot_token": token, "members": [] })).await;
    (token, forum["chat_id"].as_i64().unwrap())
}

async fn connect(app: &App, owner: &Owner, body: Value) -> Answer {
    app.post("/api/bots", owner, body).await
}

#[tokio::test]
async fn a_bot_is_connected_with_its_group_its_project_and_its_webhook() {
    let app = App::with_simulator().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let (token, forum) = bot_and_forum(&app, "shop_bot").await;
    let answer = connect(&app, &owner, json!({ "token": token, "group_chat_id": forum, "project_id": project })).await.ok(201);
    let bot = answer.json();
    assert_eq!((&bot["bot_username"], &bot["status"]), (&json!("shop_bot"), &json!("active")));
    assert_eq!((&bot["group_chat_id"], &bot["project_id"]), (&json!(forum.to_string()), &json!(project)));
    let secret = app.value("select webhook_secret from bots").await.unwrap();
    assert!(!answer.text.contains(token.split(':').nth(1).unwrap()) && !answer.text.contains(&secret), "{}", answer.text);
    assert_eq!(secret.len(), 43);

    let url = format!("{}/bot{token}/getWebhookInfo", app.simulator.as_ref().unwrap().http_url());
    let info: Value = app.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(info["result"]["url"], format!("http://127.0.0.1:9/api/webhooks/telegram/{}/{secret}", answer.id()));
    assert_eq!(info["result"]["max_connections"], 1);

    let shown = app.get("/api/bots", &owner).await.ok(200).json();
    assert_eq!(shown, json!([bot]));
    connect(&app, &owner, json!({ "token": token })).await.problem(409);
    let stranger = app.owner().await;
    connect(&app, &stranger, json!({ "token": token })).await.problem(409);
}

#[tokio::test]
async fn every_missing_right_is_named_and_nothing_is_written() {
    let app = App::with_simulator().await;
    let owner = app.owner().await;
    let (token, forum) = bot_and_forum(&app, "shop_bot").await;
    let before = app.fingerprint().await;
    control(
        &app,
        &format!("/forums/{forum}/bot"),
        json!({ "rights": { "can_manage_topics": false, "can_delete_messages": false } }),
    )
    .await;
    let detail = connect(&app, &owner, json!({ "token": token, "group_chat_id": forum })).await.problem(422);
    assert!(detail.contains("Управление темами") && detail.contains("Удаление сообщений"), "{detail}");
    control(&app, &format!("/forums/{forum}/bot"), json!({ "rights": { "can_manage_topics": true } })).await;
    let detail = connect(&app, &owner, json!({ "token": token, "group_chat_id": forum.to_string() })).await.problem(422);
    assert!(!detail.contains("Управление темами") && detail.contains("Удаление сообщений"), "{detail}");
    connect(&app, &owner, json!({ "token": token, "group_chat_id": -100_999 })).await.problem(422);
    connect(&app, &owner, json!({ "token": "4711:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })).await.problem(422);
    connect(&app, &owner, json!({ "token": token, "project_id": 99_999 })).await.problem(404);
    assert_eq!(app.fingerprint().await, before);
}

#[tokio::test]
async fn group_and_project_of_a_bot_can_be_changed_and_taken_away() {
    let app = App::with_simulator().await;
    let owner = app.owner().await;
    let (token, forum) = bot_and_forum(&app, "shop_bot").await;
    let path = format!("/api/bots/{}", connect(&app, &owner, json!({ "token": token })).await.ok(201).id());
    let (first, second) = (app.project(&owner).await, app.project(&owner).await);

    let bound = app.patch(&path, &owner, json!({ "group_chat_id": forum, "project_id": first })).await.ok(200).json();
    assert_eq!((&bound["group_chat_id"], &bound["project_id"]), (&json!(forum.to_string()), &json!(first)));
    app.patch(&path, &owner, json!({ "project_id": second })).await.problem(409);
    let freed = app.patch(&path, &owner, json!({ "project_id": null })).await.ok(200).json();
    assert_eq!((&freed["group_chat_id"], &freed["project_id"]), (&json!(forum.to_string()), &Value::Null));
    app.patch(&path, &owner, json!({ "project_id": second })).await.ok(200);
    let freed = app.patch(&path, &owner, json!({ "group_chat_id": null })).await.ok(200).json();
    assert_eq!((&freed["group_chat_id"], &freed["project_id"]), (&Value::Null, &json!(second)));
    control(&app, &format!("/forums/{forum}/bot"), json!({ "status": "kicked" })).await;
    app.patch(&path, &owner, json!({ "group_chat_id": forum })).await.problem(422);
}

#[tokio::test]
async fn without_telegram_a_bot_is_not_connected_and_the_user_told_to_try_again() {
    let app = App::start().await;
    let owner = app.owner().await;
    let before = app.fingerprint().await;
    let refused = connect(&app, &owner, json!({ "token": "4711:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })).await;
    refused.problem(503);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(app.fingerprint().await, before);
}

#[tokio::test]
async fn a_bot_whose_webhook_is_not_taken_is_connected_all_the_same() {
    let app = App::with_simulator().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let (token, forum) = bot_and_forum(&app, "shop_bot").await;
    let fault = json!({ "kind": "bot_error", "method": "bot.setWebhook", "status": 500, "description": "Internal Server Error", "times": 9 });
    control(&app, "/faults", fault).await;
    let answer = connect(&app, &owner, json!({ "token": token, "group_chat_id": forum, "project_id": project })).await;
    let detail = answer.problem(503);
    assert!(detail.contains("Бот подключён") && detail.contains("вебхук"), "{detail}");
    assert!(!answer.headers.contains_key("retry-after"), "the same request again would be refused: {answer:?}");
    let bots = app.get("/api/bots", &owner).await.ok(200).json();
    assert_eq!((&bots[0]["bot_username"], &bots[0]["project_id"]), (&json!("shop_bot"), &json!(project)));
}

#[tokio::test]
async fn no_transaction_stays_open_while_telegram_takes_its_time() {
    let app = App::with_simulator().await;
    let owner = app.owner().await;
    let (token, _) = bot_and_forum(&app, "shop_bot").await;
    control(&app, "/faults", json!({ "kind": "latency", "ms": 2000 })).await;
    let connected = async {
        connect(&app, &owner, json!({ "token": token })).await.ok(201);
        Instant::now()
    };
    let stored = async {
        while app.value("select count(*) from bots").await.as_deref() != Some("1") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Instant::now()
    };
    let (connected, stored) = tokio::join!(connected, stored);
    assert!(connected > stored + Duration::from_secs(1), "stored {:?} before the answer", connected - stored);
}

#[tokio::test]
async fn numbers_of_one_group_mean_nothing_in_the_next() {
    let app = App::with_simulator().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let (token, first) = bot_and_forum(&app, "shop_bot").await;
    let bot = connect(&app, &owner, json!({ "token": token, "group_chat_id": first, "project_id": project })).await.ok(201).id();
    let account = app.account(&owner, project).await;
    let dialog = app.dialog(&owner, bot, account, 77, 0).await;
    operator_writes(&app, bot, first, 7, 5, "в первой группе").await;
    let forum = json!({ "title": "Вторая", "bot_token": token, "members": [] });
    let second = control(&app, "/forums", forum).await["chat_id"].as_i64().unwrap();
    app.patch(&format!("/api/bots/{bot}"), &owner, json!({ "group_chat_id": second })).await.ok(200);

    let pool = app.database.store.pool();
    let place = Mirror::start(pool).place(dialog.into()).await.unwrap().unwrap();
    assert_eq!((place.group, place.topic), (Some(ChatId(second)), None), "a topic of the first group is none here");
    app.topic_created(dialog, second, 7).await;
    operator_writes(&app, bot, second, 7, 5, "во второй").await;
    let replies = app.value("select string_agg(body, ', ' order by id) from messages").await;
    assert_eq!(replies.as_deref(), Some("в первой группе, во второй"));

    // The old system does not say in which group a topic stands.
    app.execute("update dialogs set telegram_chat_id = null").await;
    let forum = json!({ "title": "Третья", "bot_token": token, "members": [] });
    let third = control(&app, "/forums", forum).await["chat_id"].as_i64().unwrap();
    for group in [Value::Null, json!(third)] {
        app.patch(&format!("/api/bots/{bot}"), &owner, json!({ "group_chat_id": group })).await.ok(200);
    }
    let place = Mirror::start(pool).place(dialog.into()).await.unwrap().unwrap();
    assert_eq!((place.group, place.topic), (Some(ChatId(third)), None), "nor is one of the second");
    operator_writes(&app, bot, third, 7, 5, "чужому").await;
    assert_eq!(app.value("select string_agg(body, ', ' order by id) from messages").await, replies);

    // The old portal tells nobody that it has chosen another group.
    app.topic_created(dialog, third, 7).await;
    operator_writes(&app, bot, third, 7, 5, "в третьей").await;
    let forum = json!({ "title": "Четвёртая", "bot_token": token, "members": [] });
    let fourth = control(&app, "/forums", forum).await["chat_id"].as_i64().unwrap();
    app.execute(&format!("update bots set group_chat_id = '{fourth}'")).await;
    app.topic_created(dialog, fourth, 7).await;
    operator_writes(&app, bot, fourth, 7, 5, "в четвёртой").await;
    let replies = app.value("select string_agg(body, ', ' order by id) from messages").await;
    assert_eq!(replies.as_deref(), Some("в первой группе, во второй, в третьей, в четвёртой"));
}
