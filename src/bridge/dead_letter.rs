//! What stands in `tuberry:personal:dead`: the element as it came, and why it was not carried out.

use super::lists::Element;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use tuberry_domain::MessageId;
use tuberry_domain::personal_task::Refusal;

#[derive(Serialize)]
struct DeadLetter<'a> {
    reason: &'static str,
    message_db_id: Option<MessageId>,
    at: String,
    /// Its length in bytes, where only the beginning is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_from: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    element: Option<&'a str>,
    /// Of one that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    element_base64: Option<String>,
}

/// The letter as JSON.
pub(super) fn letter(element: &Element, refusal: Refusal, message: Option<MessageId>) -> String {
    let text = std::str::from_utf8(&element.bytes).ok();
    let letter = DeadLetter {
        reason: refusal.code(),
        message_db_id: message,
        at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        cut_from: element.too_large().then_some(element.length),
        element: text,
        element_base64: text.is_none().then(|| BASE64_STANDARD.encode(&element.bytes)),
    };
    serde_json::to_string(&letter).expect("a letter is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::lists::LARGEST;
    use serde_json::{Value, json};

    fn read(bytes: &[u8], length: usize) -> Value {
        let element = Element { bytes: bytes.to_vec(), length };
        serde_json::from_str(&letter(&element, Refusal::Malformed, Some(MessageId(3)))).unwrap()
    }

    #[test]
    fn a_letter_holds_the_element_and_the_reason() {
        let whole = read(b"{\"type\":", 8);
        assert_eq!(
            (&whole["element"], &whole["reason"], &whole["message_db_id"]),
            (&json!("{\"type\":"), &json!("malformed"), &json!(3))
        );
        assert!(whole["at"].as_str().unwrap().ends_with('Z') && whole.get("cut_from").is_none());
        let bytes = read(&[0xff, 0xfe], 2);
        assert_eq!((&bytes["element_base64"], bytes.get("element")), (&json!("//4="), None));
        assert_eq!(read(b"[", LARGEST + 1)["cut_from"], LARGEST + 1);
    }
}
