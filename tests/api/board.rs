//! The queue's board: who may enter, and that the stock storages read our table. No worker runs here.

use super::{Answer, App};
use serde_json::{Value, json};
use tuberry::tokens::Tokens;
use tuberry_domain::{ClientId, DialogId, MessageId, Secret};
use tuberry_jobs::{KINDS, MirrorMessage, RefreshTopic, SendReply, SyncAccounts};
use tuberry_storage::users::Role;

struct Board {
    app: App,
    base: String,
}

impl Board {
    async fn start() -> Self {
        let app = App::start().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let board = tuberry::http::board(app.database.store.clone(), app.tokens.clone());
        tokio::spawn(async move { axum::serve(listener, board).await });
        Self { app, base }
    }

    async fn token(&self, role: Role, client: Option<ClientId>) -> String {
        let (user, _) = self.app.user(role, client, "").await;
        self.app.tokens.issue(user).0
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        enter: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Answer {
        let request = self.app.client.request(method.parse().unwrap(), format!("{}{path}", self.base));
        let response = enter(request).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned() }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, |request| request.bearer_auth(token)).await
    }
}

/// Jobs in every state; the ids of some.
async fn fill(app: &App) -> [String; 2] {
    let dialog = DialogId(7);
    let mut tx = app.database.store.begin().await.unwrap();
    for message in 1..=4 {
        tuberry_jobs::enqueue(&mut tx, &MirrorMessage { message: MessageId(message), dialog }).await.unwrap();
    }
    tuberry_jobs::enqueue(&mut tx, &SendReply { message: MessageId(5), dialog, account: 3.into() }).await.unwrap();
    tuberry_jobs::enqueue_in(&mut tx, &RefreshTopic { dialog }, std::time::Duration::from_secs(600)).await.unwrap();
    tuberry_jobs::enqueue(&mut tx, &SyncAccounts { tick: 1 }).await.unwrap();
    tx.commit().await.unwrap();
    app.execute(
        r#"update apalis.jobs set status = 'Failed', gate = 0, attempts = 10, done_at = now(), last_result = '{"Err": "no"}', lock_at = now(),
                  client_id = 1, account_id = 2, dialog_id = 7, metadata = 'request_id=>r-1' where convert_from(job, 'utf8')::jsonb ->> 'message' = '1';
           update apalis.jobs set status = 'Killed', gate = 0, done_at = now(), last_result = '{"Err": "never"}' where convert_from(job, 'utf8')::jsonb ->> 'message' = '2';
           update apalis.jobs set gate = 0, priority = -5 where convert_from(job, 'utf8')::jsonb ->> 'message' = '3';
           update apalis.jobs set status = 'Running', lock_by = 'host/1/send-reply', lock_at = now(), runs = 1 where job_type = 'send-reply';
           update apalis.jobs set status = 'Done', done_at = now(), lock_at = now(), lock_by = 'x', last_result = '{"Ok": null}' where job_type = 'sync-accounts';
           insert into apalis.workers (id, worker_type, storage_name, layers, last_seen) values ('host/1/send-reply', 'send-reply', 'tuberry', '', now());"#,
    )
    .await;
    let id = async |message: i32| {
        app.value(&format!("select id from apalis.jobs where convert_from(job, 'utf8')::jsonb ->> 'message' = '{message}'"))
            .await
            .unwrap()
    };
    [id(1).await, id(2).await]
}

#[tokio::test]
async fn only_the_platforms_administrator_enters() {
    let board = Board::start().await;
    let owner = board.app.owner().await;
    let administrator = board.token(Role::Admin, None).await;
    let foreign = Tokens::new(&Secret::new("another secret".into()), std::time::Duration::from_secs(60)).issue(owner.user).0;
    let (inactive, _) = board.app.user(Role::Admin, None, "").await;
    board.app.execute(&format!("update users set is_active = false where id = {inactive}")).await;
    let inactive = board.app.tokens.issue(inactive).0;
    let tenants_admin = board.token(Role::Admin, Some(owner.client)).await;
    let manager = board.token(Role::Manager, Some(owner.client)).await;
    let (stray_owner, stray_manager) = (board.token(Role::Owner, None).await, board.token(Role::Manager, None).await);
    let css = {
        let page = board.get("/", &administrator).await.ok(200).text;
        let start = page.find("href=\"/input-").unwrap() + 6;
        page[start..].split('"').next().unwrap().to_owned()
    };
    for path in
        ["/", "/queues", "/api/v1/queues", "/api/v1/tasks", "/api/v1/queues/mirror-message/tasks", "/api/v1/nothing", &css]
    {
        let refused = board.send("GET", path, |request| request).await;
        refused.problem(401);
        assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Basic realm=\"Tuberry\""), "{refused:?}");
        for token in [foreign.as_str(), &inactive, "rubbish", ""] {
            board.get(path, token).await.problem(401);
            board.send("GET", path, |request| request.basic_auth("admin", Some(token))).await.problem(401);
        }
        // The token is the password, not the name.
        board.send("GET", path, |request| request.basic_auth(&administrator, Some(""))).await.problem(401);
        for token in [&owner.token, &tenants_admin, &manager, &stray_owner, &stray_manager] {
            board.get(path, token).await.problem(403);
            board.send("GET", path, |request| request.basic_auth("admin", Some(token))).await.problem(403);
        }
    }
    for path in ["/", "/api/v1/queues", &css] {
        board.get(path, &administrator).await.ok(200);
        board.send("GET", path, |request| request.basic_auth("anybody", Some(&administrator))).await.ok(200);
        board.send("HEAD", path, |request| request.basic_auth("", Some(&administrator))).await.ok(200);
    }
}

