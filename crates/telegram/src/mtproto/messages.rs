//! MTProto's messages as the domain's [`Incoming`].

use super::attachments::attachment;
use super::entities::formatted;
use super::peers::chat_id;
use chrono::DateTime;
use grammers_tl_types::{enums, types};
use tuberry_domain::content::Attachment;
use tuberry_domain::intake::Incoming;
use tuberry_domain::text::FormattedText;
use tuberry_domain::{ChatId, ChatKind, TelegramMessageId};

/// A message to be shown; `None` for empty ones and for service messages other than calls.
pub(crate) fn incoming(message: enums::Message, self_chat: ChatId) -> Option<Incoming> {
    match message {
        enums::Message::Empty(_) => None,
        enums::Message::Message(message) => written(message, self_chat),
        enums::Message::Service(message) => service(message, self_chat),
    }
}

/// The chat of a message; `None` for empty ones that do not tell it.
pub(crate) fn message_chat(message: &enums::Message) -> Option<ChatId> {
    match message {
        enums::Message::Empty(message) => message.peer_id.as_ref().map(chat_id),
        enums::Message::Message(message) => Some(chat_id(&message.peer_id)),
        enums::Message::Service(message) => Some(chat_id(&message.peer_id)),
    }
}

/// Id and date (Unix seconds; 0 for empty ones).
pub(crate) fn message_id_and_date(message: &enums::Message) -> (i32, i32) {
    match message {
        enums::Message::Empty(message) => (message.id, 0),
        enums::Message::Message(message) => (message.id, message.date),
        enums::Message::Service(message) => (message.id, message.date),
    }
}

fn written(message: types::Message, self_chat: ChatId) -> Option<Incoming> {
    let chat = chat_id(&message.peer_id);
    let text = formatted(message.message, message.entities);
    let media = message.media.and_then(attachment);
    let attachment = media.or_else(|| text.text.is_empty().then_some(Attachment::Unsupported));
    Some(Incoming {
        chat,
        id: TelegramMessageId(message.id),
        out: message.out,
        sender: sender(message.from_id.as_ref(), message.out, chat, self_chat),
        date: DateTime::from_timestamp(message.date.into(), 0)?,
        text,
        attachment,
        reply_to: message.reply_to.as_ref().and_then(answered),
    })
}

fn service(message: types::MessageService, self_chat: ChatId) -> Option<Incoming> {
    let chat = chat_id(&message.peer_id);
    let enums::MessageAction::PhoneCall(call) = message.action else { return None };
    if chat.kind() != ChatKind::Private {
        return None;
    }
    Some(Incoming {
        chat,
        id: TelegramMessageId(message.id),
        out: message.out,
        sender: sender(message.from_id.as_ref(), message.out, chat, self_chat),
        date: DateTime::from_timestamp(message.date.into(), 0)?,
        text: FormattedText::default(),
        attachment: Some(Attachment::Call { duration: call.duration.and_then(|s| u32::try_from(s).ok()).unwrap_or(0) }),
        reply_to: None,
    })
}

fn sender(from: Option<&enums::Peer>, out: bool, chat: ChatId, self_chat: ChatId) -> ChatId {
    match from {
        Some(peer) => chat_id(peer),
        None if out && chat.kind() == ChatKind::Private => self_chat,
        None => chat,
    }
}

/// The answered message, where it stands in the same chat.
fn answered(header: &enums::MessageReplyHeader) -> Option<TelegramMessageId> {
    match header {
        enums::MessageReplyHeader::Header(header) if header.reply_to_peer_id.is_none() => {
            header.reply_to_msg_id.map(TelegramMessageId)
        }
        _ => None,
    }
}
