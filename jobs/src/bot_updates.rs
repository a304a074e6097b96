//! What the managing bot is told, accepted durably: by the webhook and by long polling alike. One update, one transaction; the same update twice
//! changes nothing.

use crate::bot_call::{AnswerGetid, DeleteServiceMessage};
use crate::meters::{self, Direction};
use crate::send_reply::{SendReply, announce_failure};
use crate::{enqueue, enqueue_alone};
use tuberry_domain::bot_update::{BotEvent, BotMembership, BotMessage, BotService, BotUpdate, ServiceKind};
use tuberry_domain::content::{self, shown};
use tuberry_domain::text::MESSAGE_LIMIT;
use tuberry_domain::{BotId, ThreadId};
use tuberry_storage::chat_membership::{self, Membership};
use tuberry_storage::replies::{self, NewReply};
use tuberry_storage::{Error, Result, Store, bots, topics};

/// Accepts an update of `bot`. When it returns, everything that follows from the update is durable.
pub async fn accept(store: &Store, bot: BotId, update: &BotUpdate) -> Result<()> {
    match &update.event {
        BotEvent::Message(message) if is_for_another(store, bot, message).await? => Ok(()),
        BotEvent::Message(message) if is_getid(message) => answer_getid(store, bot, message).await,
        BotEvent::Message(message) => match message.thread {
            Some(topic) => accept_reply(store, bot, message, topic).await,
            None => Ok(()),
        },
        BotEvent::Service(service) => accept_service(store, bot, service).await,
        BotEvent::Membership(membership) => record_membership(store, bot, membership).await,
        BotEvent::Ignored => Ok(()),
    }
}

/// A command that names another bot is none of ours, nor the customer's.
async fn is_for_another(store: &Store, bot: BotId, message: &BotMessage) -> Result<bool> {
    match message.command().and_then(|command| command.bot) {
        Some(name) => Ok(!bots::is_called(store.pool(), bot, name).await?),
        None => Ok(false),
    }
}

fn is_getid(message: &BotMessage) -> bool {
    message.command().is_some_and(|command| command.name.eq_ignore_ascii_case("getid"))
}

async fn answer_getid(store: &Store, bot: BotId, message: &BotMessage) -> Result<()> {
    let (chat, kind) = (message.chat.id, message.chat.kind.clone());
    enqueue_alone(store, &AnswerGetid { bot, chat, kind, thread: message.thread, message: message.id }).await?;
    Ok(())
}

/// An operator's message in a topic of the bot's own working group. Anywhere else it is none of ours.
async fn accept_reply(store: &Store, bot: BotId, message: &BotMessage, topic: ThreadId) -> Result<()> {
    let mut tx = store.begin().await?;
    // Asked first: a topic whose number is stored between the two look-ups is found by the second.
    let may_appear = topics::topic_may_appear(&mut tx, bot, message.chat.id, message.date).await?;
    let Some(to) = replies::addressee(&mut tx, bot, message.chat.id, topic).await? else {
        // An operator can be quicker than the job that created the topic. Telegram offers the update again.
        return if may_appear { Err(Error::Early("topic")) } else { Ok(()) };
    };
    if replies::is_known(&mut tx, to.dialog, message.id).await? {
        return Ok(());
    }
    let parts = message.text.split(MESSAGE_LIMIT).len();
    let refused = match (&to.problem, &message.attachment) {
        (Some(problem), _) => Some(problem.clone()),
        (None, Some(attachment)) => Some(unsupported(attachment)),
        (None, None) if parts == 0 => Some("пустое сообщение".to_owned()),
        (None, None) => None,
    };
    let random_ids = if refused.is_some() { Vec::new() } else { random_ids(parts) };
    let body = shown(&message.text, message.attachment.as_ref()).text;
    let reply = NewReply {
        to: &to,
        bot_message: message.id,
        text: &message.text,
        body: &body,
        reply_to: message.reply_to,
        random_ids: &random_ids,
        refused: refused.as_deref(),
    };
    let id = replies::insert(&mut tx, &reply).await?;
    match to.account.filter(|_| refused.is_none()) {
        Some(account) => {
            enqueue(&mut tx, &SendReply { message: id, dialog: to.dialog, account }).await?;
        }
        None => announce_failure(&mut tx, id).await?,
    }
    tx.commit().await?;
    match refused {
        None => meters::accepted(Direction::Out, 1),
        Some(_) => meters::failed(Direction::Out, 1),
    }
    Ok(())
}

fn unsupported(attachment: &content::Attachment) -> String {
    format!("пока можно отправлять только текст, а это {}", attachment.label())
}

/// A `random_id` for each part of a reply.
pub(crate) fn random_ids(count: usize) -> Vec<i64> {
    let mut bytes = vec![0u8; count * 8];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.as_chunks::<8>().0.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect()
}

async fn accept_service(store: &Store, bot: BotId, service: &BotService) -> Result<()> {
    match service.kind {
        ServiceKind::TopicEdited => {
            let mut tx = store.begin().await?;
            if topics::is_own_topic(&mut tx, bot, service.chat.id, service.thread).await? {
                enqueue(&mut tx, &DeleteServiceMessage { bot, chat: service.chat.id, message: service.id }).await?;
            }
            tx.commit().await
        }
        ServiceKind::MigratedTo(to) => topics::group_moved(store, bot, service.chat.id, to).await,
        _ => Ok(()),
    }
}

async fn record_membership(store: &Store, bot: BotId, membership: &BotMembership) -> Result<()> {
    let chat = &membership.chat;
    let membership = Membership {
        chat: chat.id,
        kind: &chat.kind,
        title: chat.title.as_deref(),
        username: chat.username.as_deref(),
        is_forum: chat.is_forum,
        status: &membership.status,
        is_member: membership.is_member,
    };
    chat_membership::record(store, bot, &membership).await
}
