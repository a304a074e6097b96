//! What the interface itself does for logins; whole logins are in `scenarios`.

use super::{Answer, App, Owner};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tuberry_domain::LoginNumber;
use tuberry_domain::login::LoginStage;
use tuberry_jobs::context::login_place;
use tuberry_storage::logins::{self, Login};

const LOGIN: &str = "/api/personal-telegram-accounts/login";

async fn project_with_group(app: &App, owner: &Owner) -> i32 {
    let project = app.project(owner).await;
    let bot = app.bot(owner, Some("-1001"), "secret").await;
    app.patch(&format!("/api/projects/{project}"), owner, json!({ "bot_id": bot })).await.ok(200);
    project
}

/// Writes a login's row as its jobs would.
async fn change(app: &App, number: LoginNumber, change: impl FnOnce(&mut Login)) {
    let mut tx = app.database.store.begin().await.unwrap();
    let mut login = logins::lock(&mut tx, number).await.unwrap().unwrap();
    change(&mut login);
    logins::save(&mut tx, &login).await.unwrap();
    tx.commit().await.unwrap();
}

/// A login that waits at some stage: its public id and number.
async fn login_at(app: &App, owner: &Owner, stage: LoginStage) -> (String, LoginNumber) {
    let project = project_with_group(app, owner).await;
    let id = format!("login-{}-0123456789", project);
    let mut tx = app.database.store.begin().await.unwrap();
    let expires_at = chrono::Utc::now() + Duration::from_secs(60);
    let new = logins::NewLogin { id: id.clone(), client: owner.client, project: project.into(), expires_at };
    let number = logins::create(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    let url = app.sealer.seal(login_place(&number.to_string(), "sealed_url"), b"tg://login?token=abc");
    change(app, number, |login| {
        login.stage = stage;
        login.sealed_url = Some(url);
        login.token_expires_at = Some(chrono::Utc::now() + Duration::from_secs(30));
        login.password_hint = Some("кличка кота".into());
    })
    .await;
    (id, number)
}

#[tokio::test]
async fn a_project_that_cannot_receive_messages_says_what_is_missing() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let before = app.fingerprint().await;
    let detail = app.post(LOGIN, &owner, json!({ "project_id": project })).await.problem(409);
    assert!(detail.contains("бот") && !detail.contains("групп"), "{detail}");
    assert_eq!(app.fingerprint().await, before);
    let bot = app.bot(&owner, None, "secret").await;
    app.patch(&format!("/api/projects/{project}"), &owner, json!({ "bot_id": bot })).await.ok(200);
    let detail = app.post(LOGIN, &owner, json!({ "project_id": project })).await.problem(409);
    assert!(detail.contains("групп"), "{detail}");
}

/// Writes logins that wait to be scanned, oldest first.
async fn open_logins(app: &App, owner: &Owner, project: i32, count: u32) {
    app.execute(&format!(
        "insert into personal_telegram_logins (id, client_id, project_id, stage, sealed_key, expires_at)
         select 'open-login-of-{project}-' || i, {}, {project}, 'ready', 'v1.sealed', now() + interval '3 minutes' from generate_series(1, {count}) i",
        owner.client
    ))
    .await;
}

