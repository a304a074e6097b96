//! Dialogs that get another bot or another working group. Topics and message numbers mean something in one group only: numbers of the
//! former group must not be taken for messages of the new one.

use crate::{Result, Tx};
use tuberry_domain::{BotId, ChatId, ProjectId};

/// Locks the dialogs that are going to follow a project to its new bot: before the project, as an account's intake does.
pub(crate) async fn lock_followers(tx: &mut Tx, project: ProjectId, bot: BotId) -> Result<()> {
    sqlx::query!(
        "select o.dialog_id from personal_telegram_dialogs o join dialogs d on d.id = o.dialog_id
          where d.project_id = $1 and d.source = 'personal_telegram' and d.bot_id <> $2 order by o.dialog_id for no key update of o",
        project.0,
        bot.0
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(())
}

/// A project's dialogs follow it to its new bot. Their topics stay where both bots work in the same group; anywhere else the next
/// message makes a new one.
pub(crate) async fn follow_bot(tx: &mut Tx, project: ProjectId, bot: BotId) -> Result<()> {
    sqlx::query!(
        "with moved as (
           update dialogs d set bot_id = b.id,
                  telegram_topic_id = case when d.telegram_chat_id = trim(b.group_chat_id) then d.telegram_topic_id end,
                  telegram_chat_id = case when d.telegram_chat_id = trim(b.group_chat_id) then d.telegram_chat_id end,
                  updated_at = now() at time zone 'utc'
             from bots b
            where b.id = $2 and d.project_id = $1 and d.source = 'personal_telegram' and d.bot_id <> b.id
           returning d.id, d.telegram_chat_id is null as elsewhere),
         numbers as (
           update personal_telegram_messages m set bot_message_id = null from moved
            where m.dialog_id = moved.id and moved.elsewhere and not m.incoming and m.bot_message_id is not null),
         parts as (
           update personal_telegram_parts p set sent_id = null from moved join personal_telegram_messages m on m.dialog_id = moved.id
            where p.message_id = m.message_id and moved.elsewhere and m.incoming and p.sent_id is not null)
         update personal_telegram_dialogs o set topic_title = null from moved where o.dialog_id = moved.id and moved.elsewhere",
        project.0,
        bot.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A bot is about to leave its group: topics of the old system's that do not say in which group they are stand in this one.
pub(crate) async fn leave_group(tx: &mut Tx, bot: BotId) -> Result<()> {
    sqlx::query!(
        "update dialogs d set telegram_chat_id = trim(b.group_chat_id) from bots b
          where b.id = $1 and d.bot_id = $1 and d.source = 'personal_telegram' and d.telegram_topic_id is not null
            and d.telegram_chat_id is null and trim(b.group_chat_id) ~ '^-[0-9]+$'",
        bot.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A bot works in `group` from now on. Its dialogs' topics in another group are left as they are (they are found again if the bot
/// returns before a new one was made), but the numbers of messages there are forgotten.
pub(crate) async fn follow_group(tx: &mut Tx, bot: BotId, group: ChatId) -> Result<()> {
    sqlx::query!(
        "with elsewhere as (
           select id from dialogs where bot_id = $1 and source = 'personal_telegram' and telegram_chat_id <> $2),
         parts as (
           update personal_telegram_parts p set sent_id = null from elsewhere d join personal_telegram_messages m on m.dialog_id = d.id
            where p.message_id = m.message_id and m.incoming and p.sent_id is not null)
         update personal_telegram_messages m set bot_message_id = null from elsewhere d
          where m.dialog_id = d.id and not m.incoming and m.bot_message_id is not null",
        bot.0,
        group.to_string()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
