//! Pages of dialogs and messages.

use super::{App, Owner};
use serde_json::Value;

/// Follows the cursors from the first page to the last; the ids in the order they came.
async fn walk(app: &App, owner: &Owner, path: &str, mut between: impl AsyncFnMut()) -> Vec<i64> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{path}{cursor}"), owner).await.ok(200).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        ids.extend(items.iter().map(|item| item["id"].as_i64().unwrap()));
        let Some(next) = page["next_cursor"].as_str() else { return ids };
        assert_eq!(items.len(), 3);
        cursor = format!("&cursor={next}");
        between().await;
    }
}

#[tokio::test]
async fn messages_come_newest_first_without_gaps_or_repeats() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    let account = app.account(&owner, project).await;
    let dialog = app.dialog(&owner, bot, account, 77, 0).await;
    let mut expected = Vec::new();
    for number in 0..8 {
        expected.insert(0, i64::from(app.message(dialog, &format!("сообщение {number}")).await));
    }
    // What arrives while somebody leafs through shifts nothing.
    let path = format!("/api/dialogs/{dialog}/messages?limit=3");
    let seen = walk(&app, &owner, &path, async || {
        app.message(dialog, "новое").await;
    })
    .await;
    assert_eq!(seen, expected);

    let newest = app.get(&format!("/api/dialogs/{dialog}/messages?limit=1"), &owner).await.ok(200).json();
    let message = &newest["items"][0];
    assert_eq!((&message["body"], &message["direction"]), (&"новое".into(), &"personal_telegram_in".into()));
    assert!(message["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(message["error"], Value::Null);
    app.get(&format!("/api/dialogs/{}/messages", dialog + 1000), &owner).await.problem(404);
}

#[tokio::test]
async fn dialogs_come_most_recently_active_first() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (project, other) = (app.project(&owner).await, app.project(&owner).await);
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    let (account, elsewhere) = (app.account(&owner, project).await, app.account(&owner, other).await);
    let mut expected = Vec::new();
    for chat in 0..7 {
        // Created in the opposite order of their activity; two at the same minute.
        expected.push(i64::from(app.dialog(&owner, bot, account, 100 + chat, (7 - chat as i32) / 2 * 2).await));
    }
    let foreign = app.dialog(&owner, bot, elsewhere, 500, 60).await;
    expected.reverse();

    let seen = walk(&app, &owner, &format!("/api/dialogs?project_id={project}&limit=3"), async || ()).await;
    assert_eq!(seen, expected);
    let all = walk(&app, &owner, "/api/dialogs?limit=3", async || ()).await;
    assert_eq!(all.last(), Some(&i64::from(foreign)));
    let of_account = app.get(&format!("/api/dialogs?account_id={elsewhere}"), &owner).await.ok(200).json();
    let dialog = &of_account["items"][0];
    assert_eq!((&dialog["id"], &dialog["chat_id"], &dialog["waiting"]), (&foreign.into(), &"500".into(), &true.into()));
    assert_eq!(of_account["next_cursor"], Value::Null);
}
