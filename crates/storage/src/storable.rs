//! What other people's text may hold and PostgreSQL cannot store: U+0000. It becomes U+FFFD, which is as long in UTF-16, so that formatting stays
//! where it is.

use serde::Serialize;

/// The text without U+0000.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Plain data as JSON without U+0000 in its strings.
pub(crate) fn json(data: &impl Serialize) -> serde_json::Value {
    fn clean(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(string) => Value::String(text(&string)),
            Value::Array(values) => values.into_iter().map(clean).collect(),
            Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, clean(value))).collect(),
            other => other,
        }
    }
    clean(serde_json::to_value(data).expect("message content is plain data"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn nul_becomes_a_replacement_of_the_same_length() {
        assert_eq!(super::text("a\0b"), "a\u{fffd}b");
        assert_eq!(super::json(&[("x\0", 1)]).to_string(), "[[\"x\u{fffd}\",1]]");
    }
}
