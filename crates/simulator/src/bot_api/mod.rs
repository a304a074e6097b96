//! The Bot API: `/bot<token>/<method>`.

use crate::world::Shared;
use axum::Router;

/// All routes of the Bot API.
pub fn router() -> Router<Shared> {
    Router::new()
}
