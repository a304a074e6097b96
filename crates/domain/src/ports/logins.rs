//! Connections of logins and log-outs: keys that are not (or no longer) an account's.

use crate::Proxy;
use crate::intake::{SelfUser, UpdateState};
use crate::reaction::RpcError;
use crate::session::StringSession;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::Zeroize;

/// Everything that the next step of a login needs of the last one, to be sealed into its row. Opaque to jobs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginKey(pub String);

impl Drop for LoginKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for LoginKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginKey(…)")
    }
}

/// Answer of `auth.exportLoginToken` (and of the import on another DC that may follow from it).
#[derive(Clone, Debug)]
pub enum Export {
    /// Not scanned yet.
    Token {
        /// `tg://login?token=…` for the QR code.
        url: String,
        /// When Telegram stops taking it.
        expires_at: DateTime<Utc>,
    },
    /// Logged in.
    Authorised,
    /// Scanned; the account has a 2FA password.
    PasswordWanted {
        /// `account.Password` in TL bytes, for [`PasswordProof`].
        parameters: Vec<u8>,
        /// The hint that the account's owner set.
        hint: Option<String>,
    },
}

/// SRP answer to one set of `account.Password` parameters. It is no password and cannot be turned into one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PasswordProof {
    /// `srp_id` of the parameters.
    pub srp_id: i64,
    /// `A`.
    pub a: Vec<u8>,
    /// `M1`.
    pub m1: Vec<u8>,
}

/// Why a step failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoginError {
    /// Telegram answered with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The connection could not be made, broke, or timed out.
    #[error("connection: {0}")]
    Connection(String),
    /// The stored key or Telegram's answer cannot be used.
    #[error("unusable: {0}")]
    Unusable(String),
}

/// Opens connections for logins and log-outs.
#[async_trait]
pub trait Logins: Send + Sync {
    /// Connects with `key`, or with a new key on the default DC.
    async fn open(&self, key: Option<&LoginKey>) -> Result<Box<dyn LoginConnection>, LoginError>;
    /// Connects with the session of a removed account, by its own `proxy` where it had one, calls `auth.logOut` and closes. An already dead
    /// session is success.
    async fn log_out(&self, session: &StringSession, proxy: Option<&Proxy>) -> Result<(), LoginError>;
}

/// One connection of a login. [`LoginConnection::close`] it before giving its claim back.
#[async_trait]
pub trait LoginConnection: Send {
    /// What to store now, so that another process could go on: call it after every step (a migration changes it).
    fn key(&self) -> LoginKey;
    /// `auth.exportLoginToken`, following `loginTokenMigrateTo` to the other DC.
    async fn export(&mut self) -> Result<Export, LoginError>;
    /// Waits for `updateLoginToken`, a lost connection, or `timeout`: then export again.
    async fn wait(&mut self, timeout: Duration);
    /// `account.getPassword` again: fresh parameters and the hint.
    async fn password(&mut self) -> Result<(Vec<u8>, Option<String>), LoginError>;
    /// `auth.checkPassword`. A lost answer is probed by `updates.getState`.
    async fn check_password(&mut self, proof: &PasswordProof) -> Result<(), LoginError>;
    /// Who logged in, and `updates.getState` as of now.
    async fn identity(&mut self) -> Result<(SelfUser, UpdateState), LoginError>;
    /// The session to keep, once authorised.
    fn session(&self) -> Result<StringSession, LoginError>;
    /// Closes the connection and waits until the close is seen.
    async fn close(self: Box<Self>);
}
