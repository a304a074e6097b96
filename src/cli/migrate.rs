//! `tuberry migrate`: brings the queue's tables, the shared ones and ours up to date. Safe to repeat, to run twice at once, to kill, and to run
//! beside an old Tuberry. `--finish` ends the time of both.

use super::refuse_outdated;
use crate::config::{Database, SessionSecrets, process_environment};
use anyhow::{Context, Result, ensure};
use clap::Args;
use tuberry_jobs::{old_sessions, queue};
use tuberry_storage::moving::{sessions, stock};
use tuberry_storage::pooling::Way;
use tuberry_storage::{Store, migrations};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Say what would be done, and change nothing.
    #[arg(long, conflicts_with = "finish")]
    check: bool,
    /// The old system does not come back: wipe what is kept for it alone, the Fernet tokens of the sessions. There is no way back but
    /// `tuberry session export --fernet`.
    #[arg(long)]
    finish: bool,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let database = Database::read(&process_environment)?;
    let store = Store::open(database.direct_url.expose(), 2).context("DATABASE_DIRECT_URL cannot be used")?;
    // Its locks and settings would stay with the pooler, for whoever gets that backend next.
    ensure!(
        store.way().await.context("the database cannot be reached")? == Way::Direct,
        "DATABASE_DIRECT_URL leads through a transaction pooler: it must lead straight to PostgreSQL"
    );
    if options.check {
        return check(&store).await;
    }
    if options.finish {
        return finish(&store).await;
    }
    let found = queue::migrate(store.pool()).await.context("migrating")?;
    // An operator may answer in a topic of the old system's as soon as `api` runs.
    let taken = stock::take_in(&store).await.context("taking in what the old system has")?;
    tracing::info!(
        existing = found.existing,
        steps = found.todo.len(),
        dialogs = taken.dialogs,
        messages = taken.messages,
        "the database is up to date"
    );
    Ok(())
}

async fn check(store: &Store) -> Result<()> {
    let found = queue::survey(store.pool()).await?;
    println!("{}", if found.existing { "Tuberry's tables, as expected" } else { "no tables of Tuberry's: all would be created" });
    for step in &found.todo {
        println!("would {step}");
    }
    if found.todo.is_empty() {
        println!("nothing to do{}", if found.finished { "; the move is finished" } else { "" });
    }
    Ok(())
}

async fn finish(store: &Store) -> Result<()> {
    let missing = migrations::missing(store.pool()).await.context("the database cannot be reached")?;
    refuse_outdated(missing)?;
    let sealer = SessionSecrets::read(&process_environment)?.sealer();
    let taken = old_sessions::take_over(store, &sealer).await?;
    ensure!(
        taken.unreadable.is_empty(),
        "sessions of the accounts {:?} do not open: their secret belongs into PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS; nothing was wiped",
        taken.unreadable.iter().map(|account| account.0).collect::<Vec<_>>()
    );
    let (wiped, left) = sessions::finish(store).await?;
    println!("finished: {wiped} tokens of the old system wiped");
    if left > 0 {
        println!(
            "{left} stay: of accounts that are out of service, or newer than ours, which a worker takes over and then wipes"
        );
    }
    Ok(())
}
