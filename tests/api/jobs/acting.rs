//! What people do to jobs, and whose they may touch.

use super::{NOBODY, Shop, act, administrator, audit, fail, ids, job, of_role, put_in, set_status, sorted};
use crate::api::{App, Owner};
use serde_json::{Value, json};
use std::time::Duration;
use tuberry_jobs::RefreshTopic;
use tuberry_storage::users::Role;

#[tokio::test]
async fn a_dead_job_is_retried_ahead_of_what_waits_and_others_are_not() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let owner = &shop.owner;
    let (dead, next) = (shop.mirror(&app).await, shop.mirror(&app).await);
    fail(&app, &dead, "no").await;
    app.execute(&format!("update apalis.jobs set gate = 0 where id = '{next}'")).await;
    assert_eq!(act(&app, &dead, "retry", owner).await.ok(204).text, "");
    let retried = job(&app, &dead, owner).await;
    assert_eq!((&retried["state"], &retried["attempts"], &retried["finished_at"]), (&json!("ready"), &json!(0), &Value::Null));
    let behind = job(&app, &next, owner).await;
    assert_eq!((&behind["state"], &behind["waits_for"]), (&json!("held"), &json!(dead)));

    act(&app, &dead, "retry", owner).await.problem(409);
    act(&app, &next, "retry", owner).await.problem(409);
    act(&app, NOBODY, "retry", owner).await.problem(404);
    let (user, client) = (owner.user.0, owner.client.0);
    let row = |job: &str, affected: i64| json!([user, client, "retry", job, {}, affected]);
    assert_eq!(audit(&app).await, [row(&dead, 1), row(&dead, 0), row(&next, 0)]);
}

#[tokio::test]
async fn all_dead_jobs_that_match_are_retried_and_no_others() {
    let app = App::start().await;
    let (ours, theirs) = (Shop::open(&app, "-1001").await, Shop::open(&app, "-1002").await);
    let mut dead = Vec::new();
    for error in ["chat not found", "Chat not found", "timed out"] {
        let id = ours.mirror(&app).await;
        fail(&app, &id, error).await;
        dead.push(id);
    }
    let refresh = ours.refresh(&app).await;
    fail(&app, &refresh, "chat not found").await;
    let foreign = theirs.mirror(&app).await;
    fail(&app, &foreign, "chat not found").await;

    let filter = json!({ "kind": "mirror-message", "error": "chat", "state": "done" });
    let answer = app.post("/api/jobs/retry", &ours.owner, filter).await.ok(200);
    assert_eq!(answer.json(), json!({ "retried": 2 }));
    assert_eq!(ids(&app, "?state=dead", &ours.owner).await, sorted([&dead[2], &refresh]));
    assert_eq!(ids(&app, "?state=held", &ours.owner).await, sorted([&dead[1]]));
    assert_eq!(ids(&app, "?state=dead", &theirs.owner).await, sorted([&foreign]));
    let rows = audit(&app).await;
    assert_eq!((rows.len(), &rows[0][2], &rows[0][3], &rows[0][5]), (1, &json!("retry_all"), &Value::Null, &json!(2)));
    assert_eq!((&rows[0][4]["kind"], &rows[0][4]["error"]), (&json!("mirror-message"), &json!("chat")));

    assert_eq!(app.post("/api/jobs/retry", &ours.owner, json!({})).await.ok(200).json(), json!({ "retried": 2 }));
    let administrator = administrator(&app).await;
    assert_eq!(app.post("/api/jobs/retry", &administrator, json!({})).await.ok(200).json(), json!({ "retried": 1 }));
    assert_eq!(app.post("/api/jobs/retry", &administrator, json!({})).await.ok(200).json(), json!({ "retried": 0 }));
    assert_eq!(ids(&app, "?state=dead", &administrator).await, sorted([]));
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_and_a_running_one_asked_to_end() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let owner = &shop.owner;
    let (head, next) = (shop.mirror(&app).await, shop.mirror(&app).await);
    let cancel = async |id: &str, body: Value| app.post(&format!("/api/jobs/{id}/cancel"), owner, body).await;
    assert_eq!(cancel(&head, json!({ "reason": " клиент\nпередумал " })).await.ok(200).json(), json!({ "result": "killed" }));
    let dead = job(&app, &head, owner).await;
    let reason = "отменено вручную: клиент\nпередумал";
    assert_eq!((&dead["state"], &dead["error"]), (&json!("dead"), &json!(reason)));
    assert_eq!(job(&app, &next, owner).await["state"], "ready", "its turn has come");

    set_status(&app, &next, "Running").await;
    assert_eq!(cancel(&next, json!({})).await.ok(200).json(), json!({ "result": "asked" }));
    let asked = job(&app, &next, owner).await;
    assert_eq!((&asked["state"], &asked["cancel_asked"]), (&json!("running"), &json!(true)));

    cancel(&head, json!({})).await.problem(409);
    cancel(NOBODY, json!({})).await.problem(404);
    assert_eq!(cancel(&shop.refresh(&app).await, json!({ "reason": "я".repeat(500) })).await.ok(200).json()["result"], "killed");
    let rows = audit(&app).await;
    let (user, client) = (owner.user.0, owner.client.0);
    assert_eq!(rows[0], json!([user, client, "cancel", head, { "reason": reason }, 1]));
    assert_eq!(rows[1], json!([user, client, "cancel", next, { "reason": "отменено вручную" }, 1]));
    assert_eq!((&rows[2][3], &rows[2][5], rows.len()), (&json!(head), &json!(0), 4));
}

