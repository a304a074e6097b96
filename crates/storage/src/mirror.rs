//! The way of an incoming message into its topic.

use crate::together::Together;
use crate::topics::{Place, places};
use crate::{Error, Result};
use sqlx::PgPool;
use std::collections::HashMap;
use std::time::Duration;
use tuberry_domain::content::Attachment;
use tuberry_domain::text::FormattedText;
use tuberry_domain::{BotMessageId, DialogId, MessageId};

/// An incoming message on its way.
#[derive(Clone, Debug)]
pub struct Mirrored {
    /// It stands in the topic already (or will never).
    pub finished: bool,
    /// Its dialog.
    pub dialog: DialogId,
    /// Who wrote it.
    pub sender: String,
    /// Text or caption.
    pub text: FormattedText,
    /// What it carries besides.
    pub attachment: Option<Attachment>,
    /// The group's message that shows what it answers.
    pub reply_to: Option<BotMessageId>,
    /// Parts that were begun: their numbers, states and how often they were begun.
    pub parts: Vec<Part>,
}

/// One part of a message that is too long for Telegram.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its number from 0.
    pub number: i32,
    /// It has arrived.
    pub sent: bool,
    /// Its call has begun, and the run that began it has said nothing since.
    pub begun: bool,
    /// How often its call began.
    pub attempts: i32,
    /// How often Telegram refused what it said.
    pub refusals: i32,
}

/// The statements that every message takes on its way. Messages that are on their way at the same time in this process share them.
#[derive(Clone)]
pub struct Mirror {
    load: Together<MessageId, Option<Mirrored>>,
    place: Together<DialogId, Option<Place>>,
    sending: Together<Sending, bool>,
    sent: Together<Sent, Option<Duration>>,
}

/// A call that begins, after so many.
#[derive(Clone, Copy, Debug)]
struct Sending {
    message: MessageId,
    part: i32,
    attempts: i32,
}

/// A part that stands in the topic.
#[derive(Clone, Copy, Debug)]
struct Sent {
    message: MessageId,
    part: i32,
    sent: BotMessageId,
    last: bool,
}

impl Mirror {
    /// Starts it on the current runtime.
    pub fn start(pool: &PgPool) -> Self {
        Self {
            load: Together::start(pool.clone(), load),
            place: Together::start(pool.clone(), places),
            sending: Together::start(pool.clone(), parts_sending),
            sent: Together::start(pool.clone(), parts_sent),
        }
    }

    /// Loads an incoming message. `None`: it was deleted.
    pub async fn load(&self, message: MessageId) -> Result<Option<Mirrored>> {
        self.load.call(message).await
    }

    /// Where a dialog is shown. `None`: the dialog is gone.
    pub async fn place(&self, dialog: DialogId) -> Result<Option<Place>> {
        self.place.call(dialog).await
    }

    /// Says that the call for this part begins now, for the time after `attempts`: from here on, until [`Mirror::part_sent`] or [`part_failed`],
    /// nobody can know whether it was executed. False: another run has begun it meanwhile, and nothing may be called here.
    pub async fn part_sending(&self, message: MessageId, part: i32, attempts: i32) -> Result<bool> {
        self.sending.call(Sending { message, part, attempts }).await
    }

    /// The part stands in the topic as `sent`. With the `last` part the message is delivered: how long after it had been stored.
    pub async fn part_sent(&self, message: MessageId, part: i32, sent: BotMessageId, last: bool) -> Result<Option<Duration>> {
        self.sent.call(Sent { message, part, sent, last }).await
    }
}

async fn load(pool: PgPool, messages: Vec<MessageId>) -> Result<Vec<Option<Mirrored>>> {
    let ids: Vec<i32> = messages.iter().map(|message| message.0).collect();
    let rows = sqlx::query!(
        "select m.id, m.status::text as \"status!\", o.dialog_id, o.sender_name, o.text, o.entities, o.attachment,
                coalesce((select q.bot_message_id from personal_telegram_messages q where q.message_id = o.reply_to_message_id and not q.incoming),
                         (select p.sent_id from personal_telegram_parts p join personal_telegram_messages q on q.message_id = p.message_id
                           where p.message_id = o.reply_to_message_id and q.incoming and p.part = 0)) as reply_to,
                (select jsonb_agg(jsonb_build_array(p.part, p.state = 'sent', p.state = 'sending', p.attempts, p.refusals) order by p.part) from personal_telegram_parts p where p.message_id = m.id) as parts
           from messages m join personal_telegram_messages o on o.message_id = m.id
          where m.id = any($1)",
        &ids
    )
    .fetch_all(&pool)
    .await?;
    let mut loaded = HashMap::with_capacity(rows.len());
    for row in rows {
        let unreadable = |error: serde_json::Error| Error::Unreadable(format!("message {}: {error}", row.id));
        let parts: Vec<(i32, bool, bool, i32, i32)> =
            row.parts.map(serde_json::from_value).transpose().map_err(unreadable)?.unwrap_or_default();
        let message = Mirrored {
            finished: matches!(row.status.as_str(), "delivered" | "failed"),
            dialog: DialogId(row.dialog_id),
            sender: row.sender_name.unwrap_or_default(),
            text: FormattedText { text: row.text, entities: serde_json::from_value(row.entities).map_err(unreadable)? },
            attachment: row.attachment.map(serde_json::from_value).transpose().map_err(unreadable)?,
            reply_to: row.reply_to.map(BotMessageId),
            parts: parts
                .into_iter()
                .map(|(number, sent, begun, attempts, refusals)| Part { number, sent, begun, attempts, refusals })
                .collect(),
        };
        loaded.insert(row.id, message);
    }
    Ok(ids.iter().map(|id| loaded.get(id).cloned()).collect())
}

