//! The one HTTP listener: Bot API, control API and page.

use crate::world::Shared;
use crate::{bot_api, control, page};
use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;

/// The largest request body: a file of 20 MB in base64 and some room.
const BODY_LIMIT: usize = 32 << 20;

/// Everything that the simulator serves over HTTP.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .merge(bot_api::router())
        .merge(control::router())
        .merge(page::router())
        .fallback(async || (StatusCode::NOT_FOUND, Json(serde_json::json!({ "error": "no such call" }))))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}
