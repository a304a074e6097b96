//! `tuberry migrate` on a database of an old Tuberry that is at work.

use super::{Release, old_database};
use crate::support::{Database, Process, wait_until};
use sqlx::{Connection, PgConnection, PgPool};
use std::collections::BTreeMap;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const SHARED: [&str; 7] = ["clients", "users", "bots", "projects", "dialogs", "messages", "telegram_chats"];

async fn migrate(database: &Database, arguments: &[&str]) -> (bool, String) {
    let arguments: Vec<&str> = std::iter::once("migrate").chain(arguments.iter().copied()).collect();
    let process = Process::tuberry(&arguments, &[("DATABASE_URL", &database.url)]).await;
    (process.wait().await.success(), process.output())
}

/// Rows of the shared tables as the old system sees them.
async fn rows(pool: &PgPool) -> BTreeMap<&'static str, Option<String>> {
    let mut rows = BTreeMap::new();
    for table in SHARED {
        let query =
            format!("select md5(string_agg((to_jsonb(t) - 'personal_account_id')::text, '|' order by id)) from {table} t");
        rows.insert(table, sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(pool).await.unwrap());
    }
    rows
}

/// Constraints on the shared tables.
async fn constraints(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "select conrelid::regclass || ': ' || pg_get_constraintdef(oid) from pg_constraint
          where conrelid = any($1::text[]::regclass[]) and contype <> 'n' order by 1",
    )
    .bind(SHARED)
    .fetch_all(pool)
    .await
    .unwrap()
}

