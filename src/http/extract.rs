//! What a request carries, typed. Whatever does not fit is refused with a problem in Russian before a handler runs, never with a 5xx.

use super::Problem;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny};

/// A JSON body, whatever its content type says. 400 for what is no JSON, 413 for too much, 422 for JSON of another shape.
#[derive(Debug)]
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unread_body(&rejection))?;
        // Two passes: what is no JSON at all must not be reported as a wrong field just because that came first.
        serde_json::from_slice::<IgnoredAny>(&bytes).map_err(|_| Problem::bad_request("Тело запроса не является JSON"))?;
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::invalid("Тело запроса должно быть объектом JSON"));
        }
        let wrong_field = |error: serde_json::Error| {
            Problem::invalid(format!("Неподходящее значение в запросе (строка {}, символ {})", error.line(), error.column()))
        };
        serde_json::from_slice(&bytes).map(Self).map_err(wrong_field)
    }
}

fn unread_body(rejection: &BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => too_large(),
        _ => Problem::bad_request("Тело запроса не прочитано"),
    }
}

/// 413.
pub(super) fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Запрос слишком большой")
}

/// The `{id}` of a path that names a row. What no row can have as its id names nothing: 404.
#[derive(Debug)]
pub(super) struct PathId<T>(pub T);

impl<T: From<i32>, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("Не найдено");
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        row_id(&text).map(|id| Self(T::from(id))).ok_or_else(unknown)
    }
}

/// Reads a row's id: a positive `integer` in plain digits.
pub(super) fn row_id(text: &str) -> Option<i32> {
    let plain = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&id: &i32| plain && id > 0)
}

/// Query parameters. 422 where one does not fit.
#[derive(Debug)]
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(params) =
            Query::from_request_parts(parts, state).await.map_err(|_| Problem::invalid("Неподходящий параметр в адресе"))?;
        Ok(Self(params))
    }
}

/// For `#[serde(default, deserialize_with = "given")]`: tells `null` (`Some(None)`) from a field that is not there (`None`).
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A text from a form, without space around it: 422 when it is longer than `longest` characters or holds control characters.
pub(super) fn line(text: &str, longest: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.chars().count() > longest {
        return Err(Problem::invalid(format!("Слишком длинный текст: не больше {longest} символов")));
    }
    if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
        return Err(Problem::invalid("Текст содержит недопустимые символы"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_positive_32_bit_number_in_plain_digits_names_a_row() {
        assert_eq!(row_id("7"), Some(7));
        assert_eq!(row_id("2147483647"), Some(i32::MAX));
        for text in ["", "0", "-1", "+1", "2147483648", "99999999999999999999", "1.0", "١", "7 ", "login"] {
            assert_eq!(row_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_trimmed_and_bounded() {
        assert_eq!(line("  Магазин ", 7).unwrap(), "Магазин");
        assert!(line("Магазины", 7).is_err());
        assert!(line("a\0b", 7).is_err());
    }
}
