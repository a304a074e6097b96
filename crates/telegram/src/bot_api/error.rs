//! Telegram's errors in the service's words. Telegram tells most of them apart by their description alone.

use super::answer::ResponseParameters;
use std::time::Duration;
use tuberry_domain::ChatId;
use tuberry_domain::ports::BotError;

/// The longest pause that is believed.
const MAX_RETRY_AFTER: u64 = 86_400;

const TOPIC_NOT_FOUND: [&str; 4] = ["message thread not found", "topic_deleted", "topic_id_invalid", "topic not found"];
const TOPIC_CLOSED: [&str; 2] = ["topic_closed", "topic is closed"];
const NOT_MODIFIED: [&str; 2] = ["message is not modified", "topic_not_modified"];
const MESSAGE_NOT_FOUND: [&str; 5] = [
    "message to edit not found",
    "message to delete not found",
    "message to react not found",
    "message not found",
    "message_id_invalid",
];
const NO_ACCESS: [&str; 13] = [
    "not enough rights",
    "have no rights",
    "need administrator rights",
    "chat_admin_required",
    "chat_write_forbidden",
    "chat not found",
    "group chat was deactivated",
    "bot was kicked",
    "bot was blocked",
    "bot is not a member",
    "channel_private",
    "the chat is not a forum",
    "user is deactivated",
];

/// One of a few words, for counting.
pub(super) fn class(error: &BotError) -> &'static str {
    match error {
        BotError::RetryAfter(_) => "retry_after",
        BotError::TopicNotFound => "topic_not_found",
        BotError::TopicClosed => "topic_closed",
        BotError::NotModified => "not_modified",
        BotError::MessageNotFound => "message_not_found",
        BotError::Migrated(_) => "migrated",
        BotError::NoAccess(_) => "no_access",
        BotError::Conflict(_) => "conflict",
        BotError::Refused(_) => "refused",
        BotError::Unavailable(_) => "unavailable",
        BotError::Lost(_) => "lost",
    }
}

/// What an answer with `ok: false` means.
pub(super) fn refusal(code: u16, description: &str, parameters: &ResponseParameters) -> BotError {
    if let Some(chat) = parameters.migrate_to_chat_id {
        return BotError::Migrated(ChatId(chat));
    }
    if code == 429 || parameters.retry_after.is_some() {
        let seconds = parameters.retry_after.unwrap_or(1).clamp(1, MAX_RETRY_AFTER);
        return BotError::RetryAfter(Duration::from_secs(seconds));
    }
    let lower = description.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    let text: String = description.chars().take(200).collect();
    match code {
        500.. => BotError::Lost(text),
        _ if says(&TOPIC_NOT_FOUND) => BotError::TopicNotFound,
        _ if says(&TOPIC_CLOSED) => BotError::TopicClosed,
        _ if says(&NOT_MODIFIED) => BotError::NotModified,
        _ if says(&MESSAGE_NOT_FOUND) => BotError::MessageNotFound,
        // 404: there is no such bot, or no such method.
        401 | 403 | 404 => BotError::NoAccess(text),
        409 => BotError::Conflict(text),
        _ if says(&NO_ACCESS) => BotError::NoAccess(text),
        _ => BotError::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(code: u16, description: &str) -> BotError {
        refusal(code, description, &ResponseParameters::default())
    }

    #[test]
    fn telegrams_descriptions_are_told_apart() {
        assert_eq!(plain(400, "Bad Request: message thread not found"), BotError::TopicNotFound);
        assert_eq!(plain(400, "Bad Request: TOPIC_DELETED"), BotError::TopicNotFound);
        assert_eq!(plain(400, "Bad Request: TOPIC_CLOSED"), BotError::TopicClosed);
        assert_eq!(plain(400, "Bad Request: TOPIC_NOT_MODIFIED"), BotError::NotModified);
        assert_eq!(plain(400, "Bad Request: message to delete not found"), BotError::MessageNotFound);
        for (code, text) in [
            (400, "Bad Request: not enough rights to create a topic"),
            (400, "Bad Request: chat not found"),
            (403, "Forbidden: bot was kicked from the supergroup chat"),
            (401, "Unauthorized"),
            (404, "Not Found"),
        ] {
            assert_eq!(plain(code, text), BotError::NoAccess(text.into()));
        }
        assert_eq!(plain(400, "Bad Request: message is too long"), BotError::Refused("Bad Request: message is too long".into()));
        let conflict = "Conflict: can't use getUpdates method while webhook is active";
        assert_eq!(plain(409, conflict), BotError::Conflict(conflict.into()));
        assert_eq!(plain(502, "Bad Gateway"), BotError::Lost("Bad Gateway".into()));
    }

    #[test]
    fn parameters_tell_more_than_descriptions() {
        let slow = ResponseParameters { retry_after: Some(17), migrate_to_chat_id: None };
        assert_eq!(refusal(429, "Too Many Requests", &slow), BotError::RetryAfter(Duration::from_secs(17)));
        let moved = ResponseParameters { retry_after: None, migrate_to_chat_id: Some(-1005) };
        assert_eq!(refusal(400, "upgraded", &moved), BotError::Migrated(ChatId(-1005)));
        assert_eq!(plain(429, "Too Many Requests"), BotError::RetryAfter(Duration::from_secs(1)));
    }
}
