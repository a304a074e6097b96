//! What people see of the queue.

use super::{NOBODY, Shop, act, administrator, fail, ids, job, put, put_in, set_status, sorted};
use crate::api::App;
use crate::api::webhooks::operator_writes;
use serde_json::{Value, json};
use std::time::Duration;
use tuberry_jobs::{AnswerGetid, RefreshTopic, SyncAccounts};

#[tokio::test]
async fn a_job_tells_whose_it_is_and_what_it_is_about() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let (client, account, dialog) = (json!(shop.owner.client.0), json!(shop.account), json!(shop.dialog));
    let null = Value::Null;
    let expected = |kind: &str| match kind {
        // The last two tell of the replies that the account's removal made fail.
        "refresh-topic" | "mirror-message" | "send-reply" | "mark-reply" | "post-notice" => [&client, &account, &dialog],
        "start-login" | "answer-getid" | "log-out" => [&client, &null, &null],
        _ => panic!("{kind}"),
    };
    shop.refresh(&app).await;
    shop.mirror(&app).await;
    shop.reply(&app).await;
    operator_writes(&app, shop.bot, -1001, 7, 5, "Здравствуйте").await;
    operator_writes(&app, shop.bot, -1001, 7, 6, "/getid").await;
    // Nobody runs the login's job: the request gives up after ten seconds.
    app.post("/api/personal-telegram-accounts/login", &shop.owner, json!({ "project_id": shop.project })).await.problem(503);
    app.delete(&format!("/api/personal-telegram-accounts/{}", shop.account), &shop.owner).await;
    put(&app, &SyncAccounts { tick: 1 }).await;

    let page = app.get("/api/jobs", &shop.owner).await.ok(200).json();
    let jobs = page["items"].as_array().unwrap();
    let mut kinds: Vec<&str> = jobs.iter().map(|job| job["kind"].as_str().unwrap()).collect();
    for job in jobs {
        let found = [&job["client_id"], &job["account_id"], &job["dialog_id"]];
        assert_eq!(found, expected(job["kind"].as_str().unwrap()), "{job}");
    }
    kinds.sort_unstable();
    kinds.dedup();
    let wanted =
        ["answer-getid", "log-out", "mark-reply", "mirror-message", "post-notice", "refresh-topic", "send-reply", "start-login"];
    assert_eq!(kinds, wanted);
    let seen = jobs.len();

    // What belongs to the service itself is the platform's alone.
    let administrator = administrator(&app).await;
    let all = app.get("/api/jobs?kind=sync-accounts", &administrator).await.ok(200).json();
    let tick = &all["items"][0];
    assert_eq!([&tick["client_id"], &tick["account_id"], &tick["dialog_id"]], [&null; 3]);
    assert_eq!(ids(&app, "", &administrator).await.len(), seen + 1);
    app.get(&format!("/api/jobs/{}", tick["id"].as_str().unwrap()), &shop.owner).await.problem(404);
}

