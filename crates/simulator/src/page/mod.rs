//! The page for people, `GET /`: phones on the left, working groups on the right. It is one file of HTML, CSS and JavaScript that
//! uses nothing but the control API, and `GET /control/events`, which tells it when to look again.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::State,
    http::header,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures::{Stream, stream};

use crate::world::Shared;

/// The shortest time between two events.
const PAUSE: Duration = Duration::from_millis(200);

/// The page and what it loads.
pub fn router() -> Router<Shared> {
    Router::new().route("/", get(page)).route("/control/events", get(events))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:",
        ),
    ];
    (headers, include_str!("page.html"))
}

/// `GET /control/events`: server-sent events `changed`, at most five a second, the first one at once.
async fn events(State(shared): State<Shared>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (changes, stop) = (shared.changes(), shared.lock().live.stop.clone());
    let stream = stream::unfold((changes, stop, true), async |(mut changes, stop, first)| {
        if !first {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return None,
            }
            tokio::select! {
                changed = changes.changed() => changed.ok()?,
                () = stop.cancelled() => return None,
            }
        }
        let version = *changes.borrow_and_update();
        Some((Ok(Event::default().event("changed").data(version.to_string())), (changes, stop, false)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
