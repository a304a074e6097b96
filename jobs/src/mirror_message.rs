//! `mirror-message`: one incoming message into its dialog's topic.

use crate::context::Context;
use crate::meters::{self, Direction};
use crate::persist::persist;
use crate::topic::{OVERTAKEN, PERSISTENT, Topic};
use crate::{Job, JobError, Policy, Subject};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tuberry_domain::content::shown;
use tuberry_domain::ports::{BotError, SendTopicMessage};
use tuberry_domain::text::{FormattedText, MESSAGE_LIMIT};
use tuberry_domain::{BotMessageId, DialogId, MessageId};
use tuberry_storage::mirror::{self, Failure, Mirrored};

/// After so many refusals the formatting is left out; after twice as many the message is given up.
const REFUSALS: i32 = 4;

/// How long a run waits that finds a call begun: who began it may know how it ended, and store that as soon as PostgreSQL is there again.
const HEARSAY: Duration = Duration::from_secs(3);

/// A part as the run found it.
#[derive(Clone, Copy)]
struct Begun {
    number: i32,
    attempts: i32,
    refusals: i32,
}

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MirrorMessage {
    /// The message.
    pub message: MessageId,
    /// Its dialog.
    pub dialog: DialogId,
}

impl Job<Context> for MirrorMessage {
    const KIND: &'static str = "mirror-message";
    const POLICY: Policy = PERSISTENT;

    fn ordering_key(&self) -> Option<String> {
        Some(format!("mirror:{}", self.dialog))
    }

    fn subject(&self) -> Subject {
        Subject::Message(self.message)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let mut loaded = cx.mirror.load(self.message).await?;
        if loaded.as_ref().is_some_and(|message| message.parts.iter().any(|part| part.begun)) {
            tokio::time::sleep(HEARSAY).await;
            loaded = cx.mirror.load(self.message).await?;
        }
        let Some(message) = loaded.filter(|message| !message.finished) else { return Ok(()) };
        let Some(mut topic) = Topic::open(cx, message.dialog).await? else { return Ok(()) };
        let parts = parts(&message);
        for (number, text) in parts.iter().enumerate() {
            let number = i32::try_from(number).map_err(JobError::cancel)?;
            let begun = message.parts.iter().find(|part| part.number == number);
            if begun.is_some_and(|part| part.sent) {
                continue;
            }
            let begun = Begun {
                number,
                attempts: begun.map_or(0, |part| part.attempts),
                refusals: begun.map_or(0, |part| part.refusals),
            };
            let reply_to = message.reply_to.filter(|_| number == 0);
            let sent = self.send_part(cx, &mut topic, begun, text, reply_to).await?;
            let last = usize::try_from(number + 1) == Ok(parts.len());
            let (mirror, message) = (cx.mirror.clone(), self.message);
            let stored = persist(move || {
                let mirror = mirror.clone();
                async move { mirror.part_sent(message, number, sent, last).await }
            });
            if let Some(age) = stored.await? {
                meters::arrived(Direction::In, age);
            }
        }
        Ok(())
    }
}

impl MirrorMessage {
    async fn send_part(
        &self,
        cx: &Context,
        topic: &mut Topic<'_>,
        mut begun: Begun,
        text: &FormattedText,
        reply_to: Option<BotMessageId>,
    ) -> Result<BotMessageId, JobError> {
        let pool = cx.store.pool();
        let text = if begun.refusals >= REFUSALS { FormattedText::plain(text.text.clone()) } else { text.clone() };
        let mut message = SendTopicMessage { chat: topic.group(), thread: None, text, reply_to, silent: false };
        let (mut recreated, mut reopened) = (false, false);
        loop {
            let thread = topic.ensure().await?;
            message.thread = Some(thread);
            if !cx.mirror.part_sending(self.message, begun.number, begun.attempts).await? {
                return Err(JobError::Snooze(OVERTAKEN));
            }
            begun.attempts += 1;
            let error = match topic.send(&message).await {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            let failure = match error {
                BotError::Lost(_) => Failure::Unknown,
                BotError::Refused(_) => Failure::Refused,
                _ => Failure::NotExecuted,
            };
            mirror::part_failed(pool, self.message, begun.number, begun.attempts, failure).await?;
            match error {
                BotError::Lost(_) => return Err(JobError::retry(error)),
                BotError::TopicNotFound if !recreated => {
                    recreated = true;
                    topic.forget().await?;
                }
                BotError::TopicClosed if !reopened => {
                    reopened = true;
                    match cx.bots.reopen_topic(&topic.place().token, topic.group(), thread).await {
                        Ok(()) | Err(BotError::NotModified) => {}
                        Err(error) => return Err(topic.outcome(&error).await?),
                    }
                }
                BotError::Refused(reason) if begun.refusals + 1 >= 2 * REFUSALS => {
                    mirror::failed(pool, self.message, &reason).await?;
                    meters::failed(Direction::In, 1);
                    return Err(JobError::Cancel(reason));
                }
                error => return Err(topic.outcome(&error).await?),
            }
        }
    }
}

/// `💬 <sender>: <text>`, in as many parts as Telegram needs.
fn parts(message: &Mirrored) -> Vec<FormattedText> {
    let sender = message.sender.split_whitespace().collect::<Vec<_>>().join(" ");
    shown(&message.text, message.attachment.as_ref()).prefixed(&format!("💬 {sender}: ")).split(MESSAGE_LIMIT)
}
