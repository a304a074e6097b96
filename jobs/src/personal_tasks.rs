//! Elements of Tuberry's Redis list, accepted durably, in their order: the bridge calls it with a batch, and removes the batch when it returns. The
//! same element twice changes nothing.

use crate::bot_updates::random_ids;
use crate::enqueue_all;
use crate::meters::{self, Direction};
use crate::send_reply::{SendReply, announce_failure};
use std::collections::HashSet;
use tuberry_domain::personal_task::{Refusal, SendTask, Unreadable};
use tuberry_domain::ports::Lease;
use tuberry_domain::text::{FormattedText, MESSAGE_LIMIT};
use tuberry_domain::{AccountId, ChatId, DialogId, MessageId};
use tuberry_storage::personal_tasks::{self, Accepted, Dialog, Message};
use tuberry_storage::{Result, Store, Tx, leases};

/// What becomes of a task.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It was carried out before.
    Done,
    /// It is sent.
    Send(AccountId, ChatId),
    /// Its message fails, as an operator's would: the account is out of service.
    Fail(String),
    /// It cannot be carried out.
    Refuse(Refusal),
}

/// Accepts a batch in one transaction, which `lease` has to outlive. Answers for each element why it was refused, if it was.
pub async fn accept(
    store: &Store,
    lease: &Lease,
    batch: &[std::result::Result<SendTask, Unreadable>],
) -> Result<Vec<Option<Refusal>>> {
    let mut tx = store.begin().await?;
    leases::check(&mut tx, lease).await?;
    let tasks: Vec<&SendTask> = batch.iter().flatten().collect();
    let named: Vec<MessageId> = tasks.iter().map(|task| task.message).collect();
    let named_dialogs: Vec<DialogId> = tasks.iter().map(|task| task.dialog).collect();
    let messages = personal_tasks::lock(&mut tx, &named, &named_dialogs).await?;
    let dialogs = personal_tasks::dialogs(&mut tx, &named_dialogs).await?;
    let (mut refusals, mut accepted, mut seen) = (Vec::with_capacity(batch.len()), Vec::new(), HashSet::new());
    for element in batch {
        let refusal = match element {
            Err(unreadable) => {
                if let Some(message) = unreadable.message {
                    refuse(&mut tx, &mut seen, message, "", unreadable.refusal).await?;
                }
                Some(unreadable.refusal)
            }
            Ok(task) => match fate(task, messages.get(&task.message), dialogs.get(&task.dialog)) {
                Fate::Refuse(refusal) => {
                    refuse(&mut tx, &mut seen, task.message, &task.text, refusal).await?;
                    Some(refusal)
                }
                Fate::Send(account, chat) if seen.insert(task.message) => {
                    let dialog = dialogs.get(&task.dialog).and_then(|dialog| dialog.goes_on);
                    accepted.push(acceptance(&mut tx, task, account, chat, dialog).await?);
                    None
                }
                Fate::Fail(problem) if seen.insert(task.message) => {
                    if personal_tasks::fail(&mut tx, task.message, &task.text, &problem).await? {
                        announce_failure(&mut tx, task.message).await?;
                    }
                    None
                }
                Fate::Done | Fate::Send(..) | Fate::Fail(_) => None,
            },
        };
        refusals.push(refusal);
    }
    send(&mut tx, &accepted).await?;
    tx.commit().await?;
    meters::accepted(Direction::Out, accepted.len());
    Ok(refusals)
}

/// Fails the message of a refused element, unless this batch has settled it before: what it has accepted is not in the database yet.
async fn refuse(tx: &mut Tx, seen: &mut HashSet<MessageId>, message: MessageId, text: &str, refusal: Refusal) -> Result<()> {
    if !seen.contains(&message) && personal_tasks::fail(tx, message, text, refusal.text()).await? {
        seen.insert(message);
    }
    Ok(())
}

fn fate(task: &SendTask, message: Option<&Message>, dialog: Option<&Dialog>) -> Fate {
    let Some(message) = message else { return Fate::Refuse(Refusal::UnknownMessage) };
    if !message.outgoing || message.dialog != task.dialog {
        return Fate::Refuse(Refusal::ForeignMessage);
    }
    if message.taken {
        return Fate::Done;
    }
    let Some(dialog) = dialog else { return Fate::Refuse(Refusal::UnknownDialog) };
    let Some(account) = dialog.account else { return Fate::Refuse(Refusal::NoAccount) };
    if account != task.account {
        return Fate::Refuse(Refusal::ForeignAccount);
    }
    if task.project.is_some() && task.project != dialog.project {
        return Fate::Refuse(Refusal::ForeignProject);
    }
    let Some(chat) = dialog.chat else { return Fate::Refuse(Refusal::UnknownDialog) };
    match (&dialog.problem, message.pending) {
        (_, false) => Fate::Done,
        (Some(problem), true) => Fate::Fail(problem.clone()),
        (None, true) => Fate::Send(account, chat),
    }
}

