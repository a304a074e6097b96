//! The command line: one file per command. This is where everything is wired together, and the only place but the simulator that uses `anyhow`.

mod api;
mod config;
mod demo;
mod doctor;
mod health;
mod migrate;
mod patience;
mod session;
mod shutdown;
mod simulator;
mod user;
mod worker;

use crate::config::{Database, Telegram};
use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use tuberry_storage::Store;
use tuberry_telegram::Application;

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
    /// Show the settings that are in effect, without secrets.
    Config(config::Options),
    /// Look for what is wrong with this installation, and say how to mend it.
    Doctor(doctor::Options),
    /// Ask a process of this host whether it is well: for health checks.
    Health(health::Options),
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

impl Cli {
    /// What this process is called in traces, where it makes any.
    pub fn service(&self) -> Option<&'static str> {
        match self.command {
            Command::Api(_) => Some("tuberry-api"),
            Command::Worker(_) => Some("tuberry-worker"),
            _ => None,
        }
    }
}

/// Runs one command to its end.
pub async fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Api(options) => api::run(options).await,
        Command::Config(options) => config::run(&options),
        Command::Doctor(options) => doctor::run(&options).await,
        Command::Health(options) => health::run(&options).await,
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
    refuse_outdated(missing)?;
    Ok(store)
}

fn refuse_outdated(missing: usize) -> Result<()> {
    ensure!(missing == 0, "the database is not up to date ({missing} migrations missing): run `tuberry migrate`");
    Ok(())
}

/// As which application we appear at Telegram.
pub(crate) fn application(telegram: &Telegram) -> Application {
    let (id, hash) = telegram.application.as_ref().map_or((0, ""), |application| (application.id, application.hash.expose()));
    Application::or_official_client(id, hash)
}