#[tokio::test]
async fn the_list_shows_the_jobs_that_every_filter_lets_through() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let owner = &shop.owner;
    let (second_account, other_dialog);
    {
        let account = app.account(owner, shop.project).await;
        second_account = account;
        other_dialog = app.dialog(owner, shop.bot, account, 88, 0).await;
    }
    let ready = shop.mirror(&app).await;
    let held = shop.mirror(&app).await;
    let dead = shop.refresh(&app).await;
    fail(&app, &dead, "Bad Request: chat not found").await;
    let scheduled = put_in(&app, &RefreshTopic { dialog: other_dialog.into() }, Duration::from_secs(600)).await;
    let running = shop.reply(&app).await;
    set_status(&app, &running, "Running").await;
    let bot = shop.bot.into();
    let getid = AnswerGetid { bot, chat: (-1001).into(), kind: "group".into(), thread: None, message: 5.into() };
    let done = put(&app, &getid).await;
    set_status(&app, &done, "Done").await;
    app.execute(&format!("update apalis.jobs set enqueued_at = '2020-01-02T03:04:05Z' where id = '{done}'")).await;

    let everything = sorted([&ready, &held, &dead, &scheduled, &running, &done]);
    assert_eq!(ids(&app, "", owner).await, everything);
    // As a form sends what was not filled in.
    assert_eq!(ids(&app, "?kind=&ordering_key=%20&error=&cursor=", owner).await, everything);
    for (query, wanted) in [
        ("state=ready".to_owned(), sorted([&ready])),
        ("state=held".into(), sorted([&held])),
        ("state=scheduled".into(), sorted([&scheduled])),
        ("state=running".into(), sorted([&running])),
        ("state=done".into(), sorted([&done])),
        ("state=dead".into(), sorted([&dead])),
        ("kind=refresh-topic".into(), sorted([&dead, &scheduled])),
        ("kind=refresh".into(), sorted([])),
        ("kind=refresh-topic&state=dead".into(), sorted([&dead])),
        (format!("account_id={}", shop.account), sorted([&ready, &held, &dead, &running])),
        (format!("account_id={second_account}"), sorted([&scheduled])),
        (format!("dialog_id={}", shop.dialog), sorted([&ready, &held, &dead, &running])),
        (format!("dialog_id={other_dialog}&state=dead"), sorted([])),
        (format!("ordering_key=mirror:{}", shop.dialog), sorted([&ready, &held])),
        ("error=CHAT%20not".into(), sorted([&dead])),
        ("error=chat%25found".into(), sorted([])),
        ("until=2020-01-02T03:04:06Z".into(), sorted([&done])),
        ("since=2020-01-02T03:04:05Z&until=2020-01-02T06:04:06%2B03:00".into(), sorted([&done])),
        ("until=2020-01-02T03:04:05Z".into(), sorted([])),
        ("since=2021-01-01T00:00:00Z".into(), sorted([&ready, &held, &dead, &scheduled, &running])),
    ] {
        assert_eq!(ids(&app, &format!("?{query}"), owner).await, wanted, "{query}");
    }

    let page = app.get("/api/jobs?state=dead", owner).await.ok(200).json();
    let listed = &page["items"][0];
    assert_eq!(listed["payload"], json!({ "dialog": shop.dialog }));
    assert_eq!((&listed["attempts"], &listed["max_attempts"], &listed["lost_leases"]), (&json!(10), &json!(10), &json!(0)));
    assert_eq!((&listed["error"], &listed["priority"]), (&json!("Bad Request: chat not found"), &json!(0)));
    assert_eq!((&listed["ordering_key"], &listed["affinity"]), (&json!(format!("topic:{}", shop.dialog)), &Value::Null));
    for time in ["enqueued_at", "run_at", "started_at", "finished_at"] {
        assert!(listed[time].as_str().is_some_and(|time| time.ends_with('Z')), "{time}: {listed}");
    }
    let running = &app.get("/api/jobs?state=running", owner).await.ok(200).json()["items"][0];
    assert_eq!((&running["affinity"], &running["max_attempts"]), (&json!(shop.account.to_string()), &Value::Null));
    assert_eq!(running["finished_at"], Value::Null);
}