#[tokio::test]
async fn a_scheduled_job_may_run_now() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let owner = &shop.owner;
    let scheduled = put_in(&app, &RefreshTopic { dialog: shop.dialog.into() }, Duration::from_secs(600)).await;
    assert_eq!(act(&app, &scheduled, "run-now", owner).await.ok(204).text, "");
    let ready = job(&app, &scheduled, owner).await;
    assert_eq!(ready["state"], "ready");
    let run_at: chrono::DateTime<chrono::Utc> = ready["run_at"].as_str().unwrap().parse().unwrap();
    assert!(run_at < chrono::Utc::now() + Duration::from_secs(5), "{ready}");
    set_status(&app, &scheduled, "Running").await;
    act(&app, &scheduled, "run-now", owner).await.problem(409);
    act(&app, NOBODY, "run-now", owner).await.problem(404);
    let (user, client) = (owner.user.0, owner.client.0);
    let row = |affected: i64| json!([user, client, "run_now", scheduled, {}, affected]);
    assert_eq!(audit(&app).await, [row(1), row(0)]);
}

#[tokio::test]
async fn a_deleted_job_is_gone_with_its_history_but_not_while_it_runs() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let owner = &shop.owner;
    let (head, next) = (shop.mirror(&app).await, shop.mirror(&app).await);
    app.execute(&format!(
        "insert into queue.attempts (job_id, place, run, started_at, ended_at, worker, outcome) values ('{head}', 1, 1, now(), now(), 'w', 1)"
    ))
    .await;
    assert_eq!(app.delete(&format!("/api/jobs/{head}"), owner).await.ok(204).text, "");
    app.get(&format!("/api/jobs/{head}"), owner).await.problem(404);
    assert_eq!(app.value("select count(*) from queue.attempts").await.as_deref(), Some("0"));
    assert_eq!(ids(&app, "?state=ready", owner).await, sorted([&next]), "its turn has come");
    set_status(&app, &next, "Running").await;
    app.delete(&format!("/api/jobs/{next}"), owner).await.problem(409);
    app.delete(&format!("/api/jobs/{head}"), owner).await.problem(404);
    let (user, client) = (owner.user.0, owner.client.0);
    let row = |job: &str, affected: i64| json!([user, client, "delete", job, {}, affected]);
    assert_eq!(audit(&app).await, [row(&head, 1), row(&next, 0)]);
}

#[tokio::test]
async fn the_platforms_administrator_pauses_a_kind_and_resumes_it() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    shop.mirror(&app).await;
    let administrator = administrator(&app).await;
    let is_paused = async |owner: &Owner| {
        let kinds = app.get("/api/jobs/kinds", owner).await.ok(200).json();
        let kind = kinds["kinds"].as_array().unwrap().iter().find(|kind| kind["kind"] == "mirror-message").cloned();
        kind.unwrap()["paused"].as_bool().unwrap()
    };
    assert!(!is_paused(&shop.owner).await);
    for changed in [1, 0] {
        app.post("/api/jobs/kinds/mirror-message/pause", &administrator, json!({})).await.ok(204);
        assert!(is_paused(&administrator).await && is_paused(&shop.owner).await);
        let last = audit(&app).await.pop().unwrap();
        assert_eq!(last, json!([administrator.user.0, null, "pause", null, { "kind": "mirror-message" }, changed]));
    }
    let by = "select string_agg(kind || ' ' || paused_by, ',') from queue.paused_kinds";
    assert_eq!(app.value(by).await, Some(format!("mirror-message {}", administrator.user)));
    for changed in [1, 0] {
        app.post("/api/jobs/kinds/mirror-message/resume", &administrator, json!({})).await.ok(204);
        assert!(!is_paused(&administrator).await);
        let last = audit(&app).await.pop().unwrap();
        assert_eq!(last, json!([administrator.user.0, null, "resume", null, { "kind": "mirror-message" }, changed]));
    }
}