/// Starts a login whose first job fails at once.
async fn start_and_fail(app: &App, owner: &Owner, project: i32) -> Answer {
    let newest = "select max(number) from personal_telegram_logins where stage = 'starting'";
    let failed = async {
        let number = loop {
            match app.value(newest).await {
                Some(number) => break number.parse().unwrap(),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        change(app, LoginNumber(number), |login| (login.stage, login.error) = (LoginStage::Failed, Some("нет связи".into())))
            .await;
    };
    tokio::join!(app.post(LOGIN, owner, json!({ "project_id": project })), failed).0
}

#[tokio::test]
async fn a_fourth_open_login_of_a_project_cancels_the_oldest() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (project, other) = (project_with_group(&app, &owner).await, project_with_group(&app, &owner).await);
    open_logins(&app, &owner, other, 3).await;
    open_logins(&app, &owner, project, 3).await;
    assert_eq!(start_and_fail(&app, &owner, project).await.problem(503), "нет связи");
    let cancelled =
        "select string_agg(concat_ws(' ', id, error, sealed_key), ', ') from personal_telegram_logins where stage = 'cancelled'";
    assert_eq!(app.value(cancelled).await, Some(format!("open-login-of-{project}-1 Начат новый вход")));
    let status = app.get(&format!("{LOGIN}/open-login-of-{project}-1"), &owner).await.ok(200).json();
    assert_eq!((&status["status"], &status["error"]), (&json!("error"), &json!("Начат новый вход")));
    // The failed one is not open any more: there is room for one.
    start_and_fail(&app, &owner, project).await.problem(503);
    assert_eq!(app.value("select count(*) from personal_telegram_logins where stage = 'cancelled'").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_tenant_has_twenty_open_logins_at_most() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (project, other) = (project_with_group(&app, &owner).await, project_with_group(&app, &owner).await);
    open_logins(&app, &owner, other, 20).await;
    let before = app.fingerprint().await;
    let refused = app.post(LOGIN, &owner, json!({ "project_id": project })).await;
    assert_eq!(refused.problem(429), "Слишком много одновременных входов");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(app.fingerprint().await, before);
    let overdue = format!("update personal_telegram_logins set expires_at = now() where id = 'open-login-of-{other}-20'");
    app.execute(&overdue).await;
    start_and_fail(&app, &owner, project).await.problem(503);
}

#[tokio::test]
async fn a_login_without_a_code_in_ten_seconds_is_cancelled() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = project_with_group(&app, &owner).await;
    let started = Instant::now();
    app.post(LOGIN, &owner, json!({ "project_id": project })).await.problem(503);
    assert!((Duration::from_secs(10)..Duration::from_secs(13)).contains(&started.elapsed()));
    assert_eq!(app.value("select stage from personal_telegram_logins").await.as_deref(), Some("cancelled"));
    assert_eq!(app.value("select count(*) from apalis.jobs where job_type = 'start-login'").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn the_code_is_answered_as_soon_as_it_is_there() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = project_with_group(&app, &owner).await;
    let path = format!("{LOGIN}/");
    let asked = app.post(&path, &owner, json!({ "project_id": project }));
    let exported = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let number: i32 = app.value("select number from personal_telegram_logins").await.unwrap().parse().unwrap();
        let url = app.sealer.seal(login_place(&number.to_string(), "sealed_url"), b"tg://login?token=abc");
        change(&app, LoginNumber(number), |login| {
            login.stage = LoginStage::Ready;
            login.sealed_url = Some(url);
            login.token_expires_at = Some(chrono::Utc::now() + Duration::from_secs(30));
        })
        .await;
    };
    let (answer, ()) = tokio::join!(asked, exported);
    let started = answer.ok(201).json();
    assert_eq!(started["qr_url"], "tg://login?token=abc");
    let id = started["login_id"].as_str().unwrap();
    assert!(id.len() >= 16 && started["expires_at"].as_str().unwrap().ends_with('Z'), "{started}");
    let status = app.get(&format!("{LOGIN}/{id}"), &owner).await.ok(200).json();
    assert_eq!(
        (&status["status"], &status["qr_url"], &status["account"]),
        (&json!("ready"), &json!("tg://login?token=abc"), &Value::Null)
    );
}

#[tokio::test]
async fn a_status_promises_a_code_only_while_telegram_takes_it() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (id, number) = login_at(&app, &owner, LoginStage::Ready).await;
    let path = format!("{LOGIN}/{id}");
    let status = app.get(&path, &owner).await.ok(200).json();
    assert_eq!((&status["status"], &status["password_hint"]), (&json!("ready"), &Value::Null));
    assert!(status["login_expires_at"].as_str().unwrap().ends_with('Z'));

    change(&app, number, |login| login.token_expires_at = Some(chrono::Utc::now() - Duration::from_secs(1))).await;
    let status = app.get(&path, &owner).await.ok(200).json();
    assert_eq!((&status["status"], &status["qr_url"], &status["expires_at"]), (&json!("pending"), &Value::Null, &Value::Null));

    change(&app, number, |login| login.stage = LoginStage::PasswordRequired).await;
    let status = app.get(&path, &owner).await.ok(200).json();
    assert_eq!((&status["status"], &status["password_hint"]), (&json!("password_required"), &json!("кличка кота")));

    change(&app, number, |login| login.expires_at = chrono::Utc::now() - Duration::from_secs(11)).await;
    assert_eq!(app.get(&path, &owner).await.ok(200).json()["status"], "expired");
}

