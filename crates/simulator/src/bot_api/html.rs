//! `parse_mode=HTML`: Telegram's small HTML dialect to text and entities, with Telegram's own complaints
//! (core.telegram.org/bots/api#html-style; wording and byte offsets follow TDLib's `parse_html`).

use super::text::span;
use crate::world::message::{Entity, MentionedUser};

/// Tags that the dialect knows; everything else is an error.
const TAGS: [&str; 16] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "span",
    "tg-spoiler",
    "tg-emoji",
    "code",
    "pre",
    "blockquote",
];

/// A tag that is still open.
struct Open {
    tag: String,
    /// `href`, `class`, `emoji-id` or `expandable`, whichever the tag uses.
    argument: String,
    /// Where its text begins: UTF-16 units, and bytes of the output.
    offset: usize,
    start: usize,
}

/// Parses `source` into plain text and its entities, sorted as Telegram sorts them (outer before inner).
///
/// # Errors
/// TDLib's sentence, to be shown after `Bad Request: can't parse entities: `.
pub fn parse(source: &str) -> Result<(String, Vec<Entity>), String> {
    let mut parser = Parser { source, at: 0, text: String::with_capacity(source.len()), units: 0 };
    let mut open: Vec<Open> = Vec::new();
    let mut entities: Vec<Entity> = Vec::new();
    while let Some(c) = parser.peek() {
        match c {
            '&' => match parser.character_reference() {
                Some(decoded) => parser.emit(decoded),
                None => {
                    parser.at += 1;
                    parser.emit('&');
                }
            },
            '<' if parser.rest().starts_with("</") => {
                parser.end_tag(open.last())?;
                if let Some(closed) = open.pop().filter(|tag| parser.units > tag.offset) {
                    close(closed, &parser, &mut entities);
                }
            }
            '<' => {
                let tag = parser.start_tag()?;
                open.push(tag);
            }
            c => {
                parser.at += c.len_utf8();
                parser.emit(c);
            }
        }
    }
    if let Some(left) = open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", left.tag));
    }
    for entity in entities.iter_mut().filter(|entity| entity.kind == "code") {
        entity.language = None;
    }
    entities.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
    Ok((parser.text, entities))
}

/// Turns a closed tag into its entity.
fn close(tag: Open, parser: &Parser<'_>, entities: &mut Vec<Entity>) {
    let mut entity = span("", tag.offset, parser.units - tag.offset);
    let kind = match tag.tag.as_str() {
        "b" | "strong" => "bold",
        "i" | "em" => "italic",
        "u" | "ins" => "underline",
        "s" | "strike" | "del" => "strikethrough",
        "span" | "tg-spoiler" => "spoiler",
        "blockquote" if tag.argument.is_empty() => "blockquote",
        "blockquote" => "expandable_blockquote",
        "tg-emoji" => {
            entity.custom_emoji_id = Some(tag.argument);
            "custom_emoji"
        }
        "code" => {
            if !tag.argument.is_empty() {
                entity.language = Some(tag.argument);
            }
            "code"
        }
        "pre" => {
            // `<pre><code class="language-x">…</code></pre>` is one entity: the inner one gives it its language.
            let inner = entities.iter().position(|e| e.kind == "code" && e.offset == entity.offset && e.length == entity.length);
            if let Some(inner) = inner {
                entity.language = entities.remove(inner).language;
            }
            "pre"
        }
        _ => {
            let url = if tag.argument.is_empty() { parser.text[tag.start..].to_owned() } else { tag.argument };
            match url.strip_prefix("tg://user?id=").and_then(|id| id.parse::<i64>().ok()) {
                Some(user) => {
                    entity.user = Some(MentionedUser { id: user, is_bot: false, first_name: String::new() });
                    "text_mention"
                }
                None if !url.contains('.') && !url.contains("://") => return,
                None => {
                    entity.url = Some(normal_url(&url));
                    "text_link"
                }
            }
        }
    };
    entity.kind = kind.to_owned();
    entities.push(entity);
}

/// Adds the scheme and the path that Telegram adds to a link.
fn normal_url(url: &str) -> String {
    let mut full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let host = full.find("://").map_or(0, |at| at + 3);
    if full.starts_with("http") && !full[host..].contains(['/', '?', '#']) {
        full.push('/');
    }
    full
}

