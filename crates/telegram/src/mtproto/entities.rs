//! Formatting between MTProto's `MessageEntity` and ours. Both count in UTF-16 units.

use grammers_tl_types::{enums, types};
use tuberry_domain::text::{Entity, EntityKind, FormattedText};

/// A text with the formatting that we can carry; what Telegram finds by itself (links, mentions…) is left out.
pub(crate) fn formatted(text: String, entities: Option<Vec<enums::MessageEntity>>) -> FormattedText {
    let entities = entities.unwrap_or_default().into_iter().filter_map(from_tl).collect();
    FormattedText { text, entities }
}

fn from_tl(entity: enums::MessageEntity) -> Option<Entity> {
    use enums::MessageEntity as E;
    let (kind, offset, length) = match entity {
        E::Bold(e) => (EntityKind::Bold, e.offset, e.length),
        E::Italic(e) => (EntityKind::Italic, e.offset, e.length),
        E::Underline(e) => (EntityKind::Underline, e.offset, e.length),
        E::Strike(e) => (EntityKind::Strikethrough, e.offset, e.length),
        E::Spoiler(e) => (EntityKind::Spoiler, e.offset, e.length),
        E::Blockquote(e) if e.collapsed => (EntityKind::ExpandableBlockquote, e.offset, e.length),
        E::Blockquote(e) => (EntityKind::Blockquote, e.offset, e.length),
        E::Code(e) => (EntityKind::Code, e.offset, e.length),
        E::Pre(e) => {
            let language = Some(e.language).filter(|language| !language.is_empty());
            (EntityKind::Pre { language }, e.offset, e.length)
        }
        E::TextUrl(e) => (EntityKind::TextLink { url: e.url }, e.offset, e.length),
        E::CustomEmoji(e) => (EntityKind::CustomEmoji { custom_emoji_id: e.document_id.to_string() }, e.offset, e.length),
        _ => return None,
    };
    Some(Entity { kind, offset: usize::try_from(offset).ok()?, length: usize::try_from(length).ok()? })
}

/// The entities as `messages.sendMessage` takes them; `None` where there are none.
pub(crate) fn to_tl(entities: &[Entity]) -> Option<Vec<enums::MessageEntity>> {
    let entities: Vec<_> = entities.iter().filter_map(entity_to_tl).collect();
    (!entities.is_empty()).then_some(entities)
}

fn entity_to_tl(entity: &Entity) -> Option<enums::MessageEntity> {
    let (offset, length) = (i32::try_from(entity.offset).ok()?, i32::try_from(entity.length).ok()?);
    Some(match &entity.kind {
        EntityKind::Bold => types::MessageEntityBold { offset, length }.into(),
        EntityKind::Italic => types::MessageEntityItalic { offset, length }.into(),
        EntityKind::Underline => types::MessageEntityUnderline { offset, length }.into(),
        EntityKind::Strikethrough => types::MessageEntityStrike { offset, length }.into(),
        EntityKind::Spoiler => types::MessageEntitySpoiler { offset, length }.into(),
        EntityKind::Blockquote => types::MessageEntityBlockquote { collapsed: false, offset, length }.into(),
        EntityKind::ExpandableBlockquote => types::MessageEntityBlockquote { collapsed: true, offset, length }.into(),
        EntityKind::Code => types::MessageEntityCode { offset, length }.into(),
        EntityKind::Pre { language } => {
            types::MessageEntityPre { offset, length, language: language.clone().unwrap_or_default() }.into()
        }
        EntityKind::TextLink { url } => types::MessageEntityTextUrl { offset, length, url: url.clone() }.into(),
        EntityKind::CustomEmoji { custom_emoji_id } => {
            types::MessageEntityCustomEmoji { offset, length, document_id: custom_emoji_id.parse().ok()? }.into()
        }
        EntityKind::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_we_carry_comes_back_the_same() {
        let kinds = [
            EntityKind::Bold,
            EntityKind::Italic,
            EntityKind::Underline,
            EntityKind::Strikethrough,
            EntityKind::Spoiler,
            EntityKind::Blockquote,
            EntityKind::ExpandableBlockquote,
            EntityKind::Code,
            EntityKind::Pre { language: None },
            EntityKind::Pre { language: Some("rust".into()) },
            EntityKind::TextLink { url: "https://a.b/".into() },
            EntityKind::CustomEmoji { custom_emoji_id: "5368324170671202286".into() },
        ];
        let entities: Vec<_> = kinds.into_iter().enumerate().map(|(offset, kind)| Entity { kind, offset, length: 1 }).collect();
        assert_eq!(formatted(String::new(), to_tl(&entities)).entities, entities);
    }

    #[test]
    fn what_telegram_finds_by_itself_is_not_sent_and_broken_ranges_are_left_out() {
        let other = Entity { kind: EntityKind::Other, offset: 0, length: 1 };
        assert_eq!(to_tl(&[other]), None);
        let broken = types::MessageEntityBold { offset: -1, length: 2 }.into();
        let link = types::MessageEntityUrl { offset: 0, length: 2 }.into();
        assert!(formatted("ab".into(), Some(vec![broken, link])).entities.is_empty());
    }
}
