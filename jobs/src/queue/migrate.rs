//! Migrations in their order: apalis' own, then ours, which build on its table.

use apalis_postgres::PostgresStorage;
use sqlx::PgPool;

/// Brings the database to this version's schema. Safe to run from several processes at once and again and again.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    PostgresStorage::migrations().run(pool).await?;
    tuberry_storage::MIGRATOR.run(pool).await
}
