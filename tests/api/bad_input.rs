//! Whatever a request carries: 4xx with a `detail`, never 5xx, and nothing written.

use super::App;
use super::webhooks::operator_writes;
use serde_json::json;

const ACCOUNTS: &str = "/api/personal-telegram-accounts";

#[tokio::test]
async fn malformed_bodies_are_refused_and_write_nothing() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    let before = app.fingerprint().await;
    let targets = [
        ("POST", format!("{ACCOUNTS}/login"), "project_id"),
        ("PATCH", format!("{ACCOUNTS}/{account}"), "accepts_groups"),
        ("POST", "/api/projects".into(), "name"),
        ("PATCH", format!("/api/projects/{project}"), "name"),
        ("POST", "/api/bots".into(), "token"),
        ("PATCH", format!("/api/bots/{bot}"), "group_chat_id"),
        ("POST", "/api/auth/login".into(), "email"),
    ];
    for (method, path, field) in &targets {
        for broken in ["", "{", "nonsense", "{\"name\": }", "\u{0}", "[1,2", "{\"a\":1}}"] {
            app.send(method, path, Some(&owner.token), broken).await.problem(400);
        }
        app.send(method, path, Some(&owner.token), vec![0xff, 0xfe, 0xfd]).await.problem(400);
        for wrong in [json!({ *field: { "a": 1 } }), json!({ *field: [1, 2] }), json!([]), json!("text"), json!(5)] {
            app.send(method, path, Some(&owner.token), wrong.to_string()).await.problem(422);
        }
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(matches!(app.send(method, path, Some(&owner.token), deep).await.status, 400 | 422));
        app.send(method, path, Some(&owner.token), vec![b' '; 65 * 1024]).await.problem(413);
    }
    assert_eq!(app.fingerprint().await, before);
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_refused_everywhere() {
    let app = App::start().await;
    let owner = app.owner().await;
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    let before = app.fingerprint().await;
    let body = format!("{{\"password\": \"{}\", \"project_id\": 1}}", "x".repeat(10_000_000));
    for path in
        ["/api/projects", "/api/auth/login", &format!("{ACCOUNTS}/login"), &format!("/api/webhooks/telegram/{bot}/secret")]
    {
        // The server answers without reading it all and may close while the client still writes.
        let request = app.client.post(format!("{}{path}", app.base)).bearer_auth(&owner.token).body(body.clone());
        match request.send().await {
            Ok(response) => assert_eq!(response.status().as_u16(), 413, "{path}"),
            Err(error) => assert!(error.is_request() && !error.is_timeout(), "{path}: {error:?}"),
        }
    }
    assert_eq!(app.fingerprint().await, before);
    app.get("/api/projects", &owner).await.ok(200);
}

#[tokio::test]
async fn ids_out_of_range_name_nothing() {
    let app = App::start().await;
    let owner = app.owner().await;
    for id in ["0", "-1", "2147483648", "99999999999999999999999", "1.5", "abc", "%00", "%ff", "1%20", "login%00"] {
        app.patch(&format!("{ACCOUNTS}/{id}"), &owner, json!({})).await.problem(404);
        app.delete(&format!("{ACCOUNTS}/{id}"), &owner).await.problem(404);
        app.get(&format!("/api/projects/{id}"), &owner).await.problem(404);
        app.get(&format!("/api/bots/{id}"), &owner).await.problem(404);
        app.get(&format!("/api/dialogs/{id}/messages"), &owner).await.problem(404);
        let answer = app.get(&format!("{ACCOUNTS}/login/{id}"), &owner).await;
        answer.problem(404);
        app.send("POST", &format!("/api/webhooks/telegram/{id}/secret"), None, "{}").await.problem(404);
        app.send("POST", &format!("/api/webhooks/telegram/1/{id}"), None, "{}").await.problem(404);
    }
    for query in ["project_id=2147483648", "project_id=x", "project_id=", "project_id=1&project_id=2"] {
        app.get(&format!("{ACCOUNTS}?{query}"), &owner).await.problem(422);
    }
    for query in [
        "limit=0",
        "limit=-5",
        "limit=x",
        "limit=201",
        "limit=99999999999999999999",
        "project_id=0",
        "x=%",
        "x=%zz",
        "x=%e2%82",
        "cursor=zzz",
        "cursor=1_2_3",
        "cursor=%00",
        "account_id=1e3",
    ] {
        app.get(&format!("/api/dialogs?{query}"), &owner).await.problem(422);
    }
    for body in
        [json!({ "project_id": 2_147_483_648_i64 }), json!({ "project_id": -2_147_483_649_i64 }), json!({ "project_id": 1.5 })]
    {
        app.post(&format!("{ACCOUNTS}/login"), &owner, body).await.problem(422);
    }
    for id in [0, -1] {
        app.post(&format!("{ACCOUNTS}/login"), &owner, json!({ "project_id": id })).await.problem(422);
    }
    app.post(&format!("{ACCOUNTS}/login"), &owner, json!({ "project_id": i32::MAX })).await.problem(404);
}

