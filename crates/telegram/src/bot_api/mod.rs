//! The managing bot: the Bot API over HTTP (<https://core.telegram.org/bots/api>).

mod answer;
mod error;
mod http;

pub use http::HttpBotApi;

use answer::{ChatAnswer, MemberAnswer, MessageAnswer, TopicAnswer, UserAnswer, WebhookAnswer};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;
use tuberry_domain::ports::{BotApi, BotChat, BotError, BotIdentity, BotMember, BotToken, SendTopicMessage, WebhookInfo};
use tuberry_domain::text::EntityKind;
use tuberry_domain::{BotMessageId, ChatId, Secret, ThreadId};

/// The kinds of updates that the service uses.
const UPDATES: [&str; 2] = ["message", "my_chat_member"];

/// Updates per `getUpdates`, Telegram's maximum.
const UPDATES_LIMIT: u8 = 100;

#[async_trait]
impl BotApi for HttpBotApi {
    async fn get_me(&self, bot: &BotToken) -> Result<BotIdentity, BotError> {
        let user: UserAnswer = self.call(bot, "getMe", &json!({})).await?;
        Ok(BotIdentity { id: user.id, username: user.username })
    }

    async fn get_chat(&self, bot: &BotToken, chat: ChatId) -> Result<BotChat, BotError> {
        let chat: ChatAnswer = self.call(bot, "getChat", &json!({ "chat_id": chat })).await?;
        Ok(BotChat { id: ChatId(chat.id), kind: chat.kind, title: chat.title, is_forum: chat.is_forum })
    }

    async fn get_chat_member(&self, bot: &BotToken, chat: ChatId, user: i64) -> Result<BotMember, BotError> {
        let member: MemberAnswer = self.call(bot, "getChatMember", &json!({ "chat_id": chat, "user_id": user })).await?;
        let owner = member.status == "creator";
        Ok(BotMember {
            status: member.status,
            can_manage_topics: owner || member.can_manage_topics,
            can_delete_messages: owner || member.can_delete_messages,
        })
    }

    async fn send_message(&self, bot: &BotToken, message: &SendTopicMessage) -> Result<BotMessageId, BotError> {
        let entities: Vec<_> = message.text.entities.iter().filter(|entity| entity.kind != EntityKind::Other).collect();
        let mut parameters = json!({ "chat_id": message.chat, "text": message.text.text });
        if !entities.is_empty() {
            parameters["entities"] = json!(entities);
        }
        if let Some(thread) = message.thread {
            parameters["message_thread_id"] = json!(thread);
        }
        if let Some(answered) = message.reply_to {
            parameters["reply_parameters"] = json!({ "message_id": answered, "allow_sending_without_reply": true });
        }
        if message.silent {
            parameters["disable_notification"] = json!(true);
        }
        let sent: MessageAnswer = self.call(bot, "sendMessage", &parameters).await?;
        Ok(BotMessageId(sent.message_id))
    }

    async fn delete_message(&self, bot: &BotToken, chat: ChatId, message: BotMessageId) -> Result<(), BotError> {
        self.order(bot, "deleteMessage", &json!({ "chat_id": chat, "message_id": message })).await
    }

    async fn set_reaction(
        &self,
        bot: &BotToken,
        chat: ChatId,
        message: BotMessageId,
        emoji: Option<&str>,
    ) -> Result<(), BotError> {
        let reaction: Vec<Value> = emoji.iter().map(|emoji| json!({ "type": "emoji", "emoji": emoji })).collect();
        let parameters = json!({ "chat_id": chat, "message_id": message, "reaction": reaction });
        self.order(bot, "setMessageReaction", &parameters).await
    }

    async fn create_topic(&self, bot: &BotToken, chat: ChatId, name: &str) -> Result<ThreadId, BotError> {
        let topic: TopicAnswer = self.call(bot, "createForumTopic", &json!({ "chat_id": chat, "name": name })).await?;
        Ok(ThreadId(topic.message_thread_id))
    }

    async fn rename_topic(&self, bot: &BotToken, chat: ChatId, thread: ThreadId, name: &str) -> Result<(), BotError> {
        let parameters = json!({ "chat_id": chat, "message_thread_id": thread, "name": name });
        self.order(bot, "editForumTopic", &parameters).await
    }

    async fn reopen_topic(&self, bot: &BotToken, chat: ChatId, thread: ThreadId) -> Result<(), BotError> {
        self.order(bot, "reopenForumTopic", &json!({ "chat_id": chat, "message_thread_id": thread })).await
    }

    async fn set_webhook(&self, bot: &BotToken, url: &str, secret_token: &Secret<String>) -> Result<(), BotError> {
        let parameters = json!({
            "url": url, "secret_token": secret_token.expose(), "max_connections": 1, "allowed_updates": UPDATES,
        });
        self.order(bot, "setWebhook", &parameters).await
    }

    async fn get_webhook_info(&self, bot: &BotToken) -> Result<WebhookInfo, BotError> {
        let info: WebhookAnswer = self.call(bot, "getWebhookInfo", &json!({})).await?;
        Ok(WebhookInfo {
            url: Some(info.url).filter(|url| !url.is_empty()).map(Secret::new),
            pending: info.pending_update_count,
            last_error: info.last_error_date.map(|date| (date, info.last_error_message)),
        })
    }

    async fn delete_webhook(&self, bot: &BotToken) -> Result<(), BotError> {
        self.order(bot, "deleteWebhook", &json!({ "drop_pending_updates": false })).await
    }

    async fn get_updates(&self, bot: &BotToken, offset: i64, wait: Duration) -> Result<Vec<Value>, BotError> {
        let parameters = json!({
            "offset": offset, "timeout": wait.as_secs(), "limit": UPDATES_LIMIT, "allowed_updates": UPDATES,
        });
        self.call_for(bot, "getUpdates", &parameters, wait).await
    }
}
