//! `POST /control/messages`: somebody writes to somebody, from a phone that is not simulated any further.

use super::{Body, ControlError};
use crate::mtproto::push;
use crate::world::delivery::{Draft, ReplyTo};
use crate::world::mailbox::Stored;
use crate::world::message::{Entity, Media};
use crate::world::peer::Peer;
use crate::world::{Shared, World};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

/// Attachments of one album.
const ALBUM: std::ops::RangeInclusive<usize> = 2..=10;
/// Kinds of attachments.
const KINDS: [&str; 12] = [
    "photo",
    "video",
    "voice",
    "audio",
    "document",
    "sticker",
    "animation",
    "video_note",
    "contact",
    "location",
    "poll",
    "unsupported",
];

/// The routes of this file.
pub fn router() -> Router<Shared> {
    Router::new().route("/control/messages", post(send))
}

#[derive(Deserialize)]
struct Send {
    from: i64,
    to: i64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    entities: Vec<Entity>,
    media: Option<NewMedia>,
    reply_to: Option<i32>,
    album: Option<Vec<NewMedia>>,
}

/// An attachment in a request: with its bytes, or with a size alone.
#[derive(Deserialize)]
pub struct NewMedia {
    kind: String,
    mime: Option<String>,
    name: Option<String>,
    size: Option<i64>,
    duration: Option<i32>,
    bytes_base64: Option<String>,
}

impl NewMedia {
    /// The attachment as the world keeps it. Its bytes are checked and counted; what is kept is their number.
    pub fn media(self, world: &mut World) -> Result<Media, ControlError> {
        if !KINDS.contains(&self.kind.as_str()) {
            return Err(ControlError::bad(format!("unknown media kind; there are: {}", KINDS.join(", "))));
        }
        let size = match self.bytes_base64 {
            Some(text) => STANDARD.decode(text).map_err(|e| ControlError::bad(e.to_string()))?.len() as i64,
            None => self.size.unwrap_or(1),
        };
        if !(0..=4_000_000_000).contains(&size) {
            return Err(ControlError::bad("FILE_SIZE_INVALID"));
        }
        let mime = self.mime.unwrap_or_else(|| default_mime(&self.kind).to_owned());
        let file = world.ids.next_origin() as i64;
        Ok(Media { kind: self.kind, mime, name: self.name, size, duration: self.duration, file })
    }
}

fn default_mime(kind: &str) -> &'static str {
    match kind {
        "photo" => "image/jpeg",
        "video" | "animation" | "video_note" => "video/mp4",
        "voice" => "audio/ogg",
        "audio" => "audio/mpeg",
        "sticker" => "image/webp",
        _ => "application/octet-stream",
    }
}

async fn send(State(shared): State<Shared>, Body(q): Body<Send>) -> Result<Json<Value>, ControlError> {
    let to = Peer::from_marked(q.to).ok_or_else(|| ControlError::bad("PEER_ID_INVALID"))?;
    let mut world = shared.lock();
    let (attached, album) = match (q.media, q.album) {
        (Some(_), Some(_)) => return Err(ControlError::bad("either media or album")),
        (None, None) => (vec![None], None),
        (Some(media), None) => (vec![Some(media.media(&mut world)?)], None),
        (None, Some(list)) => {
            if !ALBUM.contains(&list.len()) {
                return Err(ControlError::bad("an album has 2 to 10 attachments"));
            }
            let album = Some(world.ids.next_origin() as i64);
            let media: Result<Vec<_>, _> = list.into_iter().map(|media| media.media(&mut world).map(Some)).collect();
            (media?, album)
        }
    };
    let mut ids = Vec::new();
    let mut caption = Some((q.text, q.entities));
    for media in attached {
        let (text, entities) = caption.take().unwrap_or_default();
        // `reply_to` is numbered like the answer's ids: as the addressee numbers messages.
        let numbered_by = if let Peer::User(user) = to { user } else { addressee(&world, q.to, q.from) };
        let reply_to = q.reply_to.map(|id| ReplyTo { user: numbered_by, id });
        let draft = Draft { text, entities, media, reply_to, album, random_id: None };
        ids.push(push::send(&mut world, q.from, to, draft, None).map_err(ControlError::bad)?.addressee_id());
    }
    Ok(Json(json!({ "ids": ids })))
}

/// The first other member of a chat.
fn addressee(world: &World, chat: i64, from: i64) -> i64 {
    let members = world.chats.get(&chat).map(|chat| chat.members.as_slice()).unwrap_or_default();
    members.iter().copied().find(|member| *member != from).unwrap_or(from)
}

/// A message as `viewer` sees it.
pub fn shown(stored: &Stored, viewer: i64) -> Value {
    let mut message = stored.message.clone();
    message.out = message.out || message.from == viewer;
    json!(message)
}
