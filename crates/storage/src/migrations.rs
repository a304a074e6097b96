//! Whether the database has every migration that this version knows.

use crate::{MIGRATOR, Result};
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeSet;

/// How many of our migrations the database lacks; all of them where it was never migrated.
pub async fn missing(pool: &PgPool) -> Result<usize> {
    let applied = applied(&mut *pool.acquire().await?).await?;
    Ok(MIGRATOR.iter().filter(|migration| !applied.contains(&migration.version)).count())
}

/// Versions of our migrations that the database has.
pub(crate) async fn applied(conn: &mut PgConnection) -> Result<BTreeSet<i64>, sqlx::Error> {
    let migrated: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *conn).await?;
    if !migrated {
        return Ok(BTreeSet::new());
    }
    let versions: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations where success").fetch_all(conn).await?;
    Ok(versions.into_iter().collect())
}
