//! The answers of the Bot API, as far as the service reads them.

use serde::Deserialize;

/// Every answer.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) ok: bool,
    pub(super) result: Option<T>,
    pub(super) error_code: Option<u16>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) parameters: ResponseParameters,
}

/// `ResponseParameters`.
#[derive(Default, Deserialize)]
pub(super) struct ResponseParameters {
    pub(super) retry_after: Option<u64>,
    pub(super) migrate_to_chat_id: Option<i64>,
}

/// `User` of `getMe`.
#[derive(Deserialize)]
pub(super) struct UserAnswer {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) username: String,
}

/// `ChatFullInfo`.
#[derive(Deserialize)]
pub(super) struct ChatAnswer {
    pub(super) id: i64,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) is_forum: bool,
}

/// `ChatMember`.
#[derive(Deserialize)]
pub(super) struct MemberAnswer {
    pub(super) status: String,
    #[serde(default)]
    pub(super) can_manage_topics: bool,
    #[serde(default)]
    pub(super) can_delete_messages: bool,
}

/// `Message`.
#[derive(Deserialize)]
pub(super) struct MessageAnswer {
    pub(super) message_id: i64,
}

/// `ForumTopic`.
#[derive(Deserialize)]
pub(super) struct TopicAnswer {
    pub(super) message_thread_id: i64,
}

/// `WebhookInfo`.
#[derive(Deserialize)]
pub(super) struct WebhookAnswer {
    pub(super) url: String,
    #[serde(default)]
    pub(super) pending_update_count: u64,
    pub(super) last_error_date: Option<i64>,
    #[serde(default)]
    pub(super) last_error_message: String,
}
