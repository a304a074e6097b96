//! Sessions that an old system made, as Fernet tokens in the shared table: sealed anew into our own, and served from then on without a QR code. Not a job
//! itself: a worker does it at its start, `sync-accounts` in every tick, and people by the command line.

use crate::context::session_place;
use tuberry_domain::account::AccountProblem;
use tuberry_domain::session::StringSession;
use tuberry_domain::{AccountId, Sealer};
use tuberry_storage::moving::sessions::{self, OldSession};
use tuberry_storage::{Result, Store, accounts, workers};

/// What became of the old system's new sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// Served from now on.
    pub taken: Vec<AccountId>,
    /// Under a secret that is not configured, or no session: left as they are, and their owners are told.
    pub unreadable: Vec<AccountId>,
}

/// Takes over what is new. May run anywhere, at any time, twice at once.
pub async fn take_over(store: &Store, sealer: &Sealer) -> Result<TakenOver> {
    let mut done = TakenOver::default();
    for old in sessions::to_take_over(store.pool()).await? {
        match sealed(sealer, &old) {
            Some((sealed, same)) => {
                if sessions::take_over(store, &old, &sealed, same).await? {
                    done.taken.push(old.account);
                }
            }
            None => {
                accounts::mark_trouble(store.pool(), old.account, AccountProblem::Unreadable.text()).await?;
                done.unreadable.push(old.account);
            }
        }
    }
    if !done.taken.is_empty() {
        tracing::info!(accounts = done.taken.len(), "sessions of the old system taken over");
        workers::announce(store.pool(), "old sessions").await;
    }
    Ok(done)
}

/// The old session in our form, and whether it is the one that we have already.
fn sealed(sealer: &Sealer, old: &OldSession) -> Option<(String, bool)> {
    let id = old.account.to_string();
    let plain = sealer.open(session_place(&id), old.payload.expose()).ok()?;
    let session = StringSession::decode(std::str::from_utf8(plain.expose()).ok()?.trim()).ok()?;
    let ours = old.sealed.as_deref().and_then(|sealed| sealer.open(session_place(&id), sealed).ok());
    let ours = ours.and_then(|plain| StringSession::decode(std::str::from_utf8(plain.expose()).ok()?).ok());
    let same = ours.is_some_and(|ours| ours.auth_key.expose() == session.auth_key.expose());
    Some((sealer.seal(session_place(&id), session.encode().expose().as_bytes()), same))
}
