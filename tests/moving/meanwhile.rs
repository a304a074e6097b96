//! What the old system does at the same moment as we: nothing of it is passed over, and nothing wiped.

use super::{Release, old_database};
use crate::support::{Database, migrate};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tuberry_domain::AccountId;
use tuberry_storage::accounts;
use tuberry_storage::moving::{sessions, stock};

async fn moved_in() -> Database {
    let database = old_database(Release::WithPersonalAccounts).await;
    migrate(&database.url).await.unwrap();
    database
}

async fn account(pool: &PgPool) -> AccountId {
    let id = sqlx::query_scalar(
        "insert into personal_telegram_accounts (created_at, client_id, project_id, status, accepts_private, accepts_groups, accepts_channels)
         values (now() at time zone 'utc', 1, 1, 'active', true, false, false) returning id",
    );
    AccountId(id.fetch_one(pool).await.unwrap())
}

/// The old worker stores a message; `executor` may be a transaction of its.
async fn old_message(executor: impl sqlx::PgExecutor<'_>, dialog: i32, id: i32) {
    sqlx::query(
        "insert into messages (created_at, dialog_id, direction, source_message_id, body, status, retries, is_auto_reply, is_client_message)
         values (now() at time zone 'utc', $1, 'personal_telegram_in', $2, 'привет', 'delivered', 0, false, true)",
    )
    .bind(dialog)
    .bind(id.to_string())
    .execute(executor)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_committed_after_younger_ones_were_taken_in_is_taken_in_too() {
    let database = moved_in().await;
    let pool = database.store.pool();
    let account = account(pool).await;
    let dialog: i32 = sqlx::query_scalar(
        "insert into dialogs (created_at, client_id, project_id, source, personal_account_id, bot_id, avito_dialog_id, state, topic_intro_sent)
         values (now() at time zone 'utc', 1, 1, 'personal_telegram', $1, 1, 'ptg:' || $1::int || ':77', 'active', true) returning id",
    )
    .bind(account.0)
    .fetch_one(pool)
    .await
    .unwrap();
    let taken = async || stock::take_in(&database.store).await.unwrap().messages;
    let mut slow = pool.begin().await.unwrap();
    old_message(&mut *slow, dialog, 1).await;
    old_message(pool, dialog, 2).await;
    assert_eq!(taken().await, 1);
    slow.commit().await.unwrap();
    assert_eq!(taken().await, 1);
    assert_eq!(taken().await, 0);
}

/// Stores a session of ours with its token for the old system.
async fn session(database: &Database, account: AccountId, token: &str) -> DateTime<Utc> {
    let mut tx = database.store.begin().await.unwrap();
    accounts::store_session(&mut tx, account, "sealed", Some(token), true).await.unwrap();
    tx.commit().await.unwrap();
    let stored = sqlx::query_scalar("select created_at from personal_telegram_sessions where account_id = $1");
    stored.bind(account.0).fetch_one(database.store.pool()).await.unwrap()
}

async fn old_login(database: &Database, account: AccountId, token: &str) {
    let login = sqlx::query("update personal_telegram_accounts set session_payload = $2 where id = $1");
    login.bind(account.0).bind(token).execute(database.store.pool()).await.unwrap();
}

/// Status, token of the old system, and how many sessions of ours.
async fn state(database: &Database, account: AccountId) -> (String, Option<String>, i64) {
    let state = sqlx::query_as(
        "select status::text, session_payload, (select count(*) from personal_telegram_sessions where account_id = id)
           from personal_telegram_accounts where id = $1",
    );
    state.bind(account.0).fetch_one(database.store.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_session_of_the_old_system_outlives_the_end_of_ours_and_of_the_move() {
    let database = moved_in().await;
    let account = account(database.store.pool()).await;
    let ended = async |since| {
        let mut tx = database.store.begin().await.unwrap();
        let marked = accounts::mark_problem(&mut tx, account, since, "сеанс завершён").await.unwrap();
        tx.commit().await.unwrap();
        marked
    };
    let since = session(&database, account, "gAAAAfirst").await;
    old_login(&database, account, "gAAAAsecond").await;
    assert!(!ended(since).await);
    assert_eq!(state(&database, account).await, ("active".into(), Some("gAAAAsecond".into()), 0), "it waits to be taken over");

    let since = session(&database, account, "gAAAAsecond").await;
    old_login(&database, account, "gAAAAthird").await;
    assert_eq!(sessions::finish(&database.store).await.unwrap(), (0, 1));
    assert_eq!(state(&database, account).await.1.as_deref(), Some("gAAAAthird"));
    old_login(&database, account, "gAAAAsecond").await;
    assert_eq!(sessions::finish(&database.store).await.unwrap(), (1, 0));

    assert!(ended(since).await);
    assert_eq!(state(&database, account).await, ("error".into(), None, 0));
    assert!(!ended(since).await, "it has ended already");
}
