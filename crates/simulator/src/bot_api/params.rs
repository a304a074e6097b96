//! Parameters of a Bot API call, from wherever the client put them: the query string, a URL-encoded form, a
//! multipart form or a JSON object (core.telegram.org/bots/api#making-requests).

use axum::body::Bytes;
use serde_json::{Map, Value};

use super::{error::ApiError, multipart};

/// The largest request body that is read; text calls need a few kilobytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// Named parameters. A form carries everything as text, JSON as itself; the accessors take both.
#[derive(Default)]
pub struct Params(Map<String, Value>);

impl Params {
    /// Reads the parameters of one request.
    ///
    /// # Errors
    /// 400 for a JSON body that is not an object, and for a form that cannot be read.
    pub fn read(query: Option<&str>, content_type: &str, body: &Bytes) -> Result<Self, ApiError> {
        let mut params = Map::new();
        form(query.unwrap_or_default(), &mut params);
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            _ if body.is_empty() => {}
            "application/json" => match serde_json::from_slice(body) {
                Ok(Value::Object(object)) => params.extend(object),
                _ => return Err(ApiError::bad_request("can't parse the request: the body is not a JSON object")),
            },
            "multipart/form-data" => {
                for (name, value) in multipart::text_fields(content_type, body).map_err(ApiError::bad_request)? {
                    params.insert(name, Value::String(value));
                }
            }
            _ => match std::str::from_utf8(body) {
                Ok(text) => form(text, &mut params),
                Err(_) => return Err(ApiError::bad_request("strings must be encoded in UTF-8")),
            },
        }
        Ok(Self(params))
    }

    /// All parameters as they came, for the request log.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether the parameter was given at all.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text; numbers and booleans are written out.
    pub fn text(&self, name: &str) -> Option<String> {
        Some(match self.get(name)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// A number. Like Telegram's server, what is not a number counts as 0.
    pub fn number(&self, name: &str) -> Option<i64> {
        Some(match self.get(name)? {
            Value::Number(number) => number.as_i64().unwrap_or(0),
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.trim().parse().unwrap_or(0),
            _ => 0,
        })
    }

    /// `true`, `yes` and `1` are true, everything else is false.
    pub fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1"),
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            _ => false,
        }
    }

    /// A JSON value; in forms it is text that holds JSON.
    ///
    /// # Errors
    /// 400 when the text is not JSON.
    pub fn json(&self, name: &str) -> Result<Option<Value>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| ApiError::bad_request(format!("can't parse {} JSON object", name.replace('_', " ")))),
            Some(other) => Ok(Some(other.clone())),
        }
    }
}

/// Adds the pairs of `a=1&b=2` (application/x-www-form-urlencoded).
fn form(encoded: &str, into: &mut Map<String, Value>) {
    for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        into.insert(decode(name), Value::String(decode(value)));
    }
}

/// Percent-decoding, with `+` for a space; what is not UTF-8 becomes U+FFFD.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hexadecimal = |offset: usize| bytes.get(at + offset).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], hexadecimal(1), hexadecimal(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_json_give_the_same_parameters() {
        let form = Params::read(
            None,
            "application/x-www-form-urlencoded",
            &Bytes::from_static(b"chat_id=-1001&text=%D0%9F%2B+%F0%9F%98%80&ok=True&list=%5B1%5D"),
        )
        .unwrap();
        let json = Params::read(
            None,
            "application/json; charset=utf-8",
            &Bytes::from(r#"{"chat_id":-1001,"text":"П+ 😀","ok":true,"list":[1]}"#),
        )
        .unwrap();
        for params in [form, json] {
            assert_eq!(params.number("chat_id"), Some(-1001));
            assert_eq!(params.text("text").as_deref(), Some("П+ 😀"));
            assert!(params.flag("ok"));
            assert_eq!(params.json("list").unwrap(), Some(serde_json::json!([1])));
        }
    }

    #[test]
    fn the_query_is_read_and_the_body_wins() {
        let params = Params::read(Some("a=1&b=2"), "", &Bytes::from_static(b"b=3")).unwrap();
        assert_eq!((params.number("a"), params.number("b"), params.number("c")), (Some(1), Some(3), None));
    }

    #[test]
    fn a_json_body_that_is_no_object_is_an_error() {
        for body in ["[1]", "{", "\"x\""] {
            assert_eq!(Params::read(None, "application/json", &Bytes::from(body)).err().map(|e| e.code), Some(400));
        }
    }
}
