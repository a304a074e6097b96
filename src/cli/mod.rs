//! The command line: one file per command. This is where everything is wired together, and the only place that uses `anyhow`.

mod api;
mod demo;
mod migrate;
mod session;
mod shutdown;
mod simulator;
mod user;
mod worker;

use crate::config::Database;
use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use tuberry_storage::Store;

pub use shutdown::asked_to_stop;

/// Personal Telegram accounts for Tuberry.
#[derive(Debug, Parser)]
#[command(name = "tuberry", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the REST interface and the bots' webhooks.
    Api(api::Options),
    /// A whole Tuberry with a simulated Telegram and an embedded PostgreSQL.
    Demo(demo::Options),
    /// Bring the database up to date, also that of an existing Tuberry while it runs.
    Migrate(migrate::Options),
    /// Simulate Telegram, as a process of the demo.
    #[command(hide = true)]
    Simulator(simulator::Options),
    /// Run jobs and serve a share of the accounts.
    Worker(worker::Options),
    /// Sessions of the accounts: list, export, import, seal anew.
    Session(session::Options),
    /// Users of the portal.
    User(user::Options),
}

/// Runs one command to its end.
pub async fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Api(options) => api::run(options).await,
        Command::Demo(options) => demo::run(options).await,
        Command::Migrate(options) => migrate::run(options).await,
        Command::Simulator(options) => simulator::run(options).await,
        Command::Worker(options) => worker::run(options).await,
        Command::Session(options) => session::run(options).await,
        Command::User(options) => user::run(options).await,
    }
}

/// Opens the database, and refuses one that `tuberry migrate` has not brought up to date.
pub(crate) async fn open_store(database: &Database, max_connections: u32) -> Result<Store> {
    up_to_date(Store::open(database.url.expose(), max_connections).context("DATABASE_URL cannot be used")?).await
}

async fn up_to_date(store: Store) -> Result<Store> {
    let missing = tuberry_storage::migrations::missing(store.pool()).await.context("the database cannot be reached")?;
    if missing > 0 {
        bail!("the database is not up to date ({missing} migrations missing): run `tuberry migrate`");
    }
    Ok(store)
}
