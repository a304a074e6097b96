//! Message text as Telegram takes it: markup or explicit entities, checked, trimmed, and with the links and commands that Telegram
//! finds by itself.

use serde::Deserialize;

use super::{error::ApiError, html, params::Params};
use crate::world::message::{Entity, MentionedUser};

/// The longest text of a message, in characters after parsing.
pub const MAX_TEXT: usize = 4096;
/// Entities that are kept of one message; Telegram drops the rest, too.
const MAX_ENTITIES: usize = 100;

/// Kinds that Telegram finds by itself: it does not take them from a bot.
const FOUND: [&str; 8] = ["mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"];
/// Kinds that a bot may set.
const SET: [&str; 12] = [
    "bold",
    "italic",
    "underline",
    "strikethrough",
    "spoiler",
    "blockquote",
    "expandable_blockquote",
    "code",
    "pre",
    "text_link",
    "text_mention",
    "custom_emoji",
];

/// An entity without a target.
pub fn span(kind: &str, offset: usize, length: usize) -> Entity {
    Entity {
        kind: kind.to_owned(),
        offset: i32::try_from(offset).unwrap_or(i32::MAX),
        length: i32::try_from(length).unwrap_or(i32::MAX),
        url: None,
        language: None,
        custom_emoji_id: None,
        user: None,
    }
}

/// Reads `text` with `parse_mode` or `entities`.
///
/// # Errors
/// 400 as Telegram words it: empty, too long, unknown mode, markup or entities that make no sense.
pub fn read(params: &Params) -> Result<(String, Vec<Entity>), ApiError> {
    let text = params.text("text").unwrap_or_default();
    let mode = params.text("parse_mode").unwrap_or_default();
    let (text, mut entities) = match mode.to_ascii_lowercase().as_str() {
        "" | "none" => {
            let entities = params.json("entities")?.map(explicit).transpose()?.unwrap_or_default();
            check_bounds(&text, &entities)?;
            (text, entities)
        }
        "html" => html::parse(&text).map_err(|e| ApiError::bad_request(format!("can't parse entities: {e}")))?,
        _ => return Err(ApiError::bad_request("unsupported parse_mode")),
    };
    let text = trim(&text, &mut entities);
    if text.is_empty() {
        return Err(ApiError::bad_request("message text is empty"));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(ApiError::bad_request("message is too long"));
    }
    entities.truncate(MAX_ENTITIES);
    find(&text, &mut entities);
    Ok((text, entities))
}

/// A `MessageEntity` from outside: `user` may be a whole `User` object.
#[derive(Deserialize)]
struct GivenEntity {
    #[serde(rename = "type")]
    kind: String,
    offset: i64,
    length: i64,
    url: Option<String>,
    language: Option<String>,
    custom_emoji_id: Option<String>,
    user: Option<MentionedUser>,
}

/// Reads the parameter `entities`.
fn explicit(value: serde_json::Value) -> Result<Vec<Entity>, ApiError> {
    let broken = |what: &str| ApiError::bad_request(format!("can't parse MessageEntity: {what}"));
    let given: Vec<GivenEntity> = serde_json::from_value(value).map_err(|e| broken(&e.to_string()))?;
    let mut entities = Vec::with_capacity(given.len());
    for entity in given {
        if FOUND.contains(&entity.kind.as_str()) {
            continue;
        }
        if !SET.contains(&entity.kind.as_str()) {
            return Err(broken("Unsupported type specified"));
        }
        if !(0..=1_000_000).contains(&entity.offset) {
            return Err(broken("Receive an entity with incorrect offset"));
        }
        if !(0..=1_000_000).contains(&entity.length) {
            return Err(broken("Receive an entity with incorrect length"));
        }
        if entity.length > 0 {
            let place = span(&entity.kind, entity.offset as usize, entity.length as usize);
            let GivenEntity { url, language, custom_emoji_id, user, .. } = entity;
            entities.push(Entity { url, language, custom_emoji_id, user, ..place });
        }
    }
    entities.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
    Ok(entities)
}

/// An entity must not begin or end inside a surrogate pair.
fn check_bounds(text: &str, entities: &[Entity]) -> Result<(), ApiError> {
    if entities.is_empty() {
        return Ok(());
    }
    let mut units = 0_i32;
    for (byte, c) in text.char_indices() {
        if c.len_utf16() == 2 {
            let middle = units + 1;
            let torn =
                |what| ApiError::bad_request(format!("entity {what} in a middle of a UTF-16 symbol at byte offset {byte}"));
            if entities.iter().any(|entity| entity.offset == middle) {
                return Err(torn("begins"));
            }
            if entities.iter().any(|entity| entity.offset + entity.length == middle) {
                return Err(torn("ends"));
            }
        }
        units += c.len_utf16() as i32;
    }
    Ok(())
}

