//! Bringing shared tables up to date while an old Tuberry works on them.
//!
//! Migrations run in transactions, and build indexes that block writers. So what they do to shared tables is done before them, step by
//! step: each statement of the first migration by itself, each index concurrently. The migrations themselves then find it all in place
//! (`if not exists`) and need their locks for milliseconds. No lock is waited for longer than [`LOCK_TIMEOUT`], because everybody else
//! waits behind us meanwhile; that is less than PostgreSQL's `deadlock_timeout`, so that we give up before it ends somebody else's transaction.

use super::{Refused, is_lock_timeout};
use crate::{MIGRATOR, migrations};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest wait for a lock on a shared table.
const LOCK_TIMEOUT: &str = "300ms";
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(700);
/// How long attempts go on.
const PATIENCE: Duration = Duration::from_secs(300);
/// Advisory lock of `migrate`.
const MIGRATING: i64 = 8_462_106_000_000_000;
/// The migration that describes the shared tables.
const CONTRACT: i64 = 1;

/// Waits for its turn: one process migrates at a time. The lock is polled, since a session that waits in a statement keeps an index from being
/// finished. It ends with the connection.
pub async fn in_turn(conn: &mut PgConnection) -> Result<(), Refused> {
    // A backend whose client was killed in the middle must not go on for long. That something is there already is no news.
    sqlx::query("select set_config('client_connection_check_interval', '1000', false), set_config('client_min_messages', 'warning', false)")
        .execute(&mut *conn)
        .await?;
    let deadline = Instant::now() + PATIENCE;
    while !sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1)").bind(MIGRATING).fetch_one(&mut *conn).await? {
        if Instant::now() > deadline {
            return Err(Refused::Occupied);
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Brings an existing Tuberry's tables to what the pending migrations expect, and limits this connection's waits for locks. May be
/// killed and repeated at any point.
pub async fn prepare(conn: &mut PgConnection) -> Result<(), Refused> {
    let applied = migrations::applied(conn).await?;
    lock_timeout(conn, LOCK_TIMEOUT).await?;
    if !applied.contains(&CONTRACT) {
        for statement in contract_statements().filter(|statement| !is_index(statement)) {
            if is_needed(conn, statement).await? {
                settle(async || {
                    sqlx::raw_sql(statement).execute(&mut *conn).await?;
                    Ok(())
                })
                .await?;
            }
        }
    }
    // A concurrent build blocks nobody, however long it waits.
    lock_timeout(conn, "0").await?;
    for statement in shared_indexes(&applied) {
        build(conn, statement).await?;
    }
    lock_timeout(conn, LOCK_TIMEOUT).await
}

/// Repeats what failed because somebody held a lock for too long.
pub async fn settle<T>(mut attempt: impl AsyncFnMut() -> Result<T, Refused>) -> Result<T, Refused> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = match attempt().await {
            Err(Refused::Database(error)) if is_lock_timeout(&error) => error,
            Err(Refused::Migration(sqlx::migrate::MigrateError::ExecuteMigration(error, _))) if is_lock_timeout(&error) => error,
            Err(Refused::Migration(sqlx::migrate::MigrateError::Execute(error))) if is_lock_timeout(&error) => error,
            result => return result,
        };
        if Instant::now() > deadline {
            return Err(Refused::Busy);
        }
        tracing::info!(%error, "a table is in use, will try again");
        sleep(PAUSE).await;
    }
}

async fn lock_timeout(conn: &mut PgConnection, timeout: &str) -> Result<(), Refused> {
    sqlx::query("select set_config('lock_timeout', $1, false)").bind(timeout).execute(conn).await?;
    Ok(())
}

/// Builds an index that is not there, or that a killed build left invalid.
async fn build(conn: &mut PgConnection, statement: &str) -> Result<(), Refused> {
    let name = index_name(statement);
    match index_is_valid(conn, name).await? {
        Some(true) => return Ok(()),
        Some(false) => {
            let remove = AssertSqlSafe(format!("drop index concurrently if exists {name}"));
            sqlx::raw_sql(remove).execute(&mut *conn).await?;
        }
        None => {}
    }
    tracing::info!(index = name, "building");
    let concurrently = statement.replacen("create index if not exists", "create index concurrently if not exists", 1);
    sqlx::raw_sql(AssertSqlSafe(concurrently)).execute(conn).await?;
    Ok(())
}

