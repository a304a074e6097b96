//! `post-notice`: tells the operator in the topic what became of a reply.

use crate::context::Context;
use crate::topic::Topic;
use crate::{Job, JobError, Policy, Subject, Unique};
use serde::{Deserialize, Serialize};
use tuberry_domain::MessageId;
use tuberry_domain::ports::{BotError, SendTopicMessage};
use tuberry_domain::text::FormattedText;
use tuberry_storage::replies;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The reply failed for good.
    Failed,
    /// The reply waits, because no worker serves the account.
    Waiting,
}

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PostNotice {
    /// The reply.
    pub message: MessageId,
    /// What is told of it.
    pub notice: Notice,
}

impl Job<Context> for PostNotice {
    const KIND: &'static str = "post-notice";
    const POLICY: Policy = Policy { concurrency: 8, ..Policy::DEFAULT };

    fn unique_key(&self) -> Option<Unique> {
        Some(Unique::WhileLive(format!("{}:{:?}", self.message, self.notice)))
    }

    fn subject(&self) -> Subject {
        Subject::Message(self.message)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(subject) = replies::notice_subject(cx.store.pool(), self.message).await? else { return Ok(()) };
        let text = match (self.notice, subject.status.as_str()) {
            (Notice::Failed, "failed") => {
                format!("⚠️ Не доставлено: {}", subject.error.as_deref().unwrap_or("неизвестная ошибка"))
            }
            (Notice::Waiting, "pending") => {
                "⏳ Ответ ждёт: аккаунт сейчас не подключён. Он уйдёт сам, как только связь вернётся".to_owned()
            }
            _ => return Ok(()),
        };
        let Some(topic) = Topic::open(cx, subject.dialog).await? else { return Ok(()) };
        let Some(thread) = topic.place().topic else { return Ok(()) };
        let message = SendTopicMessage {
            chat: topic.group(),
            thread: Some(thread),
            text: FormattedText::plain(text),
            reply_to: subject.bot_message,
            silent: false,
        };
        match topic.send(&message).await {
            Ok(_) | Err(BotError::TopicNotFound | BotError::TopicClosed) => Ok(()),
            Err(BotError::Refused(reason)) => Err(JobError::Cancel(reason)),
            Err(error) => Err(topic.outcome(&error).await?),
        }
    }
}
