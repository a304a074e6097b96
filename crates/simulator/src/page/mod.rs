//! The page for people: `GET /`.

use crate::world::Shared;
use axum::Router;

/// The page and what it loads.
pub fn router() -> Router<Shared> {
    Router::new()
}
