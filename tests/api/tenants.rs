//! A tenant sees nothing of another one: 404, never 403, and nothing in lists.

use super::App;
use serde_json::json;
use tuberry_jobs::RefreshTopic;

#[tokio::test]
async fn what_belongs_to_another_tenant_is_not_there() {
    let app = App::start().await;
    let (theirs, ours) = (app.owner().await, app.owner().await);
    let project = app.project(&theirs).await;
    let bot = app.bot(&theirs, Some("-1001"), "secret").await;
    let account = app.account(&theirs, project).await;
    let dialog = app.dialog(&theirs, bot, account, 77, 0).await;
    app.message(dialog, "тайна").await;
    app.execute(&format!(
        "insert into personal_telegram_logins (id, client_id, project_id, stage, expires_at)
         values ('login-of-theirs-0001', {}, {project}, 'password_required', now() + interval '3 minutes')",
        theirs.client
    ))
    .await;
    let mut tx = app.database.store.begin().await.unwrap();
    tuberry_jobs::enqueue(&mut tx, &RefreshTopic { dialog: dialog.into() }).await.unwrap();
    tx.commit().await.unwrap();
    let job = format!("/api/jobs/{}", app.value("select id from apalis.jobs").await.unwrap());
    let proxy = format!("/api/personal-telegram-accounts/{account}/proxy");
    app.send("PUT", &proxy, Some(&theirs.token), json!({ "url": "socks5://p:1" }).to_string()).await.ok(200);
    let our_project = app.project(&ours).await;
    let login = "/api/personal-telegram-accounts/login/login-of-theirs-0001";
    let before = app.fingerprint().await;

    for (method, path, body) in [
        ("PATCH", format!("/api/personal-telegram-accounts/{account}"), json!({ "accepts_groups": true })),
        ("DELETE", format!("/api/personal-telegram-accounts/{account}"), json!(null)),
        ("PUT", format!("/api/personal-telegram-accounts/{account}/proxy"), json!({ "url": "socks5://p:1" })),
        ("DELETE", format!("/api/personal-telegram-accounts/{account}/proxy"), json!(null)),
        ("POST", "/api/personal-telegram-accounts/login".into(), json!({ "project_id": project })),
        ("GET", login.into(), json!(null)),
        ("DELETE", login.into(), json!(null)),
        ("POST", format!("{login}/password"), json!({ "password": "x" })),
        ("GET", format!("/api/projects/{project}"), json!(null)),
        ("PATCH", format!("/api/projects/{project}"), json!({ "name": "Наш" })),
        ("PATCH", format!("/api/projects/{our_project}"), json!({ "bot_id": bot })),
        ("POST", "/api/projects".into(), json!({ "name": "Наш", "bot_id": bot })),
        ("GET", format!("/api/bots/{bot}"), json!(null)),
        ("PATCH", format!("/api/bots/{bot}"), json!({ "project_id": our_project })),
        ("GET", format!("/api/telegram-chats?bot_id={bot}"), json!(null)),
        ("GET", format!("/api/dialogs/{dialog}/messages"), json!(null)),
        ("GET", job.clone(), json!(null)),
        ("DELETE", job.clone(), json!(null)),
        ("POST", format!("{job}/retry"), json!({})),
        ("POST", format!("{job}/cancel"), json!({})),
        ("POST", format!("{job}/run-now"), json!({})),
    ] {
        let answer = app.send(method, &path, Some(&ours.token), body.to_string()).await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
        answer.problem(404);
    }
    for path in ["/api/personal-telegram-accounts", "/api/bots", "/api/telegram-chats"] {
        assert_eq!(app.get(path, &ours).await.ok(200).text, "[]", "{path}");
    }
    for path in [
        format!("/api/dialogs?project_id={project}"),
        format!("/api/dialogs?account_id={account}"),
        "/api/dialogs".into(),
        "/api/jobs".into(),
        format!("/api/jobs?dialog_id={dialog}"),
    ] {
        assert_eq!(app.get(&path, &ours).await.ok(200).json()["items"], json!([]), "{path}");
    }
    assert_eq!(app.get("/api/projects", &ours).await.ok(200).json().as_array().unwrap().len(), 1);
    assert_eq!(app.fingerprint().await, before);
    assert_eq!(app.get("/api/jobs/kinds", &ours).await.ok(200).json()["kinds"], json!([]));
    // The same paths are there for their owner.
    app.get(&job, &theirs).await.ok(200);
    app.get(login, &theirs).await.ok(200);
    assert!(app.get(&format!("/api/dialogs/{dialog}/messages"), &theirs).await.ok(200).text.contains("тайна"));
}
