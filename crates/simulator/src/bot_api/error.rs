//! Errors as the Bot API words them: `{"ok":false,"error_code","description","parameters"}`
//! (core.telegram.org/bots/api#making-requests).

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::world::forums::ForumError;

/// A failed Bot API call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status and `error_code`, which are always the same number.
    pub code: u16,
    /// The whole text, prefix included: `Bad Request: chat not found`.
    pub description: String,
    /// Seconds to wait, sent as `parameters.retry_after`.
    pub retry_after: Option<u64>,
    /// The supergroup's new id, sent as `parameters.migrate_to_chat_id`.
    pub migrate_to_chat_id: Option<i64>,
}

impl ApiError {
    /// An error without `parameters`; `description` is sent as it stands.
    pub fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None, migrate_to_chat_id: None }
    }

    /// 400 `Bad Request: <what>`.
    pub fn bad_request(what: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Bad Request: {what}"))
    }

    /// 401: no bot has this token.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized")
    }

    /// 404: no such method.
    pub fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    /// 409 `Conflict: <what>`.
    pub fn conflict(what: &str) -> Self {
        Self::new(409, format!("Conflict: {what}"))
    }

    /// 429 with `parameters.retry_after`.
    pub fn too_many_requests(seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(429, format!("Too Many Requests: retry after {seconds}")) }
    }

    /// The answer's JSON body.
    pub fn body(&self) -> Value {
        let mut body = json!({"ok": false, "error_code": self.code, "description": self.description});
        let mut parameters = serde_json::Map::new();
        if let Some(seconds) = self.retry_after {
            parameters.insert("retry_after".into(), seconds.into());
        }
        if let Some(id) = self.migrate_to_chat_id {
            parameters.insert("migrate_to_chat_id".into(), id.into());
        }
        if !parameters.is_empty() {
            body["parameters"] = Value::Object(parameters);
        }
        body
    }
}

impl From<ForumError> for ApiError {
    fn from(error: ForumError) -> Self {
        match error {
            ForumError::BotKicked => Self::new(403, "Forbidden: bot was kicked from the supergroup chat"),
            ForumError::Migrated(to) => {
                Self { migrate_to_chat_id: Some(to), ..Self::bad_request("group chat was upgraded to a supergroup chat") }
            }
            other => Self::bad_request(other),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body())).into_response()
    }
}
