//! What an account's connection brings in, as rows: peers, dialogs, messages. A whole batch takes a handful of statements.

use crate::accounts::Home;
use crate::{Result, Tx, storable};
use std::collections::{BTreeMap, HashSet};
use tuberry_domain::intake::{Incoming, Peer};
use tuberry_domain::{AccountId, BotId, ChatId, DialogId, MessageId, TelegramMessageId};

/// Remembers peers. A known access hash or name is never overwritten by a missing one.
pub async fn save_peers(tx: &mut Tx, account: AccountId, peers: &[Peer]) -> Result<()> {
    let latest: BTreeMap<ChatId, &Peer> = peers.iter().map(|peer| (peer.chat, peer)).collect();
    if latest.is_empty() {
        return Ok(());
    }
    let (mut chats, mut hashes, mut names, mut usernames, mut broadcasts, mut bots) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    for peer in latest.values() {
        chats.push(peer.chat.0);
        hashes.push(peer.access_hash);
        names.push(storable::text(&peer.name));
        usernames.push(peer.username.as_deref().map(storable::text));
        broadcasts.push(peer.broadcast);
        bots.push(peer.bot);
    }
    sqlx::query!(
        "insert into personal_telegram_peers as p (account_id, chat_id, access_hash, name, username, broadcast, bot)
         select $1, u.* from unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bool[], $7::bool[]) as u
         on conflict (account_id, chat_id) do update set
           access_hash = coalesce(excluded.access_hash, p.access_hash), name = coalesce(nullif(excluded.name, ''), p.name),
           username = excluded.username, broadcast = excluded.broadcast, bot = excluded.bot
         where (p.access_hash, p.name, p.username, p.broadcast, p.bot) is distinct from
               (coalesce(excluded.access_hash, p.access_hash), coalesce(nullif(excluded.name, ''), p.name), excluded.username, excluded.broadcast, excluded.bot)",
        account.0,
        &chats,
        &hashes as &[Option<i64>],
        &names,
        &usernames as &[Option<String>],
        &broadcasts,
        &bots
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The peers of an account among `chats`, by chat.
pub async fn peers(tx: &mut Tx, account: AccountId, chats: &[ChatId]) -> Result<BTreeMap<ChatId, Peer>> {
    let chats: Vec<i64> = chats.iter().map(|chat| chat.0).collect();
    let rows = sqlx::query!(
        "select chat_id, access_hash, name, username, broadcast, bot from personal_telegram_peers where account_id = $1 and chat_id = any($2)",
        account.0,
        &chats
    )
    .fetch_all(tx.conn())
    .await?;
    let peer = |chat_id, access_hash, name, username, broadcast, bot| Peer {
        chat: ChatId(chat_id),
        access_hash,
        name,
        username,
        broadcast,
        bot,
    };
    Ok(rows
        .into_iter()
        .map(|row| (ChatId(row.chat_id), peer(row.chat_id, row.access_hash, row.name, row.username, row.broadcast, row.bot)))
        .collect())
}

/// A dialog as the intake needs it.
#[derive(Clone, Copy, Debug)]
pub struct DialogRef {
    /// Its id.
    pub id: DialogId,
    /// The customer was waiting before this batch.
    pub was_waiting: bool,
    /// It has a topic.
    pub has_topic: bool,
}

/// The dialogs of `chats`, created where they are missing. The caller holds the account's lease, so nobody else creates them.
pub async fn dialogs(
    tx: &mut Tx,
    account: AccountId,
    home: &Home,
    bot: BotId,
    chats: &BTreeMap<ChatId, Peer>,
) -> Result<BTreeMap<ChatId, DialogRef>> {
    let ids: Vec<i64> = chats.keys().map(|chat| chat.0).collect();
    let known = sqlx::query!(
        "select o.dialog_id, o.chat_id, o.waiting, d.telegram_topic_id is not null as \"has_topic!\"
           from personal_telegram_dialogs o join dialogs d on d.id = o.dialog_id
          where o.account_id = $1 and o.chat_id = any($2) order by o.dialog_id for no key update of o",
        account.0,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    let mut found: BTreeMap<ChatId, DialogRef> = known
        .into_iter()
        .map(|row| {
            (ChatId(row.chat_id), DialogRef { id: DialogId(row.dialog_id), was_waiting: row.waiting, has_topic: row.has_topic })
        })
        .collect();
    for (chat, peer) in chats {
        if found.contains_key(chat) {
            continue;
        }
        let id = create_dialog(tx, account, home, bot, peer).await?;
        found.insert(*chat, DialogRef { id, was_waiting: false, has_topic: false });
    }
    Ok(found)
}

/// Creates a dialog, or takes over the one that the old system made for the same chat.
async fn create_dialog(tx: &mut Tx, account: AccountId, home: &Home, bot: BotId, peer: &Peer) -> Result<DialogId> {
    let reference = format!("ptg:{account}:{}", peer.chat);
    let known = sqlx::query_scalar!(
        "select id from dialogs where source = 'personal_telegram' and personal_account_id = $1 and avito_dialog_id = $2 order by id limit 1",
        account.0,
        reference
    )
    .fetch_optional(tx.conn())
    .await?;
    let id = match known {
        Some(id) => id,
        None => {
            sqlx::query_scalar!(
                "insert into dialogs (created_at, client_id, project_id, source, personal_account_id, bot_id, avito_dialog_id, state, topic_intro_sent,
                        external_reference, external_display_name, external_username)
                 values (now() at time zone 'utc', $1, $2, 'personal_telegram', $3, $4, $5, 'active', false, $6, $7, $8)
                 returning id",
                home.client.0,
                home.project.0,
                account.0,
                bot.0,
                reference,
                peer.chat.to_string(),
                storable::text(&peer.name),
                peer.username.as_deref().map(storable::text)
            )
            .fetch_one(tx.conn())
            .await?
        }
    };
    sqlx::query!(
        "insert into personal_telegram_dialogs (dialog_id, account_id, chat_id) values ($1, $2, $3)",
        id,
        account.0,
        peer.chat.0
    )
    .execute(tx.conn())
    .await?;
    Ok(DialogId(id))
}

/// Which of these incoming messages are stored already.
pub async fn known_messages(
    tx: &mut Tx,
    account: AccountId,
    messages: &[&Incoming],
) -> Result<HashSet<(ChatId, TelegramMessageId)>> {
    let (chats, ids): (Vec<i64>, Vec<i32>) = messages.iter().map(|message| (message.chat.0, message.id.0)).unzip();
    let rows = sqlx::query!(
        r#"select u.chat as "chat!", u.id as "id!" from unnest($2::bigint[], $3::int[]) as u(chat, id)
            cross join lateral (select from personal_telegram_messages m
                                 where m.account_id = $1 and m.chat_id = u.chat and m.telegram_id = u.id and m.incoming limit 1) known"#,
        account.0,
        &chats,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (ChatId(row.chat), TelegramMessageId(row.id))).collect())
}

