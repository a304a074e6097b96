//! Taking in what the old system has: its dialogs, so that operators can answer in their topics, and its incoming messages, so that none comes
//! a second time. Repeatable, and needed again after the old system has run in between: a dialog or message of its has no row of ours.

use crate::{Result, Store};

/// Ids of messages that are looked at in one transaction.
const RANGE: i32 = 20_000;
/// Dialogs that are changed in one transaction: the old system waits for it.
const TOPICS: i64 = 500;

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Dialogs.
    pub dialogs: u64,
    /// Messages.
    pub messages: u64,
}

/// Takes in what is new. The old system's worker must not run: it would go on beside us. Killed in the middle, the next call goes on.
pub async fn take_in(store: &Store) -> Result<Taken> {
    while topics(store).await? > 0 {}
    let mut taken = Taken { dialogs: dialogs(store).await?, messages: 0 };
    // A transaction that was open the last time may have committed below the mark since: the range before it is looked at again.
    let mut back = RANGE;
    while let Some(messages) = messages(store, back).await? {
        taken.messages += messages;
        back = 0;
    }
    Ok(taken)
}

/// Says in which group topics are where the old system did not: in that of their bot, as long as it has no other one. Who holds a dialog just now is
/// not waited for.
async fn topics(store: &Store) -> Result<u64> {
    let done = sqlx::query!(
        "with placeless as materialized (
           select d.id, trim(b.group_chat_id) as home
             from bots b join dialogs d on d.bot_id = b.id
            where d.source = 'personal_telegram' and d.telegram_topic_id is not null and d.telegram_chat_id is null
              and trim(b.group_chat_id) ~ '^-[0-9]+$'
            limit $1 for no key update of d skip locked)
         update dialogs d set telegram_chat_id = p.home from placeless p where d.id = p.id",
        TOPICS
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected())
}

/// Of several dialogs that the old system made for one chat, the one with a topic that was used last goes on.
async fn dialogs(store: &Store) -> Result<u64> {
    let done = sqlx::query!(
        "insert into personal_telegram_dialogs (dialog_id, account_id, chat_id, waiting)
         select distinct on (c.account, c.chat) c.id, c.account, c.chat,
                coalesce((select m.direction = 'personal_telegram_in' from messages m where m.dialog_id = c.id order by m.id desc limit 1), false)
           from (select d.id, d.personal_account_id as account, d.telegram_topic_id is not null as has_topic, d.last_message_at,
                        personal_telegram_chat_of(d.avito_dialog_id, d.external_reference) as chat
                   from dialogs d
                  where d.source = 'personal_telegram' and d.personal_account_id is not null
                    and not exists (select from personal_telegram_dialogs o where o.dialog_id = d.id)) c
          where c.chat is not null
          order by c.account, c.chat, c.has_topic desc, c.last_message_at desc nulls last,
                   (select max(m.id) from messages m where m.dialog_id = c.id) desc nulls last, c.id
         on conflict do nothing"
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected())
}

/// The next range of messages, begun `back` before the mark. `None`: that was the last one.
async fn messages(store: &Store, back: i32) -> Result<Option<u64>> {
    let mut tx = store.begin().await?;
    // Only one process at a time; who asks whether the move is finished does not wait.
    let row = sqlx::query!(
        r#"select taken_in, coalesce((select max(id) from messages), 0) as "last!" from personal_telegram_moving for no key update"#
    )
    .fetch_one(tx.conn())
    .await?;
    let from = row.taken_in.saturating_sub(back).max(0);
    let to = row.last.min(from.saturating_add(RANGE));
    if to <= from {
        return Ok(None);
    }
    // A number of the old system that is none of Telegram's is left alone.
    let done = sqlx::query!(
        "with old as materialized (
           select m.id, m.created_at, m.dialog_id, d.personal_account_id as account,
                  personal_telegram_chat_of(d.avito_dialog_id, d.external_reference) as chat,
                  substring(trim(m.source_message_id) from '^[0-9]{1,10}$')::bigint as telegram,
                  substring(trim(m.telegram_message_id) from '^[0-9]{1,18}$')::bigint as shown
             from messages m join dialogs d on d.id = m.dialog_id
            where m.id > $1 and m.id <= $2 and m.direction = 'personal_telegram_in' and d.personal_account_id is not null
              and not exists (select from personal_telegram_messages o where o.message_id = m.id)),
         taken as (
           insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming, telegram_id, created_at)
           select id, dialog_id, account, chat, true, telegram::int, created_at at time zone 'utc' from old
            where chat is not null and telegram <= 2147483647
           on conflict do nothing returning message_id),
         parts as (
           insert into personal_telegram_parts (message_id, part, state, sent_id)
           select old.id, 0, 'sent', old.shown from old join taken on taken.message_id = old.id where old.shown is not null
           on conflict do nothing)
         select count(*) as \"taken!\" from taken",
        from,
        to
    )
    .fetch_one(tx.conn())
    .await?;
    sqlx::query!("update personal_telegram_moving set taken_in = greatest(taken_in, $1)", to).execute(tx.conn()).await?;
    tx.commit().await?;
    Ok(Some(done.taken.try_into().unwrap_or_default()))
}
