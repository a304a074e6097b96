//! The connections of the accounts that this process owns.

use crate::intake::Peer;
use crate::reaction::RpcError;
use crate::text::FormattedText;
use crate::{AccountId, TelegramMessageId};
use async_trait::async_trait;

/// One text to a customer.
#[derive(Clone, Debug)]
pub struct OutgoingText {
    /// Where it goes; carries the account's own access hash.
    pub peer: Peer,
    /// The text, at most [`crate::text::MESSAGE_LIMIT`] units.
    pub text: FormattedText,
    /// Stored before the first attempt; a repeat with the same one is dropped by Telegram itself.
    pub random_id: i64,
    /// The message that it answers.
    pub reply_to: Option<TelegramMessageId>,
}

/// Telegram took the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its id in the chat; unknown when a repeat was answered `RANDOM_ID_DUPLICATE`.
    pub id: Option<TelegramMessageId>,
}

/// Why a call over an account's connection failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// This process does not own the account, or its connection is not up. Nothing was sent.
    #[error("the account is not connected here")]
    NotConnected,
    /// The connection broke or the answer timed out: nobody knows whether Telegram executed the call.
    #[error("the answer was lost: {0}")]
    Lost(String),
    /// Telegram answered with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// Calls over the connections of the accounts owned by this process.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// `messages.sendMessage`. The lease is checked before the call starts.
    async fn send_text(&self, account: AccountId, message: OutgoingText) -> Result<Sent, CallError>;
}