/// Whether an index of this name can be used; `None` where there is none.
pub(super) async fn index_is_valid(conn: &mut PgConnection, name: &str) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar("select indisvalid from pg_index where indexrelid = to_regclass($1)").bind(name).fetch_optional(conn).await
}

/// The indexes that migrations which are not applied yet build on shared tables.
pub(super) fn shared_indexes(applied: &BTreeSet<i64>) -> Vec<&'static str> {
    let pending = MIGRATOR.iter().filter(|migration| !applied.contains(&migration.version));
    pending.flat_map(|migration| statements(migration.sql.as_str())).filter(|statement| is_index(statement)).collect()
}

/// Our own tables' indexes are made with them; only those on shared tables may be there already.
fn is_index(statement: &str) -> bool {
    statement.starts_with("create index if not exists ")
}

/// The name of the index that a statement makes.
pub(super) fn index_name(statement: &str) -> &str {
    statement.split_whitespace().nth(5).unwrap_or_default()
}

fn contract_statements() -> impl Iterator<Item = &'static str> {
    let contract = MIGRATOR.iter().filter(|migration| migration.version == CONTRACT);
    contract.flat_map(|migration| statements(migration.sql.as_str()))
}

/// False for a column that is there: the statement would lock the whole table to find that out.
async fn is_needed(conn: &mut PgConnection, statement: &str) -> Result<bool, sqlx::Error> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let ["alter", "table", table, "add", "column", "if", "not", "exists", column, ..] = words.as_slice() else { return Ok(true) };
    sqlx::query_scalar(
        "select not exists (select from pg_attribute where attrelid = to_regclass($1) and attname = $2 and not attisdropped)",
    )
    .bind(*table)
    .bind(*column)
    .fetch_one(conn)
    .await
}

/// The statements of a script, without the comments before them.
fn statements(script: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < script.len() {
        let rest = &script[at..];
        let skip = |open: &str, close: &str| {
            let end = rest[open.len()..].find(close);
            end.map_or(script.len(), |end| at + open.len() + end + close.len())
        };
        if rest.starts_with("--") {
            let end = skip("--", "\n");
            if script[start..at].trim().is_empty() {
                start = end;
            }
            at = end;
        } else if rest.starts_with("$$") {
            at = skip("$$", "$$");
        } else if rest.starts_with('\'') {
            at = skip("'", "'");
        } else if rest.starts_with(';') {
            statements.push(script[start..at].trim());
            at += 1;
            start = at;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    statements.push(script[start..].trim());
    statements.retain(|statement| !statement.is_empty());
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_split_where_its_statements_end() {
        let script = "-- a; b\ndo $$ begin x; end $$;\n\nselect ';' -- c\n, 2;\n-- d\nselect 3";
        assert_eq!(statements(script), ["do $$ begin x; end $$", "select ';' -- c\n, 2", "select 3"]);
    }

    #[test]
    fn every_index_on_a_shared_table_is_found() {
        let shared =
            ["clients", "users", "bots", "projects", "personal_telegram_accounts", "dialogs", "messages", "telegram_chats"];
        let found = shared_indexes(&BTreeSet::new());
        assert!(found.len() >= 6 && found.iter().all(|statement| index_name(statement).starts_with("personal_telegram_")));
        for migration in MIGRATOR.iter() {
            for statement in statements(migration.sql.as_str()) {
                let words: Vec<&str> = statement.split_whitespace().collect();
                let on = words.iter().position(|word| *word == "on").and_then(|on| words.get(on + 1));
                let shares =
                    words.starts_with(&["create"]) && words[1..3].contains(&"index") && on.is_some_and(|on| shared.contains(on));
                assert!(
                    !shares || found.contains(&statement),
                    "«{statement}» would block writers: write `create index if not exists`"
                );
            }
        }
    }
}
