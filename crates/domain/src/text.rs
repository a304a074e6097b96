//! Formatted text as it travels between a customer and the working group: a string and entities in UTF-16 units, which both
//! MTProto and the Bot API use.

use serde::{Deserialize, Serialize};

/// The longest text of one Telegram message, in UTF-16 units.
pub const MESSAGE_LIMIT: usize = 4096;

/// What an entity does to its range. The JSON form is the Bot API's `MessageEntity`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are Telegram's own")]
pub enum EntityKind {
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Blockquote,
    ExpandableBlockquote,
    Code,
    Pre {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
    },
    TextLink {
        url: String,
    },
    CustomEmoji {
        custom_emoji_id: String,
    },
    /// Anything that Telegram finds by itself (links, mentions, hashtags…) or that cannot be carried over; never sent.
    #[serde(other)]
    Other,
}

/// One formatted range of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    #[serde(flatten)]
    pub kind: EntityKind,
    /// Start in UTF-16 units.
    pub offset: usize,
    /// Length in UTF-16 units.
    pub length: usize,
}

/// A text with its formatting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormattedText {
    /// The characters.
    pub text: String,
    /// The formatting; ranges lie within the text.
    pub entities: Vec<Entity>,
}

/// Length in UTF-16 units.
pub fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

impl FormattedText {
    /// A text without formatting.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), entities: Vec::new() }
    }

    /// True when there is nothing that Telegram would show.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The same text behind `prefix`, its formatting moved along.
    #[must_use]
    pub fn prefixed(mut self, prefix: &str) -> Self {
        let shift = utf16_len(prefix);
        for entity in &mut self.entities {
            entity.offset += shift;
        }
        self.text.insert_str(0, prefix);
        self
    }

    /// Parts of at most `limit` UTF-16 units that read as the whole when put together. Cuts behind a line break, else behind a
    /// space, else anywhere between two characters; formatting that spans a cut goes on in the next part. A part that would be
    /// blank is joined with nothing and left out, as Telegram refuses blank messages.
    pub fn split(&self, limit: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let (mut rest, mut start) = (self.text.as_str(), 0);
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(cut(rest, limit));
            let end = start + utf16_len(head);
            if !head.trim().is_empty() {
                parts.push(Self { text: head.to_owned(), entities: clip(&self.entities, start, end) });
            }
            (rest, start) = (tail, end);
        }
        parts
    }
}

/// Byte index behind the last character of the first part.
fn cut(text: &str, limit: usize) -> usize {
    let (mut units, mut end) = (0, text.len());
    for (index, character) in text.char_indices() {
        units += character.len_utf16();
        if units > limit {
            end = index;
            break;
        }
    }
    if end == text.len() {
        return end;
    }
    let head = &text[..end];
    let near = |found: Option<usize>| found.map(|index| index + 1).filter(|&index| index > end / 2);
    near(head.rfind('\n')).or_else(|| near(head.rfind(' '))).unwrap_or(end.max(1))
}

fn clip(entities: &[Entity], start: usize, end: usize) -> Vec<Entity> {
    let clipped = entities.iter().filter_map(|entity| {
        let (from, to) = (entity.offset.max(start), (entity.offset + entity.length).min(end));
        (from < to).then(|| Entity { kind: entity.kind.clone(), offset: from - start, length: to - from })
    });
    clipped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bold(offset: usize, length: usize) -> Entity {
        Entity { kind: EntityKind::Bold, offset, length }
    }

    #[test]
    fn a_prefix_moves_the_formatting_by_utf16_units() {
        let text = FormattedText { text: "жирно".into(), entities: vec![bold(0, 5)] }.prefixed("💬 Ann: ");
        assert_eq!((text.text.as_str(), &text.entities[0]), ("💬 Ann: жирно", &bold(8, 5)));
    }

    #[test]
    fn a_long_text_becomes_parts_that_read_as_the_whole() {
        for text in ["x".repeat(10_000), "слово ".repeat(2_000), "строка\n".repeat(2_000), "😀".repeat(5_000)] {
            let parts = FormattedText::plain(text.clone()).split(MESSAGE_LIMIT);
            assert!(parts.iter().all(|part| utf16_len(&part.text) <= MESSAGE_LIMIT));
            assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), text);
        }
    }

    #[test]
    fn formatting_across_a_cut_goes_on_in_the_next_part() {
        let parts = FormattedText { text: "aaaa bbbb".into(), entities: vec![bold(3, 4)] }.split(5);
        assert_eq!(parts[0], FormattedText { text: "aaaa ".into(), entities: vec![bold(3, 2)] });
        assert_eq!(parts[1], FormattedText { text: "bbbb".into(), entities: vec![bold(0, 2)] });
    }

    #[test]
    fn a_short_text_is_one_part_and_a_blank_one_is_none() {
        assert_eq!(FormattedText::plain("да").split(MESSAGE_LIMIT).len(), 1);
        assert!(FormattedText::plain(" \n ").split(MESSAGE_LIMIT).is_empty());
    }

    #[test]
    fn entities_have_the_bot_apis_json_form() {
        let json =
            r#"[{"type":"text_link","url":"https://a.b/","offset":0,"length":2},{"type":"hashtag","offset":3,"length":1}]"#;
        let entities: Vec<Entity> = serde_json::from_str(json).unwrap();
        assert_eq!(entities[0].kind, EntityKind::TextLink { url: "https://a.b/".into() });
        assert_eq!(entities[1].kind, EntityKind::Other);
    }
}
