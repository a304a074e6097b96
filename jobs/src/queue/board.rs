//! apalis' ready-made board: a page and its JSON routes (`/api/v1/…`), from the root of a server of their own. It reads our table by the stock
//! storages. Its one route that writes (`PUT` of a task, past our keys and lanes) is closed by whoever stands before it: see `src/http/board.rs`.

use apalis_board::axum::framework::{ApiBuilder, RegisterRoute};
use apalis_board::axum::ui::ServeUI;
use apalis_postgres::{Config, PostgresStorage};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use sqlx::PgPool;

/// The board of these kinds, over the pool.
pub fn board(pool: &PgPool, kinds: &[&str]) -> Router {
    let mut api = ApiBuilder::new(Router::new());
    for kind in kinds {
        // The stock storage does nothing until somebody asks; a stock worker must never run on it.
        let storage = PostgresStorage::<serde_json::Value>::new(pool).with_config(Config::default().queue(kind));
        api = api.register(kind, storage);
    }
    // Without a fallback of its own, an unknown route of the interface would answer with the page.
    let api = api.build().fallback(|| async { StatusCode::NOT_FOUND });
    Router::new().nest("/api/v1", api).fallback_service(ServeUI::new()).layer(middleware::from_fn(without_events))
}

/// Its stream of log events is not fed here and cannot be compiled out; held open it would keep a stopping server waiting. A stream that ends at once
/// and is asked for again in a minute is enough for the page to call the system healthy.
async fn without_events(request: Request, next: Next) -> Response {
    if request.uri().path() == "/api/v1/events" {
        return ([(header::CONTENT_TYPE, "text/event-stream")], "retry: 60000\n\n").into_response();
    }
    next.run(request).await
}
