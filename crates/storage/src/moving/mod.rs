//! Moving in next to an existing Tuberry: recognising its tables, bringing them up to date while it runs, taking in what it has.

mod contract;
mod prepare;
pub mod sessions;
pub mod stock;
mod survey;

pub use prepare::{in_turn, prepare, settle};
pub use survey::{Survey, survey};

/// Why a database is not migrated.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It holds tables of these names that are not Tuberry's, or not of a version that we know. Nothing was changed.
    #[error("this database is not the Tuberry that we know; nothing was changed:\n{}", .0.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n"))]
    Unrecognised(Vec<String>),
    /// Long transactions kept their locks for all that time. What was done stays done.
    #[error("the tables are in use by long transactions: nothing is broken, run it again")]
    Busy,
    /// Another process migrates, and does not come to its end.
    #[error("another `tuberry migrate` is at work, or its session still lives")]
    Occupied,
    /// PostgreSQL refused.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error(transparent)]
    Migration(#[from] sqlx::migrate::MigrateError),
}

/// Whether the old system does not come back (`tuberry migrate --finish`).
pub async fn is_finished(pool: &sqlx::PgPool) -> crate::Result<bool> {
    let finished = sqlx::query_scalar!(r#"select finished_at is not null as "finished!" from personal_telegram_moving"#);
    Ok(finished.fetch_one(pool).await?)
}

/// True for what another attempt may cure: somebody held a lock for longer than we wait for one.
pub fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(code.as_ref(), "55P03" | "40P01"))
}
