//! grammers' errors in our words.

use super::session::Refused;
use grammers_mtproto::transport;
use grammers_mtsender::InvocationError;
use tuberry_domain::account::{AccountProblem, AccountTrouble};
use tuberry_domain::ports::{CallError, LoginError};
use tuberry_domain::reaction::RpcError;

/// Why a call over one connection failed.
#[derive(Debug)]
pub(crate) enum WireError {
    /// Nothing was sent: there is no connection, or we may not use it now.
    NotConnected(String),
    /// The connection broke or the answer did not come in time.
    Lost(String),
    /// Nothing was sent: the proxy on the way does not take us there.
    Proxy(AccountTrouble),
    /// Telegram does not know the authorization key (transport error −404).
    KeyUnknown,
    /// Telegram answered with an error.
    Rpc(RpcError),
}

impl WireError {
    /// One of a few words, for counting.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::NotConnected(_) => "not_connected",
            Self::Lost(_) => "lost",
            Self::Proxy(_) => "proxy",
            Self::KeyUnknown => "key_unknown",
            Self::Rpc(error) => match error.code {
                _ if error.name.ends_with("_WAIT") => "flood_wait",
                303 => "migrate",
                400 => "bad_request",
                401 => "unauthorized",
                403 => "forbidden",
                406 => "not_acceptable",
                420 => "flood",
                500.. => "server",
                _ => "other",
            },
        }
    }

    /// The account's terminal problem that this tells of.
    pub(crate) fn account_problem(&self) -> Option<AccountProblem> {
        match self {
            Self::KeyUnknown => Some(AccountProblem::SignedOut),
            Self::Rpc(error) => error.account_problem(),
            Self::NotConnected(_) | Self::Proxy(_) | Self::Lost(_) => None,
        }
    }
}

impl From<InvocationError> for WireError {
    fn from(error: InvocationError) -> Self {
        match error {
            InvocationError::Rpc(error) => Self::Rpc(RpcError { code: error.code, name: error.name, value: error.value }),
            InvocationError::Session(refused) if matches!(refused.downcast_ref(), Some(Refused::Key)) => Self::KeyUnknown,
            InvocationError::Session(refused) => Self::NotConnected(refused.to_string()),
            InvocationError::InvalidDc => Self::NotConnected("unknown data centre".into()),
            InvocationError::Transport(transport::Error::BadStatus { status: 404 }) => Self::KeyUnknown,
            InvocationError::Dropped(why) => Self::Lost(why.into()),
            InvocationError::Io(error) => Self::Lost(error.to_string()),
            InvocationError::Transport(error) => Self::Lost(error.to_string()),
            InvocationError::Deserialize(error) => Self::Lost(error.to_string()),
            InvocationError::Authentication(error) => Self::Lost(error.to_string()),
        }
    }
}

impl From<WireError> for CallError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::NotConnected(_) | WireError::Proxy(_) => Self::NotConnected,
            WireError::Lost(why) => Self::Lost(why),
            // Telegram executes nothing for a key that it does not know.
            WireError::KeyUnknown => Self::NotConnected,
            WireError::Rpc(error) => Self::Rpc(error),
        }
    }
}

impl From<WireError> for LoginError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::NotConnected(why) | WireError::Lost(why) => Self::Connection(why),
            WireError::Proxy(trouble) => Self::Connection(trouble.text()),
            WireError::KeyUnknown => Self::Unusable("Telegram does not know the login's key any more".into()),
            WireError::Rpc(error) => Self::Rpc(error),
        }
    }
}
