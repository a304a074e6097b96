//! `tuberry user create`: a user of the portal, and a client for it where there is none yet.

use super::open_store;
use crate::config::{Database, process_environment};
use crate::passwords;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use std::io::{BufRead, IsTerminal, Read, Write};
use tuberry_domain::{ClientId, Secret};
use tuberry_storage::users::{self, NewUser, Role};
use tuberry_storage::{Store, Tx, clients};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a user. Prints its id.
    Create(Create),
}

#[derive(Debug, Args)]
struct Create {
    /// E-mail address: the login name.
    #[arg(long)]
    email: String,
    /// What the user may do: owner and admin change things, manager reads.
    #[arg(long, value_enum, default_value_t = RoleName::Owner)]
    role: RoleName,
    /// Id of the user's client. Without one, `--role admin` makes the platform's administrator.
    #[arg(long, conflicts_with = "new_client")]
    client: Option<i32>,
    /// Create a client of this name for the user.
    #[arg(long)]
    new_client: Option<String>,
    /// Read the password from standard input, up to its end. Without it: asked for on the terminal.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    Owner,
    Manager,
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Owner => Self::Owner,
            RoleName::Manager => Self::Manager,
            RoleName::Admin => Self::Admin,
        }
    }
}

pub(super) async fn run(options: Options) -> Result<()> {
    let Command::Create(create) = options.command;
    let email = create.email.trim().to_owned();
    ensure!(email.len() <= 254 && email.contains('@'), "«{email}» is not an e-mail address");
    let role = Role::from(create.role);
    if create.client.is_none() && create.new_client.is_none() && role != Role::Admin {
        bail!("a user who is not the platform's administrator needs --client or --new-client");
    }
    let store = open_store(&Database::read(&process_environment)?, 2).await?;
    let password = if create.password_stdin || !std::io::stdin().is_terminal() { from_stdin()? } else { from_terminal()? };
    passwords::check_new(&password)?;
    let hashed_password = Secret::new(passwords::hash(&password));
    let mut tx = store.begin().await?;
    let client = client(&store, &mut tx, &create).await?;
    let Some(id) = users::create(&mut tx, &NewUser { email, hashed_password, role, client }).await? else {
        bail!("this e-mail address is taken");
    };
    tx.commit().await?;
    println!("{id}");
    Ok(())
}

async fn client(store: &Store, tx: &mut Tx, create: &Create) -> Result<Option<ClientId>> {
    if let Some(name) = &create.new_client {
        return Ok(Some(clients::create(tx, name.trim()).await?));
    }
    let Some(client) = create.client.map(ClientId) else { return Ok(None) };
    ensure!(clients::exists(store.pool(), client).await?, "there is no client {client}");
    Ok(Some(client))
}

fn from_stdin() -> Result<Secret<String>> {
    let mut text = String::with_capacity(2 * passwords::LONGEST);
    let read = std::io::stdin().take(2 * passwords::LONGEST as u64).read_to_string(&mut text);
    let text = Secret::new(text);
    read.context("reading the password")?;
    Ok(Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

/// Asks on the terminal, its echo switched off by `stty` for the time being.
fn from_terminal() -> Result<Secret<String>> {
    eprint!("Password: ");
    std::io::stderr().flush()?;
    echo("-echo");
    let mut line = String::with_capacity(2 * passwords::LONGEST);
    let read = std::io::stdin().lock().take(2 * passwords::LONGEST as u64).read_line(&mut line);
    let line = Secret::new(line);
    echo("echo");
    eprintln!();
    read.context("reading the password")?;
    Ok(Secret::new(line.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

fn echo(state: &str) {
    // Where there is no stty, the password shows while it is typed: no reason to refuse.
    drop(std::process::Command::new("stty").arg(state).status());
}
