//! What a message carries besides text: MTProto's `MessageMedia` as our [`Attachment`].

use grammers_tl_types::{enums, types};
use tuberry_domain::content::Attachment;

/// `None` where the media adds nothing to the text (a link's preview).
pub(crate) fn attachment(media: enums::MessageMedia) -> Option<Attachment> {
    use enums::MessageMedia as M;
    Some(match media {
        M::Empty | M::WebPage(_) => return None,
        M::Photo(_) => Attachment::Photo,
        M::Document(media) => document(media),
        M::Contact(contact) => {
            let name = format!("{} {}", contact.first_name, contact.last_name).trim().to_owned();
            Attachment::Contact { name: if name.is_empty() { contact.phone_number } else { name } }
        }
        M::Geo(_) | M::GeoLive(_) | M::Venue(_) => Attachment::Location,
        M::Poll(media) => {
            let enums::Poll::Poll(poll) = media.poll;
            let enums::TextWithEntities::Entities(question) = poll.question;
            Attachment::Poll { question: question.text }
        }
        M::Dice(dice) => Attachment::Dice { emoji: dice.emoticon },
        M::Story(_) => Attachment::Story,
        M::Invoice(_) => Attachment::Invoice,
        _ => Attachment::Unsupported,
    })
}

fn document(media: types::MessageMediaDocument) -> Attachment {
    use enums::DocumentAttribute as A;
    let attributes = match media.document {
        Some(enums::Document::Document(document)) => document.attributes,
        _ => Vec::new(),
    };
    let (mut name, mut animated, mut video, mut audio) = (None, false, None, None);
    for attribute in attributes {
        match attribute {
            A::Sticker(sticker) => {
                return Attachment::Sticker { emoji: Some(sticker.alt).filter(|emoji| !emoji.is_empty()) };
            }
            A::Animated => animated = true,
            A::Video(attribute) => video = Some(attribute),
            A::Audio(attribute) => audio = Some(attribute),
            A::Filename(attribute) => name = Some(attribute.file_name),
            _ => {}
        }
    }
    if let Some(audio) = audio {
        let duration = u32::try_from(audio.duration).unwrap_or(0);
        if audio.voice || media.voice {
            return Attachment::Voice { duration };
        }
        return Attachment::Audio { title: audio.title.or(name), duration };
    }
    if animated {
        return Attachment::Animation;
    }
    if let Some(video) = video {
        // Whole seconds; a nonsensical number becomes 0.
        let duration = video.duration.round().clamp(0.0, f64::from(u32::MAX)) as u32;
        return match video.round_message || media.round {
            true => Attachment::VideoNote { duration },
            false => Attachment::Video { duration },
        };
    }
    // A self-destructing document that is gone already tells only by flags what it was.
    match media {
        types::MessageMediaDocument { voice: true, .. } => Attachment::Voice { duration: 0 },
        types::MessageMediaDocument { round: true, .. } => Attachment::VideoNote { duration: 0 },
        types::MessageMediaDocument { video: true, .. } => Attachment::Video { duration: 0 },
        _ => Attachment::Document { name },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(attributes: Vec<enums::DocumentAttribute>) -> Option<Attachment> {
        let document = types::Document {
            id: 1,
            access_hash: 1,
            file_reference: Vec::new(),
            date: 0,
            mime_type: String::new(),
            size: 1,
            thumbs: None,
            video_thumbs: None,
            dc_id: 2,
            attributes,
        };
        attachment(enums::MessageMedia::Document(types::MessageMediaDocument {
            nopremium: false,
            spoiler: false,
            video: false,
            round: false,
            voice: false,
            document: Some(document.into()),
            alt_documents: None,
            video_cover: None,
            video_timestamp: None,
            ttl_seconds: None,
        }))
    }

    fn file(name: &str) -> enums::DocumentAttribute {
        types::DocumentAttributeFilename { file_name: name.into() }.into()
    }

    fn audio(voice: bool, title: Option<&str>) -> enums::DocumentAttribute {
        let title = title.map(str::to_owned);
        types::DocumentAttributeAudio { voice, duration: 7, title, performer: None, waveform: None }.into()
    }

    fn video(round_message: bool) -> enums::DocumentAttribute {
        let (preload_prefix_size, video_start_ts, video_codec) = (None, None, None);
        types::DocumentAttributeVideo {
            round_message,
            supports_streaming: true,
            nosound: false,
            duration: 6.6,
            w: 1,
            h: 1,
            preload_prefix_size,
            video_start_ts,
            video_codec,
        }
        .into()
    }

    #[test]
    fn a_document_is_what_its_attributes_say() {
        assert_eq!(with(vec![file("a.pdf")]), Some(Attachment::Document { name: Some("a.pdf".into()) }));
        assert_eq!(with(vec![audio(true, None)]), Some(Attachment::Voice { duration: 7 }));
        assert_eq!(
            with(vec![audio(false, None), file("a.mp3")]),
            Some(Attachment::Audio { title: Some("a.mp3".into()), duration: 7 })
        );
        assert_eq!(with(vec![video(false), file("a.mp4")]), Some(Attachment::Video { duration: 7 }));
        assert_eq!(with(vec![video(true)]), Some(Attachment::VideoNote { duration: 7 }));
        assert_eq!(with(vec![video(false), enums::DocumentAttribute::Animated]), Some(Attachment::Animation));
    }

    #[test]
    fn a_links_preview_is_no_attachment_and_the_unknown_is_named_so() {
        assert_eq!(attachment(enums::MessageMedia::Empty), None);
        assert_eq!(attachment(enums::MessageMedia::Unsupported), Some(Attachment::Unsupported));
    }
}
