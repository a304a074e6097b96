//! `log-out`: ends the Telegram session of a removed account, from the sealed tombstone that its removal wrote.

use crate::context::{Context, proxy_place, session_place};
use crate::fence::while_held;
use crate::{Job, JobError, Policy, Subject};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tuberry_domain::ports::{ClaimError, KeyClass, LoginError, Reuse};
use tuberry_domain::session::StringSession;
use tuberry_domain::{AccountId, ClientId, Place, Proxy, SealError, TombstoneId};
use tuberry_storage::accounts::{self, Tombstone};

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogOut {
    /// The tombstone.
    pub tombstone: TombstoneId,
    /// The account that was removed.
    pub account: AccountId,
    /// Whose it was.
    #[serde(default)]
    pub client: Option<ClientId>,
}

impl Job<Context> for LogOut {
    const KIND: &'static str = "log-out";
    const POLICY: Policy =
        Policy { max_attempts: None, deadline: Some(Duration::from_secs(7 * 86_400)), concurrency: 4, ..Policy::DEFAULT };

    fn ordering_key(&self) -> Option<String> {
        Some(format!("account:{}", self.account))
    }

    fn subject(&self) -> Subject {
        self.client.map_or(Subject::Account(self.account), Subject::Client)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(tombstone) = accounts::tombstone(cx.store.pool(), self.tombstone).await? else { return Ok(()) };
        if let Some((session, proxy)) = open_way(cx, &tombstone)? {
            // The account's own class: its former owner must have closed the connection before the key is used here.
            let claim = match cx.claims.claim(KeyClass::Account, self.account.0, Reuse::Required).await {
                Ok(claim) => claim,
                Err(ClaimError::Busy { again_in }) => return Err(JobError::Snooze(again_in)),
                Err(error) => return Err(JobError::retry(error)),
            };
            // A claim that is lost on the way is not given back here: the close was not seen.
            let done =
                while_held(&claim.lease, || cx.claims.holds(&claim.lease), cx.logins.log_out(&session, proxy.as_ref())).await?;
            cx.claims.give_back(&claim.lease).await;
            match done {
                Ok(()) => {}
                Err(LoginError::Rpc(error)) if error.account_problem().is_some() => {}
                Err(error) => return Err(JobError::retry(error)),
            }
        } else {
            tracing::warn!(account = self.account.0, "the removed account's session does not open; Telegram is not told");
        }
        let mut tx = cx.store.begin().await?;
        accounts::forget_tombstone(&mut tx, self.tombstone).await?;
        Ok(tx.commit().await?)
    }
}

/// The session, and the proxy that it was used with. `None`: they are not readable. A secret that is not configured here may be known to another
/// worker, or tomorrow.
fn open_way(cx: &Context, tombstone: &Tombstone) -> Result<Option<(StringSession, Option<Proxy>)>, JobError> {
    let account = tombstone.account.to_string();
    let session = open(cx, session_place(&account), &tombstone.sealed, |text| StringSession::decode(text).ok())?;
    let Some(sealed) = &tombstone.proxy else { return Ok(session.map(|session| (session, None))) };
    let proxy = open(cx, proxy_place(&account), sealed, |text| Proxy::parse(text).ok())?;
    Ok(session.zip(proxy).map(|(session, proxy)| (session, Some(proxy))))
}

fn open<T>(cx: &Context, place: Place<'_>, sealed: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, JobError> {
    match cx.sealer.open(place, sealed) {
        Ok(plain) => Ok(std::str::from_utf8(plain.expose()).ok().and_then(read)),
        Err(error @ SealError::UnknownKey) => Err(JobError::retry(error)),
        Err(SealError::Damaged) => Ok(None),
    }
}
