//! The way of an operator's message to the customer.
//!
//! An accepted reply has parts. One that is `pending` without any was refused by the bridge and put back by hand: its element is on its way, and nothing
//! here may give it up meanwhile.

use crate::{Error, Result, Tx, storable};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::time::Duration;
use tuberry_domain::intake::Peer;
use tuberry_domain::ports::StatusEvent;
use tuberry_domain::text::{Entity, FormattedText};
use tuberry_domain::{AccountId, BotId, BotMessageId, ChatId, DialogId, MessageId, TelegramMessageId, ThreadId};

/// A dialog that an operator writes to.
#[derive(Clone, Debug)]
pub struct Addressee {
    /// The dialog.
    pub dialog: DialogId,
    /// The account that the customer wrote to; `None` when it was removed.
    pub account: Option<AccountId>,
    /// Why the account cannot send, in Russian, when it is out of service.
    pub problem: Option<String>,
    /// The customer's chat.
    pub chat: ChatId,
}

/// The dialog of a topic in a bot's own working group, locked: the replies of one dialog are accepted one after the other. In a topic of a second
/// dialog that the old system made for the same chat, it is the dialog that goes on.
pub async fn addressee(tx: &mut Tx, bot: BotId, group: ChatId, topic: ThreadId) -> Result<Option<Addressee>> {
    // An account that is being removed or taken out of service fails its waiting replies: this one has to come before, or see it.
    sqlx::query!(
        "select 1 as one from personal_telegram_accounts a join dialogs d on d.personal_account_id = a.id
          where d.source = 'personal_telegram' and d.bot_id = $1 and d.telegram_topic_id = $2 for share of a",
        bot.0,
        topic.to_string()
    )
    .fetch_all(tx.conn())
    .await?;
    let row = sqlx::query!(
        "select o.dialog_id, o.chat_id, d.personal_account_id, a.status::text as \"status?\", a.last_error as \"last_error?\"
           from dialogs d
           join personal_telegram_dialogs o on o.dialog_id = coalesce(
                  (select e.dialog_id from personal_telegram_dialogs e where e.dialog_id = d.id),
                  (select e.dialog_id from personal_telegram_dialogs e
                    where e.account_id = d.personal_account_id
                      and e.chat_id = personal_telegram_chat_of(d.avito_dialog_id, d.external_reference)))
           join bots b on b.id = d.bot_id
           left join personal_telegram_accounts a on a.id = d.personal_account_id
          where d.source = 'personal_telegram' and d.bot_id = $1 and trim(b.group_chat_id) = $2 and coalesce(d.telegram_chat_id, $2) = $2 and d.telegram_topic_id = $3
          order by d.id limit 1
            for no key update of o",
        bot.0,
        group.to_string(),
        topic.to_string()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Addressee {
        dialog: DialogId(row.dialog_id),
        account: row.personal_account_id.map(AccountId),
        problem: problem(row.personal_account_id, row.status.as_deref(), row.last_error),
        chat: ChatId(row.chat_id),
    }))
}

/// Why an account cannot send.
pub(crate) fn problem(account: Option<i32>, status: Option<&str>, error: Option<String>) -> Option<String> {
    match (account, status) {
        (None, _) => Some("аккаунт отключён от проекта".to_owned()),
        (_, Some("error")) => Some(error.unwrap_or_else(|| "аккаунт не работает".to_owned())),
        _ => None,
    }
}

fn status_event(row: (i32, i32, i32), status: &'static str, error: Option<&str>) -> StatusEvent {
    let (message, dialog, account) = row;
    StatusEvent::Message {
        account_id: AccountId(account),
        dialog_id: DialogId(dialog),
        message_db_id: MessageId(message),
        status,
        error: error.map(str::to_owned),
    }
}

