//! Formatting: between the Bot API's JSON names, in which the world keeps it, and TL.

use crate::world::message::{Entity, MentionedUser};
use grammers_tl_types::{enums, types};

/// Entities in TL; kinds that TL does not know are left out.
pub fn to_tl(entities: &[Entity]) -> Option<Vec<enums::MessageEntity>> {
    let list: Vec<_> = entities.iter().filter_map(one_to_tl).collect();
    (!list.is_empty()).then_some(list)
}

fn one_to_tl(entity: &Entity) -> Option<enums::MessageEntity> {
    let (offset, length) = (entity.offset, entity.length);
    Some(match entity.kind.as_str() {
        "mention" => types::MessageEntityMention { offset, length }.into(),
        "hashtag" => types::MessageEntityHashtag { offset, length }.into(),
        "cashtag" => types::MessageEntityCashtag { offset, length }.into(),
        "bot_command" => types::MessageEntityBotCommand { offset, length }.into(),
        "url" => types::MessageEntityUrl { offset, length }.into(),
        "email" => types::MessageEntityEmail { offset, length }.into(),
        "phone_number" => types::MessageEntityPhone { offset, length }.into(),
        "bold" => types::MessageEntityBold { offset, length }.into(),
        "italic" => types::MessageEntityItalic { offset, length }.into(),
        "underline" => types::MessageEntityUnderline { offset, length }.into(),
        "strikethrough" => types::MessageEntityStrike { offset, length }.into(),
        "spoiler" => types::MessageEntitySpoiler { offset, length }.into(),
        "code" => types::MessageEntityCode { offset, length }.into(),
        "blockquote" => types::MessageEntityBlockquote { collapsed: false, offset, length }.into(),
        "expandable_blockquote" => types::MessageEntityBlockquote { collapsed: true, offset, length }.into(),
        "pre" => {
            let language = entity.language.clone().unwrap_or_default();
            types::MessageEntityPre { offset, length, language }.into()
        }
        "text_link" => types::MessageEntityTextUrl { offset, length, url: entity.url.clone()? }.into(),
        "text_mention" => types::MessageEntityMentionName { offset, length, user_id: entity.user.as_ref()?.id }.into(),
        "custom_emoji" => {
            let document_id = entity.custom_emoji_id.as_ref()?.parse().ok()?;
            types::MessageEntityCustomEmoji { offset, length, document_id }.into()
        }
        _ => return None,
    })
}

/// Entities of a client's message. Kinds without a name in the Bot API are left out; `me` is whom `inputUserSelf` means.
pub fn from_tl(entities: Vec<enums::MessageEntity>, me: i64) -> Vec<Entity> {
    entities.into_iter().filter_map(|entity| one_from_tl(entity, me)).collect()
}

fn one_from_tl(entity: enums::MessageEntity, me: i64) -> Option<Entity> {
    use enums::MessageEntity as E;
    let plain = |kind: &str, offset, length| Entity {
        kind: kind.to_owned(),
        offset,
        length,
        url: None,
        language: None,
        custom_emoji_id: None,
        user: None,
    };
    let mention = |offset, length, id| {
        let user = Some(MentionedUser { id, is_bot: false, first_name: String::new() });
        Entity { user, ..plain("text_mention", offset, length) }
    };
    Some(match entity {
        E::Mention(e) => plain("mention", e.offset, e.length),
        E::Hashtag(e) => plain("hashtag", e.offset, e.length),
        E::Cashtag(e) => plain("cashtag", e.offset, e.length),
        E::BotCommand(e) => plain("bot_command", e.offset, e.length),
        E::Url(e) => plain("url", e.offset, e.length),
        E::Email(e) => plain("email", e.offset, e.length),
        E::Phone(e) => plain("phone_number", e.offset, e.length),
        E::Bold(e) => plain("bold", e.offset, e.length),
        E::Italic(e) => plain("italic", e.offset, e.length),
        E::Underline(e) => plain("underline", e.offset, e.length),
        E::Strike(e) => plain("strikethrough", e.offset, e.length),
        E::Spoiler(e) => plain("spoiler", e.offset, e.length),
        E::Code(e) => plain("code", e.offset, e.length),
        E::Blockquote(e) if e.collapsed => plain("expandable_blockquote", e.offset, e.length),
        E::Blockquote(e) => plain("blockquote", e.offset, e.length),
        E::Pre(e) => {
            Entity { language: Some(e.language).filter(|language| !language.is_empty()), ..plain("pre", e.offset, e.length) }
        }
        E::TextUrl(e) => Entity { url: Some(e.url), ..plain("text_link", e.offset, e.length) },
        E::MentionName(e) => mention(e.offset, e.length, e.user_id),
        E::InputMessageEntityMentionName(e) => match e.user_id {
            enums::InputUser::User(user) => mention(e.offset, e.length, user.user_id),
            enums::InputUser::UserSelf => mention(e.offset, e.length, me),
            _ => return None,
        },
        E::CustomEmoji(e) => {
            Entity { custom_emoji_id: Some(e.document_id.to_string()), ..plain("custom_emoji", e.offset, e.length) }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_survives_the_way_to_tl_and_back() {
        let json = r#"[{"type":"bold","offset":0,"length":2},{"type":"text_link","offset":1,"length":3,"url":"https://e.org"},
            {"type":"pre","offset":4,"length":1,"language":"rust"},{"type":"pre","offset":5,"length":1},
            {"type":"expandable_blockquote","offset":0,"length":9},{"type":"custom_emoji","offset":0,"length":2,"custom_emoji_id":"77"}]"#;
        let entities: Vec<Entity> = serde_json::from_str(json).unwrap();
        assert_eq!(from_tl(to_tl(&entities).unwrap(), 1), entities);
        assert!(to_tl(&[]).is_none());
    }
}
