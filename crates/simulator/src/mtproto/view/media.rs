//! Attachments in TL: photos, and documents with the attributes that make them voice messages, stickers and so on.

use super::{minimal, no_flags};
use crate::world::message::Media;
use grammers_tl_types::{Serializable, enums, types};

/// Where files are said to lie.
const FILE_DC: i32 = 4;

/// An attachment as clients see it.
pub fn media(media: &Media, date: i64) -> enums::MessageMedia {
    match media.kind.as_str() {
        "photo" => photo(media, date),
        "contact" => types::MessageMediaContact {
            phone_number: "+10000000000".into(),
            first_name: media.name.clone().unwrap_or_default(),
            last_name: String::new(),
            vcard: String::new(),
            user_id: 0,
        }
        .into(),
        "location" => {
            let geo: types::GeoPoint = minimal(|b| {
                no_flags(b);
                37.62f64.serialize(b);
                55.75f64.serialize(b);
                0i64.serialize(b);
            });
            types::MessageMediaGeo { geo: geo.into() }.into()
        }
        "poll" | "unsupported" => enums::MessageMedia::Unsupported,
        _ => document(media, date),
    }
}

fn photo(media: &Media, date: i64) -> enums::MessageMedia {
    let size: enums::PhotoSize = types::PhotoSize { r#type: "x".into(), w: 800, h: 600, size: media.size as i32 }.into();
    let photo: types::Photo = minimal(|b| {
        no_flags(b);
        media.file.serialize(b);
        media.file.serialize(b);
        reference(media).serialize(b);
        (date as i32).serialize(b);
        vec![size].serialize(b);
        FILE_DC.serialize(b);
    });
    let mut tl: types::MessageMediaPhoto = minimal(no_flags);
    tl.photo = Some(photo.into());
    tl.into()
}

fn document(media: &Media, date: i64) -> enums::MessageMedia {
    let document: types::Document = minimal(|b| {
        no_flags(b);
        media.file.serialize(b);
        media.file.serialize(b);
        reference(media).serialize(b);
        (date as i32).serialize(b);
        media.mime.serialize(b);
        media.size.serialize(b);
        FILE_DC.serialize(b);
        attributes(media).serialize(b);
    });
    let mut tl: types::MessageMediaDocument = minimal(no_flags);
    tl.document = Some(document.into());
    tl.voice = media.kind == "voice";
    tl.round = media.kind == "video_note";
    tl.video = matches!(media.kind.as_str(), "video" | "video_note");
    tl.into()
}

fn reference(media: &Media) -> Vec<u8> {
    media.file.to_be_bytes().to_vec()
}

fn attributes(media: &Media) -> Vec<enums::DocumentAttribute> {
    let duration = media.duration.unwrap_or_default();
    let mut list = Vec::new();
    match media.kind.as_str() {
        "voice" | "audio" => list.push(
            types::DocumentAttributeAudio {
                voice: media.kind == "voice",
                duration,
                title: None,
                performer: None,
                waveform: None,
            }
            .into(),
        ),
        "video" | "video_note" | "animation" => {
            let mut video: types::DocumentAttributeVideo = minimal(|b| {
                no_flags(b);
                f64::from(duration).serialize(b);
                640i32.serialize(b);
                360i32.serialize(b);
            });
            video.round_message = media.kind == "video_note";
            list.push(video.into());
            if media.kind == "animation" {
                list.push(enums::DocumentAttribute::Animated);
            }
        }
        "sticker" => {
            list.push(types::DocumentAttributeImageSize { w: 512, h: 512 }.into());
            let alt = media.name.clone().unwrap_or_else(|| "🙂".into());
            let stickerset = enums::InputStickerSet::Empty;
            list.push(types::DocumentAttributeSticker { mask: false, alt, stickerset, mask_coords: None }.into());
        }
        _ => {}
    }
    if let Some(file_name) = media.name.clone().filter(|_| media.kind != "sticker") {
        list.push(types::DocumentAttributeFilename { file_name }.into());
    }
    list
}
