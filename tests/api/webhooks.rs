//! The bots' webhook: nothing happens without the right secret.

use super::{Answer, App};
use serde_json::{Value, json};

fn update(text: &str, chat: i64) -> String {
    message(5, 7, text, chat)
}

fn message(id: i64, topic: i64, text: &str, chat: i64) -> String {
    dated(1_700_000_000, id, topic, text, chat)
}

fn dated(date: i64, id: i64, topic: i64, text: &str, chat: i64) -> String {
    json!({ "update_id": 1, "message": {
        "message_id": id, "date": date, "message_thread_id": topic, "is_topic_message": true, "text": text,
        "chat": { "id": chat, "type": "supergroup", "title": "Группа", "is_forum": true },
        "from": { "id": 9, "is_bot": false, "first_name": "Олег" } } })
    .to_string()
}

/// An operator's message `id` in a topic, as Telegram brings it to the bot's webhook.
pub(super) async fn operator_writes(app: &App, bot: i32, chat: i64, topic: i64, id: i64, text: &str) {
    let secret = app.value(&format!("select webhook_secret from bots where id = {bot}")).await.unwrap();
    call(app, &format!("{bot}/{secret}"), Some(&secret), message(id, topic, text, chat)).await.ok(200);
}

async fn call(app: &App, path: &str, header: Option<&str>, body: String) -> Answer {
    let mut request = app.client.post(format!("{}/api/webhooks/telegram/{path}", app.base)).body(body);
    if let Some(header) = header {
        request = request.header("X-Telegram-Bot-Api-Secret-Token", header);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

#[tokio::test]
async fn without_the_right_secret_there_is_no_such_address_and_nothing_is_written() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let (bot, other) = (app.bot(&owner, Some("-1001"), "right").await, app.bot(&owner, Some("-1002"), "others").await);
    let without = app.bot(&owner, Some("-1003"), "").await;
    app.dialog(&owner, bot, account, 77, 0).await;
    let before = app.fingerprint().await;
    for path in [
        format!("{bot}/wrong"),
        format!("{bot}/righ"),
        format!("{bot}/right0"),
        format!("{bot}/others"),
        format!("{bot}/RIGHT"),
        format!("{}/right", other + 1000),
        format!("{without}/right"),
        format!("{without}/"),
        format!("{bot}/"),
        format!("{bot}"),
    ] {
        call(&app, &path, None, update("Здравствуйте", -1001)).await.problem(404);
    }
    call(&app, &format!("{bot}/right"), Some("wrong"), update("Здравствуйте", -1001)).await.problem(404);
    assert_eq!(app.fingerprint().await, before);

    call(&app, &format!("{bot}/right"), Some("right"), update("Здравствуйте", -1001)).await.ok(200);
    assert_eq!(app.value("select body from messages").await.as_deref(), Some("Здравствуйте"));
}

#[tokio::test]
async fn an_operators_message_becomes_one_reply_however_often_it_comes() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let bot = app.bot(&owner, Some("-1001"), "right").await;
    app.dialog(&owner, bot, account, 77, 0).await;
    for _ in 0..3 {
        call(&app, &format!("{bot}/right/"), None, update("Здравствуйте", -1001)).await.ok(200);
    }
    assert_eq!(app.value("select count(*) from messages where status = 'pending'").await.as_deref(), Some("1"));
    assert_eq!(app.value("select count(*) from apalis.jobs where job_type = 'send-reply'").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_getid_is_answered_once_however_often_it_comes() {
    let app = App::start().await;
    let owner = app.owner().await;
    let bot = app.bot(&owner, None, "right").await;
    for _ in 0..3 {
        call(&app, &format!("{bot}/right"), None, update("/getid@Bot", -1002)).await.ok(200);
    }
    call(&app, &format!("{bot}/right"), None, update("/getid@another_bot", -1003)).await.ok(200);
    assert_eq!(app.value("select count(*) from apalis.jobs where job_type = 'answer-getid'").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_topic_of_another_group_is_ignored_even_with_the_right_secret() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let (bot, other) = (app.bot(&owner, Some("-1001"), "right").await, app.bot(&owner, Some("-1002"), "others").await);
    app.dialog(&owner, bot, account, 77, 0).await;
    let before = app.fingerprint().await;
    call(&app, &format!("{bot}/right"), None, update("Здравствуйте", -1002)).await.ok(200);
    call(&app, &format!("{other}/others"), None, update("Здравствуйте", -1001)).await.ok(200);
    call(&app, &format!("{other}/others"), None, update("Здравствуйте", -1002)).await.ok(200);
    assert_eq!(app.fingerprint().await, before);
}

#[tokio::test]
async fn a_topic_number_of_the_former_group_is_nobody_in_either_group() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let bot = app.bot(&owner, Some("-1001"), "right").await;
    app.dialog(&owner, bot, account, 77, 0).await;
    app.execute(&format!("update bots set group_chat_id = '-1002' where id = {bot}")).await;
    let before = app.fingerprint().await;
    operator_writes(&app, bot, -1001, 7, 5, "в прежней").await;
    assert_eq!(app.fingerprint().await, before, "the former group is none of the bot's any more");
    operator_writes(&app, bot, -1002, 7, 5, "в новой").await;
    assert_eq!(app.fingerprint().await, before, "the dialog's topic stands in the former group");
}

#[tokio::test]
async fn an_answer_comes_again_while_its_topic_may_be_being_created_but_not_for_ever() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let bot = app.bot(&owner, Some("-1001"), "right").await;
    app.dialog(&owner, bot, account, 77, 0).await;
    app.execute("update personal_telegram_dialogs set topic_begun_at = now()").await;
    let now = chrono::Utc::now().timestamp();
    let path = format!("{bot}/right");
    call(&app, &path, None, dated(now, 5, 8, "Здравствуйте", -1001)).await.problem(503);
    call(&app, &path, None, dated(now - 61, 5, 8, "Здравствуйте", -1001)).await.ok(200);
    app.execute("update personal_telegram_dialogs set topic_begun_at = now() - interval '61 seconds'").await;
    call(&app, &path, None, dated(now, 5, 8, "Здравствуйте", -1001)).await.ok(200);
    assert_eq!(app.value("select count(*) from messages").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_group_that_tells_its_new_id_is_followed_with_its_topics() {
    let app = App::start().await;
    let owner = app.owner().await;
    let project = app.project(&owner).await;
    let account = app.account(&owner, project).await;
    let (bot, other) = (app.bot(&owner, Some("-1001"), "right").await, app.bot(&owner, Some("-1003"), "others").await);
    app.dialog(&owner, bot, account, 77, 0).await;
    let moved = json!({ "update_id": 1, "message": { "message_id": 4, "date": 1_700_000_000, "migrate_to_chat_id": -1002,
        "chat": { "id": -1001, "type": "group", "title": "Группа" }, "from": { "id": 9, "is_bot": false, "first_name": "Олег" } } });
    for path in [format!("{other}/others"), format!("{bot}/right"), format!("{bot}/right")] {
        call(&app, &path, None, moved.to_string()).await.ok(200);
    }
    let groups = app.value("select string_agg(group_chat_id, ' ' order by id) from bots").await;
    assert_eq!(groups.as_deref(), Some("-1002 -1003"));
    operator_writes(&app, bot, -1002, 7, 5, "Здравствуйте").await;
    assert_eq!(app.value("select body from messages").await.as_deref(), Some("Здравствуйте"));
}

#[tokio::test]
async fn a_bots_comings_and_goings_are_kept() {
    let app = App::start().await;
    let owner = app.owner().await;
    let bot = app.bot(&owner, Some("-1001"), "right").await;
    let mut joined = Value::Null;
    for (title, status, is_active) in [
        ("Новая", "member", true),
        ("Новая", "administrator", true),
        ("Другое имя", "kicked", false),
        ("Другое имя", "member", true),
    ] {
        let user = json!({ "id": 1, "is_bot": true, "first_name": "b" });
        let member = json!({ "update_id": 4, "my_chat_member": {
            "chat": { "id": -1005, "type": "supergroup", "title": title, "is_forum": true }, "from": { "id": 9, "is_bot": false, "first_name": "Олег" },
            "date": 1_700_000_000, "old_chat_member": { "status": "left", "user": user }, "new_chat_member": { "status": status, "user": user } } });
        call(&app, &format!("{bot}/right"), None, member.to_string()).await.ok(200);
        let chats = app.get(&format!("/api/telegram-chats?bot_id={bot}"), &owner).await.ok(200).json();
        let [chat] = chats.as_array().unwrap().as_slice() else { panic!("{chats}") };
        assert_eq!(
            (&chat["title"], &chat["last_status"], &chat["is_active"]),
            (&title.into(), &status.into(), &is_active.into()),
        );
        assert_eq!(chat["left_at"].is_null(), is_active, "{chat}");
        assert!(status != "administrator" || chat["joined_at"] == joined, "a promotion is no second coming: {chat}");
        joined = chat["joined_at"].clone();
    }
}

#[tokio::test]
async fn what_is_no_update_is_refused_and_what_we_do_not_know_is_accepted() {
    let app = App::start().await;
    let owner = app.owner().await;
    let bot = app.bot(&owner, Some("-1001"), "right").await;
    let path = format!("{bot}/right");
    let before = app.fingerprint().await;
    call(&app, &path, None, "{".into()).await.problem(400);
    call(&app, &path, None, "[]".into()).await.problem(422);
    call(&app, &path, None, "x".repeat(1024 * 1024 + 1)).await.problem(413);
    call(&app, &path, None, json!({ "update_id": 3, "poll": { "id": 5 } }).to_string()).await.ok(200);
    call(&app, &path, None, json!({ "update_id": 3, "message": { "text": 5, "chat": null } }).to_string()).await.ok(200);
    assert_eq!(app.fingerprint().await, before);

    let member = json!({ "update_id": 4, "my_chat_member": {
        "chat": { "id": -1005, "type": "supergroup", "title": "Новая", "is_forum": true }, "from": { "id": 9, "is_bot": false, "first_name": "Олег" },
        "date": 1_700_000_000, "old_chat_member": { "status": "left", "user": { "id": 1, "is_bot": true, "first_name": "b" } },
        "new_chat_member": { "status": "administrator", "user": { "id": 1, "is_bot": true, "first_name": "b" } } } });
    call(&app, &path, None, member.to_string()).await.ok(200);
    let chats = app.get(&format!("/api/telegram-chats?bot_id={bot}"), &owner).await.ok(200).json();
    assert_eq!(
        (&chats[0]["chat_id"], &chats[0]["title"], &chats[0]["is_active"]),
        (&"-1005".into(), &"Новая".into(), &Value::Bool(true))
    );
    assert_eq!(chats[0]["last_status"], "administrator");
}
