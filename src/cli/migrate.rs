//! `tuberry migrate`: brings the queue's tables, the shared ones and ours up to date. Safe to repeat, and to run twice at once.

use crate::config::{Database, process_environment};
use anyhow::{Context, Result};
use tuberry_storage::Store;

pub(super) async fn run() -> Result<()> {
    let database = Database::read(&process_environment)?;
    let store = Store::open(database.direct_url.expose(), 2).context("DATABASE_DIRECT_URL cannot be used")?;
    tuberry_jobs::queue::migrate(store.pool()).await.context("migrating")?;
    tracing::info!("the database is up to date");
    Ok(())
}
