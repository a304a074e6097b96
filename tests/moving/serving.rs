//! Both systems on the same rows: forward without a new QR code, back, forward again, and the end of the move. The old system is played by the test:
//! it writes the rows that the contract describes, and Telethon opens its sessions.

use super::{Release, old_database, old_system};
use crate::scenarios::conversation::{mirrored, received};
use crate::support::{Person, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;
use telegram_simulator::{Options, Simulator};
use tuberry_domain::{ClientId, UserId};

const SOON: Duration = Duration::from_secs(60);

/// A stack on an old database with its bot, group and operator in the simulated Telegram.
async fn old_stack(release: Release) -> Stack {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut stack = Stack::beside(simulator, old_database(release).await).await;
    let operator = stack.person("Оператор").await.0;
    let bot = stack.control("POST", "/bots", json!({ "username": "old_bot" })).await;
    let bot_token = bot["token"].as_str().unwrap().to_owned();
    let forum = json!({ "title": "Ромашка", "bot_token": bot_token, "members": [operator] });
    let forum = stack.control("POST", "/forums", forum).await["chat_id"].as_i64().unwrap();
    sqlx::query("update bots set token = $1, group_chat_id = $2 where id = 1")
        .bind(&bot_token)
        .bind(forum.to_string())
        .execute(stack.store().pool())
        .await
        .unwrap();
    let tenant = &mut stack.tenant;
    (tenant.client, tenant.project, tenant.forum, tenant.operator) = (ClientId(1), 1, forum, operator);
    (tenant.bot_token, tenant.token) = (bot_token, Stack::token_of(UserId(1)));
    stack
}

/// What `from` wrote, as the addressee numbers it.
async fn write(stack: &Stack, from: Person, to: Person, text: &str) -> i64 {
    let sent = stack.control("POST", "/messages", json!({ "from": from.0, "to": to.0, "text": text })).await;
    sent["ids"][0].as_i64().unwrap()
}

/// The old worker makes a dialog, with its topic.
async fn old_dialog(stack: &Stack, account: i32, customer: Person, name: &str) -> (i32, i64) {
    let topic = stack.bot_call("createForumTopic", json!({ "chat_id": stack.tenant.forum, "name": format!("🔴 {name}") })).await;
    let topic = topic["message_thread_id"].as_i64().unwrap();
    let dialog = sqlx::query_scalar(
        "insert into dialogs (created_at, client_id, project_id, source, personal_account_id, bot_id, avito_dialog_id, telegram_topic_id,
                state, topic_intro_sent, external_reference, external_display_name)
         values (now() at time zone 'utc', 1, 1, 'personal_telegram', $1, 1, $2, $3, 'active', true, $4, $5) returning id",
    )
    .bind(account)
    .bind(format!("ptg:{account}:{}", customer.0))
    .bind(topic.to_string())
    .bind(customer.0.to_string())
    .bind(name)
    .fetch_one(stack.store().pool())
    .await
    .unwrap();
    (dialog, topic)
}

/// The old worker mirrors a message.
async fn old_mirror(stack: &Stack, (dialog, topic): (i32, i64), name: &str, id: i64, text: &str) {
    let shown = json!({ "chat_id": stack.tenant.forum, "message_thread_id": topic, "text": format!("💬 {name}: {text}") });
    let shown = stack.bot_call("sendMessage", shown).await["message_id"].as_i64().unwrap();
    sqlx::query(
        "insert into messages (created_at, dialog_id, direction, source_message_id, telegram_message_id, body, status, retries, is_auto_reply,
                is_client_message)
         values (now() at time zone 'utc', $1, 'personal_telegram_in', $2, $3, $4, 'delivered', 0, false, true)",
    )
    .bind(dialog)
    .bind(id.to_string())
    .bind(shown.to_string())
    .bind(text)
    .execute(stack.store().pool())
    .await
    .unwrap();
}

async fn migrate(stack: &Stack) {
    let (success, output) = stack.command(&["migrate"], &[]).await;
    assert!(success, "{output}");
}

async fn payload(stack: &Stack, account: i32) -> Option<String> {
    sqlx::query_scalar("select session_payload from personal_telegram_accounts where id = $1")
        .bind(account)
        .fetch_one(stack.store().pool())
        .await
        .unwrap()
}

