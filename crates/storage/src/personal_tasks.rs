//! Messages that the rest of Tuberry has stored and hands over by Redis: looked up, accepted, failed. A whole batch takes a handful of statements.

use crate::{Result, Tx, replies, storable};
use std::collections::BTreeMap;
use tuberry_domain::ports::StatusEvent;
use tuberry_domain::{AccountId, ChatId, DialogId, MessageId, ProjectId};

/// A message as its producer left it, or as we did.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its dialog.
    pub dialog: DialogId,
    /// It goes to a customer of a personal account.
    pub outgoing: bool,
    /// Nobody has sent or failed it.
    pub pending: bool,
    /// It was accepted before, or has arrived.
    pub taken: bool,
}

/// A dialog of a personal account.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// The project: its own, else its account's.
    pub project: Option<ProjectId>,
    /// The account that the customer wrote to; `None` when it was removed.
    pub account: Option<AccountId>,
    /// Why the account cannot send, in Russian, when it is out of service.
    pub problem: Option<String>,
    /// The customer's chat, where it can be told.
    pub chat: Option<ChatId>,
    /// Itself, or the one that goes on where the old system made several for its chat; `None` where only the old system has seen the chat.
    pub goes_on: Option<DialogId>,
}

/// Locks these messages, and the accounts of these dialogs as they are: one that is being removed or taken out of service fails its waiting replies,
/// so these have to come before, or see it. Returns the messages that there are.
pub async fn lock(tx: &mut Tx, messages: &[MessageId], dialogs: &[DialogId]) -> Result<BTreeMap<MessageId, Message>> {
    let messages: Vec<i32> = messages.iter().map(|id| id.0).collect();
    let dialogs: Vec<i32> = dialogs.iter().map(|id| id.0).collect();
    sqlx::query!(
        "select 1 as one from personal_telegram_accounts a
          where a.id in (select d.personal_account_id from dialogs d where d.id = any($1) and d.source = 'personal_telegram')
          order by a.id for share of a",
        &dialogs
    )
    .fetch_all(tx.conn())
    .await?;
    let rows = sqlx::query!(
        r#"select m.id, m.dialog_id, m.direction = 'personal_telegram_out' as "outgoing!", m.status::text as "status!",
                  exists (select 1 from personal_telegram_parts p where p.message_id = m.id) as "accepted!"
             from messages m where m.id = any($1) order by m.id for no key update of m"#,
        &messages
    )
    .fetch_all(tx.conn())
    .await?;
    let message = |dialog, outgoing, status: &str, accepted| Message {
        dialog: DialogId(dialog),
        outgoing,
        pending: status == "pending",
        taken: accepted || matches!(status, "sent" | "delivered"),
    };
    Ok(rows.into_iter().map(|row| (MessageId(row.id), message(row.dialog_id, row.outgoing, &row.status, row.accepted))).collect())
}

/// Those of these dialogs that belong to personal accounts.
pub async fn dialogs(tx: &mut Tx, dialogs: &[DialogId]) -> Result<BTreeMap<DialogId, Dialog>> {
    let ids: Vec<i32> = dialogs.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select d.id, d.personal_account_id, coalesce(d.project_id, a.project_id) as project_id,
                  a.status::text as "status?", a.last_error as "last_error?", coalesce(o.dialog_id, e.dialog_id) as goes_on,
                  coalesce(o.chat_id, c.chat_id) as chat_id
             from dialogs d
             cross join lateral personal_telegram_chat_of(d.avito_dialog_id, d.external_reference) as c(chat_id)
             left join personal_telegram_accounts a on a.id = d.personal_account_id
             left join personal_telegram_dialogs o on o.dialog_id = d.id
             left join personal_telegram_dialogs e on e.account_id = d.personal_account_id and e.chat_id = c.chat_id
            where d.id = any($1) and d.source = 'personal_telegram'"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    let dialogs = rows.into_iter().map(|row| {
        let dialog = Dialog {
            project: row.project_id.map(ProjectId),
            account: row.personal_account_id.map(AccountId),
            problem: replies::problem(row.personal_account_id, row.status.as_deref(), row.last_error),
            chat: row.chat_id.map(ChatId),
            goes_on: row.goes_on.map(DialogId),
        };
        (DialogId(row.id), dialog)
    });
    Ok(dialogs.collect())
}

/// Takes over a dialog that the old system has made, as the intake does with the next message of its customer. Returns the one that goes on: another
/// one of the same chat may have been taken over meanwhile.
pub async fn adopt_dialog(tx: &mut Tx, dialog: DialogId, account: AccountId, chat: ChatId) -> Result<DialogId> {
    sqlx::query!(
        "insert into personal_telegram_dialogs (dialog_id, account_id, chat_id) values ($1, $2, $3) on conflict do nothing",
        dialog.0,
        account.0,
        chat.0
    )
    .execute(tx.conn())
    .await?;
    let goes_on = sqlx::query_scalar!(
        "select dialog_id from personal_telegram_dialogs where account_id = $1 and chat_id = $2",
        account.0,
        chat.0
    );
    Ok(DialogId(goes_on.fetch_one(tx.conn()).await?))
}