/// True when this operator's message was accepted before.
pub async fn is_known(tx: &mut Tx, dialog: DialogId, message: BotMessageId) -> Result<bool> {
    let known = sqlx::query_scalar!(
        "select exists (select 1 from personal_telegram_messages where dialog_id = $1 and bot_message_id = $2 and not incoming) as \"known!\"",
        dialog.0,
        message.0
    );
    Ok(known.fetch_one(tx.conn()).await?)
}

/// An operator's message.
#[derive(Debug)]
pub struct NewReply<'a> {
    /// The dialog, locked by [`addressee`].
    pub to: &'a Addressee,
    /// The operator's message in the group.
    pub bot_message: BotMessageId,
    /// What goes to the customer.
    pub text: &'a FormattedText,
    /// What the portal shows.
    pub body: &'a str,
    /// The group's message that it answers.
    pub reply_to: Option<BotMessageId>,
    /// A `random_id` for each part; empty for a reply that fails at once.
    pub random_ids: &'a [i64],
    /// Why it fails at once.
    pub refused: Option<&'a str>,
}

/// Stores a reply: message, parts with their `random_id`s. `pending`, or `failed` when it was refused.
pub async fn insert(tx: &mut Tx, reply: &NewReply<'_>) -> Result<MessageId> {
    let status = if reply.refused.is_some() { "failed" } else { "pending" };
    let id = sqlx::query_scalar!(
        "insert into messages (created_at, dialog_id, direction, source_message_id, body, status, retries, is_auto_reply, is_client_message)
         values (now() at time zone 'utc', $1, 'personal_telegram_out', $2, $3, $4::text::messagestatus, 0, false, false) returning id",
        reply.to.dialog.0,
        reply.bot_message.to_string(),
        storable::text(reply.body),
        status
    )
    .fetch_one(tx.conn())
    .await?;
    let entities = storable::json(&reply.text.entities);
    sqlx::query!(
        "insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming, bot_message_id, text, entities, error, reply_to_message_id)
         values ($1, $2, $3, $4, false, $5, $6, $7, $8,
                 (select p.message_id from personal_telegram_parts p join personal_telegram_messages q on q.message_id = p.message_id
                   where q.dialog_id = $2 and q.incoming and p.sent_id = $9 order by p.message_id limit 1))",
        id,
        reply.to.dialog.0,
        reply.to.account.map_or(0, |account| account.0),
        reply.to.chat.0,
        reply.bot_message.0,
        storable::text(&reply.text.text),
        entities,
        reply.refused,
        reply.reply_to.map(|id| id.0)
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into personal_telegram_parts (message_id, part, random_id)
         select $1, (u.part - 1)::int, u.random_id from unnest($2::bigint[]) with ordinality as u(random_id, part)",
        id,
        reply.random_ids
    )
    .execute(tx.conn())
    .await?;
    if reply.refused.is_some() {
        let account = reply.to.account.map_or(0, |account| account.0);
        tx.tell_after_commit(status_event((id, reply.to.dialog.0, account), status, reply.refused));
    }
    Ok(MessageId(id))
}

/// A reply on its way.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Nothing is left to do.
    pub finished: bool,
    /// Its dialog.
    pub dialog: DialogId,
    /// The account that sends it, if it still serves the dialog.
    pub account: Option<AccountId>,
    /// The customer, with the account's own access hash.
    pub peer: Peer,
    /// The whole text.
    pub text: FormattedText,
    /// The customer's message that it answers.
    pub reply_to: Option<TelegramMessageId>,
    /// Part number, `random_id`, and whether it has arrived; in order.
    pub parts: Vec<(i32, i64, bool)>,
    /// The account, or this chat, takes no message before.
    pub not_before: Option<DateTime<Utc>>,
    /// Telegram lets the account only read.
    pub frozen: bool,
    /// The dialog is the old system's, and the account's connection is about to ask for the customer's access hash. Not for longer than an hour.
    pub stranger: bool,
}

/// Scope of an account's limit for sending.
pub fn account_scope(account: AccountId) -> String {
    format!("account:{account}:messages.sendMessage")
}

/// Scope of a chat's limit (slow mode).
pub fn chat_scope(account: AccountId, chat: ChatId) -> String {
    format!("chat:{account}:{chat}")
}

