//! Status changes, for whoever listens outside. Best effort: nothing of ours depends on them.

use crate::{AccountId, DialogId, LoginNumber, MessageId};
use serde::Serialize;
use std::fmt::Debug;

/// A status that has changed. Serialised as `docs/bridge.md` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum StatusEvent {
    /// A message to a customer was delivered, or failed.
    #[serde(rename = "message.status")]
    Message {
        /// The account that sends it.
        account_id: AccountId,
        /// Its dialog.
        dialog_id: DialogId,
        /// The message.
        message_db_id: MessageId,
        /// `messages.status`.
        status: &'static str,
        /// Why it failed, in Russian.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// An account was connected, went out of service, or was removed.
    #[serde(rename = "account.status")]
    Account {
        /// The account.
        account_id: AccountId,
        /// `personal_telegram_accounts.status`, or `removed`.
        status: &'static str,
        /// Why it is out of service, in Russian.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A login took a step.
    #[serde(rename = "login.status")]
    Login {
        /// Its short id. The public one is a secret of whoever logs in.
        login_number: LoginNumber,
        /// As the REST interface says it.
        status: &'static str,
        /// The account, once completed.
        #[serde(skip_serializing_if = "Option::is_none")]
        account_id: Option<AccountId>,
        /// What went wrong, in Russian.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// Takes events after the commit that made them true.
pub trait StatusEvents: Debug + Send + Sync {
    /// Notes an event. Never waits.
    fn note(&self, event: StatusEvent);
}
