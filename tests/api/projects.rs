//! Creating and changing projects.

use super::App;
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
