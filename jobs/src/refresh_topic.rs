//! `refresh-topic`: brings a topic's title (🔴 waiting, 🟢 answered) up to date. Coalesced: it re-reads what the title should be.

use crate::context::Context;
use crate::topic::Topic;
use crate::{Job, JobError, Policy, Subject, Unique, enqueue_in};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tuberry_domain::DialogId;
use tuberry_domain::ports::BotError;
use tuberry_domain::title::{Mark, title};
use tuberry_storage::{Tx, topics};

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefreshTopic {
    /// Whose topic.
    pub dialog: DialogId,
}

/// Renames count against the group's limit: a question that is answered at once costs none.
const SETTLE: Duration = Duration::from_millis(700);

/// Enqueues it for when the dialog has settled.
pub async fn enqueue_soon(tx: &mut Tx, job: RefreshTopic) -> tuberry_storage::Result<bool> {
    enqueue_in(tx, &job, SETTLE).await
}

impl Job<Context> for RefreshTopic {
    const KIND: &'static str = "refresh-topic";
    const POLICY: Policy = Policy { concurrency: 8, ..Policy::DEFAULT };

    fn ordering_key(&self) -> Option<String> {
        Some(format!("topic:{}", self.dialog))
    }

    fn unique_key(&self) -> Option<Unique> {
        Some(Unique::WhileWaiting(self.dialog.to_string()))
    }

    fn subject(&self) -> Subject {
        Subject::Dialog(self.dialog)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(topic) = Topic::open(cx, self.dialog).await? else { return Ok(()) };
        let place = topic.place();
        let Some(thread) = place.topic else { return Ok(()) };
        let wanted = title(if place.waiting { Mark::Waiting } else { Mark::Answered }, &place.name);
        if place.title.as_ref() == Some(&wanted) {
            return Ok(());
        }
        match cx.bots.rename_topic(&place.token, topic.group(), thread, &wanted).await {
            Ok(()) | Err(BotError::NotModified) => Ok(topics::topic_titled(cx.store.pool(), self.dialog, &wanted).await?),
            Err(BotError::TopicNotFound) => Ok(()),
            Err(BotError::Refused(reason)) => Err(JobError::Cancel(reason)),
            Err(error) => Err(topic.outcome(&error).await?),
        }
    }
}
