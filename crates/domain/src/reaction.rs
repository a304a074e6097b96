//! What to do about an error of Telegram's MTProto API: one table, from the error's name to our reaction.

use crate::account::{AccountProblem, AccountTrouble};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Why a frozen account sends nothing, for the topic.
pub const FROZEN: &str = "Telegram заморозил этот аккаунт: он может только читать";

/// An error answered by Telegram: `400 PEER_ID_INVALID`, `420 FLOOD_WAIT` with its number taken out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {name}")]
pub struct RpcError {
    /// HTTP-like class.
    pub code: i32,
    /// Name without its number: `FLOOD_WAIT` for `FLOOD_WAIT_17`.
    pub name: String,
    /// The number.
    pub value: Option<u32>,
}

/// How a job reacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Transient: again with back-off, same `random_id`.
    Retry,
    /// Telegram has the message already.
    AlreadySent,
    /// This account may not call this method for so long; nothing else waits.
    WaitAccount(Duration),
    /// This chat takes nothing for so long.
    WaitChat(Duration),
    /// The account is out of service.
    Account(AccountProblem),
    /// The message cannot be delivered, ever; the text says why, in Russian.
    Refuse(&'static str),
}

impl RpcError {
    /// The reaction to this error when it answered the sending of a message.
    pub fn reaction(&self) -> Reaction {
        if let Some(problem) = self.account_problem() {
            return Reaction::Account(problem);
        }
        if let Some(wait) = self.flood_wait() {
            return Reaction::WaitAccount(wait);
        }
        match self.name.as_str() {
            "SLOWMODE_WAIT" => Reaction::WaitChat(self.wait()),
            "RANDOM_ID_DUPLICATE" => Reaction::AlreadySent,
            "USER_IS_BLOCKED" => Reaction::Refuse("клиент заблокировал этот аккаунт"),
            "YOU_BLOCKED_USER" => Reaction::Refuse("этот аккаунт заблокировал клиента"),
            "INPUT_USER_DEACTIVATED" | "USER_DEACTIVATED_PEER" => Reaction::Refuse("аккаунт клиента удалён"),
            "CHAT_WRITE_FORBIDDEN" | "CHAT_SEND_PLAIN_FORBIDDEN" | "CHAT_ADMIN_REQUIRED" | "CHAT_RESTRICTED" => {
                Reaction::Refuse("в этот чат нельзя писать")
            }
            "USER_BANNED_IN_CHANNEL" => Reaction::Refuse("аккаунту запрещено писать в группы"),
            "CHANNEL_PRIVATE" | "CHANNEL_INVALID" | "CHAT_ID_INVALID" => Reaction::Refuse("чат недоступен"),
            "PEER_ID_INVALID" | "USER_ID_INVALID" => Reaction::Refuse("Telegram не знает этого собеседника"),
            "PEER_FLOOD" => Reaction::Refuse("Telegram ограничил этому аккаунту новые переписки"),
            "FROZEN_METHOD_INVALID" => Reaction::Refuse(FROZEN),
            "MESSAGE_EMPTY" => Reaction::Refuse("сообщение пустое"),
            "MESSAGE_TOO_LONG" => Reaction::Refuse("сообщение слишком длинное"),
            "PRIVACY_PREMIUM_REQUIRED" => Reaction::Refuse("клиент принимает сообщения только от Premium"),
            "ALLOW_PAYMENT_REQUIRED" => Reaction::Refuse("клиент принимает только платные сообщения"),
            _ if self.code == 400 || self.code == 403 => Reaction::Refuse("Telegram отказал"),
            _ => Reaction::Retry,
        }
    }

    fn wait(&self) -> Duration {
        Duration::from_secs(u64::from(self.value.unwrap_or(1).clamp(1, 7 * 86_400)))
    }

    /// How long the account may not call the method (`FLOOD_WAIT_x`, `FLOOD_PREMIUM_WAIT_x`), a week at most.
    pub fn flood_wait(&self) -> Option<Duration> {
        matches!(self.name.as_str(), "FLOOD_WAIT" | "FLOOD_PREMIUM_WAIT").then(|| self.wait())
    }

    /// The passing trouble of the account that this error tells of when it answered a message.
    pub fn restriction(&self, now: DateTime<Utc>) -> Option<AccountTrouble> {
        match self.name.as_str() {
            "FROZEN_METHOD_INVALID" => Some(AccountTrouble::Frozen),
            "PEER_FLOOD" => Some(AccountTrouble::NewChatsRefused),
            _ => self.flood_wait().map(|wait| AccountTrouble::SendingWaits(now + wait)),
        }
    }

    /// The same when it answered the connection or the intake.
    pub fn trouble(&self, now: DateTime<Utc>) -> Option<AccountTrouble> {
        match self.name.as_str() {
            "API_ID_INVALID" | "API_ID_PUBLISHED_FLOOD" => Some(AccountTrouble::Application),
            "FROZEN_METHOD_INVALID" => Some(AccountTrouble::Frozen),
            _ => self.flood_wait().map(|wait| AccountTrouble::ReceivingWaits(now + wait)),
        }
    }

    /// The account's terminal problem that this error tells of, whatever was called.
    pub fn account_problem(&self) -> Option<AccountProblem> {
        match self.name.as_str() {
            "AUTH_KEY_UNREGISTERED" | "SESSION_REVOKED" | "SESSION_EXPIRED" | "AUTH_KEY_INVALID" | "AUTH_KEY_PERM_EMPTY" => {
                Some(AccountProblem::SignedOut)
            }
            "AUTH_KEY_DUPLICATED" => Some(AccountProblem::Duplicated),
            "USER_DEACTIVATED" | "USER_DEACTIVATED_BAN" => Some(AccountProblem::Deactivated),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32, name: &str, value: Option<u32>) -> RpcError {
        RpcError { code, name: name.into(), value }
    }

    #[test]
    fn floods_wait_revocations_end_and_unknown_server_errors_retry() {
        assert_eq!(error(420, "FLOOD_WAIT", Some(17)).reaction(), Reaction::WaitAccount(Duration::from_secs(17)));
        assert_eq!(error(401, "SESSION_REVOKED", None).reaction(), Reaction::Account(AccountProblem::SignedOut));
        assert_eq!(error(406, "AUTH_KEY_DUPLICATED", None).reaction(), Reaction::Account(AccountProblem::Duplicated));
        assert_eq!(error(500, "RPC_CALL_FAIL", None).reaction(), Reaction::Retry);
        assert!(matches!(error(403, "CHAT_WRITE_FORBIDDEN", None).reaction(), Reaction::Refuse(_)));
    }

    #[test]
    fn what_restricts_an_account_says_until_when() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let flood = error(420, "FLOOD_PREMIUM_WAIT", Some(90));
        let until = now + Duration::from_secs(90);
        assert_eq!(flood.restriction(now), Some(AccountTrouble::SendingWaits(until)));
        assert_eq!(flood.trouble(now), Some(AccountTrouble::ReceivingWaits(until)));
        assert!(AccountTrouble::SendingWaits(until).text().ends_with("15.01 08:01:30 UTC"));
        assert_eq!(error(400, "PEER_FLOOD", None).restriction(now), Some(AccountTrouble::NewChatsRefused));
        assert_eq!(error(400, "API_ID_INVALID", None).trouble(now), Some(AccountTrouble::Application));
        assert_eq!(error(400, "MESSAGE_EMPTY", None).restriction(now), None);
    }
}