#[tokio::test]
async fn pages_of_jobs_come_latest_first_without_gaps_or_repeats() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let mut expected = Vec::new();
    for _ in 0..8 {
        expected.push(shop.mirror(&app).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    expected.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/api/jobs?kind=mirror-message&limit=3{cursor}"), &shop.owner).await.ok(200).json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        assert_eq!(items.len(), 3);
        cursor = format!("&cursor={next}");
        // What arrives while somebody leafs through shifts nothing.
        shop.mirror(&app).await;
    }
    assert_eq!(seen, expected);
    let exactly = app.get("/api/jobs?kind=mirror-message&limit=10", &shop.owner).await.ok(200).json();
    assert_eq!((exactly["items"].as_array().unwrap().len(), &exactly["next_cursor"]), (10, &Value::Null));
    let over = app.get("/api/jobs?limit=200", &shop.owner).await.ok(200).json();
    assert_eq!(over["items"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn one_job_is_read_with_its_runs_and_what_it_waits_for() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let (head, behind) = (shop.mirror(&app).await, shop.mirror(&app).await);
    app.execute(&format!(
        "insert into queue.attempts (job_id, place, run, started_at, ended_at, worker, outcome, error) values
         ('{head}', 1, 1, now() - interval '9 minutes', now() - interval '8 minutes', 'a/1/mirror-message', 1, 'Bad Gateway'),
         ('{head}', 2, 2, now() - interval '7 minutes', now() - interval '6 minutes', 'a/1/mirror-message', 2, null),
         ('{head}', 3, 3, now() - interval '5 minutes', now() - interval '4 minutes', 'b/2/mirror-message', 5, 'lost')"
    ))
    .await;
    set_status(&app, &head, "Running").await;
    app.execute(&format!("update apalis.jobs set runs = 4 where id = '{head}'")).await;

    let read = job(&app, &head, &shop.owner).await;
    assert_eq!((&read["id"], &read["state"], &read["kind"]), (&json!(head), &json!("running"), &json!("mirror-message")));
    let runs: Vec<_> =
        read["timeline"].as_array().unwrap().iter().map(|run| [&run["run"], &run["outcome"], &run["error"]]).collect();
    let wanted = [
        [json!(1), json!("retry"), json!("Bad Gateway")],
        [json!(2), json!("snooze"), Value::Null],
        [json!(3), json!("lost"), json!("lost")],
        [json!(4), json!("running"), Value::Null],
    ];
    assert_eq!(json!(runs), json!(wanted));
    assert_eq!(read["timeline"][2]["worker"], "b/2/mirror-message");
    assert_eq!((&read["timeline"][3]["worker"], &read["timeline"][3]["ended_at"]), (&json!("host/1/kind"), &Value::Null));
    assert_eq!((&read["waits_for"], &read["kind_known"], &read["kind_paused"]), (&Value::Null, &json!(false), &json!(false)));
    assert!(read["deadline"].is_string(), "{read}");

    let waiting = job(&app, &behind, &shop.owner).await;
    assert_eq!((&waiting["state"], &waiting["waits_for"]), (&json!("held"), &json!(head)));
    assert_eq!(waiting["timeline"], json!([]));
    app.execute("insert into queue.paused_kinds (kind) values ('mirror-message')").await;
    app.execute(
        "insert into apalis.workers (id, worker_type, storage_name, layers, last_seen) values ('x', 'mirror-message', 'tuberry', '', now())",
    )
    .await;
    let waiting = job(&app, &behind, &shop.owner).await;
    assert_eq!((&waiting["kind_known"], &waiting["kind_paused"]), (&json!(true), &json!(true)));

    // The request that caused it.
    let request = app.client.post(format!("{}/api/webhooks/telegram/{}/secret", app.base, shop.bot));
    let update = json!({ "update_id": 1, "message": {
        "message_id": 9, "date": 1_700_000_000, "text": "/getid", "chat": { "id": -1001, "type": "supergroup", "title": "Г" },
        "from": { "id": 9, "is_bot": false, "first_name": "Олег" } } });
    request.header("x-request-id", "proxy-4711").body(update.to_string()).send().await.unwrap().error_for_status().unwrap();
    let asked = ids(&app, "?kind=answer-getid", &shop.owner).await;
    let asked = job(&app, &asked[0], &shop.owner).await;
    assert_eq!((&asked["request_id"], asked["traceparent"].is_string()), (&json!("proxy-4711"), true), "{asked}");
}

#[tokio::test]
async fn kinds_are_counted_and_what_ended_is_told_by_spans() {
    let app = App::start().await;
    let (ours, theirs) = (Shop::open(&app, "-1001").await, Shop::open(&app, "-1002").await);
    let (_ready, _held, dead) = (ours.mirror(&app).await, ours.mirror(&app).await, ours.mirror(&app).await);
    fail(&app, &dead, "no").await;
    let done = ours.reply(&app).await;
    set_status(&app, &done, "Done").await;
    let scheduled = RefreshTopic { dialog: ours.dialog.into() };
    put_in(&app, &scheduled, Duration::from_secs(600)).await;
    let running = theirs.reply(&app).await;
    set_status(&app, &running, "Running").await;
    app.execute(
        "insert into queue.throughput (minute, kind, done, retried, snoozed, dead, lost)
         values (date_trunc('minute', now()), 'mirror-message', 10, 4, 3, 2, 1), (now() - interval '3 hours', 'mirror-message', 100, 0, 0, 0, 0)",
    )
    .await;
    let count = |kind: &str, [ready, held, scheduled, running, dead]: [u64; 5]| {
        json!({ "kind": kind, "ready": ready, "held": held, "scheduled": scheduled, "running": running, "dead": dead,
                "known": false, "paused": false })
    };
    let kinds = app.get("/api/jobs/kinds", &ours.owner).await.ok(200).json();
    let wanted = [count("mirror-message", [1, 1, 0, 0, 1]), count("refresh-topic", [0, 0, 1, 0, 0])];
    assert_eq!(kinds["kinds"], json!(wanted));
    assert_eq!(kinds["span_seconds"], 60);
    // A tenant sees what its own jobs show.
    let ended: Vec<_> =
        kinds["throughput"].as_array().unwrap().iter().map(|s| json!([s["kind"], s["done"], s["dead"]])).collect();
    assert_eq!(ended, [json!(["mirror-message", 0, 1]), json!(["send-reply", 1, 0])]);

    let administrator = administrator(&app).await;
    let all = app.get("/api/jobs/kinds", &administrator).await.ok(200).json();
    let wanted = [wanted[0].clone(), wanted[1].clone(), count("send-reply", [0, 0, 0, 1, 0])];
    assert_eq!(all["kinds"], json!(wanted));
    let sums = |answer: &Value| {
        let spans = answer["throughput"].as_array().unwrap().clone();
        let sum = |name: &str| spans.iter().map(|span| span[name].as_u64().unwrap()).sum::<u64>();
        [sum("done"), sum("retried"), sum("snoozed"), sum("dead"), sum("lost")]
    };
    assert_eq!(sums(&all), [10, 4, 3, 2, 1]);
    let longer = app.get("/api/jobs/kinds?hours=4", &administrator).await.ok(200).json();
    assert_eq!((sums(&longer)[0], &longer["span_seconds"]), (110, &json!(240)));
    app.get("/api/jobs/kinds?hours=168", &administrator).await.ok(200);
}

#[tokio::test]
async fn whatever_a_request_about_jobs_carries_is_refused_and_writes_nothing() {
    let app = App::start().await;
    let shop = Shop::open(&app, "-1001").await;
    let administrator = administrator(&app).await;
    let id = shop.mirror(&app).await;
    let dead = shop.mirror(&app).await;
    fail(&app, &dead, "no").await;
    let before = app.fingerprint().await;
    for query in [
        "state=asleep",
        "state=Dead",
        "account_id=x",
        "account_id=2147483648",
        "dialog_id=1.5",
        "since=yesterday",
        "since=2020-01-01",
        "until=2020-13-01T00:00:00Z",
        "since=-9999-01-01T00:00:00Z",
        "kind=a%00b",
        "ordering_key=%00",
        "error=a%00b",
        "kind=a&kind=b",
        "cursor=x",
        "cursor=%00",
        "cursor=01ARZ3NDEKTSV4RRFFQ69G5F!!",
        "cursor=01ARZ3NDEKTSV4RRFFQ69G5FAVX",
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=201",
        "limit=99999999999999999999",
    ] {
        for who in [&shop.owner, &administrator] {
            let answer = app.get(&format!("/api/jobs?{query}"), who).await;
            assert_eq!(answer.status, 422, "{query}: {answer:?}");
            answer.problem(422);
        }
    }
    for query in ["hours=0", "hours=169", "hours=-1", "hours=x", "hours=4294967296", "hours=1.5"] {
        app.get(&format!("/api/jobs/kinds?{query}"), &administrator).await.problem(422);
    }
    let not_utf8 = "%ff".repeat(26);
    let nul = "%00".repeat(26);
    for id in ["1", "x", "%00", "%ff", &nul, &not_utf8, "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAVX", NOBODY] {
        app.get(&format!("/api/jobs/{id}"), &administrator).await.problem(404);
        app.delete(&format!("/api/jobs/{id}"), &administrator).await.problem(404);
        for action in ["retry", "cancel", "run-now"] {
            act(&app, id, action, &administrator).await.problem(404);
        }
    }
    for kind in ["%ff", "%00", "Mirror", "%D0%BF", "a%20b", &"a".repeat(65)] {
        for action in ["pause", "resume"] {
            let answer = app.post(&format!("/api/jobs/kinds/{kind}/{action}"), &administrator, json!({})).await;
            assert_eq!(answer.status, 404, "{kind}: {answer:?}");
            answer.problem(404);
        }
    }
    let (cancel, retry) = (format!("/api/jobs/{id}/cancel"), "/api/jobs/retry");
    for path in [cancel.as_str(), retry] {
        for broken in ["", "{", "nonsense", "{\"reason\": }", "\u{0}"] {
            app.send("POST", path, Some(&administrator.token), broken).await.problem(400);
        }
        app.send("POST", path, Some(&administrator.token), vec![0xff, 0xfe]).await.problem(400);
        for wrong in [json!([]), json!("x"), json!(5), json!(null)] {
            app.post(path, &administrator, wrong).await.problem(422);
        }
        app.send("POST", path, Some(&administrator.token), vec![b' '; 65 * 1024]).await.problem(413);
    }
    for reason in [json!("a\u{0}b"), json!("я".repeat(501)), json!("\u{7}"), json!(5), json!(["x"]), json!({})] {
        app.post(&cancel, &administrator, json!({ "reason": reason })).await.problem(422);
    }
    for wrong in [
        json!({ "state": "asleep" }),
        json!({ "kind": 5 }),
        json!({ "kind": "a\u{0}" }),
        json!({ "error": "\u{0}" }),
        json!({ "ordering_key": ["x"] }),
        json!({ "account_id": "1" }),
        json!({ "dialog_id": 2_147_483_648_i64 }),
        json!({ "since": "now" }),
        json!({ "since": "-9999-01-01T00:00:00Z" }),
    ] {
        app.post(retry, &administrator, wrong).await.problem(422);
    }
    for (method, path) in [("PUT", "/api/jobs"), ("POST", "/api/jobs"), ("PATCH", cancel.as_str()), ("DELETE", "/api/jobs/kinds")]
    {
        app.send(method, path, Some(&administrator.token), "{}").await.problem(405);
    }
    assert_eq!(app.fingerprint().await, before);
}

#[tokio::test]
async fn a_list_that_takes_too_long_is_cut_off_and_says_so() {
    let app = App::start().await;
    let owner = app.owner().await;
    let mut lock = app.database.store.pool().begin().await.unwrap();
    sqlx::query("lock table apalis.jobs in access exclusive mode").execute(&mut *lock).await.unwrap();
    let answer = app.get("/api/jobs?error=x", &owner).await;
    answer.problem(503);
    assert!(answer.headers.contains_key("retry-after"));
    lock.rollback().await.unwrap();
    app.get("/api/jobs?error=x", &owner).await.ok(200);
}
