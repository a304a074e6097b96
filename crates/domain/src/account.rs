//! An account: what it accepts, and what can be wrong with it.

use crate::{ChatId, ChatKind};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Which chats of an account are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// Private chats.
    pub private: bool,
    /// Basic groups and supergroups.
    pub groups: bool,
    /// Broadcast channels.
    pub channels: bool,
}

/// Telegram's service account, whose messages hold login codes.
pub const SERVICE_ACCOUNT: ChatId = ChatId(777_000);

impl Accepts {
    /// Whether a message of `chat` is mirrored; `broadcast` tells a channel from a supergroup.
    pub fn takes(self, chat: ChatId, broadcast: bool) -> bool {
        chat != SERVICE_ACCOUNT
            && match chat.kind() {
                ChatKind::Private => self.private,
                ChatKind::Group => self.groups,
                ChatKind::Channel if broadcast => self.channels,
                ChatKind::Channel => self.groups,
            }
    }
}

/// Why an account is out of service for good: no retry helps, somebody has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountProblem {
    /// The session was ended from another device, or expired (`AUTH_KEY_UNREGISTERED`, `SESSION_REVOKED`, transport −404…).
    SignedOut,
    /// `AUTH_KEY_DUPLICATED`: the key was used by two connections. A fencing bug of ours, or somebody else uses the session.
    Duplicated,
    /// `USER_DEACTIVATED(_BAN)`: Telegram blocked or deleted the account.
    Deactivated,
    /// The session is another Telegram user's: what customers get would come from somebody else.
    Stranger,
    /// The stored session does not open (another secret) or is not a session.
    Unreadable,
}

impl AccountProblem {
    /// What the owner reads in the portal.
    pub fn text(self) -> &'static str {
        match self {
            Self::SignedOut => "Сеанс завершён в Telegram: войдите снова по QR-коду",
            Self::Duplicated => "Telegram закрыл сеанс, потому что он использовался дважды: войдите снова по QR-коду",
            Self::Deactivated => "Telegram заблокировал или удалил этот аккаунт",
            Self::Stranger => "Сеанс принадлежит другому пользователю Telegram: войдите снова по QR-коду",
            Self::Unreadable => "Сохранённый сеанс не читается: войдите снова по QR-коду",
        }
    }
}

/// What keeps an account from full service for a while. It stays `active`: nobody has to log in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountTrouble {
    /// `FLOOD_WAIT_x` while connecting or catching up: not tried again before.
    ReceivingWaits(DateTime<Utc>),
    /// `FLOOD_WAIT_x` for a message: none is sent before.
    SendingWaits(DateTime<Utc>),
    /// `FROZEN_METHOD_INVALID`: Telegram lets the account read only.
    Frozen,
    /// `PEER_FLOOD`: Telegram takes no message to people whom the account does not know well.
    NewChatsRefused,
    /// `API_ID_INVALID`, `API_ID_PUBLISHED_FLOOD`: our configuration, not the account.
    Application,
    /// Telegram has been out of reach for some time.
    Unreachable,
    /// The proxy does not answer, or does not reach Telegram.
    ProxyUnavailable,
    /// The proxy wants other credentials.
    ProxyRefused,
    /// The stored proxy does not open (another secret).
    ProxyUnreadable,
}

impl AccountTrouble {
    /// What the owner reads in the portal.
    pub fn text(self) -> String {
        let time = |until: DateTime<Utc>| until.format("%d.%m %H:%M:%S UTC").to_string();
        match self {
            Self::ReceivingWaits(until) => format!("Telegram просит подождать: аккаунт продолжит работу {}", time(until)),
            Self::SendingWaits(until) => format!("Telegram просит подождать: ответы уйдут {}", time(until)),
            Self::Frozen => {
                "Telegram заморозил этот аккаунт: он только принимает сообщения; подайте апелляцию в приложении".into()
            }
            Self::NewChatsRefused => "Telegram ограничил этому аккаунту новые переписки: проверьте его у @SpamBot".into(),
            Self::Application => "Telegram не принимает настройки приложения (API ID): обратитесь к администратору".into(),
            Self::Unreachable => "Нет связи с Telegram: повторяем попытки".into(),
            Self::ProxyUnavailable => "Прокси недоступен: проверьте адрес".into(),
            Self::ProxyRefused => "Прокси не принимает логин и пароль: проверьте их".into(),
            Self::ProxyUnreadable => "Настройки прокси не читаются: задайте их заново".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_codes_are_never_mirrored() {
        assert!(!Accepts { private: true, groups: true, channels: true }.takes(SERVICE_ACCOUNT, false));
    }

    #[test]
    fn flags_filter_by_kind_of_chat() {
        let only_groups = Accepts { private: false, groups: true, channels: false };
        assert!(!only_groups.takes(ChatId::user(5), false));
        assert!(only_groups.takes(ChatId::group(5), false));
        assert!(only_groups.takes(ChatId::channel(5), false));
        assert!(!only_groups.takes(ChatId::channel(5), true));
    }
}
