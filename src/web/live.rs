//! Pages that keep themselves current: a stream of server-sent events tells a page that it should look again.

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;

/// How long one stream lasts; the browser opens another one.
const LIFETIME: Duration = Duration::from_secs(600);

/// Sends `change` at once (whoever connects may have missed one since the page was made), and whenever `fingerprint`, asked for in every interval,
/// differs from the one before. `None`: not available now.
pub(super) fn stream<F>(every: Duration, fingerprint: impl Fn() -> F + Send + 'static) -> impl IntoResponse
where
    F: Future<Output = Option<String>> + Send + 'static,
{
    struct Watch<P> {
        fingerprint: P,
        seen: Option<String>,
        ends: Instant,
        begun: bool,
    }
    let watch = Watch { fingerprint, seen: None, ends: Instant::now() + LIFETIME, begun: false };
    let changes = stream::unfold(watch, move |mut watch| async move {
        while Instant::now() < watch.ends {
            if std::mem::replace(&mut watch.begun, true) {
                tokio::time::sleep(every).await;
            }
            let asked = (watch.fingerprint)();
            let print = asked.await;
            if print.is_some() && print != watch.seen {
                watch.seen = print;
                // Browsers drop an event without data.
                return Some((Ok::<_, Infallible>(Event::default().event("change").data("look")), watch));
            }
        }
        None
    });
    Sse::new(changes).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