#[tokio::test]
async fn owners_and_admins_reach_the_jobs_of_their_tenant_only() {
    let app = App::start().await;
    let (ours, theirs) = (Shop::open(&app, "-1001").await, Shop::open(&app, "-1002").await);
    let (our_job, their_dead, their_waiting) = (ours.mirror(&app).await, theirs.mirror(&app).await, theirs.mirror(&app).await);
    fail(&app, &their_dead, "тайна").await;
    let admin = of_role(&app, Role::Admin, Some(ours.owner.client)).await;
    let before = app.fingerprint().await;
    for who in [&ours.owner, &admin] {
        for job in [&their_dead, &their_waiting] {
            app.get(&format!("/api/jobs/{job}"), who).await.problem(404);
            app.delete(&format!("/api/jobs/{job}"), who).await.problem(404);
            for action in ["retry", "cancel", "run-now"] {
                act(&app, job, action, who).await.problem(404);
            }
        }
        assert_eq!(ids(&app, "", who).await, sorted([&our_job]));
        assert_eq!(ids(&app, &format!("?dialog_id={}", theirs.dialog), who).await, sorted([]));
        assert_eq!(ids(&app, &format!("?cursor={}", "Z".repeat(26)), who).await, sorted([&our_job]));
        assert!(!app.get("/api/jobs/kinds?hours=168", who).await.ok(200).text.contains("\"dead\":1"));
        assert_eq!(app.post("/api/jobs/retry", who, json!({ "error": "тайна" })).await.ok(200).json()["retried"], 0);
        for action in ["pause", "resume"] {
            app.post(&format!("/api/jobs/kinds/mirror-message/{action}"), who, json!({})).await.problem(403);
        }
    }
    assert_eq!(app.fingerprint().await, before);
    // The same jobs are there for their owner, an admin of the tenant, and the platform's administrator.
    let their_admin = of_role(&app, Role::Admin, Some(theirs.owner.client)).await;
    let administrator = administrator(&app).await;
    assert_eq!(ids(&app, "", &theirs.owner).await, sorted([&their_dead, &their_waiting]));
    assert_eq!(ids(&app, "", &administrator).await, sorted([&our_job, &their_dead, &their_waiting]));
    act(&app, &their_dead, "retry", &their_admin).await.ok(204);
    act(&app, &their_dead, "cancel", &theirs.owner).await.ok(200);
    act(&app, &their_dead, "retry", &administrator).await.ok(204);
    app.delete(&format!("/api/jobs/{their_waiting}"), &administrator).await.ok(204);
    let who: Vec<Value> = audit(&app).await.into_iter().map(|row| json!([row[0], row[1], row[2]])).collect();
    let client = theirs.owner.client.0;
    let wanted = [
        json!([their_admin.user.0, client, "retry"]),
        json!([theirs.owner.user.0, client, "cancel"]),
        json!([administrator.user.0, null, "retry"]),
        json!([administrator.user.0, null, "delete"]),
    ];
    assert_eq!(who, wanted);
}

#[tokio::test]
async fn a_manager_sees_no_jobs_and_an_owner_without_a_client_neither() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let id = shop.mirror(&app).await;
    let manager = of_role(&app, Role::Manager, Some(shop.owner.client)).await;
    let stray = of_role(&app, Role::Manager, None).await;
    let nobodys = of_role(&app, Role::Owner, None).await;
    let before = app.fingerprint().await;
    for (who, status) in [(&manager, 403), (&stray, 403), (&nobodys, 400)] {
        for path in ["/api/jobs".to_owned(), "/api/jobs/kinds".into(), format!("/api/jobs/{id}")] {
            app.get(&path, who).await.problem(status);
        }
        app.delete(&format!("/api/jobs/{id}"), who).await.problem(status);
        for path in ["retry", "kinds/mirror-message/pause", "kinds/mirror-message/resume"] {
            app.post(&format!("/api/jobs/{path}"), who, json!({})).await.problem(status);
        }
        for action in ["retry", "cancel", "run-now"] {
            act(&app, &id, action, who).await.problem(status);
        }
    }
    assert_eq!(app.fingerprint().await, before);
}
