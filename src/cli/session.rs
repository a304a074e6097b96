//! `tuberry session`: what form the accounts' sessions have and who holds them; sessions out to Telethon and in from it; sealing anew under the
//! present key. Secrets come by standard input or a file, and go to standard output only.

mod exchange;
mod reseal;

use super::up_to_date;
use crate::config::{Database, SessionSecrets, process_environment};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use tuberry_domain::seal::{Form, Standing};
use tuberry_domain::{Sealer, Secret};
use tuberry_storage::Store;
use tuberry_storage::moving::sessions::{self, SessionRow};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every account's session: its form, its key, who holds it. No secrets.
    List,
    /// Print an account's session as a Telethon StringSession. Refused while a worker holds the account.
    Export(exchange::Export),
    /// Read a Telethon StringSession from standard input. Refused while a worker holds the account.
    Import(exchange::Import),
    /// Seal everything anew under the present key. Repeat it until nothing remains under former ones.
    Reseal,
}

/// What the commands need.
struct Bench {
    store: Store,
    direct_url: Secret<String>,
    sealer: Sealer,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let database = Database::read(&process_environment)?;
    let sealer = SessionSecrets::read(&process_environment)?.sealer();
    let store = up_to_date(Store::open(database.url.expose(), 2).context("DATABASE_URL cannot be used")?).await?;
    let bench = Bench { store, direct_url: database.direct_url, sealer };
    match options.command {
        Command::List => list(&bench).await,
        Command::Export(export) => export.run(&bench).await,
        Command::Import(import) => import.run(&bench).await,
        Command::Reseal => reseal::run(&bench).await,
    }
}

async fn list(bench: &Bench) -> Result<()> {
    println!("{:>8} {:>7} {:>8}  {:<8} {:<22} {:<14} held by", "account", "client", "project", "status", "ours", "old system's");
    for row in sessions::list(bench.store.pool()).await? {
        let ours = row.sealed.as_deref().map_or_else(|| "-".to_owned(), |sealed| told(&bench.sealer, sealed));
        let old = row.payload.as_ref().map_or_else(|| "-".to_owned(), |payload| told(&bench.sealer, payload.expose()));
        println!(
            "{:>8} {:>7} {:>8}  {:<8} {:<22} {:<14} {}",
            row.account,
            row.client,
            row.project,
            row.status,
            ours,
            old,
            holder(&row)
        );
    }
    Ok(())
}

/// `v1 <key id>` or `fernet`, and whether its key is the present one.
fn told(sealer: &Sealer, sealed: &str) -> String {
    let standing = match sealer.standing(sealed) {
        Standing::Current => "",
        Standing::Previous => " (former)",
        Standing::Unknown => " (unknown)",
    };
    match Form::of(sealed) {
        Form::Sealed(id) => format!("v1 {id}{standing}"),
        Form::Fernet => format!("fernet{standing}"),
        Form::Other => "damaged".to_owned(),
    }
}

fn holder(row: &SessionRow) -> String {
    match &row.holder {
        None => "nobody".to_owned(),
        Some((owner, silent)) if *silent > 6.0 => format!("{owner} (silent for {silent:.0} s)"),
        Some((owner, _)) => owner.clone(),
    }
}
