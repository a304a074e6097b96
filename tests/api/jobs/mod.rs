//! What people see of the queue and do to it. No worker runs here: states that only a run brings about are written by hand, as the queue's
//! functions would.

mod acting;
mod reading;

use crate::api::{App, Owner};
use serde_json::{Value, json};
use std::time::Duration;
use tuberry_domain::{ClientId, MessageId};
use tuberry_jobs::{Context, Job, MirrorMessage, RefreshTopic, SendReply};
use tuberry_storage::users::Role;

/// Looks like a job's id and is none.
const NOBODY: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// A tenant with a dialog in a working group.
struct Shop {
    owner: Owner,
    project: i32,
    bot: i32,
    account: i32,
    dialog: i32,
}

impl Shop {
    async fn open(app: &App, group: &str) -> Self {
        let owner = app.owner().await;
        let project = app.project(&owner).await;
        let bot = app.bot(&owner, Some(group), "secret").await;
        app.patch(&format!("/api/projects/{project}"), &owner, json!({ "bot_id": bot })).await.ok(200);
        let account = app.account(&owner, project).await;
        let dialog = app.dialog(&owner, bot, account, 77, 0).await;
        Self { owner, project, bot, account, dialog }
    }

    /// A stored message of the dialog.
    async fn message(&self, app: &App, incoming: bool) -> MessageId {
        let message = app.message(self.dialog, "привет").await;
        app.execute(&format!(
            "insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming)
             values ({message}, {}, {}, 77, {incoming})",
            self.dialog, self.account
        ))
        .await;
        MessageId(message)
    }

    async fn mirror(&self, app: &App) -> String {
        put(app, &MirrorMessage { message: self.message(app, true).await, dialog: self.dialog.into() }).await
    }

    async fn reply(&self, app: &App) -> String {
        let message = self.message(app, false).await;
        put(app, &SendReply { message, dialog: self.dialog.into(), account: self.account.into() }).await
    }

    async fn refresh(&self, app: &App) -> String {
        put(app, &RefreshTopic { dialog: self.dialog.into() }).await
    }
}

/// Enqueues a job; its id.
async fn put<J: Job<Context>>(app: &App, job: &J) -> String {
    let mut tx = app.database.store.begin().await.unwrap();
    assert!(tuberry_jobs::enqueue(&mut tx, job).await.unwrap());
    tx.commit().await.unwrap();
    app.value("select id from apalis.jobs order by seq desc limit 1").await.unwrap()
}

async fn put_in<J: Job<Context>>(app: &App, job: &J, delay: Duration) -> String {
    let mut tx = app.database.store.begin().await.unwrap();
    assert!(tuberry_jobs::enqueue_in(&mut tx, job, delay).await.unwrap());
    tx.commit().await.unwrap();
    app.value("select id from apalis.jobs order by seq desc limit 1").await.unwrap()
}

/// As if its last attempt had failed.
async fn fail(app: &App, id: &str, error: &str) {
    app.execute(&format!(
        "update apalis.jobs set status = 'Failed', gate = 0, attempts = 10, runs = 10, done_at = now(), lock_at = now() - interval '1 second',
                lock_by = 'host/1/kind', last_result = jsonb_build_object('Err', '{error}') where id = '{id}'"
    ))
    .await;
}

/// As if a process ran it, or had run it well.
async fn set_status(app: &App, id: &str, status: &str) {
    app.execute(&format!(
        "update apalis.jobs set status = '{status}', runs = 1, lock_at = now() - interval '1 second', lock_by = 'host/1/kind',
                done_at = case when '{status}' = 'Done' then now() end where id = '{id}'"
    ))
    .await;
}

/// The platform's administrator.
async fn administrator(app: &App) -> Owner {
    of_role(app, Role::Admin, None).await
}

async fn of_role(app: &App, role: Role, client: Option<ClientId>) -> Owner {
    let (user, _) = app.user(role, client, "").await;
    Owner { client: client.unwrap_or(ClientId(0)), user, token: app.tokens.issue(user).0 }
}

/// Ids of a list, sorted.
async fn ids(app: &App, query: &str, owner: &Owner) -> Vec<String> {
    let page = app.get(&format!("/api/jobs{query}"), owner).await.ok(200).json();
    let mut ids: Vec<String> =
        page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

fn sorted<const N: usize>(ids: [&String; N]) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().cloned().collect();
    ids.sort_unstable();
    ids
}

async fn job(app: &App, id: &str, owner: &Owner) -> Value {
    app.get(&format!("/api/jobs/{id}"), owner).await.ok(200).json()
}

async fn act(app: &App, id: &str, action: &str, owner: &Owner) -> super::Answer {
    app.post(&format!("/api/jobs/{id}/{action}"), owner, json!({})).await
}

/// Every audit row: user, client, action, job, details, how many.
async fn audit(app: &App) -> Vec<Value> {
    let rows =
        "select jsonb_agg(jsonb_build_array(user_id, client_id, action, job_id, details, affected) order by id) from queue.audit";
    let rows: Value = app.value(rows).await.map_or(json!([]), |rows| serde_json::from_str(&rows).unwrap());
    rows.as_array().unwrap().clone()
}
