//! A dialog's place in its working group: the bot, the group, the topic.

use crate::{Result, Store, Tx};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::collections::HashMap;
use tuberry_domain::ports::BotToken;
use tuberry_domain::{BotId, ChatId, DialogId, Secret, ThreadId};

/// A dialog's place in the working group.
#[derive(Clone, Debug)]
pub struct Place {
    /// The dialog.
    pub dialog: DialogId,
    /// Its managing bot.
    pub bot: BotId,
    /// The bot's token.
    pub token: BotToken,
    /// The bot's working group; `None` until an owner binds one.
    pub group: Option<ChatId>,
    /// The topic, if it stands in this group.
    pub topic: Option<ThreadId>,
    /// The customer's name, for the title.
    pub name: String,
    /// The customer waits for an answer.
    pub waiting: bool,
    /// The title that the topic is known to have.
    pub title: Option<String>,
    /// The bot is marked as unable to do its work.
    pub troubled: bool,
    /// The bot takes no calls for this group before.
    pub not_before: Option<DateTime<Utc>>,
}

impl Place {
    /// Scope of the bot's limit in its group.
    pub fn scope(&self) -> String {
        bot_scope(self.bot, self.group)
    }
}

/// Scope of a bot's limit in a group.
pub fn bot_scope(bot: BotId, group: Option<ChatId>) -> String {
    format!("bot:{bot}:{}", group.unwrap_or(ChatId(0)))
}

/// A bot's token. `None`: the bot is gone.
pub async fn bot_token(pool: &PgPool, bot: BotId) -> Result<Option<BotToken>> {
    Ok(sqlx::query_scalar!("select token from bots where id = $1", bot.0).fetch_optional(pool).await?.map(Secret::new))
}

/// Where dialogs are shown, in their order. `None`: the dialog is gone.
pub(crate) async fn places(pool: PgPool, dialogs: Vec<DialogId>) -> Result<Vec<Option<Place>>> {
    let ids: Vec<i32> = dialogs.iter().map(|dialog| dialog.0).collect();
    let rows = sqlx::query!(
        "select d.id, d.bot_id, b.token, b.status = 'error' as \"troubled!\", b.group_chat_id, d.telegram_topic_id, d.telegram_chat_id, d.external_display_name,
                o.waiting, o.topic_title, l.not_before as \"not_before?\"
           from dialogs d
           join personal_telegram_dialogs o on o.dialog_id = d.id
           join bots b on b.id = d.bot_id
           left join personal_telegram_send_limits l on l.scope = 'bot:' || b.id || ':' || trim(b.group_chat_id) and l.not_before > now()
          where d.id = any($1)",
        &ids
    )
    .fetch_all(&pool)
    .await?;
    let places: HashMap<i32, Place> = rows
        .into_iter()
        .map(|row| {
            let group = row.group_chat_id.and_then(|id| id.trim().parse().ok()).map(ChatId);
            let here = row.telegram_chat_id.as_deref().is_none_or(|chat| group.is_some_and(|group| chat == group.to_string()));
            let place = Place {
                dialog: DialogId(row.id),
                bot: BotId(row.bot_id),
                token: Secret::new(row.token),
                group,
                topic: row.telegram_topic_id.filter(|_| here).and_then(|id| id.parse().ok()).map(ThreadId),
                name: row.external_display_name.unwrap_or_default(),
                waiting: row.waiting,
                title: row.topic_title,
                troubled: row.troubled,
                not_before: row.not_before,
            };
            (row.id, place)
        })
        .collect();
    Ok(ids.iter().map(|id| places.get(id).cloned()).collect())
}

/// Says that a topic is going to be created: an operator may answer in it before [`topic_created`] has stored its number. Until then, or until
/// [`topic_not_created`]. When it began, by which the two know that no other run has begun meanwhile. `None`: the dialog is gone.
pub async fn topic_begins(pool: &PgPool, dialog: DialogId) -> Result<Option<DateTime<Utc>>> {
    let begun = sqlx::query_scalar!(
        r#"update personal_telegram_dialogs set topic_begun_at = clock_timestamp() where dialog_id = $1 returning topic_begun_at as "begun!""#,
        dialog.0
    );
    Ok(begun.fetch_optional(pool).await?)
}