#[tokio::test]
async fn texts_that_the_database_cannot_hold_are_refused() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let bot = app.bot(&owner, Some("-1001"), "secret").await;
    app.dialog(&owner, bot, account, 77, 0).await;
    let before = app.fingerprint().await;
    app.post("/api/projects", &owner, json!({ "name": "a\u{0}b" })).await.problem(422);
    app.post("/api/projects", &owner, json!({ "name": "  " })).await.problem(422);
    app.post("/api/projects", &owner, json!({ "name": "x".repeat(256) })).await.problem(422);
    app.patch(&format!("{ACCOUNTS}/{account}"), &owner, json!({ "display_name": "\u{0}" })).await.problem(422);
    app.patch(&format!("{ACCOUNTS}/{account}"), &owner, json!({ "display_name": "я".repeat(256) })).await.problem(422);
    app.send("POST", "/api/auth/login", None, json!({ "email": "a\u{0}@b", "password": "x" }).to_string()).await.problem(422);
    for token in ["", "1", "1:x", "../getMe", "1:aaaaaaaaaaaaaaaaaaaaaaaa/../../x", "1:aaaaaaaaaaaaaaaaaaaaaaaa\u{0}"] {
        app.post("/api/bots", &owner, json!({ "token": token })).await.problem(422);
    }
    for chat in [json!("x"), json!(""), json!("99999999999999999999")] {
        let answer = app.patch(&format!("/api/bots/{bot}"), &owner, json!({ "group_chat_id": chat })).await;
        answer.problem(422);
    }
    assert_eq!(app.fingerprint().await, before);

    // An operator is not there to be told: his message is taken with a sign in place of what cannot be stored.
    operator_writes(&app, bot, -1001, 7, 5, "a\u{0}b").await;
    assert_eq!(app.value("select body from messages").await.as_deref(), Some("a\u{fffd}b"));
}

#[tokio::test]
async fn a_body_that_calls_itself_something_else_than_json_is_refused() {
    let app = App::start().await;
    let owner = app.owner().await;
    let before = app.fingerprint().await;
    let post = async |content_type: &str| {
        let request = app.client.post(format!("{}/api/projects", app.base)).bearer_auth(&owner.token);
        let body = json!({ "name": "Проект" }).to_string();
        request.header("content-type", content_type).body(body).send().await.unwrap().status().as_u16()
    };
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", ";"] {
        assert_eq!(post(content_type).await, 415, "{content_type}");
    }
    assert_eq!(app.fingerprint().await, before);
    assert_eq!(post("application/json; charset=utf-8").await, 201);
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let app = App::start().await;
    let owner = app.owner().await;
    for path in ["/api", "/api/nothing", "/api/personal-telegram-accounts/1/2/3", "/nothing/"] {
        app.get(path, &owner).await.problem(404);
    }
    for (method, path) in [("PUT", ACCOUNTS), ("DELETE", "/api/projects"), ("GET", "/api/auth/login"), ("PATCH", "/healthz")] {
        app.send(method, path, Some(&owner.token), "").await.problem(405);
    }
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let app = App::start().await;
    let fresh = app.send("GET", "/healthz", None, "").await.ok(200);
    assert_eq!(fresh.headers["x-request-id"].len(), 26);
    let taken = app.client.get(format!("{}/nothing", app.base)).header("x-request-id", "proxy-0001").send().await.unwrap();
    assert_eq!(taken.headers()["x-request-id"], "proxy-0001");
    let refused = app.client.get(format!("{}/readyz", app.base)).header("x-request-id", "a b; {}").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["x-request-id"].len()), (200, 26));
}