/// Loads a reply. `None`: it was deleted.
pub async fn load(pool: &PgPool, message: MessageId) -> Result<Option<Reply>> {
    let Some(row) = sqlx::query!(
        "select m.status::text as \"status!\", o.error, o.dialog_id, o.account_id, o.chat_id, o.text, o.entities, d.personal_account_id,
                q.telegram_id as \"reply_to?\", p.access_hash as \"access_hash?\", p.name as \"name?\", p.broadcast as \"broadcast?\", p.bot as \"bot?\",
                (select jsonb_agg(jsonb_build_array(t.part, t.random_id, t.state = 'sent') order by t.part) from personal_telegram_parts t where t.message_id = m.id) as parts,
                (select max(l.not_before) from personal_telegram_send_limits l
                  where l.scope in ('account:' || o.account_id || ':messages.sendMessage', 'chat:' || o.account_id || ':' || o.chat_id) and l.not_before > now()) as not_before,
                exists (select 1 from personal_telegram_restrictions f where f.account_id = o.account_id and f.kind = 'frozen' and f.until > now()) as \"frozen!\",
                p.chat_id is null and (o.chat_id > 0 or o.chat_id <= -1000000000000) and o.created_at > now() - interval '1 hour' as \"stranger!\"
           from messages m
           join personal_telegram_messages o on o.message_id = m.id
           join dialogs d on d.id = m.dialog_id
           left join personal_telegram_messages q on q.message_id = o.reply_to_message_id
           left join personal_telegram_peers p on p.account_id = o.account_id and p.chat_id = o.chat_id
          where m.id = $1",
        message.0
    )
    .fetch_optional(pool)
    .await?
    else {
        return Ok(None);
    };
    let unreadable = |error: serde_json::Error| Error::Unreadable(format!("message {message}: {error}"));
    let entities: Vec<Entity> = serde_json::from_value(row.entities).map_err(unreadable)?;
    Ok(Some(Reply {
        finished: row.status == "delivered" || (row.status == "failed" && row.error.as_deref() != Some(ABANDONED)),
        dialog: DialogId(row.dialog_id),
        account: row.personal_account_id.map(AccountId),
        peer: Peer {
            chat: ChatId(row.chat_id),
            access_hash: row.access_hash,
            name: row.name.unwrap_or_default(),
            username: None,
            broadcast: row.broadcast.unwrap_or(false),
            bot: row.bot.unwrap_or(false),
        },
        text: FormattedText { text: row.text, entities },
        reply_to: row.reply_to.map(TelegramMessageId),
        parts: row.parts.map(serde_json::from_value).transpose().map_err(unreadable)?.unwrap_or_default(),
        not_before: row.not_before,
        frozen: row.frozen,
        stranger: row.stranger,
    }))
}

