//! What a request carries, typed. Whatever does not fit is refused with a problem in Russian before a handler runs, never with a 5xx.

use super::Problem;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, Visitor};
use std::fmt;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Required};

/// A JSON object as body. 415 where its content type says something else, 400 for what is no JSON, 413 for too much, 422 for JSON of another shape.
#[derive(Debug)]
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !may_be_json(request.headers()) {
            let wanted = "Тело запроса должно быть JSON: укажите Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, wanted));
        }
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

/// Whether the content type says JSON, or nothing.
fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return true };
    let Ok(content_type) = content_type.to_str() else { return false };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
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

impl<T> IntoParams for PathId<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)));
        vec![in_path("id", id.minimum(Some(1)))]
    }
}

/// A parameter of a path, for the description of the interface.
pub(super) fn in_path(name: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.schema(Some(schema)).build()
}

/// A row's id in a body or a query: 422 for what no row can have.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowId<T>(pub T);

impl<'de, T: From<i32>> Deserialize<'de> for RowId<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i32(WholeNumber).map(|id| Self(T::from(id)))
    }
}

/// Takes `7`, and `7.0` as well: to JSON they are one number.
struct WholeNumber;

impl Visitor<'_> for WholeNumber {
    type Value = i32;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a row's id")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i32, E> {
        i32::try_from(number).ok().filter(|&id| id > 0).ok_or_else(|| E::custom("not a row's id"))
    }

    fn visit_i32<E: Error>(self, number: i32) -> Result<i32, E> {
        self.visit_i64(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i32, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i32, E> {
        // Beyond an id's range the conversion gives a bound of `i64`, which is none either.
        if number.fract() == 0.0 { self.visit_i64(number as i64) } else { Err(E::custom("not a whole number")) }
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
        let unfit = || Problem::invalid("Неподходящий параметр в адресе");
        if !is_well_encoded(parts.uri.query().unwrap_or_default()) {
            return Err(unfit());
        }
        let Query(params) = Query::from_request_parts(parts, state).await.map_err(|_| unfit())?;
        Ok(Self(params))
    }
}

/// Whether every `%` begins an encoded byte and all bytes together are UTF-8: what is read leniently is not what was meant.
fn is_well_encoded(query: &str) -> bool {
    let mut decoded = Vec::with_capacity(query.len());
    let mut parts = query.split('%');
    decoded.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return false };
        decoded.push(byte);
        decoded.extend_from_slice(&part.as_bytes()[2..]);
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// For `#[serde(default, deserialize_with = "given")]`: tells `null` (`Some(None)`) from a field that is not there (`None`).
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A text from a form, without space around it: 422 when it came longer than `longest` characters or holds control characters.
pub(super) fn line(text: &str, longest: usize) -> Result<String, Problem> {
    if text.chars().count() > longest {
        return Err(Problem::invalid(format!("Слишком длинный текст: не больше {longest} символов")));
    }
    let text = text.trim();
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
    fn a_whole_number_in_any_notation_is_an_id() {
        let read = |text: &str| serde_json::from_str::<RowId<i32>>(text).ok().map(|id| id.0);
        for (text, id) in [("7", 7), ("7.0", 7), ("2.1e1", 21), ("2147483647", i32::MAX)] {
            assert_eq!(read(text), Some(id), "{text}");
        }
        for text in ["0", "-1", "1.5", "1e-1", "2147483648", "1e10", "1e300", "18446744073709551615", "\"7\"", "null", "true"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_content_type_says_json_or_nothing() {
        let may = |kind: &str| may_be_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]));
        assert!(may_be_json(&HeaderMap::new()));
        assert!(["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"].into_iter().all(may));
        let others = ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "image/svg+xml", "json"];
        assert!(!others.into_iter().any(may));
    }

    #[test]
    fn a_query_is_encoded_well_or_refused() {
        assert!(["", "a=1&b=%D0%B0+%25%00", "a", "error=%f0%9f%98%80"].into_iter().all(is_well_encoded));
        assert!(!["a=%", "a=%2", "a=%zz", "a=%+1", "a=%ff", "a=%D0&b=%B0", "a=%f0%9f%98"].into_iter().any(is_well_encoded));
    }

    #[test]
    fn a_text_is_trimmed_and_bounded() {
        assert_eq!(line("  Магазин ", 10).unwrap(), "Магазин");
        assert!(line("Магазины", 7).is_err());
        assert!(line("a\0b", 7).is_err());
    }
}