/// A message on its way.
#[derive(Debug)]
pub struct Accepted {
    /// The message, locked by [`lock`].
    pub message: MessageId,
    /// The dialog that goes on in its chat.
    pub dialog: DialogId,
    /// The account that sends it.
    pub account: AccountId,
    /// The customer's chat.
    pub chat: ChatId,
    /// What goes to the customer.
    pub text: String,
    /// A `random_id` for each part.
    pub random_ids: Vec<i64>,
}

/// Stores what sending these messages needs: text, parts with their `random_id`s.
pub async fn accept(tx: &mut Tx, accepted: &[Accepted]) -> Result<()> {
    let ids: Vec<i32> = accepted.iter().map(|one| one.message.0).collect();
    let dialogs: Vec<i32> = accepted.iter().map(|one| one.dialog.0).collect();
    let accounts: Vec<i32> = accepted.iter().map(|one| one.account.0).collect();
    let chats: Vec<i64> = accepted.iter().map(|one| one.chat.0).collect();
    let texts: Vec<String> = accepted.iter().map(|one| storable::text(&one.text)).collect();
    // A message that was refused before and is pending again was put back by hand.
    sqlx::query!(
        "insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming, text)
         select u.message, u.dialog, u.account, u.chat, false, u.text
           from unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::text[]) as u(message, dialog, account, chat, text)
         on conflict (message_id) do update set dialog_id = excluded.dialog_id, account_id = excluded.account_id, chat_id = excluded.chat_id,
               text = excluded.text, error = null, created_at = now()",
        &ids,
        &dialogs,
        &accounts,
        &chats,
        &texts
    )
    .execute(tx.conn())
    .await?;
    link_operators_messages(tx, &ids).await?;
    let (mut messages, mut parts, mut random_ids) = (vec![], vec![], vec![]);
    for one in accepted {
        for (part, random_id) in (0..).zip(&one.random_ids) {
            messages.push(one.message.0);
            parts.push(part);
            random_ids.push(*random_id);
        }
    }
    sqlx::query!(
        "insert into personal_telegram_parts (message_id, part, random_id) select * from unnest($1::int[], $2::int[], $3::bigint[])",
        &messages,
        &parts,
        &random_ids
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Links these replies to the operator's messages that they came from, where the producer has stored the number: reactions go there, and the same
/// message is known if Telegram delivers it to us, too. The second of two under one number is sent, but not linked.
async fn link_operators_messages(tx: &mut Tx, messages: &[i32]) -> Result<()> {
    sqlx::query!(
        "update personal_telegram_messages o set bot_message_id = n.number
           from (select distinct on (r.dialog_id, m.source_message_id) m.id, r.dialog_id, m.source_message_id::bigint as number
                   from messages m join personal_telegram_messages r on r.message_id = m.id
                  where m.id = any($1) and m.source_message_id ~ '^[1-9][0-9]{0,17}$'
                  order by r.dialog_id, m.source_message_id, m.id) n
          where o.message_id = n.id and o.bot_message_id is null
            and not exists (select 1 from personal_telegram_messages k where k.dialog_id = n.dialog_id and k.bot_message_id = n.number and not k.incoming)",
        messages
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Fails a message that nobody has taken yet; `reason` in Russian, `text` as the element had it. False: it is none of those.
pub async fn fail(tx: &mut Tx, message: MessageId, text: &str, reason: &str) -> Result<bool> {
    let failed = sqlx::query!(
        r#"with failed as (
             update messages m set status = 'failed', updated_at = now() at time zone 'utc'
              where m.id = $1 and m.direction = 'personal_telegram_out' and m.status = 'pending'
                and not exists (select 1 from personal_telegram_parts p where p.message_id = m.id)
             returning m.id, m.dialog_id)
           insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming, text, error)
           select f.id, coalesce(o.dialog_id, e.dialog_id, d.id), coalesce(d.personal_account_id, 0), coalesce(o.chat_id, e.chat_id, 0), false, $2, $3
             from failed f join dialogs d on d.id = f.dialog_id
             left join personal_telegram_dialogs o on o.dialog_id = d.id
             left join personal_telegram_dialogs e on e.account_id = d.personal_account_id
                   and e.chat_id = personal_telegram_chat_of(d.avito_dialog_id, d.external_reference)
           on conflict (message_id) do update set error = excluded.error
           returning dialog_id, account_id"#,
        message.0,
        storable::text(text),
        reason
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(row) = &failed {
        link_operators_messages(tx, &[message.0]).await?;
        tx.tell_after_commit(StatusEvent::Message {
            account_id: AccountId(row.account_id),
            dialog_id: DialogId(row.dialog_id),
            message_db_id: message,
            status: "failed",
            error: Some(reason.to_owned()),
        });
    }
    Ok(failed.is_some())
}