/// A part has arrived at the customer under `sent` (unknown when Telegram only said that it knew the `random_id`).
pub async fn part_sent(pool: &PgPool, message: MessageId, part: i32, sent: Option<TelegramMessageId>) -> Result<()> {
    sqlx::query!(
        "update personal_telegram_parts set state = 'sent', sent_id = coalesce($3::bigint, sent_id), attempts = attempts + 1 where message_id = $1 and part = $2",
        message.0,
        part,
        sent.map(|id| i64::from(id.0))
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What follows from a delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery {
    /// The title has to change.
    pub answered: bool,
    /// How long after the reply had been accepted. `None`: it had been delivered already.
    pub age: Option<Duration>,
}

/// The last part has arrived: the reply is delivered. The customer waits no longer, unless a newer message came in.
pub async fn delivered(tx: &mut Tx, message: MessageId, part: i32, sent: Option<TelegramMessageId>) -> Result<Delivery> {
    let done = sqlx::query!(
        "with part as (
           update personal_telegram_parts set state = 'sent', sent_id = coalesce($3::bigint, sent_id), attempts = attempts + 1 where message_id = $1 and part = $2),
         ours as (
           update personal_telegram_messages set telegram_id = coalesce($3::bigint::int, telegram_id), error = null where message_id = $1
           returning dialog_id, account_id, created_at)
         update messages m set status = 'delivered', telegram_message_id = coalesce($3::bigint::text, m.telegram_message_id), sent_at = coalesce(m.sent_at, now() at time zone 'utc'),
                delivered_at = now() at time zone 'utc', updated_at = now() at time zone 'utc'
           from ours o
          where m.id = $1 and m.status <> 'delivered'
         returning o.dialog_id, o.account_id, extract(epoch from clock_timestamp() - o.created_at)::float8 as \"age!\"",
        message.0,
        part,
        sent.map(|id| i64::from(id.0))
    )
    .fetch_optional(tx.conn())
    .await?;
    let age = done.as_ref().map(|row| row.age);
    if let Some(row) = done {
        tx.tell_after_commit(status_event((message.0, row.dialog_id, row.account_id), "delivered", None));
    }
    // The intake holds the same row while it adds a message: what it added is seen by the statement after this one.
    sqlx::query!(
        "select 1 as one from personal_telegram_dialogs o join personal_telegram_messages r on r.dialog_id = o.dialog_id
          where r.message_id = $1 for no key update of o",
        message.0
    )
    .fetch_all(tx.conn())
    .await?;
    let answered = sqlx::query!(
        "update personal_telegram_dialogs o set waiting = false
           from personal_telegram_messages r
          where r.message_id = $1 and o.dialog_id = r.dialog_id and o.waiting
            and not exists (select 1 from messages n where n.dialog_id = r.dialog_id and n.id > $1 and n.direction = 'personal_telegram_in')",
        message.0
    )
    .execute(tx.conn())
    .await?;
    let age = age.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
    Ok(Delivery { answered: answered.rows_affected() == 1, age })
}

/// The reply cannot be delivered; `reason` in Russian. False: it had ended already.
pub async fn failed(tx: &mut Tx, message: MessageId, reason: &str) -> Result<bool> {
    let done = sqlx::query!(
        "with ours as (update personal_telegram_messages set error = $2 where message_id = $1)
         update messages m set status = 'failed', updated_at = now() at time zone 'utc' from personal_telegram_messages o
          where m.id = $1 and o.message_id = $1 and m.status = 'pending' returning o.dialog_id, o.account_id",
        message.0,
        reason
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(row) = &done {
        tx.tell_after_commit(status_event((message.0, row.dialog_id, row.account_id), "failed", Some(reason)));
    }
    Ok(done.is_some())
}

/// Fails every waiting reply of an account that will not send any more. Returns them, for their notices.
pub async fn fail_waiting(tx: &mut Tx, account: AccountId, reason: &str) -> Result<Vec<MessageId>> {
    let rows = sqlx::query!(
        "with failed as (
           update messages m set status = 'failed', updated_at = now() at time zone 'utc'
             from personal_telegram_messages o
            where o.message_id = m.id and o.account_id = $1 and not o.incoming and m.status = 'pending'
              and exists (select from personal_telegram_parts p where p.message_id = m.id)
           returning m.id)
         update personal_telegram_messages o set error = $2 from failed where o.message_id = failed.id returning o.message_id, o.dialog_id",
        account.0,
        reason
    )
    .fetch_all(tx.conn())
    .await?;
    for row in &rows {
        tx.tell_after_commit(status_event((row.message_id, row.dialog_id, account.0), "failed", Some(reason)));
    }
    Ok(rows.into_iter().map(|row| MessageId(row.message_id)).collect())
}

/// Replies that have waited for over half a minute, at most `limit`, the oldest first.
pub async fn waiting_long(pool: &PgPool, limit: i64) -> Result<Vec<(MessageId, DialogId)>> {
    let rows = sqlx::query!(
        "select m.id, o.dialog_id
           from messages m
           join personal_telegram_messages o on o.message_id = m.id and not o.incoming
          where m.status = 'pending' and o.created_at < now() - interval '30 seconds'
            and exists (select from personal_telegram_parts p where p.message_id = m.id)
          order by m.id limit $1",
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (MessageId(row.id), DialogId(row.dialog_id))).collect())
}