/// Everything in the catalogue that a migration could change.
async fn catalogue(pool: &PgPool) -> String {
    sqlx::query_scalar(
        "select md5((select string_agg(c.oid::text || c.relname || c.relnatts, ',' order by c.oid) from pg_class c)
                 || (select string_agg(e.oid::text || e.enumlabel, ',' order by e.oid) from pg_enum e)
                 || (select string_agg(n.nspname, ',' order by n.oid) from pg_namespace n where n.nspname !~ '^pg_'))",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

/// What the old backend does all the time: it must not be kept waiting.
async fn the_old_backend_writes(url: &str) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("set lock_timeout = '5s'").execute(&mut conn).await.unwrap();
    sqlx::raw_sql(
        "begin;
         insert into messages (created_at, dialog_id, direction, body, status, retries, is_auto_reply, is_client_message)
         values (now() at time zone 'utc', 1, 'avito', 'пока идёт перенос', 'pending', 0, false, true);
         update dialogs set last_message_at = now() at time zone 'utc' where id = 1;
         insert into dialogs (created_at, client_id, project_id, source, bot_id, avito_dialog_id, state, topic_intro_sent)
         values (now() at time zone 'utc', 1, 1, 'avito', 1, 'u2i-new', 'active', false);
         commit",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    conn.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_tuberry_is_migrated_while_it_works_killed_in_the_middle_and_twice() {
    for release in [Release::BeforePersonalAccounts, Release::WithPersonalAccounts] {
        let database = old_database(release).await;
        let pool = database.store.pool();
        let before = constraints(pool).await;

        // A transaction of the old system that takes its time: it has locks on what is to be changed, and an index must wait for its end.
        let mut long = pool.begin().await.unwrap();
        sqlx::raw_sql(
            "update dialogs set updated_at = now() at time zone 'utc' where id = 2; update messages set retries = 1 where id = 2",
        )
        .execute(&mut *long)
        .await
        .unwrap();
        let migration = Process::tuberry(&["migrate"], &[("DATABASE_URL", &database.url)]).await;
        let index: bool = wait_until(SOON, "a migration that waits", async || {
            // For the lock of its `alter table`, or in the middle of an index.
            let waits = sqlx::query_scalar(
                "select coalesce((select not bool_and(indisvalid) from pg_index where indrelid in ('dialogs'::regclass, 'messages'::regclass)), false)",
            );
            let builds: bool = waits.fetch_one(pool).await.ok()?;
            let output = migration.output();
            (builds || output.contains("is in use")).then_some(builds)
        })
        .await;
        assert_eq!(index, release == Release::WithPersonalAccounts, "{}", migration.output());
        for _ in 0..5 {
            the_old_backend_writes(&database.url).await;
        }
        assert!(migration.ended().is_none(), "{}", migration.output());
        migration.kill().await;
        the_old_backend_writes(&database.url).await;
        long.commit().await.unwrap();

        let data = rows(pool).await;
        let (first, second) = tokio::join!(migrate(&database, &[]), migrate(&database, &[]));
        assert!(first.0 && second.0, "{release:?}: {} {}", first.1, second.1);
        let third = migrate(&database, &[]).await;
        assert!(third.0, "{}", third.1);
        assert_eq!(tuberry_storage::migrations::missing(pool).await.unwrap(), 0);
        let checked = migrate(&database, &["--check"]).await;
        assert!(checked.0 && checked.1.contains("nothing to do"), "{}", checked.1);

        assert_eq!(rows(pool).await, data, "no row was changed");
        let invalid: i64 =
            sqlx::query_scalar("select count(*) from pg_index where not indisvalid").fetch_one(pool).await.unwrap();
        assert_eq!(invalid, 0);
        let mut expected = before;
        if release == Release::BeforePersonalAccounts {
            expected.push("dialogs: FOREIGN KEY (personal_account_id) REFERENCES personal_telegram_accounts(id)".into());
            expected.sort();
        }
        assert_eq!(constraints(pool).await, expected, "no new constraint on a shared table");
        the_old_backend_writes(&database.url).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_a_migration_is_taken_up_again() {
    let database = old_database(Release::BeforePersonalAccounts).await;
    let data = rows(database.store.pool()).await;
    for moment in [20, 60, 120, 200, 300, 450, 650] {
        let migration = Process::tuberry(&["migrate"], &[("DATABASE_URL", &database.url)]).await;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        migration.kill().await;
    }
    let (success, output) = migrate(&database, &[]).await;
    assert!(success, "{output}");
    let pool = database.store.pool();
    let invalid: i64 = sqlx::query_scalar("select count(*) from pg_index where not indisvalid").fetch_one(pool).await.unwrap();
    assert_eq!((invalid, tuberry_storage::migrations::missing(pool).await.unwrap()), (0, 0));
    assert_eq!(rows(pool).await, data);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_recognised_is_refused_and_nothing_is_changed() {
    let database = old_database(Release::WithPersonalAccounts).await;
    let pool = database.store.pool();
    for (change, back, said) in [
        (
            "alter table messages rename column body to text",
            "alter table messages rename column text to body",
            "messages.body is missing",
        ),
        (
            "alter table bots alter group_chat_id type bigint using 0",
            "alter table bots alter group_chat_id type varchar",
            "bots.group_chat_id is bigint",
        ),
        (
            "alter type messagestatus rename value 'sent' to 'gone'",
            "alter type messagestatus rename value 'gone' to 'sent'",
            "unknown value «gone»",
        ),
        (
            "delete from telegram_chats; alter table telegram_chats alter title set not null",
            "alter table telegram_chats alter title drop not null",
            "telegram_chats.title takes no nulls",
        ),
        ("alter table users rename to people", "alter table people rename to users", "table users is missing"),
        (
            "alter table messages add shard integer not null default 0; alter table messages alter shard drop default",
            "alter table messages drop shard",
            "messages.shard is unknown",
        ),
        (
            "alter table messages alter id drop default",
            "alter table messages alter id set default nextval('messages_id_seq')",
            "messages.id does not count",
        ),
    ] {
        sqlx::raw_sql(change).execute(pool).await.unwrap();
        let before = catalogue(pool).await;
        for arguments in [&[][..], &["--check"]] {
            let (success, output) = migrate(&database, arguments).await;
            assert!(!success && output.contains(said), "{change}: {output}");
        }
        assert_eq!(catalogue(pool).await, before, "{change}");
        sqlx::raw_sql(back).execute(pool).await.unwrap();
    }

    let before = catalogue(pool).await;
    let (success, output) = migrate(&database, &["--check"]).await;
    assert!(success, "{output}");
    for said in
        ["build index personal_telegram_messages_by_dialog concurrently", "apply migration 0001", "migrations of the queue"]
    {
        assert!(output.contains(said), "{said}: {output}");
    }
    assert_eq!(catalogue(pool).await, before, "a check changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_a_release_before_personal_accounts_lacks() {
    let database = old_database(Release::BeforePersonalAccounts).await;
    let (success, output) = migrate(&database, &["--check"]).await;
    assert!(success, "{output}");
    for said in [
        "would create type personaltelegramaccountstatus",
        "would add value messagedirection.personal_telegram_in",
        "would create table personal_telegram_accounts",
        "would add column dialogs.personal_account_id",
    ] {
        assert!(output.contains(said), "{said}: {output}");
    }
}
