//! Who may call what.

use super::{App, Owner};
use serde_json::json;
use std::time::Duration;
use tuberry::tokens::Tokens;
use tuberry_domain::{Secret, UserId};
use tuberry_storage::users::Role;

/// Where a tenant's people work.
const EVERY_ROUTE: [(&str, &str); 20] = [
    ("GET", "/api/personal-telegram-accounts"),
    ("PATCH", "/api/personal-telegram-accounts/1"),
    ("DELETE", "/api/personal-telegram-accounts/1"),
    ("PUT", "/api/personal-telegram-accounts/1/proxy"),
    ("DELETE", "/api/personal-telegram-accounts/1/proxy"),
    ("POST", "/api/personal-telegram-accounts/login"),
    ("GET", "/api/personal-telegram-accounts/login/0123456789abcdef"),
    ("DELETE", "/api/personal-telegram-accounts/login/0123456789abcdef"),
    ("POST", "/api/personal-telegram-accounts/login/0123456789abcdef/password"),
    ("GET", "/api/projects"),
    ("POST", "/api/projects"),
    ("GET", "/api/projects/1"),
    ("PATCH", "/api/projects/1"),
    ("GET", "/api/bots"),
    ("POST", "/api/bots"),
    ("GET", "/api/bots/1"),
    ("PATCH", "/api/bots/1"),
    ("GET", "/api/telegram-chats"),
    ("GET", "/api/dialogs"),
    ("GET", "/api/dialogs/1/messages"),
];

/// Where jobs are seen and touched: owners and admins only, and an admin without a client for all tenants.
const EVERY_ROUTE_TO_JOBS: [(&str, &str); 10] = [
    ("GET", "/api/jobs"),
    ("GET", "/api/jobs/kinds"),
    ("POST", "/api/jobs/kinds/mirror-message/pause"),
    ("POST", "/api/jobs/kinds/mirror-message/resume"),
    ("POST", "/api/jobs/retry"),
    ("GET", "/api/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("DELETE", "/api/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("POST", "/api/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/retry"),
    ("POST", "/api/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/cancel"),
    ("POST", "/api/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/run-now"),
];

#[tokio::test]
async fn without_a_valid_token_of_an_active_user_nothing_answers() {
    let app = App::start().await;
    let owner = app.owner().await;
    let foreign = Tokens::new(&Secret::new("another secret".into()), Duration::from_secs(60)).issue(owner.user).0;
    let ended = Tokens::new(&Secret::new("tests".into()), Duration::ZERO).issue(owner.user).0;
    let unknown = app.tokens.issue(UserId(owner.user.0 + 1000)).0;
    let inactive = app.owner().await;
    app.execute(&format!("update users set is_active = false where id = {}", inactive.user)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;

    for (method, path) in EVERY_ROUTE.into_iter().chain(EVERY_ROUTE_TO_JOBS) {
        for token in [None, Some(foreign.as_str()), Some(&ended), Some(&unknown), Some(&inactive.token), Some("rubbish")] {
            let answer = app.send(method, path, token, "{}").await;
            answer.problem(401);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    app.get("/api/projects", &owner).await.ok(200);
}

#[tokio::test]
async fn a_manager_reads_and_changes_nothing() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (manager, _) = app.user(Role::Manager, Some(owner.client), "").await;
    let manager = Owner { client: owner.client, user: manager, token: app.tokens.issue(manager).0 };
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let before = app.fingerprint().await;
    for (method, path) in EVERY_ROUTE {
        let path =
            path.replace("accounts/1", &format!("accounts/{account}")).replace("projects/1", &format!("projects/{project}"));
        let answer =
            app.send(method, &path, Some(&manager.token), json!({ "name": "x", "project_id": project }).to_string()).await;
        if method == "GET" {
            assert!(matches!(answer.status, 200 | 404), "{path}: {answer:?}");
        } else {
            answer.problem(403);
        }
    }
    for (method, path) in EVERY_ROUTE_TO_JOBS {
        app.send(method, path, Some(&manager.token), "{}").await.problem(403);
    }
    assert_eq!(app.fingerprint().await, before);
    let (admin, _) = app.user(Role::Admin, Some(owner.client), "").await;
    let admin = Owner { client: owner.client, user: admin, token: app.tokens.issue(admin).0 };
    app.patch(&format!("/api/personal-telegram-accounts/{account}"), &admin, json!({ "accepts_groups": true })).await.ok(200);
}

#[tokio::test]
async fn a_user_without_a_client_has_no_tenant_to_act_for() {
    let app = App::start().await;
    let (admin, _) = app.user(Role::Admin, None, "").await;
    let token = app.tokens.issue(admin).0;
    for (method, path) in EVERY_ROUTE {
        app.send(method, path, Some(&token), "{}").await.problem(400);
    }
    // Jobs are the platform's business too, for its administrator alone.
    for (method, path) in EVERY_ROUTE_TO_JOBS {
        let answer = app.send(method, path, Some(&token), "{}").await;
        assert!(matches!(answer.status, 200 | 204 | 404), "{method} {path}: {answer:?}");
    }
    for (role, status) in [(Role::Owner, 400), (Role::Manager, 403)] {
        let (user, _) = app.user(role, None, "").await;
        let token = app.tokens.issue(user).0;
        for (method, path) in EVERY_ROUTE_TO_JOBS {
            app.send(method, path, Some(&token), "{}").await.problem(status);
        }
    }
}
