//! Whether the database has every migration that this version knows.

use crate::{MIGRATOR, Result};
use sqlx::PgPool;
use std::collections::BTreeSet;

/// How many of our migrations the database lacks; all of them where it was never migrated.
pub async fn missing(pool: &PgPool) -> Result<usize> {
    let migrated: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(pool).await?;
    let applied: BTreeSet<i64> = if migrated {
        let versions: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations where success").fetch_all(pool).await?;
        versions.into_iter().collect()
    } else {
        BTreeSet::new()
    };
    Ok(MIGRATOR.iter().filter(|migration| !applied.contains(&migration.version)).count())
}
