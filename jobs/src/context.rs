//! What a job may use: the store, the ports, the sealer, the retention. Wired by the command line, the same for every job.

use crate::{JobError, Retention};
use std::sync::Arc;
use std::time::Duration;
use tuberry_domain::ports::{Accounts, BotApi, KeyClaims, Logins};
use tuberry_domain::{AccountId, LoginNumber, Place, Sealer};
use tuberry_storage::Store;
use tuberry_storage::mirror::Mirror;

/// What a job may use. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The database.
    pub store: Store,
    /// The statements of messages on their way into topics.
    pub mirror: Mirror,
    /// The managing bots.
    pub bots: Arc<dyn BotApi>,
    /// Connections of the accounts that this process owns.
    pub accounts: Arc<dyn Accounts>,
    /// Connections of logins and log-outs.
    pub logins: Arc<dyn Logins>,
    /// The right to use a key.
    pub claims: Arc<dyn KeyClaims>,
    /// Seals and opens what the database must not know.
    pub sealer: Arc<Sealer>,
    /// How long is kept what has served.
    pub retention: Retention,
}

/// Where an account's session is sealed.
pub fn session_place(account: &str) -> Place<'_> {
    Place { table: "personal_telegram_sessions", row: account, column: "sealed" }
}

/// Where an account's own proxy is sealed.
pub fn proxy_place(account: &str) -> Place<'_> {
    Place { table: "personal_telegram_proxies", row: account, column: "sealed" }
}

/// Where a login's columns are sealed.
pub fn login_place<'a>(number: &'a str, column: &'a str) -> Place<'a> {
    Place { table: "personal_telegram_logins", row: number, column }
}

impl Context {
    /// Seals an account's session.
    pub fn seal_session(&self, account: AccountId, session: &str) -> String {
        self.sealer.seal(session_place(&account.to_string()), session.as_bytes())
    }

    /// Seals a column of a login.
    pub fn seal_login(&self, number: LoginNumber, column: &str, plain: &str) -> String {
        self.sealer.seal(login_place(&number.to_string(), column), plain.as_bytes())
    }
}

/// How long a job has to wait for a limit that ends at `until`: to the microsecond, plus a little that differs from job to job, so that not all
/// that waited come back at once.
pub(crate) fn wait_for(until: chrono::DateTime<chrono::Utc>) -> JobError {
    let left = (until - chrono::Utc::now()).to_std().unwrap_or_default();
    let mut dice = [0u8; 2];
    getrandom::fill(&mut dice).expect("the system has randomness");
    JobError::Snooze(left + Duration::from_millis(u64::from(u16::from_le_bytes(dice)) % 250))
}
