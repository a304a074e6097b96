//! Requests at the same time: what they lock, in which order, and what a loser is told.

use super::App;
use super::bots::bot_and_forum;
use serde_json::json;
use std::time::Duration;
use tuberry_storage::Tx;

async fn begin(app: &App) -> Tx {
    app.database.store.begin().await.unwrap()
}

async fn execute(tx: &mut Tx, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(tx.conn()).await.map(drop)
}

/// Waits until so many transactions of this test's database wait for locks.
async fn waiting(app: &App, transactions: u32) {
    let query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..200 {
        if app.value(query).await == Some(transactions.to_string()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{transactions} transactions do not wait");
}

#[tokio::test]
async fn a_request_takes_one_connection_at_a_time() {
    let app = App::with_simulator_and_pool(1).await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let (token, forum) = bot_and_forum(&app, "shop_bot").await;
    let body = json!({ "token": token, "group_chat_id": forum, "project_id": project });
    let bot = app.post("/api/bots", &owner, body).await.ok(201).id();
    let (bot_path, project_path) = (format!("/api/bots/{bot}"), format!("/api/projects/{project}"));
    app.patch(&project_path, &owner, json!({ "bot_id": null })).await.ok(200);
    app.patch(&project_path, &owner, json!({ "bot_id": bot })).await.ok(200);
    app.patch(&bot_path, &owner, json!({ "project_id": null })).await.ok(200);
    app.patch(&bot_path, &owner, json!({ "project_id": project, "group_chat_id": forum })).await.ok(200);
    app.patch(&bot_path, &owner, json!({ "project_id": null })).await.ok(200);
    app.post("/api/projects", &owner, json!({ "name": "Второй", "bot_id": bot })).await.ok(201);
}

#[tokio::test]
async fn a_bot_is_connected_while_somebody_else_changes_another() {
    let app = App::with_simulator().await;
    let owner = app.owner().await;
    let other = app.bot(&owner, None, "secret").await;
    let (token, _) = bot_and_forum(&app, "shop_bot").await;
    let mut tx = begin(&app).await;
    execute(&mut tx, &format!("update bots set topic_mode = true where id = {other}")).await.unwrap();
    let connected = app.post("/api/bots", &owner, json!({ "token": token }));
    tokio::time::timeout(Duration::from_secs(5), connected).await.expect("nothing to wait for").ok(201);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn two_requests_that_connect_one_bot_come_one_after_the_other() {
    let app = App::with_simulator().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let (token, _) = bot_and_forum(&app, "shop_bot").await;
    let mut tx = begin(&app).await;
    execute(&mut tx, &format!("select id from projects where id = {project} for update")).await.unwrap();
    let first = app.post("/api/bots", &owner, json!({ "token": token, "project_id": project }));
    let second = async {
        waiting(&app, 1).await;
        app.post("/api/bots", &owner, json!({ "token": token })).await
    };
    let release = async {
        waiting(&app, 2).await;
        tx.commit().await.unwrap();
    };
    let (first, second, ()) = tokio::join!(first, second, release);
    first.ok(201);
    second.problem(409);
    assert_eq!(app.value("select count(*) from bots").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_bot_is_locked_before_the_project_whichever_of_them_is_changed() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    for (path, body) in [
        (format!("/api/projects/{project}"), json!({ "bot_id": bot, "name": "Новое имя" })),
        (format!("/api/bots/{bot}"), json!({ "project_id": project })),
    ] {
        let mut tx = begin(&app).await;
        execute(&mut tx, &format!("select id from bots where id = {bot} for update")).await.unwrap();
        let free = async {
            waiting(&app, 1).await;
            let mut other = begin(&app).await;
            execute(&mut other, &format!("select id from projects where id = {project} for update nowait"))
                .await
                .expect("the project is not locked yet");
            drop((other, tx));
        };
        let (changed, ()) = tokio::join!(app.patch(&path, &owner, body), free);
        changed.ok(200);
    }
}

#[tokio::test]
async fn the_loser_of_a_deadlock_is_told_to_try_again() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    let mut tx = begin(&app).await;
    // The request finds the deadlock, not this transaction.
    execute(&mut tx, "set local deadlock_timeout = '60s'").await.unwrap();
    execute(&mut tx, &format!("select id from projects where id = {project} for update")).await.unwrap();
    let path = format!("/api/bots/{bot}");
    let deadlock = async {
        waiting(&app, 1).await;
        execute(&mut tx, &format!("select id from bots where id = {bot} for update")).await.unwrap();
    };
    let (changed, ()) = tokio::join!(app.patch(&path, &owner, json!({ "project_id": project })), deadlock);
    changed.problem(503);
    assert_eq!(changed.headers["retry-after"], "1");
    tx.commit().await.unwrap();
    app.patch(&path, &owner, json!({ "project_id": project })).await.ok(200);
}