/// `dialog`: the one that goes on, if we know it.
async fn acceptance(
    tx: &mut Tx,
    task: &SendTask,
    account: AccountId,
    chat: ChatId,
    dialog: Option<DialogId>,
) -> Result<Accepted> {
    let dialog = match dialog {
        Some(dialog) => dialog,
        None => personal_tasks::adopt_dialog(tx, task.dialog, account, chat).await?,
    };
    // As it will be stored: what PostgreSQL cannot hold is replaced by something of the same length.
    let parts = FormattedText::plain(task.text.as_str()).split(MESSAGE_LIMIT).len();
    let random_ids = random_ids(parts);
    Ok(Accepted { message: task.message, dialog, account, chat, text: task.text.clone(), random_ids })
}

async fn send(tx: &mut Tx, accepted: &[Accepted]) -> Result<()> {
    if accepted.is_empty() {
        return Ok(());
    }
    personal_tasks::accept(tx, accepted).await?;
    let jobs: Vec<SendReply> =
        accepted.iter().map(|one| SendReply { message: one.message, dialog: one.dialog, account: one.account }).collect();
    enqueue_all(tx, &jobs).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tuberry_domain::ProjectId;

    fn task() -> SendTask {
        let (account, dialog, message) = (AccountId(1), DialogId(2), MessageId(3));
        SendTask { account, dialog, message, text: "привет".into(), project: Some(ProjectId(4)) }
    }

    fn message() -> Message {
        Message { dialog: DialogId(2), outgoing: true, pending: true, taken: false }
    }

    fn dialog() -> Dialog {
        let (project, account, chat) = (Some(ProjectId(4)), Some(AccountId(1)), Some(ChatId(5)));
        Dialog { project, account, problem: None, chat, goes_on: Some(DialogId(2)) }
    }

    #[test]
    fn a_pending_message_of_a_dialog_in_service_is_sent() {
        let sent = Fate::Send(AccountId(1), ChatId(5));
        assert_eq!(fate(&task(), Some(&message()), Some(&dialog())), sent);
        assert_eq!(fate(&SendTask { project: None, ..task() }, Some(&message()), Some(&dialog())), sent);
        let ended = Dialog { problem: Some("сеанс завершён".into()), ..dialog() };
        assert_eq!(fate(&task(), Some(&message()), Some(&ended)), Fate::Fail("сеанс завершён".into()));
    }

    #[test]
    fn what_was_carried_out_is_done_whatever_became_of_its_dialog() {
        let taken = Message { taken: true, ..message() };
        let orphan = Dialog { account: None, ..dialog() };
        assert_eq!(fate(&task(), Some(&taken), Some(&orphan)), Fate::Done);
        assert_eq!(fate(&task(), Some(&taken), None), Fate::Done);
        assert_eq!(fate(&task(), Some(&Message { pending: false, ..message() }), Some(&dialog())), Fate::Done);
    }

    #[test]
    fn a_refusal_stays_a_refusal_when_its_message_has_failed() {
        let failed = Message { pending: false, ..message() };
        for message in [message(), failed] {
            let orphan = Dialog { account: None, ..dialog() };
            let refused = |task: &SendTask, dialog: Option<&Dialog>| fate(task, Some(&message), dialog);
            assert_eq!(refused(&task(), Some(&orphan)), Fate::Refuse(Refusal::NoAccount));
            assert_eq!(refused(&task(), None), Fate::Refuse(Refusal::UnknownDialog));
            let other = SendTask { account: AccountId(9), ..task() };
            assert_eq!(refused(&other, Some(&dialog())), Fate::Refuse(Refusal::ForeignAccount));
            let other = SendTask { project: Some(ProjectId(9)), ..task() };
            assert_eq!(refused(&other, Some(&dialog())), Fate::Refuse(Refusal::ForeignProject));
            let other = SendTask { dialog: DialogId(9), ..task() };
            assert_eq!(refused(&other, Some(&dialog())), Fate::Refuse(Refusal::ForeignMessage));
        }
        assert_eq!(fate(&task(), None, Some(&dialog())), Fate::Refuse(Refusal::UnknownMessage));
        let incoming = Message { outgoing: false, ..message() };
        assert_eq!(fate(&task(), Some(&incoming), Some(&dialog())), Fate::Refuse(Refusal::ForeignMessage));
    }
}
