//! Small durable calls of a managing bot outside of dialogs: `answer-getid` and `delete-service-message`.

use crate::context::{Context, wait_for};
use crate::{Job, JobError, Policy, Subject, Unique};
use serde::{Deserialize, Serialize};
use tuberry_domain::ports::{BotError, SendTopicMessage};
use tuberry_domain::text::FormattedText;
use tuberry_domain::{BotId, BotMessageId, ChatId, ThreadId};
use tuberry_storage::{limits, topics};

/// `/getid` in any chat: answers with the chat's id, its kind and, in a topic, the thread's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AnswerGetid {
    /// The bot that was asked.
    pub bot: BotId,
    /// Where.
    pub chat: ChatId,
    /// `private`, `group`, `supergroup` or `channel`.
    pub kind: String,
    /// The topic.
    pub thread: Option<ThreadId>,
    /// The command.
    pub message: BotMessageId,
}

impl Job<Context> for AnswerGetid {
    const KIND: &'static str = "answer-getid";
    const POLICY: Policy = Policy { max_attempts: Some(5), concurrency: 4, ..Policy::DEFAULT };

    fn unique_key(&self) -> Option<Unique> {
        Some(Unique::ForEver(format!("{}:{}:{}", self.bot, self.chat, self.message)))
    }

    fn subject(&self) -> Subject {
        Subject::Bot(self.bot)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let mut text = format!("Chat ID: {}\nТип: {}", self.chat, self.kind);
        if let Some(thread) = self.thread {
            text.push_str(&format!("\nThread ID: {thread}"));
        }
        let message = SendTopicMessage {
            chat: self.chat,
            thread: self.thread,
            text: FormattedText::plain(text),
            reply_to: Some(self.message),
            silent: true,
        };
        let Some(token) = ready(cx, self.bot, self.chat).await? else { return Ok(()) };
        settle(cx, self.bot, self.chat, cx.bots.send_message(&token, &message).await.map(drop)).await
    }
}

/// Deletes the service message that Telegram posts when a topic is renamed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteServiceMessage {
    /// The bot.
    pub bot: BotId,
    /// The working group.
    pub chat: ChatId,
    /// The service message.
    pub message: BotMessageId,
}

impl Job<Context> for DeleteServiceMessage {
    const KIND: &'static str = "delete-service-message";
    const POLICY: Policy = Policy { max_attempts: Some(5), concurrency: 4, ..Policy::DEFAULT };

    fn unique_key(&self) -> Option<Unique> {
        Some(Unique::WhileLive(format!("{}:{}:{}", self.bot, self.chat, self.message)))
    }

    fn subject(&self) -> Subject {
        Subject::Bot(self.bot)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(token) = ready(cx, self.bot, self.chat).await? else { return Ok(()) };
        settle(cx, self.bot, self.chat, cx.bots.delete_message(&token, self.chat, self.message).await).await
    }
}

async fn ready(cx: &Context, bot: BotId, chat: ChatId) -> Result<Option<tuberry_domain::ports::BotToken>, JobError> {
    if let Some(until) = limits::not_before(cx.store.pool(), &[topics::bot_scope(bot, Some(chat))]).await? {
        return Err(wait_for(until));
    }
    Ok(topics::bot_token(cx.store.pool(), bot).await?)
}

async fn settle(cx: &Context, bot: BotId, chat: ChatId, result: Result<(), BotError>) -> Result<(), JobError> {
    match result {
        Ok(()) | Err(BotError::MessageNotFound | BotError::TopicNotFound | BotError::TopicClosed) => Ok(()),
        Err(BotError::RetryAfter(wait)) => {
            limits::impose(cx.store.pool(), &topics::bot_scope(bot, Some(chat)), wait).await?;
            Err(JobError::Snooze(wait))
        }
        Err(error @ (BotError::Refused(_) | BotError::NoAccess(_))) => Err(JobError::cancel(error)),
        Err(error) => Err(JobError::retry(error)),
    }
}