/// The position in the source, and the text so far.
struct Parser<'a> {
    source: &'a str,
    at: usize,
    text: String,
    /// UTF-16 length of `text`.
    units: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn emit(&mut self, c: char) {
        self.text.push(c);
        self.units += c.len_utf16();
    }

    fn skip_space(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// `&lt;`, `&#60;`, `&#x3c;`…: the character, and the position behind it; `None` leaves the position alone.
    fn character_reference(&mut self) -> Option<char> {
        let rest = self.rest();
        let body = &rest[1..];
        let (decoded, length) = if let Some(number) = body.strip_prefix('#') {
            let hexadecimal = number.starts_with(['x', 'X']);
            let digits = if hexadecimal { &number[1..] } else { number };
            let radix = if hexadecimal { 16 } else { 10 };
            let count = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
            let code = u32::from_str_radix(&digits[..count], radix).ok()?;
            (char::from_u32(code).filter(|c| *c != '\0')?, 2 + usize::from(hexadecimal) + count)
        } else {
            let count = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
            let decoded = match &body[..count] {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                _ => return None,
            };
            (decoded, 1 + count)
        };
        self.at += length;
        if self.rest().starts_with(';') {
            self.at += 1;
        }
        Some(decoded)
    }

    /// Reads `<tag attribute="value">`.
    fn start_tag(&mut self) -> Result<Open, String> {
        let begin = self.at;
        self.at += 1;
        let tag = self.take_while(|c| !c.is_ascii_whitespace() && c != '>').to_ascii_lowercase();
        if self.peek().is_none() {
            return Err(format!("Unclosed start tag at byte offset {begin}"));
        }
        if !TAGS.contains(&tag.as_str()) {
            return Err(format!("Unsupported start tag \"{tag}\" at byte offset {begin}"));
        }
        let mut argument = String::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some('>') => break,
                None => return Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}")),
                Some(_) => {}
            }
            let name = self.take_while(|c| !c.is_ascii_whitespace() && c != '=' && c != '>');
            if name.is_empty() {
                return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"));
            }
            self.skip_space();
            if self.peek() != Some('=') {
                if tag == "blockquote" && name == "expandable" {
                    argument = "1".to_owned();
                    continue;
                }
                return Err(format!(
                    "Expected equal sign in declaration of an attribute of the tag \"{tag}\" at byte offset {begin}"
                ));
            }
            self.at += 1;
            self.skip_space();
            let value = self.attribute_value(&tag, begin)?;
            match (tag.as_str(), name) {
                ("a", "href") | ("tg-emoji", "emoji-id") => argument = value,
                ("code", "class") => argument = value.strip_prefix("language-").unwrap_or_default().to_owned(),
                ("span", "class") => argument = value.strip_prefix("tg-").unwrap_or_default().to_owned(),
                ("blockquote", "expandable") => argument = "1".to_owned(),
                _ => {}
            }
        }
        self.at += 1;
        if tag == "span" && argument != "spoiler" {
            return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"));
        }
        if tag == "tg-emoji" && argument.parse::<u64>().is_err() {
            return Err(format!("Invalid custom emoji identifier specified at byte offset {begin}"));
        }
        Ok(Open { tag, argument, offset: self.units, start: self.text.len() })
    }

    /// Reads the value behind an equal sign: a quoted string or a bare name.
    fn attribute_value(&mut self, tag: &str, begin: usize) -> Result<String, String> {
        let unclosed = || format!("Unclosed start tag \"{tag}\" at byte offset {begin}");
        let quote = match self.peek().ok_or_else(unclosed)? {
            quote @ ('"' | '\'') => quote,
            _ => {
                let token = self.at;
                let value = self.take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-').to_ascii_lowercase();
                return match self.peek() {
                    Some(c) if c.is_ascii_whitespace() || c == '>' => Ok(value),
                    Some(_) => Err(format!("Unexpected end of name token at byte offset {token}")),
                    None => Err(unclosed()),
                };
            }
        };
        self.at += 1;
        let mut value = String::new();
        loop {
            match self.peek().ok_or_else(unclosed)? {
                c if c == quote => break,
                '&' => match self.character_reference() {
                    Some(decoded) => value.push(decoded),
                    None => {
                        self.at += 1;
                        value.push('&');
                    }
                },
                c => {
                    self.at += c.len_utf8();
                    value.push(c);
                }
            }
        }
        self.at += 1;
        Ok(value)
    }

    /// Reads `</tag>`, which must close `innermost`.
    fn end_tag(&mut self, innermost: Option<&Open>) -> Result<(), String> {
        let begin = self.at;
        let Some(innermost) = innermost else {
            return Err(format!("Unexpected end tag at byte offset {begin}"));
        };
        self.at += 2;
        let tag = self.take_while(|c| !c.is_ascii_whitespace() && c != '>').to_ascii_lowercase();
        self.skip_space();
        if self.peek() != Some('>') {
            return Err(format!("Unclosed end tag at byte offset {begin}"));
        }
        self.at += 1;
        if !tag.is_empty() && tag != innermost.tag {
            return Err(format!(
                "Unmatched end tag at byte offset {begin}, expected \"</{}>\", found \"</{tag}>\"",
                innermost.tag
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_and_escapes_come_through() {
        let (text, entities) = parse("a &lt;b&gt; &amp;amp; &quot;q&quot; &#1046;&#x1F600; & &nope; 5 > 3").unwrap();
        assert_eq!(text, "a <b> &amp; \"q\" Ж😀 & &nope; 5 > 3");
        assert!(entities.is_empty());
    }

    #[test]
    fn nested_tags_become_entities_with_utf16_offsets_outer_first() {
        let (text, entities) = parse("😀<b>жи<i>р😀</i></b> <u>п</u><s>з</s><tg-spoiler>т</tg-spoiler>").unwrap();
        assert_eq!(text, "😀жир😀 пзт");
        let expected = [
            span("bold", 2, 5),
            span("italic", 4, 3),
            span("underline", 8, 1),
            span("strikethrough", 9, 1),
            span("spoiler", 10, 1),
        ];
        assert_eq!(entities, expected);
    }

    #[test]
    fn links_code_quotes_and_mentions_keep_their_arguments() {
        let source = "<a href=\"https://x.org/?a=1&amp;b=2\">l</a><a href='tg://user?id=7'>m</a><code class=\"language-c\">c</code>\
                      <pre><code class=\"language-rust\">fn</code></pre><blockquote expandable>q</blockquote><blockquote>r</blockquote>";
        let (text, entities) = parse(source).unwrap();
        assert_eq!(text, "lmcfnqr");
        let kinds: Vec<&str> = entities.iter().map(|e| e.kind.as_str()).collect();
        assert_eq!(kinds, ["text_link", "text_mention", "code", "pre", "expandable_blockquote", "blockquote"]);
        assert_eq!(entities[0].url.as_deref(), Some("https://x.org/?a=1&b=2"));
        assert_eq!(entities[1].user.as_ref().map(|u| u.id), Some(7));
        assert_eq!((entities[2].language.as_deref(), entities[3].language.as_deref()), (None, Some("rust")));
    }

    #[test]
    fn empty_entities_vanish_and_tags_are_case_insensitive() {
        assert_eq!(parse("<B></B>x<EM>y</>").unwrap(), ("xy".to_owned(), vec![span("italic", 1, 1)]));
    }

    #[test]
    fn errors_read_as_telegrams() {
        for (source, error) in [
            ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
            ("жx</b>", "Unexpected end tag at byte offset 3"),
            ("<b>x</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
            ("<blink>x</blink>", "Unsupported start tag \"blink\" at byte offset 0"),
            ("5<6", "Unclosed start tag at byte offset 1"),
            ("2 < 3 > 1", "Unsupported start tag \"\" at byte offset 2"),
            ("<b", "Unclosed start tag at byte offset 0"),
            ("<a href>x</a>", "Expected equal sign in declaration of an attribute of the tag \"a\" at byte offset 0"),
            ("<a =1>x</a>", "Empty attribute name in the tag \"a\" at byte offset 0"),
            ("<a href=\"x>y", "Unclosed start tag \"a\" at byte offset 0"),
            ("<a href=x/y>z</a>", "Unexpected end of name token at byte offset 8"),
            ("<b>x</b", "Unclosed end tag at byte offset 4"),
            ("<span>x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
        ] {
            assert_eq!(parse(source), Err(error.to_owned()), "{source}");
        }
    }

    #[test]
    fn every_cut_of_a_markup_is_answered_without_a_panic() {
        let source = "<b a='1'>😀&#x1F600;</b><a href=\"&amp;\">я</a></i><pre><code class=language-x>z</code></pre>";
        for (from, _) in source.char_indices() {
            for (to, _) in source.char_indices().filter(|(to, _)| *to >= from) {
                let _ = parse(&source[from..to]);
            }
        }
    }
}
