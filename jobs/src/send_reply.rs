//! `send-reply`: one operator's message to the customer, over the account's own connection.

use crate::context::{Context, wait_for};
use crate::mark_reply::MarkReply;
use crate::meters::{self, Direction};
use crate::post_notice::{Notice, PostNotice};
use crate::refresh_topic::{self, RefreshTopic};
use crate::restrict;
use crate::topic::PERSISTENT;
use crate::{Job, JobError, Policy, Subject, enqueue};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tuberry_domain::ports::{CallError, OutgoingText, Sent};
use tuberry_domain::reaction::{FROZEN, Reaction};
use tuberry_domain::text::MESSAGE_LIMIT;
use tuberry_domain::{AccountId, DialogId, MessageId};
use tuberry_storage::replies::{self, Reply};
use tuberry_storage::{Tx, limits};

/// How soon a reply looks again for a connection that is just being made.
const CONNECTING: Duration = Duration::from_millis(500);

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SendReply {
    /// The message.
    pub message: MessageId,
    /// Its dialog.
    pub dialog: DialogId,
    /// The account that sends it.
    pub account: AccountId,
}

impl Job<Context> for SendReply {
    const KIND: &'static str = "send-reply";
    const POLICY: Policy = PERSISTENT;

    fn ordering_key(&self) -> Option<String> {
        Some(Self::key(self.dialog))
    }

    fn affinity(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn subject(&self) -> Subject {
        Subject::Message(self.message)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(reply) = replies::load(cx.store.pool(), self.message).await?.filter(|reply| !reply.finished) else {
            return Ok(());
        };
        if reply.account != Some(self.account) {
            return self.refuse(cx, "аккаунт отключён от проекта").await;
        }
        if reply.frozen {
            return self.refuse(cx, FROZEN).await;
        }
        if let Some(until) = reply.not_before {
            return Err(wait_for(until));
        }
        if reply.stranger {
            return Err(JobError::Snooze(CONNECTING));
        }
        let texts = reply.text.split(MESSAGE_LIMIT);
        let last = reply.parts.len().saturating_sub(1);
        for (index, (&(number, random_id, sent), text)) in reply.parts.iter().zip(&texts).enumerate() {
            if sent {
                continue;
            }
            let reply_to = reply.reply_to.filter(|_| number == 0);
            let message = OutgoingText { peer: reply.peer.clone(), text: text.clone(), random_id, reply_to };
            let sent = match cx.accounts.send_text(self.account, message).await {
                Ok(sent) => sent,
                Err(error) => match self.react(cx, &reply, error).await? {
                    Some(sent) => sent,
                    None => return Ok(()),
                },
            };
            if index == last {
                self.deliver(cx, number, sent).await?;
            } else {
                replies::part_sent(cx.store.pool(), self.message, number, sent.id).await?;
            }
        }
        Ok(())
    }
}

impl SendReply {
    /// The ordering key of a dialog's replies.
    pub(crate) fn key(dialog: DialogId) -> String {
        format!("reply:{dialog}")
    }

    async fn deliver(&self, cx: &Context, part: i32, sent: Sent) -> Result<(), JobError> {
        let mut tx = cx.store.begin().await?;
        let delivery = replies::delivered(&mut tx, self.message, part, sent.id).await?;
        if delivery.answered {
            refresh_topic::enqueue_soon(&mut tx, RefreshTopic { dialog: self.dialog }).await?;
        }
        enqueue(&mut tx, &MarkReply { message: self.message }).await?;
        tx.commit().await?;
        if let Some(age) = delivery.age {
            meters::arrived(Direction::Out, age);
        }
        Ok(())
    }

    /// `Some`: Telegram has the message after all. `None`: it failed for good, and the topic will say so.
    async fn react(&self, cx: &Context, reply: &Reply, error: CallError) -> Result<Option<Sent>, JobError> {
        let error = match error {
            CallError::NotConnected => return Err(JobError::Snooze(CONNECTING)),
            CallError::Lost(_) => return Err(JobError::retry(error)),
            CallError::Rpc(error) => error,
        };
        restrict::note(cx, self.account, &error).await;
        let pool = cx.store.pool();
        match error.reaction() {
            Reaction::AlreadySent => Ok(Some(Sent { id: None })),
            Reaction::Retry => Err(JobError::retry(error)),
            Reaction::WaitAccount(wait) => {
                limits::impose(pool, &replies::account_scope(self.account), wait).await?;
                Err(JobError::Snooze(wait))
            }
            Reaction::WaitChat(wait) => {
                limits::impose(pool, &replies::chat_scope(self.account, reply.peer.chat), wait).await?;
                Err(JobError::Snooze(wait))
            }
            // The connection heard the same and takes the account out of service, which fails its waiting replies.
            Reaction::Account(_) => Err(JobError::Snooze(CONNECTING)),
            Reaction::Refuse(reason) => {
                tracing::info!(message = self.message.0, %error, "reply refused");
                self.refuse(cx, reason).await?;
                Ok(None)
            }
        }
    }

    async fn refuse(&self, cx: &Context, reason: &str) -> Result<(), JobError> {
        let mut tx = cx.store.begin().await?;
        let failed = replies::failed(&mut tx, self.message, reason).await?;
        if failed {
            announce_failure(&mut tx, self.message).await?;
        }
        tx.commit().await?;
        meters::failed(Direction::Out, failed.into());
        Ok(())
    }
}

/// The topic will show that a reply failed, and why.
pub(crate) async fn announce_failure(tx: &mut Tx, message: MessageId) -> tuberry_storage::Result<()> {
    enqueue(tx, &MarkReply { message }).await?;
    enqueue(tx, &PostNotice { message, notice: Notice::Failed }).await?;
    Ok(())
}
