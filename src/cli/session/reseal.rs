//! `tuberry session reseal`: everything sealed goes under the present key. Value by value, each in one statement that takes only what it read: killed
//! anywhere, the next run goes on; beside working processes, it loses nothing.

use super::Bench;
use anyhow::{Result, bail};
use tuberry_domain::Place;
use tuberry_domain::seal::Standing;
use tuberry_jobs::context::{login_place, proxy_place, session_place};
use tuberry_storage::moving::sessions::{self, Kind, Sealed};

pub(super) async fn run(bench: &Bench) -> Result<()> {
    let mut resealed = 0;
    for old in sessions::sealed(bench.store.pool()).await? {
        if let Some(new) = anew(bench, &old)
            && sessions::replace(bench.store.pool(), &old, &new).await?
        {
            resealed += 1;
        }
    }
    let (mut former, mut unknown) = (0, 0);
    for sealed in sessions::sealed(bench.store.pool()).await? {
        match bench.sealer.standing(&sealed.value) {
            Standing::Current => {}
            Standing::Previous => former += 1,
            Standing::Unknown => unknown += 1,
        }
    }
    println!("{resealed} sealed anew; {} remain under old keys", former + unknown);
    if unknown > 0 {
        bail!(
            "{unknown} of them open with no configured secret: add theirs to PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS and repeat"
        );
    }
    if former > 0 {
        bail!("{former} of them were written meanwhile by processes that have the former secret: restart these and repeat");
    }
    Ok(())
}

/// The same under the present key, in the form that it has. `None`: it is under that already, or does not open.
fn anew(bench: &Bench, old: &Sealed) -> Option<String> {
    if bench.sealer.standing(&old.value) != Standing::Previous {
        return None;
    }
    let owner = old.owner.to_string();
    let plain = bench.sealer.open(place(old.kind, &owner), &old.value).ok()?;
    match old.kind {
        Kind::Payload => bench.sealer.fernet(plain.expose()),
        _ => Some(bench.sealer.seal(place(old.kind, &owner), plain.expose())),
    }
}

fn place(kind: Kind, owner: &str) -> Place<'_> {
    match kind {
        Kind::Session | Kind::Payload | Kind::Tombstone => session_place(owner),
        Kind::Proxy | Kind::TombstoneProxy => proxy_place(owner),
        Kind::LoginKey => login_place(owner, "sealed_key"),
        Kind::LoginUrl => login_place(owner, "sealed_url"),
    }
}
