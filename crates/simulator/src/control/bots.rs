//! Control calls about bots, forums, topics and limits.

use crate::world::Shared;
use axum::Router;

/// The routes, with their full paths (`/control/bots` …).
pub fn router() -> Router<Shared> {
    Router::new()
}