#[tokio::test]
async fn the_board_reads_jobs_of_every_kind_and_state() {
    let board = Board::start().await;
    let [failed, killed] = fill(&board.app).await;
    let token = board.token(Role::Admin, None).await;
    let before = board.app.fingerprint().await;
    let get = async |path: &str| board.get(&format!("/api/v1{path}"), &token).await.ok(200).json();

    let queues = get("/queues").await;
    let names: Vec<&str> = queues.as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mirror-message", "refresh-topic", "send-reply", "sync-accounts"]);
    let statistic = |queue: usize, title: &str| {
        let statistics = queues[queue]["stats"].as_array().unwrap();
        statistics.iter().find(|statistic| statistic["title"] == title).unwrap()["value"].clone()
    };
    assert_eq!((statistic(0, "TOTAL_JOBS"), statistic(0, "FAILED_JOBS")), (json!("4"), json!("1")));

    for (path, found) in [
        ("/queues/mirror-message/tasks?status=Failed", 1),
        ("/queues/mirror-message/tasks?status=Killed", 1),
        ("/queues/mirror-message/tasks", 2),
        ("/queues/mirror-message/tasks?status=Pending&page=2&page_size=1", 1),
        ("/queues/send-reply/tasks?status=Running", 1),
        ("/queues/refresh-topic/tasks?status=Pending", 1),
        ("/queues/sync-accounts/tasks?status=Done", 1),
        ("/queues/log-out/tasks?status=Done", 0),
        ("/tasks?status=Pending", 3),
        ("/tasks?status=Done", 1),
        ("/workers", 1),
        ("/queues/send-reply/workers", 1),
    ] {
        let listed = get(path).await;
        assert_eq!(listed.as_array().unwrap().len(), found, "{path}: {listed}");
    }
    for kind in KINDS {
        assert!(get(&format!("/queues/{kind}/stats")).await.is_array(), "{kind}");
    }
    assert!(!get("/overview").await.as_array().unwrap().is_empty());

    let task = get(&format!("/queues/mirror-message/tasks/{failed}")).await;
    assert_eq!(task["args"], json!({ "message": 1, "dialog": 7 }));
    assert_eq!((&task["ctx"]["task_id"], &task["ctx"]["status"]), (&json!(failed), &json!("Failed")), "{task}");
    assert_eq!(get(&format!("/queues/mirror-message/tasks/{killed}")).await["args"]["message"], 2);
    board.get("/api/v1/queues/mirror-message/tasks/01ARZ3NDEKTSV4RRFFQ69G5FAV", &token).await.ok(404);
    let events = board.get("/api/v1/events", &token).await.ok(200);
    assert_eq!(
        (events.headers["content-type"].to_str().unwrap(), events.text.as_str()),
        ("text/event-stream", "retry: 60000\n\n")
    );
    board.get("/api/v1/queues/no-such-kind/tasks", &token).await.ok(404);

    for path in ["/", "/tasks", "/queues/mirror-message"] {
        let page = board.get(path, &token).await.ok(200);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert!(page.text.contains(".wasm"), "{}", page.text);
    }
    assert_eq!(board.app.fingerprint().await, before);
}

#[tokio::test]
async fn the_board_changes_nothing() {
    let board = Board::start().await;
    fill(&board.app).await;
    let administrator = board.token(Role::Admin, None).await;
    let owner = board.app.owner().await;
    let before = board.app.fingerprint().await;
    for method in ["PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        for path in ["/api/v1/queues/mirror-message/tasks", "/api/v1/queues", "/api/v1/queues/log-out/tasks/", "/", "/nothing"] {
            let body = json!({ "message": 1, "dialog": 7 }).to_string();
            let json = |request: reqwest::RequestBuilder| request.header("content-type", "application/json").body(body.clone());
            let refused = board.send(method, path, |request| json(request).bearer_auth(&administrator)).await;
            refused.problem(405);
            assert_eq!(refused.headers["allow"], "GET, HEAD");
            board.send(method, path, |request| json(request).basic_auth("x", Some(&administrator))).await.problem(405);
            board.send(method, path, |request| json(request).bearer_auth(&owner.token)).await.problem(403);
            board.send(method, path, json).await.problem(401);
        }
    }
    assert_eq!(board.app.fingerprint().await, before);
    assert_eq!(board.get("/api/v1/queues", &administrator).await.ok(200).json()[0]["name"], Value::from("mirror-message"));
}