/// One incoming message with its dialog and the sender's name.
#[derive(Debug)]
pub struct NewIncoming<'a> {
    /// Its dialog.
    pub dialog: DialogId,
    /// The message.
    pub message: &'a Incoming,
    /// Text as shown in the topic, without the sender.
    pub body: String,
    /// Who wrote it.
    pub sender_name: &'a str,
}

/// Stores new messages (see [`known_messages`]) in this order and marks their dialogs as waiting. Returns their ids, in order.
pub async fn insert_messages(tx: &mut Tx, account: AccountId, messages: &[NewIncoming<'_>]) -> Result<Vec<MessageId>> {
    let dialogs: Vec<i32> = messages.iter().map(|new| new.dialog.0).collect();
    let chats: Vec<i64> = messages.iter().map(|new| new.message.chat.0).collect();
    let telegram_ids: Vec<i32> = messages.iter().map(|new| new.message.id.0).collect();
    let dates: Vec<chrono::NaiveDateTime> = messages.iter().map(|new| new.message.date.naive_utc()).collect();
    let bodies: Vec<String> = messages.iter().map(|new| storable::text(&new.body)).collect();
    let senders: Vec<String> = messages.iter().map(|new| storable::text(new.sender_name)).collect();
    let texts: Vec<String> = messages.iter().map(|new| storable::text(&new.message.text.text)).collect();
    let entities: Vec<serde_json::Value> = messages.iter().map(|new| storable::json(&new.message.text.entities)).collect();
    let attachments: Vec<Option<serde_json::Value>> =
        messages.iter().map(|new| new.message.attachment.as_ref().map(storable::json)).collect();
    let replies: Vec<Option<i32>> = messages.iter().map(|new| new.message.reply_to.map(|id| id.0)).collect();
    // One statement: at hundreds of messages a second, beginning and ending a statement costs more than what it does.
    let ids = sqlx::query_scalar!(
        r#"with new as (
             select nextval(pg_get_serial_sequence('messages', 'id'))::int as id, u.*
               from unnest($2::int[], $3::bigint[], $4::int[], $5::timestamp[], $6::text[], $7::text[], $8::text[], $9::jsonb[], $10::jsonb[], $11::int[])
                    with ordinality as u(dialog, chat, telegram, date, body, sender, text, entities, attachment, reply, place)
              order by u.place),
           shared as (
             insert into messages (id, created_at, dialog_id, direction, source_message_id, body, status, sent_at, retries, is_auto_reply, is_client_message)
             select n.id, now() at time zone 'utc', n.dialog, 'personal_telegram_in', n.telegram::text, n.body, 'pending', n.date, 0, false, true
               from new n),
           ours as (
             insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming, telegram_id, sender_name, text, entities, attachment, reply_to_message_id)
             select n.id, n.dialog, $1, n.chat, true, n.telegram, n.sender, n.text, n.entities, n.attachment,
                    coalesce((select q.message_id from personal_telegram_messages q
                               where q.account_id = $1 and q.chat_id = n.chat and q.telegram_id = n.reply order by q.message_id limit 1),
                             (select b.id from new b where b.chat = n.chat and b.telegram = n.reply limit 1))
               from new n),
           activity as (
             update dialogs set last_message_at = now() at time zone 'utc', updated_at = now() at time zone 'utc' where id = any($2)),
           waiting as (
             update personal_telegram_dialogs set waiting = true where dialog_id = any($2) and not waiting)
           select id as "id!" from new order by place"#,
        account.0,
        &dialogs,
        &chats,
        &telegram_ids,
        &dates,
        &bodies,
        &senders,
        &texts,
        &entities,
        &attachments as &[Option<serde_json::Value>],
        &replies as &[Option<i32>]
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(MessageId).collect())
}