#[tokio::test]
async fn the_code_is_a_picture_while_there_is_one_and_for_its_tenant_alone() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (id, number) = login_at(&app, &owner, LoginStage::Ready).await;
    let stranger = app.owner().await;
    let path = |kind: &str| format!("{LOGIN}/{id}/qr.{kind}");
    for (kind, content_type, begins) in [("svg", "image/svg+xml", "<?xml"), ("png", "image/png", "PNG")] {
        let picture = app.get(&path(kind), &owner).await.ok(200);
        assert_eq!(picture.headers["content-type"], content_type);
        assert_eq!(picture.headers["cache-control"], "no-store");
        assert!(picture.text.trim_start_matches(|letter: char| !letter.is_ascii()).starts_with(begins), "{kind}");
        app.get(&path(kind), &stranger).await.problem(404);
        app.send("GET", &path(kind), None, "").await.problem(401);
    }
    let first = app.get(&path("svg"), &owner).await.text;
    let url = app.sealer.seal(login_place(&number.to_string(), "sealed_url"), b"tg://login?token=abd");
    change(&app, number, |login| login.sealed_url = Some(url)).await;
    assert_ne!(app.get(&path("svg"), &owner).await.text, first, "another code is another picture");
    change(&app, number, |login| login.token_expires_at = Some(chrono::Utc::now() - Duration::from_secs(1))).await;
    for kind in ["svg", "png"] {
        app.get(&path(kind), &owner).await.problem(404);
    }
}

#[tokio::test]
async fn a_completed_login_shows_its_account() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (id, number) = login_at(&app, &owner, LoginStage::Scanned).await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    change(&app, number, |login| (login.stage, login.account) = (LoginStage::Completed, Some(account.into()))).await;
    let status = app.get(&format!("{LOGIN}/{id}"), &owner).await.ok(200).json();
    assert_eq!(
        (&status["status"], &status["account"]["id"], &status["qr_url"]),
        (&json!("completed"), &json!(account), &Value::Null)
    );
}

#[tokio::test]
async fn a_cancelled_login_ends_and_stays_ended() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (id, _) = login_at(&app, &owner, LoginStage::Ready).await;
    let path = format!("{LOGIN}/{id}");
    app.delete(&path, &owner).await.ok(204);
    app.delete(&path, &owner).await.ok(204);
    let status = app.get(&path, &owner).await.ok(200).json();
    assert_eq!((&status["status"], &status["qr_url"]), (&json!("error"), &Value::Null));
    assert_eq!(app.value("select sealed_url from personal_telegram_logins").await, None);
    app.delete(&format!("{LOGIN}/no-such-login-0000"), &owner).await.problem(404);
}

#[tokio::test]
async fn a_password_is_bounded_and_only_taken_when_it_is_asked_for() {
    let app = App::start().await;
    let owner = app.owner().await;
    let (id, number) = login_at(&app, &owner, LoginStage::Ready).await;
    let path = format!("{LOGIN}/{id}/password");
    for password in [String::new(), "я".repeat(129)] {
        app.post(&path, &owner, json!({ "password": password })).await.problem(422);
    }
    app.post(&path, &owner, json!({ "password": "я".repeat(128) })).await.problem(409);
    change(&app, number, |login| login.stage = LoginStage::Expired).await;
    assert_eq!(app.post(&path, &owner, json!({ "password": "x" })).await.ok(200).json()["status"], "expired");
}
