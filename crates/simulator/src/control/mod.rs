//! The control API (`/control/…`): how tests and the page create people, write messages and make things fail.
//! Errors are 4xx with `{"error": "…"}`.

pub mod bots;
mod chats;
mod config;
mod faults;
mod forums;
pub mod messages;
pub mod operators;
mod stats;
mod users;

use crate::world::Shared;
use axum::Json;
use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

/// The longest text of a refusal, in bytes.
const REFUSAL_LIMIT: usize = 4096;

/// All control calls.
pub fn router() -> Router<Shared> {
    Router::new()
        .merge(config::router())
        .merge(users::router())
        .merge(chats::router())
        .merge(messages::router())
        .merge(faults::router())
        .merge(stats::router())
        .merge(bots::router())
        .merge(forums::router())
        .merge(operators::router())
        .layer(axum::middleware::map_response(refusal))
}

/// Refusals of the framework itself (a path or query that does not parse) take the form of all others.
async fn refusal(response: Response) -> Response {
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !response.status().is_client_error() || is_json {
        return response;
    }
    let (status, body) = (response.status(), response.into_body());
    let text = axum::body::to_bytes(body, REFUSAL_LIMIT).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&text).into_owned();
    let error = if said.is_empty() { status.to_string() } else { said };
    ControlError { status, error }.into_response()
}

/// A refused control call.
#[derive(Debug)]
pub struct ControlError {
    status: StatusCode,
    error: String,
}

impl ControlError {
    /// 400: the call makes no sense.
    pub fn bad(error: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into() }
    }

    /// 404: what the call names does not exist.
    pub fn missing(error: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: error.into() }
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self.error }))).into_response()
    }
}

/// A JSON body whose rejection is a [`ControlError`]. The content type does not matter.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ControlError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ControlError> {
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(|e| ControlError::bad(e.body_text()))?;
        serde_json::from_slice(&bytes).map(Body).map_err(|e| ControlError::bad(e.to_string()))
    }
}
