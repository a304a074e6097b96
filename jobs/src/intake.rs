//! From a batch of updates to rows and jobs, inside the transaction of the account's owner. Not a job itself: the owner's
//! connection calls it, checks its lease in the same transaction and commits.

use crate::mirror_message::MirrorMessage;
use crate::refresh_topic::RefreshTopic;
use crate::{enqueue_all, refresh_topic};
use std::collections::BTreeMap;
use tuberry_domain::account::Accepts;
use tuberry_domain::content::shown;
use tuberry_domain::intake::{Batch, Incoming, Peer};
use tuberry_domain::{AccountId, ChatId};
use tuberry_storage::intake::NewIncoming;
use tuberry_storage::{Error, Result, Tx, accounts, intake};

/// Stores a batch: peers, dialogs, messages, their `mirror-message` jobs, and the update state. What is stored already stays as it is. Returns how
/// many messages were new.
pub async fn store(tx: &mut Tx, account: AccountId, batch: &Batch) -> Result<usize> {
    if let Some(owner) = &batch.owner {
        accounts::introduce(tx, account, owner).await?;
    }
    intake::save_peers(tx, account, &batch.peers).await?;
    let mut fresh = 0;
    if batch.messages.iter().any(|message| !message.out) {
        fresh = store_messages(tx, account, batch).await?;
    }
    if let Some(state) = &batch.state {
        accounts::save_update_state(tx, account, state).await?;
    }
    Ok(fresh)
}

async fn store_messages(tx: &mut Tx, account: AccountId, batch: &Batch) -> Result<usize> {
    let Some(home) = accounts::home(tx, account).await? else { return Err(Error::Fenced) };
    let chats: Vec<ChatId> = batch.messages.iter().flat_map(|message| [message.chat, message.sender]).collect();
    let peers = intake::peers(tx, account, &chats).await?;
    let wanted: Vec<&Incoming> = batch.messages.iter().filter(|message| is_wanted(message, home.accepts, &peers)).collect();
    if wanted.is_empty() {
        return Ok(0);
    }
    let known = intake::known_messages(tx, account, &wanted).await?;
    let mut seen = known;
    let fresh: Vec<&Incoming> = wanted.into_iter().filter(|message| seen.insert((message.chat, message.id))).collect();
    if fresh.is_empty() {
        return Ok(0);
    }
    let Some(bot) = home.bot else {
        return Err(Error::Early("the project has no managing bot: its messages wait at Telegram"));
    };
    let addressed: BTreeMap<ChatId, Peer> = fresh.iter().map(|message| (message.chat, peer_of(message.chat, &peers))).collect();
    let dialogs = intake::dialogs(tx, account, &home, bot, &addressed).await?;
    let names: Vec<String> = fresh.iter().map(|message| peer_of(message.sender, &peers).name).collect();
    let rows: Vec<NewIncoming<'_>> = fresh
        .iter()
        .zip(&names)
        .map(|(message, name)| NewIncoming {
            dialog: dialogs[&message.chat].id,
            body: shown(&message.text, message.attachment.as_ref()).text,
            sender_name: name,
            message,
        })
        .collect();
    let ids = intake::insert_messages(tx, account, &rows).await?;
    let jobs: Vec<MirrorMessage> =
        ids.iter().zip(&rows).map(|(&message, row)| MirrorMessage { message, dialog: row.dialog }).collect();
    enqueue_all(tx, &jobs).await?;
    for dialog in dialogs.values().filter(|dialog| dialog.has_topic && !dialog.was_waiting) {
        refresh_topic::enqueue_soon(tx, RefreshTopic { dialog: dialog.id }).await?;
    }
    Ok(ids.len())
}

fn is_wanted(message: &Incoming, accepts: Accepts, peers: &BTreeMap<ChatId, Peer>) -> bool {
    let broadcast = peers.get(&message.chat).is_some_and(|peer| peer.broadcast);
    !message.out && accepts.takes(message.chat, broadcast)
}

fn peer_of(chat: ChatId, peers: &BTreeMap<ChatId, Peer>) -> Peer {
    let unknown =
        || Peer { chat, access_hash: None, name: format!("Telegram {chat}"), username: None, broadcast: false, bot: false };
    peers.get(&chat).cloned().unwrap_or_else(unknown)
}
