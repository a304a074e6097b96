//! Creating and changing projects.

use super::App;
use super::webhooks::operator_writes;
use serde_json::{Value, json};

#[tokio::test]
async fn a_project_is_created_changed_and_bound_to_one_bot() {
    let app = App::start().await;
    let owner = app.owner().await;
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    let created = app.post("/api/projects", &owner, json!({ "name": " Продажи ", "bot_id": bot })).await.ok(201);
    let project = created.id();
    let shown = created.json();
    assert_eq!((&shown["name"], &shown["bot_id"], &shown["group_chat_id"]), (&json!("Продажи"), &json!(bot), &json!("-1001")));
    assert!(shown["created_at"].as_str().unwrap().ends_with('Z'));

    let other = app.project(&owner).await;
    app.patch(&format!("/api/projects/{other}"), &owner, json!({ "bot_id": bot })).await.problem(409);
    app.post("/api/projects", &owner, json!({ "name": "Третий", "bot_id": bot })).await.problem(409);
    assert_eq!(app.get("/api/projects", &owner).await.json().as_array().unwrap().len(), 2, "the refused one was not written");

    let path = format!("/api/projects/{project}");
    let changed = app.patch(&path, &owner, json!({ "description": "Отдел продаж" })).await.ok(200).json();
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["bot_id"]),
        (&json!("Продажи"), &json!("Отдел продаж"), &json!(bot))
    );
    assert_eq!(app.patch(&path, &owner, json!({ "bot_id": null })).await.ok(200).json()["bot_id"], Value::Null);
    app.patch(&format!("/api/projects/{other}/"), &owner, json!({ "bot_id": bot })).await.ok(200);
    assert_eq!(app.get(&format!("/api/projects/{other}"), &owner).await.ok(200).json()["bot_id"], bot);
}

#[tokio::test]
async fn a_projects_dialogs_follow_it_to_another_bot() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let path = format!("/api/projects/{project}");
    let (old, new) = (app.bot(&owner, Some("-1001"), "old").await, app.bot(&owner, Some("-1002"), "new").await);
    let same_group = app.bot(&owner, Some("-1002"), "third").await;
    app.patch(&path, &owner, json!({ "bot_id": old })).await.ok(200);
    let account = app.account(&owner, project).await;
    let dialog = app.dialog(&owner, old, account, 77, 0).await;
    let avito = app.dialog(&owner, old, account, 78, 0).await;
    app.execute(&format!("update dialogs set source = 'avito', telegram_topic_id = '8' where id = {avito}")).await;
    app.execute("update personal_telegram_dialogs set topic_title = 'Клиент'").await;
    operator_writes(&app, old, -1001, 7, 5, "от прежнего").await;
    let place = async |dialog: i32| {
        let columns = "concat_ws(' ', d.bot_id, coalesce(telegram_chat_id, '-'), coalesce(telegram_topic_id, '-'), coalesce(topic_title, '-'))";
        let tables = "dialogs d join personal_telegram_dialogs o on o.dialog_id = d.id";
        app.value(&format!("select {columns} from {tables} where d.id = {dialog}")).await.unwrap()
    };
    assert_eq!(place(dialog).await, format!("{old} -1001 7 Клиент"));

    app.patch(&path, &owner, json!({ "bot_id": old })).await.ok(200);
    assert_eq!(place(dialog).await, format!("{old} -1001 7 Клиент"), "nothing moves without a change");
    app.patch(&path, &owner, json!({ "bot_id": null })).await.ok(200);
    app.patch(&path, &owner, json!({ "bot_id": new })).await.ok(200);
    assert_eq!(place(dialog).await, format!("{new} - - -"));
    assert_eq!(place(avito).await, format!("{old} -1001 8 Клиент"), "other sources are not ours to move");

    // Message numbers begin anew in another group: this 5 is not the other group's.
    app.topic_created(dialog, -1002, 9).await;
    operator_writes(&app, new, -1002, 9, 5, "от нового").await;
    let replies = app.value("select string_agg(body, ', ' order by id) from messages").await;
    assert_eq!(replies.as_deref(), Some("от прежнего, от нового"));

    app.patch(&format!("/api/bots/{same_group}"), &owner, json!({ "project_id": project })).await.ok(200);
    assert_eq!(place(dialog).await, format!("{same_group} -1002 9 Клиент"), "in the same group the topic stays");
    operator_writes(&app, same_group, -1002, 9, 5, "от нового").await;
    assert_eq!(
        app.value("select count(*) from messages").await.as_deref(),
        Some("2"),
        "there the same number is the same message"
    );
}