/// The old ORM reads every row that we wrote: times in UTC, every column that must be there.
async fn the_old_orm_reads_everything(stack: &Stack) {
    let strange: Vec<String> = sqlx::query_scalar(
        "select 'message ' || id from messages
          where direction in ('personal_telegram_in', 'personal_telegram_out')
            and (abs(extract(epoch from now() at time zone 'utc' - created_at)) > 600 or direction = 'personal_telegram_in' and source_message_id !~ '^[0-9]+$')
         union all
         select 'dialog ' || id from dialogs
          where source = 'personal_telegram' and avito_dialog_id is distinct from 'ptg:' || personal_account_id || ':' || external_reference
         union all
         select 'account ' || id from personal_telegram_accounts where abs(extract(epoch from now() at time zone 'utc' - created_at)) > 600",
    )
    .fetch_all(stack.store().pool())
    .await
    .unwrap();
    assert!(strange.is_empty(), "{strange:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_the_old_system_goes_on_without_a_qr_code_and_finds_its_way_back() {
    let mut stack = old_stack(Release::WithPersonalAccounts).await;
    let [anna, ivan, oleg, maria] = ["Анна", "Иван", "Олег", "Мария"];
    let (anna, ivan, oleg, maria) =
        (stack.person(anna).await, stack.person(ivan).await, stack.person(oleg).await, stack.person(maria).await);
    let base = stack.simulator.http_url();

    // The old system: an account whose row does not even say who it is, and two dialogs; then it is down.
    let token = old_system(&["connect", &base, &anna.0.to_string()]).await;
    let account: i32 = sqlx::query_scalar(
        "insert into personal_telegram_accounts (created_at, client_id, project_id, status, session_payload, accepts_private, accepts_groups,
                accepts_channels, last_connected_at)
         values (now() at time zone 'utc', 1, 1, 'active', $1, true, false, false, now() at time zone 'utc') returning id",
    )
    .bind(&token)
    .fetch_one(stack.store().pool())
    .await
    .unwrap();
    let of_oleg = old_dialog(&stack, account, oleg, "Олег").await;
    let first = write(&stack, oleg, anna, "давно").await;
    old_mirror(&stack, of_oleg, "Олег", first, "давно").await;
    let of_ivan = old_dialog(&stack, account, ivan, "Иван").await;
    let second = write(&stack, ivan, anna, "раз").await;
    old_mirror(&stack, of_ivan, "Иван", second, "раз").await;
    write(&stack, ivan, anna, "два").await;
    write(&stack, maria, anna, "впервые").await;
    write(&stack, ivan, anna, "три").await;
    // Two new messages at once made it two dialogs, and two topics.
    old_dialog(&stack, account, oleg, "Олег, лишний").await;
    // An operator answers somebody whom we never met.
    stack.answer(&stack.topic("Олег").await, "ответ Олегу").await;
    stack.answer(&stack.topic("лишний").await, "ещё ответ").await;

    migrate(&stack).await;
    migrate(&stack).await;
    let homes: Vec<Option<String>> =
        sqlx::query_scalar("select distinct telegram_chat_id from dialogs where source = 'personal_telegram'")
            .fetch_all(stack.store().pool())
            .await
            .unwrap();
    assert_eq!(homes, [Some(stack.tenant.forum.to_string())], "topics stand in the group that their bot had");
    stack.start_processes("polling").await;
    mirrored(&stack, "Иван", &["💬 Иван: раз", "💬 Иван: два", "💬 Иван: три"]).await;
    mirrored(&stack, "Мария", &["💬 Мария: впервые"]).await;
    received(&stack, oleg, anna, &["ответ Олегу", "ещё ответ"]).await;
    mirrored(&stack, "Олег", &["💬 Олег: давно"]).await;
    assert_eq!(stack.topics().await.len(), 4, "old dialogs keep their topics");
    stack.answer(&stack.topic("Иван").await, "ответ").await;
    received(&stack, ivan, anna, &["ответ"]).await;
    let (sealed, known): (String, String) = sqlx::query_as(
        "select s.sealed, a.telegram_user_id from personal_telegram_sessions s join personal_telegram_accounts a on a.id = s.account_id",
    )
    .fetch_one(stack.store().pool())
    .await
    .unwrap();
    assert!(sealed.starts_with("v1.") && known == anna.0.to_string());
    assert_eq!(payload(&stack, account).await.as_deref(), Some(token.as_str()), "the old system's token stays");
    the_old_orm_reads_everything(&stack).await;

    // A killed worker doubles nothing of it.
    stack.replace_worker(0).await;
    write(&stack, ivan, anna, "четыре").await;
    mirrored(&stack, "Иван", &["💬 Иван: раз", "💬 Иван: два", "💬 Иван: три", "💬 Иван: четыре"]).await;

    // Back: the old worker starts on the same rows, serves for a while, and loses something.
    stack.stop_processes().await;
    let stored = payload(&stack, account).await.unwrap();
    assert_eq!(old_system(&["open", &base, &stored]).await, anna.0.to_string());
    let fifth = write(&stack, ivan, anna, "пять").await;
    old_mirror(&stack, of_ivan, "Иван", fifth, "пять").await;
    let pyotr = stack.person("Пётр").await;
    let of_pyotr = old_dialog(&stack, account, pyotr, "Пётр").await;
    let sixth = write(&stack, pyotr, anna, "новый у старой системы").await;
    old_mirror(&stack, of_pyotr, "Пётр", sixth, "новый у старой системы").await;
    write(&stack, ivan, anna, "шесть").await;
    old_system(&["reply", &base, &stored, &ivan.0.to_string(), "от старой системы"]).await;

    // Forward again.
    stack.start_processes("polling").await;
    let all = ["раз", "два", "три", "четыре", "пять", "шесть"].map(|text| format!("💬 Иван: {text}"));
    mirrored(&stack, "Иван", &all.each_ref().map(String::as_str)).await;
    stack.answer(&stack.topic("Пётр").await, "и вам").await;
    received(&stack, pyotr, anna, &["и вам"]).await;
    mirrored(&stack, "Пётр", &["💬 Пётр: новый у старой системы"]).await;
    assert_eq!(stack.topics().await.len(), 5);

    // The old backend, beside our worker, lets the account log in again: its session takes the place of ours.
    let renewed = old_system(&["connect", &base, &anna.0.to_string()]).await;
    sqlx::query("update personal_telegram_accounts set session_payload = $1 where id = $2")
        .bind(&renewed)
        .bind(account)
        .execute(stack.store().pool())
        .await
        .unwrap();
    wait_until(SOON, "another session of ours", async || {
        let now: String =
            sqlx::query_scalar("select sealed from personal_telegram_sessions").fetch_one(stack.store().pool()).await.ok()?;
        (now != sealed).then_some(())
    })
    .await;
    write(&stack, maria, anna, "второе").await;
    mirrored(&stack, "Мария", &["💬 Мария: впервые", "💬 Мария: второе"]).await;

    // The end of the move; not while something would be lost by it.
    let put = async |payload: &str| {
        sqlx::query("update personal_telegram_accounts set session_payload = $1 where id = $2")
            .bind(payload)
            .bind(account)
            .execute(stack.store().pool())
            .await
            .unwrap();
    };
    put("gAAAAnobodyopensthis").await;
    let (success, output) = stack.command(&["migrate", "--finish"], &[]).await;
    assert!(!success && output.contains("do not open"), "{output}");
    put(&renewed).await;
    let (success, output) = stack.command(&["migrate", "--finish"], &[]).await;
    assert!(success && output.contains("1 tokens"), "{output}");
    assert_eq!(payload(&stack, account).await, None);
    let vera = stack.person("Вера").await;
    let login = stack.connect(vera).await;
    assert_eq!(payload(&stack, login.try_into().unwrap()).await, None, "nothing is kept for the old system any more");
    stack.replace_worker(0).await;
    write(&stack, maria, anna, "третье").await;
    mirrored(&stack, "Мария", &["💬 Мария: впервые", "💬 Мария: второе", "💬 Мария: третье"]).await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_before_personal_accounts_gets_them() {
    let mut stack = old_stack(Release::BeforePersonalAccounts).await;
    migrate(&stack).await;
    // The old system polled: its bot has no webhook's secret.
    stack.start_processes("webhook").await;
    let (anna, ivan) = (stack.person("Анна").await, stack.person("Иван").await);
    let account = stack.connect(anna).await;
    write(&stack, ivan, anna, "здравствуйте").await;
    mirrored(&stack, "Иван", &["💬 Иван: здравствуйте"]).await;
    stack.answer(&stack.topic("Иван").await, "добрый день").await;
    received(&stack, ivan, anna, &["добрый день"]).await;
    the_old_orm_reads_everything(&stack).await;
    stack.stop_processes().await;
    // What we connected is the old system's, too.
    let token = payload(&stack, account.try_into().unwrap()).await.unwrap();
    let me = old_system(&["open", &stack.simulator.http_url(), &token]).await;
    assert_eq!(me, anna.0.to_string());
    let stats = stack.control("GET", "/stats", Value::Null).await;
    assert_eq!(stats["keys_killed"], 0, "{stats}");
}
