//! Migrations in their order: apalis' own, then ours, which build on its table. On an existing Tuberry the shared tables come first, gently.

use apalis_postgres::PostgresStorage;
use sqlx::{Connection, PgConnection, PgPool};
use tuberry_storage::MIGRATOR;
use tuberry_storage::moving::{self, Refused, Survey};

/// Brings the database to this version's schema. Safe to run from several processes at once and again and again, and beside an old
/// Tuberry. Refuses a database that it does not recognise. Returns what it found.
pub async fn migrate(pool: &PgPool) -> Result<Survey, Refused> {
    // A connection of its own: settings and locks end with it.
    let mut conn = pool.acquire().await?.detach();
    let migrated = migrate_on(&mut conn).await;
    // What was done is committed, whether the goodbye is heard or not.
    drop(conn.close().await);
    migrated
}

async fn migrate_on(conn: &mut PgConnection) -> Result<Survey, Refused> {
    moving::in_turn(conn).await?;
    let survey = moving::survey(conn).await?;
    if survey.existing {
        moving::prepare(conn).await?;
    }
    moving::settle(async || Ok(PostgresStorage::migrations().run(&mut *conn).await?)).await?;
    moving::settle(async || Ok(MIGRATOR.run(&mut *conn).await?)).await?;
    Ok(survey)
}

/// What [`migrate`] would do. Changes nothing.
pub async fn survey(pool: &PgPool) -> Result<Survey, Refused> {
    let mut conn = pool.acquire().await?;
    let mut survey = moving::survey(&mut conn).await?;
    let pending = pending(&mut conn).await?;
    if pending > 0 {
        survey.todo.push(format!("apply {pending} migrations of the queue's own tables"));
    }
    Ok(survey)
}

/// How many of apalis' migrations are missing.
async fn pending(conn: &mut PgConnection) -> Result<usize, sqlx::Error> {
    let migrator = PostgresStorage::migrations();
    let known: Vec<i64> = migrator.iter().map(|migration| migration.version).collect();
    let made: bool =
        sqlx::query_scalar("select to_regclass('apalis._sqlx_migrations') is not null").fetch_one(&mut *conn).await?;
    if !made {
        return Ok(known.len());
    }
    let applied: Vec<i64> =
        sqlx::query_scalar("select version from apalis._sqlx_migrations where success").fetch_all(conn).await?;
    Ok(known.iter().filter(|version| !applied.contains(version)).count())
}
