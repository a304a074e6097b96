//! Sessions out and in. Both hold the account meanwhile, by the rules of `fleet`: nobody else may have a connection on the key.

use super::Bench;
use crate::fleet::Claims;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;
use tuberry_domain::ports::{ClaimError, KeyClaims, KeyClass, Lease, Reuse};
use tuberry_domain::session::StringSession;
use tuberry_domain::{AccountId, ProjectId, Secret};
use tuberry_jobs::context::session_place;
use tuberry_storage::moving::sessions::{self, SessionRow};
use tuberry_storage::workers::SILENT;
use tuberry_storage::{Tx, accounts, leases, workers};

/// Longer than any session.
const LONGEST: u64 = 4096;

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The account's id.
    account: i32,
    /// As a Fernet token for the old system's `session_payload`, under the present secret.
    #[arg(long)]
    fernet: bool,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The id of the account whose session it is.
    #[arg(required_unless_present = "project")]
    account: Option<i32>,
    /// Make a new account in this project instead.
    #[arg(long, conflicts_with = "account")]
    project: Option<i32>,
    /// Read it from this file instead of standard input.
    #[arg(long)]
    file: Option<PathBuf>,
}

impl Export {
    pub(super) async fn run(&self, bench: &Bench) -> Result<()> {
        let account = AccountId(self.account);
        let held = Held::take(bench, account).await?;
        let found = find(bench, account).await;
        let text = found.and_then(|row| open(bench, &row)).map(|session| session.encode());
        held.give_back().await;
        let text = text?;
        if self.fernet {
            println!("{}", bench.sealer.fernet(text.expose().as_bytes()).context("no Fernet key can be made of this secret")?);
        } else {
            println!("{}", text.expose());
        }
        eprintln!(
            "Whoever has this is account {account}. Two users of it at once, a worker among them, and Telegram ends the session."
        );
        Ok(())
    }
}

impl Import {
    pub(super) async fn run(&self, bench: &Bench) -> Result<()> {
        let text = self.read()?;
        let session = StringSession::decode(text.expose().trim()).ok().context("this is not a Telethon StringSession")?;
        let account = match (self.account, self.project) {
            (_, Some(project)) => return create(bench, ProjectId(project), &session).await,
            (account, None) => AccountId(account.context("which account?")?),
        };
        let held = Held::take(bench, account).await?;
        let stored = store(bench, account, &session, &held.lease).await;
        held.give_back().await;
        stored?;
        workers::announce(bench.store.pool(), "session imported").await;
        println!("account {account} has the session; a worker serves it from now on");
        Ok(())
    }

    fn read(&self) -> Result<Secret<String>> {
        let mut text = String::with_capacity(LONGEST as usize);
        let read = match &self.file {
            Some(path) => std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)),
            None => std::io::stdin().take(LONGEST).read_to_string(&mut text),
        };
        let text = Secret::new(text);
        read.context("reading the session")?;
        Ok(text)
    }
}

async fn find(bench: &Bench, account: AccountId) -> Result<SessionRow> {
    let row = sessions::list(bench.store.pool()).await?.into_iter().find(|row| row.account == account);
    row.with_context(|| format!("there is no account {account}"))
}

/// The session of a row: ours, or the old system's where that is all there is.
fn open(bench: &Bench, row: &SessionRow) -> Result<StringSession> {
    let id = row.account.to_string();
    let sealed = row.sealed.as_deref().or(row.payload.as_ref().map(|payload| payload.expose().as_str()));
    let sealed = sealed.with_context(|| format!("account {id} has no session"))?;
    let plain = bench.sealer.open(session_place(&id), sealed)?;
    let text = std::str::from_utf8(plain.expose()).ok().and_then(|text| StringSession::decode(text.trim()).ok());
    text.with_context(|| format!("what is stored for account {id} is no session"))
}

/// Two accounts with one key would be two connections on it.
async fn refuse_a_second_user(bench: &Bench, account: Option<AccountId>, session: &StringSession) -> Result<()> {
    for row in sessions::list(bench.store.pool()).await? {
        let same = open(bench, &row).is_ok_and(|other| other.auth_key.expose() == session.auth_key.expose());
        let other = row.account;
        ensure!(account == Some(other) || !same, "account {other} uses this session: two users at once, and Telegram ends it");
    }
    Ok(())
}

/// A new account: nobody can hold what is not there yet.
async fn create(bench: &Bench, project: ProjectId, session: &StringSession) -> Result<()> {
    refuse_a_second_user(bench, None, session).await?;
    let mut tx = bench.store.begin().await?;
    let created = sessions::create_account(&mut tx, project).await?;
    let account = created.with_context(|| format!("there is no project {project}"))?;
    put(bench, &mut tx, account, session).await?;
    tx.commit().await?;
    workers::announce(bench.store.pool(), "session imported").await;
    println!("account {account} is made; a worker serves it from now on");
    Ok(())
}

async fn store(bench: &Bench, account: AccountId, session: &StringSession, lease: &Lease) -> Result<()> {
    refuse_a_second_user(bench, Some(account), session).await?;
    let mut tx = bench.store.begin().await?;
    leases::check(&mut tx, lease).await?;
    ensure!(sessions::reinstate(&mut tx, account).await?, "there is no account {account}");
    put(bench, &mut tx, account, session).await?;
    Ok(tx.commit().await?)
}

/// Stores the session in both forms.
async fn put(bench: &Bench, tx: &mut Tx, account: AccountId, session: &StringSession) -> Result<()> {
    let text = session.encode();
    let sealed = bench.sealer.seal(session_place(&account.to_string()), text.expose().as_bytes());
    let fernet = bench.sealer.fernet(text.expose().as_bytes());
    Ok(accounts::store_session(tx, account, &sealed, fernet.as_deref(), false).await?)
}

/// An account that this process holds.
struct Held {
    claims: Claims,
    lease: Lease,
}

impl Held {
    async fn take(bench: &Bench, account: AccountId) -> Result<Self> {
        let claims = Claims::start(bench.direct_url.clone(), None).await?;
        let mut told = false;
        loop {
            let again_in = match claims.claim(KeyClass::Account, account.0, Reuse::Required).await {
                Ok(claim) => return Ok(Self { claims, lease: claim.lease }),
                Err(ClaimError::Busy { again_in }) => again_in,
                Err(error) => return Err(error).context("the account cannot be held"),
            };
            // A holder that died gave nothing back: the rules say when its key is free.
            let holder = find(bench, account).await?.holder;
            let silent = holder.as_ref().is_none_or(|(_, silent)| *silent > SILENT.as_secs_f64());
            if !silent {
                claims.stop().await;
                let holder = holder.map(|(owner, _)| owner).unwrap_or_default();
                bail!("account {account} is held by {holder}: stop the workers that may serve it, and try again");
            }
            if !std::mem::replace(&mut told, true) {
                eprintln!(
                    "account {account}: its last holder is silent; waiting until Telegram has closed its connection (90 s at most)"
                );
            }
            tokio::time::sleep(again_in.min(Duration::from_secs(1))).await;
        }
    }

    async fn give_back(self) {
        self.claims.give_back(&self.lease).await;
        self.claims.stop().await;
    }
}
