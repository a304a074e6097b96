//! A dialog's topic as jobs reach it: limits observed, topics created and re-created, the Bot API's errors turned into outcomes.

use crate::context::{Context, wait_for};
use crate::persist::persist;
use crate::{JobError, Policy};
use std::time::Duration;
use tuberry_domain::ports::{BotError, SendTopicMessage};
use tuberry_domain::title::{Mark, title};
use tuberry_domain::{BotMessageId, ChatId, DialogId, ThreadId};
use tuberry_storage::limits;
use tuberry_storage::topics::{self, Place};

/// Policy of jobs that must not give up for a passing reason: no attempt limit, a week.
pub(crate) const PERSISTENT: Policy =
    Policy { max_attempts: None, deadline: Some(Duration::from_secs(7 * 86_400)), concurrency: 32, ..Policy::DEFAULT };

/// How soon a run looks again that found another one at work: it was stopped for so long that its lease had passed on.
pub(crate) const OVERTAKEN: Duration = Duration::from_secs(1);

/// How long a job sleeps while its group is out of reach until an owner acts.
const PARKED: Duration = Duration::from_secs(30);

/// A dialog's place whose bot may be called now.
pub(crate) struct Topic<'a> {
    cx: &'a Context,
    place: Place,
    group: ChatId,
}

impl<'a> Topic<'a> {
    /// Loads the place. `None`: the dialog is gone. Snoozes while the bot is limited or the group is missing.
    pub(crate) async fn open(cx: &'a Context, dialog: DialogId) -> Result<Option<Self>, JobError> {
        let Some(place) = cx.mirror.place(dialog).await? else { return Ok(None) };
        if let Some(until) = place.not_before {
            return Err(wait_for(until));
        }
        let Some(group) = place.group else { return Err(JobError::Snooze(PARKED)) };
        Ok(Some(Self { cx, place, group }))
    }

    /// The place as it was loaded.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The working group.
    pub(crate) fn group(&self) -> ChatId {
        self.group
    }

    /// The dialog's topic, created when it has none. Only `mirror-message` calls it, one at a time per dialog.
    pub(crate) async fn ensure(&mut self) -> Result<ThreadId, JobError> {
        if let Some(topic) = self.place.topic {
            return Ok(topic);
        }
        let mark = if self.place.waiting { Mark::Waiting } else { Mark::Answered };
        let name = title(mark, &self.place.name);
        let Some(begun) = topics::topic_begins(self.cx.store.pool(), self.place.dialog).await? else {
            return Err(JobError::Snooze(Duration::ZERO));
        };
        let topic = match self.cx.bots.create_topic(&self.place.token, self.group, &name).await {
            Ok(topic) => topic,
            Err(error) => {
                // Told that there is none: nobody can answer in it. An answer that was lost leaves that open.
                if !matches!(error, BotError::Lost(_)) {
                    topics::topic_not_created(self.cx.store.pool(), self.place.dialog, begun).await?;
                }
                return Err(self.outcome(&error).await?);
            }
        };
        let (pool, dialog, group) = (self.cx.store.pool().clone(), self.place.dialog, self.group);
        let stored = persist(move || {
            let (pool, name) = (pool.clone(), name.clone());
            async move { topics::topic_created(&pool, dialog, begun, group, topic, &name).await }
        });
        if !stored.await? {
            return Err(JobError::Snooze(OVERTAKEN));
        }
        self.place.topic = Some(topic);
        Ok(topic)
    }

    /// Forgets a deleted topic, so that [`Topic::ensure`] makes a new one.
    pub(crate) async fn forget(&mut self) -> Result<(), JobError> {
        if let Some(topic) = self.place.topic.take() {
            topics::topic_gone(self.cx.store.pool(), self.place.dialog, topic).await?;
        }
        Ok(())
    }

    /// `sendMessage`, without any handling of errors. Success shows that the bot can do its work again.
    pub(crate) async fn send(&self, message: &SendTopicMessage) -> Result<BotMessageId, BotError> {
        let sent = self.cx.bots.send_message(&self.place.token, message).await;
        if sent.is_ok() && self.place.troubled {
            // Beside the run: it has to store what Telegram has done before anything else.
            let (pool, bot) = (self.cx.store.pool().clone(), self.place.bot);
            tokio::spawn(async move {
                if let Err(error) = topics::bot_access(&pool, bot, true).await {
                    tracing::debug!(%error, "the bot's recovery is not noted yet");
                }
            });
        }
        sent
    }

    /// What becomes of the job after an error that it does not handle itself. Limits and moves are stored on the way.
    pub(crate) async fn outcome(&self, error: &BotError) -> Result<JobError, JobError> {
        let pool = self.cx.store.pool();
        Ok(match error {
            BotError::RetryAfter(wait) => {
                limits::impose(pool, &self.place.scope(), *wait).await?;
                JobError::Snooze(*wait)
            }
            BotError::Migrated(to) => {
                topics::group_moved(&self.cx.store, self.place.bot, self.group, *to).await?;
                JobError::Snooze(Duration::ZERO)
            }
            BotError::NoAccess(reason) => {
                tracing::warn!(bot = self.place.bot.0, %reason, "the working group is out of reach; its jobs are parked");
                topics::bot_access(pool, self.place.bot, false).await?;
                JobError::Snooze(PARKED)
            }
            other => JobError::retry(other),
        })
    }
}