/// Removes white space at both ends and cuts the entities to what is left.
fn trim(text: &str, entities: &mut Vec<Entity>) -> String {
    let without_start = text.trim_start();
    let start = units(&text[..text.len() - without_start.len()]);
    let trimmed = without_start.trim_end();
    let length = units(trimmed);
    entities.retain_mut(|entity| {
        let from = (entity.offset - start).clamp(0, length);
        let to = (entity.offset.saturating_add(entity.length) - start).clamp(0, length);
        entity.offset = from;
        entity.length = to - from;
        to > from
    });
    trimmed.to_owned()
}

fn units(text: &str) -> i32 {
    i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX)
}

/// Adds the entities that Telegram finds in plain text: links, `/commands` and `@names`, outside of those that are there.
pub fn find(text: &str, entities: &mut Vec<Entity>) {
    let mut offset = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let found = if bare.starts_with("http://") || bare.starts_with("https://") {
            let link = bare.trim_end_matches(['.', ',', '!', '?', ';', ':', ')', '»', '"', '\'']);
            (link.len() > "https://".len()).then_some(("url", link))
        } else if bare.starts_with('/') {
            name(bare, 1, 64, true).map(|command| ("bot_command", command))
        } else if bare.starts_with('@') {
            name(bare, 4, 32, false).map(|mention| ("mention", mention))
        } else {
            None
        };
        if let Some((kind, part)) = found {
            let entity = span(kind, offset as usize, units(part) as usize);
            let free =
                |other: &Entity| other.offset + other.length <= entity.offset || entity.offset + entity.length <= other.offset;
            if entities.iter().all(free) {
                entities.push(entity);
            }
        }
        offset += units(word);
    }
    entities.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
}

/// A command or a user name behind its sign: Latin letters, digits and `_`; a command may name its bot.
fn name(word: &str, shortest: usize, longest: usize, command: bool) -> Option<&str> {
    let body = &word[1..];
    let end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    if end < shortest || end > longest {
        return None;
    }
    let whole = match (&body[end..], command) {
        (rest, true) if rest.starts_with('@') => name(rest, 3, 32, false).map_or(1 + end, |bot| 1 + end + bot.len()),
        // `/usr/bin` is a path.
        (rest, true) if rest.starts_with('/') => return None,
        _ => 1 + end,
    };
    Some(&word[..whole])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_json(value: serde_json::Value) -> Result<(String, Vec<Entity>), String> {
        let params = Params::read(None, "application/json", &value.to_string().into()).unwrap();
        read(&params).map_err(|e| e.description)
    }

    #[test]
    fn white_space_is_trimmed_and_entities_move_with_it() {
        let entities = json!([{"type": "bold", "offset": 0, "length": 5}, {"type": "italic", "offset": 4, "length": 9}]);
        let (text, entities) = read_json(json!({"text": "  😀ab  ", "entities": entities})).unwrap();
        assert_eq!(text, "😀ab");
        assert_eq!(entities, [span("bold", 0, 3), span("italic", 2, 2)]);
    }

    #[test]
    fn empty_long_and_torn_texts_are_refused_in_telegrams_words() {
        let error = |value| read_json(value).unwrap_err();
        assert_eq!(error(json!({"text": " \n "})), "Bad Request: message text is empty");
        assert_eq!(error(json!({})), "Bad Request: message text is empty");
        assert_eq!(error(json!({"text": "я".repeat(4097)})), "Bad Request: message is too long");
        assert!(read_json(json!({"text": "😀".repeat(4096)})).is_ok());
        let torn = json!({"text": "a😀", "entities": [{"type": "bold", "offset": 2, "length": 1}]});
        assert_eq!(error(torn), "Bad Request: entity begins in a middle of a UTF-16 symbol at byte offset 1");
        assert_eq!(error(json!({"text": "a", "parse_mode": "Prose"})), "Bad Request: unsupported parse_mode");
        let kind = json!({"text": "a", "entities": [{"type": "loud", "offset": 0, "length": 1}]});
        assert_eq!(error(kind), "Bad Request: can't parse MessageEntity: Unsupported type specified");
        let html = json!({"text": "<b>x", "parse_mode": "HTML"});
        assert_eq!(error(html), "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"");
    }

    #[test]
    fn links_commands_and_names_are_found() {
        let mut found = Vec::new();
        find("😀 /getid@a_bot see https://x.org/a?b=1, @somebody /usr/bin a/b", &mut found);
        assert_eq!(found, [span("bot_command", 3, 12), span("url", 20, 19), span("mention", 41, 9)]);
        let mut inside = vec![span("code", 0, 6)];
        find("/start", &mut inside);
        assert_eq!(inside, [span("code", 0, 6)]);
    }
}
