//! Every error body: `application/problem+json` (RFC 9457) with `detail` in Russian, which the portal shows to its user.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;
use utoipa::ToSchema;

/// An answer that is no success.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
}

/// Why there is no success (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// Nothing more than the status says.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// What to tell the user, in Russian.
    #[schema(value_type = String, example = "Не найдено")]
    detail: Cow<'static, str>,
}

impl Problem {
    /// Any status.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    /// 400.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 404, also for what belongs to another tenant.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: not in the present state.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 422: readable, but not acceptable.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 503: try again.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 500. What went wrong belongs into the log, not here.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Внутренняя ошибка: попробуйте ещё раз")
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = Body { r#type: "about:blank", title, status: self.status.as_u16(), detail: self.detail };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

impl From<tuberry_storage::Error> for Problem {
    fn from(error: tuberry_storage::Error) -> Self {
        use tuberry_storage::Error;
        let code = match &error {
            Error::Database(database) => database.as_database_error().and_then(|database| database.code()).map(Cow::into_owned),
            Error::Fenced | Error::Unreadable(_) | Error::Early(_) => None,
        };
        match (&error, code.as_deref()) {
            (Error::Early(_), _) => Self::unavailable("Слишком рано: повторите чуть позже").retry_after(Duration::from_secs(1)),
            // A NUL character, which JSON can write and PostgreSQL cannot store; a number that no column takes; a time before all times.
            (_, Some("22021" | "22P05" | "22003" | "22008")) => Self::invalid("Недопустимое значение"),
            // A statement_timeout: what people look at is cut off before they give up.
            (_, Some("57014")) => {
                tracing::warn!(%error, "the database took too long");
                Self::unavailable("База данных не успела ответить: уточните запрос или повторите позже")
                    .retry_after(Duration::from_secs(5))
            }
            (Error::Database(database), None) if is_outage(database) => {
                tracing::warn!(%error, "the database cannot be reached");
                Self::unavailable("База данных недоступна: попробуйте ещё раз").retry_after(Duration::from_secs(2))
            }
            // A deadlock or a conflict with another transaction, which went through: the same request works when it comes again.
            (_, Some("40P01" | "40001")) => {
                tracing::warn!(%error, "the database rolled back");
                Self::unavailable("Данные изменяются одновременно: попробуйте ещё раз").retry_after(Duration::from_secs(1))
            }
            // Connections exhausted, shutting down, starting up.
            (_, Some(code)) if code.starts_with("53") || code.starts_with("57P") => {
                tracing::warn!(%error, "the database refuses");
                Self::unavailable("База данных недоступна: попробуйте ещё раз").retry_after(Duration::from_secs(2))
            }
            _ => {
                tracing::error!(%error, "storage");
                Self::internal()
            }
        }
    }
}

fn is_outage(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}

/// Answers unknown paths.
pub(crate) async fn no_such_route() -> Problem {
    Problem::not_found("Такого адреса нет")
}

/// Answers known paths with another method.
pub(super) async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Этот адрес не принимает такой запрос")
}

/// Answers where a handler panicked.
pub(super) fn after_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(panic = message.unwrap_or_default(), "a handler panicked");
    Problem::internal().into_response()
}