/// Telegram refused to create the topic that `begun` at that time.
pub async fn topic_not_created(pool: &PgPool, dialog: DialogId, begun: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update personal_telegram_dialogs set topic_begun_at = null where dialog_id = $1 and topic_begun_at = $2",
        dialog.0,
        begun
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// True while a message that was `written` in the bot's working group may stand in a topic whose number is not stored yet: for 60 s at most,
/// however often creating one is tried.
pub async fn topic_may_appear(tx: &mut Tx, bot: BotId, group: ChatId, written: DateTime<Utc>) -> Result<bool> {
    let pending = sqlx::query_scalar!(
        "select $3 > now() - interval '60 seconds'
            and exists (select 1 from personal_telegram_dialogs o join dialogs d on d.id = o.dialog_id join bots b on b.id = d.bot_id
                         where d.source = 'personal_telegram' and d.bot_id = $1 and trim(b.group_chat_id) = $2 and o.topic_begun_at > now() - interval '60 seconds') as \"pending!\"",
        bot.0,
        group.to_string(),
        written
    );
    Ok(pending.fetch_one(tx.conn()).await?)
}

/// Remembers the topic that `begun` at that time. False: it is known already, or another run has begun one since, or the dialog is gone. Our row is
/// locked before the shared one, as everywhere. The first in another group, which the old system may have chosen, ends the numbers of messages in
/// the former.
pub async fn topic_created(
    pool: &PgPool,
    dialog: DialogId,
    begun: DateTime<Utc>,
    group: ChatId,
    topic: ThreadId,
    title: &str,
) -> Result<bool> {
    let done = sqlx::query!(
        "with ours as (
           update personal_telegram_dialogs set topic_title = $4, topic_begun_at = null where dialog_id = $1 and topic_begun_at = $5 returning dialog_id),
         moved as (select d.id from dialogs d join ours on ours.dialog_id = d.id where d.telegram_chat_id <> $2),
         numbers as (
           update personal_telegram_messages m set bot_message_id = null from moved
            where m.dialog_id = moved.id and not m.incoming and m.bot_message_id is not null),
         parts as (
           update personal_telegram_parts p set sent_id = null from moved join personal_telegram_messages m on m.dialog_id = moved.id
            where p.message_id = m.message_id and m.incoming and p.sent_id is not null)
         update dialogs set telegram_topic_id = $3, telegram_chat_id = $2, topic_intro_sent = true, updated_at = now() at time zone 'utc'
           from ours where id = ours.dialog_id",
        dialog.0,
        group.to_string(),
        topic.to_string(),
        title,
        begun
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets a topic that somebody deleted.
pub async fn topic_gone(pool: &PgPool, dialog: DialogId, topic: ThreadId) -> Result<()> {
    sqlx::query!(
        "with ours as (update personal_telegram_dialogs set topic_title = null where dialog_id = $1 returning dialog_id)
         update dialogs set telegram_topic_id = null, updated_at = now() at time zone 'utc'
           from ours where id = ours.dialog_id and telegram_topic_id = $2",
        dialog.0,
        topic.to_string()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// True when the bot serves a dialog in this topic of its own working group.
pub async fn is_own_topic(tx: &mut Tx, bot: BotId, group: ChatId, topic: Option<ThreadId>) -> Result<bool> {
    let known = sqlx::query_scalar!(
        "select exists (select 1 from dialogs d join bots b on b.id = d.bot_id
                         where d.source = 'personal_telegram' and d.bot_id = $1 and trim(b.group_chat_id) = $2
                           and coalesce(d.telegram_chat_id, $2) = $2 and d.telegram_topic_id = $3) as \"known!\"",
        bot.0,
        group.to_string(),
        topic.map(|topic| topic.to_string())
    );
    Ok(known.fetch_one(tx.conn()).await?)
}

/// The topic has this title now.
pub async fn topic_titled(pool: &PgPool, dialog: DialogId, title: &str) -> Result<()> {
    sqlx::query!("update personal_telegram_dialogs set topic_title = $2 where dialog_id = $1", dialog.0, title)
        .execute(pool)
        .await?;
    Ok(())
}

/// The working group became a supergroup with another id: bots and topics follow.
pub async fn group_moved(store: &Store, bot: BotId, from: ChatId, to: ChatId) -> Result<()> {
    let mut tx: Tx = store.begin().await?;
    sqlx::query!(
        "update bots set group_chat_id = $3 where id = $1 and trim(group_chat_id) = $2",
        bot.0,
        from.to_string(),
        to.to_string()
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update dialogs set telegram_chat_id = $3 where bot_id = $1 and telegram_chat_id = $2 and source = 'personal_telegram'",
        bot.0,
        from.to_string(),
        to.to_string()
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Notes whether the bot can do its work in the group; an owner sees it.
pub async fn bot_access(pool: &PgPool, bot: BotId, works: bool) -> Result<()> {
    sqlx::query!(
        "update bots set status = case when $2 then 'active'::botstatus else 'error'::botstatus end
          where id = $1 and status = case when $2 then 'error'::botstatus else 'active'::botstatus end",
        bot.0,
        works
    )
    .execute(pool)
    .await?;
    Ok(())
}