async fn parts_sending(pool: PgPool, calls: Vec<Sending>) -> Result<Vec<bool>> {
    let messages: Vec<i32> = calls.iter().map(|call| call.message.0).collect();
    let parts: Vec<i32> = calls.iter().map(|call| call.part).collect();
    let attempts: Vec<i32> = calls.iter().map(|call| call.attempts).collect();
    let begun = sqlx::query!(
        "insert into personal_telegram_parts as p (message_id, part, state, attempts)
         select u.message, u.part, 'sending', u.attempts + 1 from unnest($1::int[], $2::int[], $3::int[]) as u(message, part, attempts)
          where u.attempts = 0 or exists (select 1 from personal_telegram_parts k where k.message_id = u.message and k.part = u.part)
         on conflict (message_id, part) do update set state = 'sending', attempts = excluded.attempts
          where p.state <> 'sent' and p.attempts = excluded.attempts - 1
         returning message_id, part, attempts",
        &messages,
        &parts,
        &attempts
    )
    .fetch_all(&pool)
    .await?;
    let began = |call: &Sending| {
        begun.iter().any(|row| (row.message_id, row.part, row.attempts) == (call.message.0, call.part, call.attempts + 1))
    };
    Ok(calls.iter().map(began).collect())
}

async fn parts_sent(pool: PgPool, calls: Vec<Sent>) -> Result<Vec<Option<Duration>>> {
    let messages: Vec<i32> = calls.iter().map(|call| call.message.0).collect();
    let parts: Vec<i32> = calls.iter().map(|call| call.part).collect();
    let sent: Vec<i64> = calls.iter().map(|call| call.sent.0).collect();
    let last: Vec<bool> = calls.iter().map(|call| call.last).collect();
    // Of one message there is one part at a time, unless another run was overtaken: its last part counts then.
    let delivered = sqlx::query!(
        r#"with arrived as (select * from unnest($1::int[], $2::int[], $3::bigint[], $4::bool[]) as u(message, part, sent, last)),
           parts as (
             update personal_telegram_parts p set state = 'sent', sent_id = u.sent from arrived u where p.message_id = u.message and p.part = u.part)
         update messages m set status = case when u.last then 'delivered'::messagestatus else m.status end,
                telegram_message_id = coalesce(m.telegram_message_id, u.sent::text),
                delivered_at = case when u.last then now() at time zone 'utc' else m.delivered_at end,
                retries = (select coalesce(max(p.attempts), 1) - 1 from personal_telegram_parts p where p.message_id = m.id)
           from (select message, min(sent) as sent, bool_or(last) as last from arrived group by message) u
          where m.id = u.message
         returning m.id, case when u.last then (select extract(epoch from clock_timestamp() - o.created_at)::float8
                                                  from personal_telegram_messages o where o.message_id = m.id) end as age"#,
        &messages,
        &parts,
        &sent,
        &last
    )
    .fetch_all(&pool)
    .await?;
    let ages: HashMap<i32, f64> = delivered.into_iter().filter_map(|row| Some((row.id, row.age?))).collect();
    let age = |call: &Sent| ages.get(&call.message.0).filter(|_| call.last).map(|age| Duration::from_secs_f64(age.max(0.0)));
    Ok(calls.iter().map(age).collect())
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not executed.
    NotExecuted,
    /// Nor was it, because of what it said.
    Refused,
    /// Its answer was lost: nobody will ever know whether it was executed.
    Unknown,
}

/// The call that was begun as number `attempt` has failed.
pub async fn part_failed(pool: &PgPool, message: MessageId, part: i32, attempt: i32, failure: Failure) -> Result<()> {
    sqlx::query!(
        "update personal_telegram_parts set state = $4, refusals = refusals + case when $5 then 1 else 0 end
          where message_id = $1 and part = $2 and state = 'sending' and attempts = $3",
        message.0,
        part,
        attempt,
        if failure == Failure::Unknown { "unknown" } else { "waiting" },
        failure == Failure::Refused
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The message cannot be shown; `reason` for the portal.
pub async fn failed(pool: &PgPool, message: MessageId, reason: &str) -> Result<()> {
    sqlx::query!(
        "with ours as (update personal_telegram_messages set error = $2 where message_id = $1)
         update messages set status = 'failed', updated_at = now() at time zone 'utc' where id = $1 and status = 'pending'",
        message.0,
        reason
    )
    .execute(pool)
    .await?;
    Ok(())
}
