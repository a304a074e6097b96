//! `messages.sendMessage`, raw: grammers' own client cannot set the `random_id` that makes a repeat harmless.

use super::calls::Calls;
use super::entities::to_tl;
use super::peers::input_peer;
use grammers_tl_types::{enums, functions, types};
use tuberry_domain::TelegramMessageId;
use tuberry_domain::ports::{CallError, OutgoingText, Sent};

pub(crate) async fn send_text(calls: &Calls, message: &OutgoingText) -> Result<Sent, CallError> {
    match calls.invoke(&request(message)).await {
        Ok(updates) => Ok(Sent { id: sent_id(&updates, message.random_id).map(TelegramMessageId) }),
        Err(CallError::Rpc(error)) if error.name == "RANDOM_ID_DUPLICATE" => Ok(Sent { id: None }),
        Err(error) => Err(error),
    }
}

fn request(message: &OutgoingText) -> functions::messages::SendMessage {
    functions::messages::SendMessage {
        no_webpage: false,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: input_peer(&message.peer),
        reply_to: message.reply_to.map(|id| {
            types::InputReplyToMessage {
                reply_to_msg_id: id.0,
                top_msg_id: None,
                reply_to_peer_id: None,
                quote_text: None,
                quote_entities: None,
                quote_offset: None,
                monoforum_peer_id: None,
                todo_item_id: None,
                poll_option: None,
            }
            .into()
        }),
        message: message.text.text.clone(),
        random_id: message.random_id,
        reply_markup: None,
        entities: to_tl(&message.text.entities),
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

/// The message's id out of the answer: told by its `random_id`, or as the short form, or the one new message in it.
fn sent_id(updates: &enums::Updates, random_id: i64) -> Option<i32> {
    let updates = match updates {
        enums::Updates::UpdateShortSentMessage(sent) => return Some(sent.id),
        enums::Updates::Updates(updates) => &updates.updates,
        enums::Updates::Combined(updates) => &updates.updates,
        enums::Updates::UpdateShort(short) => std::slice::from_ref(&short.update),
        _ => return None,
    };
    let by_random_id = updates.iter().find_map(|update| match update {
        enums::Update::MessageId(update) if update.random_id == random_id => Some(update.id),
        _ => None,
    });
    by_random_id.or_else(|| {
        updates.iter().find_map(|update| match update {
            enums::Update::NewMessage(update) => Some(update.message.id()),
            enums::Update::NewChannelMessage(update) => Some(update.message.id()),
            _ => None,
        })
    })
}
