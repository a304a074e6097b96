//! `mark-reply`: shows on an operator's message whether it arrived, by a reaction.

use crate::context::Context;
use crate::topic::Topic;
use crate::{Job, JobError, Policy, Subject};
use serde::{Deserialize, Serialize};
use tuberry_domain::MessageId;
use tuberry_domain::ports::BotError;
use tuberry_storage::replies;

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MarkReply {
    /// The reply.
    pub message: MessageId,
}

impl Job<Context> for MarkReply {
    const KIND: &'static str = "mark-reply";
    const POLICY: Policy = Policy { concurrency: 8, ..Policy::DEFAULT };

    fn subject(&self) -> Subject {
        Subject::Message(self.message)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(subject) = replies::notice_subject(cx.store.pool(), self.message).await? else { return Ok(()) };
        let Some(bot_message) = subject.bot_message else { return Ok(()) };
        let emoji = match subject.status.as_str() {
            "delivered" => "👍",
            "failed" => "👎",
            _ => return Ok(()),
        };
        let Some(topic) = Topic::open(cx, subject.dialog).await? else { return Ok(()) };
        match cx.bots.set_reaction(&topic.place().token, topic.group(), bot_message, Some(emoji)).await {
            Ok(()) | Err(BotError::NotModified | BotError::MessageNotFound | BotError::TopicNotFound) => Ok(()),
            Err(BotError::Refused(reason)) => Err(JobError::Cancel(reason)),
            Err(error) => Err(topic.outcome(&error).await?),
        }
    }
}