/// Why a reply failed whose job ended without a word: somebody cancelled or deleted it, or its time ran out. The only failure that a retry of
/// the job can mend.
const ABANDONED: &str = "отправка отменена";

/// Fails those of the replies that still wait, because nothing sends them any more. Returns them, for their notices.
pub async fn abandon(tx: &mut Tx, messages: &[MessageId]) -> Result<Vec<MessageId>> {
    let ids: Vec<i32> = messages.iter().map(|message| message.0).collect();
    let rows = sqlx::query!(
        "with failed as (
           update messages set status = 'failed', updated_at = now() at time zone 'utc' where id = any($1) and status = 'pending' returning id)
         update personal_telegram_messages o set error = $2 from failed where o.message_id = failed.id
         returning o.message_id, o.dialog_id, o.account_id",
        &ids,
        ABANDONED
    )
    .fetch_all(tx.conn())
    .await?;
    for row in &rows {
        tx.tell_after_commit(status_event((row.message_id, row.dialog_id, row.account_id), "failed", Some(ABANDONED)));
    }
    Ok(rows.into_iter().map(|row| MessageId(row.message_id)).collect())
}

/// Accounts that are gone or out of service although replies wait for them, with the reason for the topic.
pub async fn orphans(pool: &PgPool) -> Result<Vec<(AccountId, String)>> {
    let rows = sqlx::query!(
        "select distinct o.account_id, case when a.id is null then 'аккаунт отключён от проекта' else coalesce(a.last_error, 'аккаунт не работает') end as \"reason!\"
           from messages m
           join personal_telegram_messages o on o.message_id = m.id and not o.incoming
           left join personal_telegram_accounts a on a.id = o.account_id
          where m.status = 'pending' and (a.id is null or a.status = 'error') and o.created_at < now() - interval '10 seconds'
            and exists (select from personal_telegram_parts p where p.message_id = m.id)"
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (AccountId(row.account_id), row.reason)).collect())
}

/// Replies that have waited for over a minute although nobody serves their account, and were not announced yet; marks them.
pub async fn announce_stranded(tx: &mut Tx) -> Result<Vec<MessageId>> {
    let ids = sqlx::query_scalar!(
        "update personal_telegram_messages o set announced = true
           from messages m
          where m.id = o.message_id and not o.incoming and not o.announced and m.status = 'pending'
            and o.created_at < now() - interval '60 seconds' and o.created_at > now() - interval '7 days'
            and exists (select from personal_telegram_parts p where p.message_id = m.id)
            and not exists (select 1 from personal_telegram_leases l
                             where l.class = $1 and l.object = o.account_id and l.owner is not null and l.renewed_at > now() - interval '15 seconds')
         returning o.message_id",
        tuberry_domain::ports::KeyClass::Account as i32
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(MessageId).collect())
}

/// What a notice in the topic is about.
#[derive(Debug)]
pub struct NoticeSubject {
    /// Its dialog.
    pub dialog: DialogId,
    /// The operator's message.
    pub bot_message: Option<BotMessageId>,
    /// `pending`, `delivered`, `failed`…
    pub status: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// Loads what a notice or a reaction needs. `None`: the message was deleted.
pub async fn notice_subject(pool: &PgPool, message: MessageId) -> Result<Option<NoticeSubject>> {
    let row = sqlx::query!(
        "select o.dialog_id, o.bot_message_id, m.status::text as \"status!\", o.error
           from messages m join personal_telegram_messages o on o.message_id = m.id where m.id = $1",
        message.0
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| NoticeSubject {
        dialog: DialogId(row.dialog_id),
        bot_message: row.bot_message_id.map(BotMessageId),
        status: row.status,
        error: row.error,
    }))
}
