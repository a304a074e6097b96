//! The page for people, `GET /`: phones on the left, working groups on the right. Hand-written HTML, CSS and JavaScript that use
//! nothing but the control API, and `GET /control/events`, which tells it when to look again.

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

/// What the page may load: itself, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:";

/// The page and what it loads.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(async || asset("text/html", include_str!("page.html"))))
        .route("/page.css", get(async || asset("text/css", include_str!("page.css"))))
        .route("/page.js", get(async || asset("text/javascript", include_str!("page.js"))))
        .route("/control/events", get(events))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
    ];
    (headers, text)
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
